"""The disk is full: no acknowledgement for what could not be stored, and everything else goes on.

A limit to the size of files stands for the disk; that it is raised, for the room that is made.
"""

import resource

import pytest

from formats.mqtt.acks import Puback, Pubrec
from formats.mqtt.control import Pingresp
from formats.mqtt.publish import Publish

LIMIT = 200_000  # bytes
QUOTA_EXCEEDED = 0x97
KEPT = {0x11: 3600}


def make_room(broker):
    hard = resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def fill(client, acknowledged):
    """Publish at QoS 1 and 2, then at QoS 1 until the broker refuses; returns the refusal.

    What the first commit that fails was to hold gets no refusal at QoS 2, but waits.
    """
    for number in range(1, 1000):
        packet_id = client.next_packet_id()
        payload = b"five %05d " % number + b"x" * 5_000
        qos = 2 if number % 2 and number < 20 else 1
        client.send(Publish("t", payload, qos, packet_id=packet_id))
        answer = client.receive()
        assert answer.packet_id == packet_id
        if answer.reason == QUOTA_EXCEEDED:
            return answer
        assert isinstance(answer, Puback if qos == 1 else Pubrec)
        assert answer.reason == 0
        acknowledged.add(payload)
    raise AssertionError("never full")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
@pytest.mark.statement("MQTT5-4.3.2-4", "MQTT3-4.3.2-2")
def test_nothing_is_acknowledged_until_there_is_room(broker_process):
    broker = broker_process(limit_file_size=LIMIT).start()
    subscriber = broker.client(5)
    subscriber.connect("s", False, properties=KEPT)
    subscriber.subscribe("t", qos=2)
    subscriber.disconnect()
    listener = broker.client(4)
    listener.connect("listener")
    listener.subscribe("zero")
    acknowledged = set()

    five = broker.client(5)
    five.connect("five", False, properties=KEPT)
    fill(five, acknowledged)

    # 3.1.1 knows no refusal: nothing comes, but the connection is served.
    three = broker.client(4)
    three.connect("three", True)
    three.send(Publish("t", b"three", 1, packet_id=9))
    three.send(b"\xc0\x00")
    assert isinstance(three.receive(), Pingresp)
    # 5.0 is told at once now.
    for qos, retain in ((1, False), (2, False), (1, True)):
        packet_id = five.next_packet_id()
        five.send(Publish("t" if not retain else "r", b"refused", qos, retain, False, packet_id))
        answer = five.receive(Puback if qos == 1 else Pubrec)
        assert (answer.packet_id, answer.reason) == (packet_id, QUOTA_EXCEEDED)
    # What needs no database goes on.
    three.publish("zero", b"still there")
    assert listener.receive(Publish).payload == b"still there"
    three.publish("nobody", b"x", 0)
    assert five.publish("nobody", b"x", 1).reason == 0x10
    # A session cannot be promised.
    other = broker.client(5)
    assert other.connect("new", False, properties=KEPT).reason == QUOTA_EXCEEDED
    assert broker.log().count("the database cannot be written") >= 1
    assert "can be written again" not in broker.log()

    make_room(broker)
    assert three.receive(Puback).packet_id == 9
    acknowledged.add(b"three")
    assert "can be written again" in broker.log()
    other = broker.client(5)
    assert not other.connect("new", False, properties=KEPT).session_present
    for qos in (1, 2):
        payload = b"after %d" % qos
        assert five.publish("t", payload, qos).reason == 0
        acknowledged.add(payload)

    broker.kill()
    broker.limit_file_size = None
    broker.start()
    subscriber = broker.client(5)
    assert subscriber.connect("s", False, properties=KEPT).session_present
    delivered = []
    while not acknowledged <= set(delivered):
        delivered.append(subscriber.receive_message().payload)
    assert b"refused" not in delivered
    assert len(delivered) == len(set(delivered))
    broker.end()
