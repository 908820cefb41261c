"""Message ordering (5.0 and 3.1.1, section 4.6): for each publisher, topic and QoS."""

import pytest

from formats.mqtt.acks import Puback, Pubrel
from formats.mqtt.publish import Publish
from tests.conformance.messages import kept, pair, payloads, publisher_of, receive_messages

pytestmark = pytest.mark.statement(
    "MQTT5-4.6.0-5", "MQTT5-4.6.0-6", "MQTT3-4.6.0-5", "MQTT3-4.6.0-6"
)

MANY = 50


def numbered(topic, qos, first=0, count=MANY):
    """So many PUBLISH packets whose payloads count upwards."""
    return [
        Publish(topic, bytes([place]), qos, False, False, place + 1 if qos else 0)
        for place in range(first, first + count)
    ]


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("listener", [0, 1])
def test_messages_of_a_topic_arrive_in_the_order_they_were_published(client, listener, qos):
    subscriber, publisher = pair(client, "t", listener=listener)
    publisher.send(*numbered("t", qos))
    received = receive_messages(subscriber, MANY)
    assert payloads(received) == [bytes([place]) for place in range(MANY)]
    assert {one.qos for one in received} == {qos}


@pytest.mark.parametrize("listener", [0, 1])
def test_so_they_do_where_qualities_and_topics_are_mixed(client, listener):
    subscriber, publisher = pair(client, "#", listener=listener)
    sent = [
        Publish(f"t/{place % 4}", bytes([place]), place % 3, False, False, place + 1)
        for place in range(MANY)
    ]
    publisher.send(*sent)
    received = receive_messages(subscriber, MANY)
    for qos in (0, 1, 2):
        for topic in {one.topic for one in sent}:
            ours = [one.payload for one in sent if (one.topic, one.qos) == (topic, qos)]
            theirs = [one.payload for one in received if (one.topic, one.qos) == (topic, qos)]
            assert theirs == ours


@pytest.mark.parametrize("granted", [0, 1])
def test_so_they_do_where_the_granted_qos_makes_them_one(client, granted):
    subscriber, publisher = pair(client, "t", qos=granted)
    for place in range(9):
        publisher.publish("t", bytes([place]), 1 + place % 2)
    assert payloads(receive_messages(subscriber, 9)) == [bytes([place]) for place in range(9)]


def test_each_of_two_publishers_on_two_listeners_keeps_its_order(client):
    subscriber = client()
    subscriber.connect("subscriber")
    subscriber.subscribe("t", qos=1)
    publishers = [client(listener=place) for place in (0, 1)]
    for place, publisher in enumerate(publishers):
        publisher.connect(f"publisher {place}")
    for first in range(0, MANY, 10):
        publishers[0].send(*numbered("t", 1, first, 10))
        publishers[1].send(*numbered("t", 1, 100 + first, 10))
    received = [one.payload[0] for one in receive_messages(subscriber, 2 * MANY)]
    assert [one for one in received if one < 100] == list(range(MANY))
    assert [one for one in received if one >= 100] == list(range(100, 100 + MANY))


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("listener", [0, 1])
def test_the_queue_of_an_absent_client_keeps_it(client, listener, qos):
    subscriber = kept(client, "t")
    publisher = publisher_of(client)
    publisher.send(*numbered("t", qos, 0, 3))
    receive_messages(subscriber, 3)
    subscriber.drop()
    publisher.send(*numbered("t", qos, 3, 10))
    publisher.fence()
    subscriber = client(listener=listener)
    subscriber.resume("subscriber")
    publisher.send(*numbered("t", qos, 13, 10))
    received = receive_messages(subscriber, 23)
    assert [one.payload[0] for one in received] == list(range(23))
    assert [one.dup for one in received] == [True] * 3 + [False] * 20


@pytest.mark.configuration("max_inflight_messages 2")
def test_a_full_window_keeps_it(client):
    subscriber, publisher = pair(client, "t")
    publisher.send(*numbered("t", 1, 0, 10))
    publisher.fence()
    received = []
    for _ in range(5):
        two = receive_messages(subscriber, 2)
        subscriber.nothing()
        received += two
        subscriber.send(*[Puback(one.packet_id) for one in reversed(two)])
    assert [one.payload[0] for one in received] == list(range(10))


@pytest.mark.configuration("queue_qos0_messages true", "max_inflight_messages 1")
def test_queued_qos_0_is_not_overtaken_by_new(client):
    kept(client, "t").disconnect()
    publisher = publisher_of(client)
    publisher.publish("t", b"one", 1)
    publisher.publish("t", b"two", 1)
    publisher.publish("t", b"old", 0)
    subscriber = client()
    subscriber.resume("subscriber")
    publisher.publish("t", b"new", 0)
    received = receive_messages(subscriber, 3)
    assert payloads(received) == [b"one", b"old", b"new"]
    subscriber.send(Puback(received[0].packet_id))
    assert subscriber.receive_message().payload == b"two"


def test_pubrels_follow_the_order_of_the_pubrecs(client):
    """[MQTT3-4.6.0-4], a rule for senders that [MQTT3-4.6.0-6] extends to the Server."""
    subscriber, publisher = pair(client, "t")
    for _ in range(3):
        publisher.publish("t", b"x", 2)
    ids = [one.packet_id for one in receive_messages(subscriber, 3)]
    subscriber.send(*[bytes((0x50, 2, 0, one)) for one in ids])
    assert [subscriber.receive() for _ in ids] == [Pubrel(one) for one in ids]


def test_acknowledgements_follow_the_order_of_the_publishes(client):
    """[MQTT3-4.6.0-2] and [MQTT3-4.6.0-3], extended to the Server alike."""
    one = client()
    one.connect()
    ids = [5, 300, 2, 65_535, 1]
    one.send(*[Publish("t", b"", 1 + place % 2, packet_id=two) for place, two in enumerate(ids)])
    assert [one.receive().packet_id for _ in ids] == ids
