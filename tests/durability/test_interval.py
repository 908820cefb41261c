"""`persistence_sync interval`: a crash loses what came in the last `autosave_interval`, no more.

Time is the test's own: it publishes without a pause, and remembers when each acknowledgement came.
"""

import time

import pytest
from ZODB.FileStorage import FileIterator

from formats.mqtt.acks import Puback
from formats.mqtt.publish import Publish

INTERVAL_S = 1
COMMIT_S = 1.0  # that a commit may take, on a machine that has other things to do
KEPT = {0x11: 3600}
OPTIONS = f"persistence_sync interval\nautosave_interval {INTERVAL_S}"
WINDOW = 5


def subscribe(broker):
    """A kept session that is away."""
    client = broker.client()
    client.connect("subscriber", False, properties=KEPT)
    assert client.subscribe("t", qos=1, identifier=5) == [1]
    client.disconnect()


class Load:
    """Publishes numbers at QoS 1, WINDOW at a time."""

    def __init__(self, broker):
        self.client = broker.client(4)
        self.client.connect("publisher")
        self.acknowledged_at = []  # by number

    def publish(self):
        first = len(self.acknowledged_at)
        numbers = range(first, first + WINDOW)
        self.client.send(*(Publish("t", b"%d" % n, 1, packet_id=n + 1) for n in numbers))
        for number in numbers:
            assert self.client.receive(Puback).packet_id == number + 1
            self.acknowledged_at.append(time.monotonic())

    def count_until(self, when):
        """How many were acknowledged before."""
        return sum(acknowledged < when for acknowledged in self.acknowledged_at)


def commits(broker):
    """How many the file holds; one that is being written is none."""
    return sum(1 for _ in FileIterator(str(broker.file)))


def kept_numbers(broker):
    """What the session holds after the crash."""
    client = broker.client()
    assert client.connect("subscriber", False, properties=KEPT).session_present
    client.publish("t", b"last", 1)
    payloads = []
    while (message := client.receive(Publish)).payload != b"last":
        assert message.properties == {0x0B: [5]}
        payloads.append(message.payload)
    return [int(payload) for payload in payloads]


@pytest.mark.slow
def test_nothing_older_than_the_interval_is_lost(broker_process):
    broker = broker_process(OPTIONS)
    broker.start()
    subscribe(broker)
    load = Load(broker)
    until = time.monotonic() + INTERVAL_S + COMMIT_S + 0.5
    while time.monotonic() < until and len(load.acknowledged_at) < 60_000:
        load.publish()
    broker.kill()
    old = load.count_until(time.monotonic() - INTERVAL_S - COMMIT_S)
    assert old, "nothing was old enough to be kept"
    broker.start()
    kept = kept_numbers(broker)
    assert kept == list(range(len(kept))), "not the first of them, in their order"
    assert old <= len(kept) <= len(load.acknowledged_at)
    broker.end()


@pytest.mark.slow
def test_a_commit_holds_all_that_was_acknowledged_before(broker_process):
    """Seen at the file: of two commits that end after it, the second began after it, too."""
    broker = broker_process(OPTIONS)
    broker.start()
    subscribe(broker)
    load = Load(broker)
    load.publish()
    acknowledged = len(load.acknowledged_at)
    deadline = time.monotonic() + 20
    seen = commits(broker)
    while commits(broker) < seen + 2:
        assert time.monotonic() < deadline, "nothing was written"
        load.publish()
    broker.kill()
    broker.start()
    assert len(kept_numbers(broker)) >= acknowledged
    broker.end()


def test_it_acknowledges_at_once_and_opens_with_what_there_is(broker_process):
    """With an interval that does not pass, a crash loses everything, and nothing but that."""
    broker = broker_process("persistence_sync interval\nautosave_interval 1000")
    broker.start()
    subscribe(broker)  # what comes first is written at once; what comes in its wake is not
    load = Load(broker)
    load.publish()
    load.publish()
    broker.kill()
    assert broker.file.exists()
    broker.start()
    client = broker.client()
    client.connect("subscriber", False, properties=KEPT)
    kept = client.receive_messages()
    assert len(kept) < len(load.acknowledged_at)
    broker.end()
