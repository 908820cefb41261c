"""Killed by SIGKILL under load, again and again: nothing that was acknowledged is lost.

`CRASHES=500 CRASH_SEED=7 pytest tests/durability/test_crash.py` kills more often, and elsewhere.
"""

import os
import random
import socket

import pytest

from formats.mqtt.publish import Publish
from tests.durability.peers import Publisher, Subscriber, drive
from tests.durability.witness import Witness

CRASHES = int(os.environ.get("CRASHES", "20"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
MOST_BEFORE_A_CRASH = 1_000  # acknowledgements, of publishers and subscribers


class Granted(Subscriber):
    """Sees to it that every message comes with the QoS that was granted, and that its session is
    there whenever it is looked at."""

    def handle(self, packet):
        if isinstance(packet, Publish):
            published = Publisher.qos_of(int(packet.payload.split()[1]))
            assert packet.qos == min(published, self.qos)
        super().handle(packet)

    def look_in(self, port):
        """Connect, which compares Session Present, and go without an answer to anything."""
        self.connect(port)
        self.sock.shutdown(socket.SHUT_WR)
        self.lose()
        self._out.clear()


class Load:
    """Publishers and subscribers of both versions, and how often to let them go on.

    Witnesses are left before each crash, and all of them return after it.
    """

    def __init__(self, broker):
        self.broker = broker
        self.random = random.Random(SEED)
        self.publishers = [Publisher("three", 4), Publisher("five", 5)]
        self.subscribers = [
            Granted("two-three", 4, 2),
            Granted("two-five", 5, 2, identifier=8),
            Granted("one-five", 5, 1, identifier=7),
        ]
        self.witnesses = [Witness(broker, 4), Witness(broker, 5)]
        self.peers = [*self.publishers, *self.subscribers]

    def prepare(self):
        """Every subscription is there, and its session has no connection."""
        for subscriber in self.subscribers:
            subscriber.connect(self.port())
            subscriber.subscribe("load/#", "state/#")
            subscriber.close()
        for witness in self.witnesses:
            witness.begin()

    def port(self):
        """One of two listeners, so that sessions move between their threads."""
        return self.random.choice(self.broker.ports)

    def progress(self):
        acknowledged = sum(len(one.acknowledged) for one in self.publishers)
        return acknowledged + sum(len(one.delivered) for one in self.subscribers)

    def crash(self):
        """Go on for a while, with some of the subscribers, and kill the broker."""
        for witness in self.witnesses:
            witness.leave(connected=self.random.random() < 0.5)
        for publisher in self.publishers:
            publisher.connect(self.port())
        for subscriber in self.subscribers:
            if self.random.random() < 0.4:
                subscriber.slow = self.random.choice((0, 5, 9))
                subscriber.connect(self.port())
        goal = self.progress() + self.random.randint(1, MOST_BEFORE_A_CRASH)
        assert drive(self.peers, lambda: self.progress() >= goal), "the broker says nothing"
        if self.random.random() < 0.5:  # with their last answers on the way
            for peer in self.peers:
                peer.flush()
        self.broker.kill()
        for peer in self.peers:
            peer.lose()

    def check_sessions(self):
        """Every session that was kept is there, and what was left of it."""
        for subscriber in self.subscribers:
            subscriber.look_in(self.port())
        for witness in self.witnesses:
            witness.return_to(self.random.randrange(2))

    def check_retained(self):
        """What is retained is not behind what was acknowledged (a client of its own looks)."""
        client = self.broker.client(4)
        client.connect("look")
        client.subscribe("state/#", qos=0)
        values = {}
        for message in client.receive_messages():
            assert message.retain
            values[message.topic] = int(message.payload.split()[1])
        client.disconnect()
        for publisher in self.publishers:
            for qos, number in publisher.retained.items():
                topic = f"state/{publisher.client_id}/{qos}"
                behind = number - values.get(topic, 0)
                assert behind <= 0, f"{topic}: {behind} behind"

    def finish(self):
        """Everything that was begun is completed, and everybody takes all of it."""
        for publisher in self.publishers:
            publisher.publishing = False
            publisher.connect(self.port())
        assert drive(self.publishers, lambda: not any(one.unfinished for one in self.publishers))
        expected = {
            f"{one.client_id} {number}".encode()
            for one in self.publishers
            for number in range(1, one.sent + 1)
        }
        for subscriber in self.subscribers:
            subscriber.slow = 0
            subscriber.connect(self.port())
            drive(
                [subscriber],
                lambda one=subscriber: len(one.seen) == len(expected) and not one.held,
            )
        return expected


@pytest.mark.slow
@pytest.mark.timeout(max(120, 6 * CRASHES))
@pytest.mark.statement("MQTT5-4.1.0-1", "MQTT3-4.1.0-1", "MQTT5-4.4.0-1", "MQTT3-4.4.0-1")
def test_nothing_acknowledged_is_lost_and_nothing_is_delivered_twice(broker_process):
    broker = broker_process("max_inflight_messages 50")
    load = Load(broker)
    broker.start()
    try:
        load.prepare()
        for _ in range(CRASHES):
            load.crash()
            broker.start()
            load.check_sessions()
            load.check_retained()
        expected = load.finish()
        for subscriber in load.subscribers:
            assert len(expected - subscriber.seen) == 0, f"lost of {subscriber.client_id}"
            assert subscriber.seen <= expected
            assert not subscriber.twice
            assert not subscriber.held
            assert not subscriber.unanswered
            for publisher in load.publishers:
                assert_in_order(subscriber, publisher)
        assert [one.resumed for one in load.witnesses] == [CRASHES, CRASHES]
        assert sum(one.repeated for one in load.subscribers) or CRASHES < 10
        print(
            f"{CRASHES} crashes, {sum(len(one.acknowledged) for one in load.publishers)}"
            f" acknowledged, {[one.repeated for one in load.subscribers]} repeated under their id"
        )
    finally:
        for peer in load.peers:
            peer.close()
    broker.end()


def assert_in_order(subscriber, publisher):
    """QoS 2 messages of one topic come in the order of their publication."""
    for remainders in ((0, 1), range(2, 10)):  # retained, and not
        numbers = [
            int(number)
            for name, number in (payload.split() for payload in subscriber.delivered)
            if name.decode() == publisher.client_id
            and Publisher.qos_of(int(number)) == 2
            and int(number) % 10 in remainders
        ]
        if subscriber.qos == 2:
            assert numbers == sorted(numbers)
