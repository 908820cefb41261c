"""Flow control (5.0, section 4.9, with 3.3.4): Receive Maximum of the Client and of the Server."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.control import Pingreq, Pingresp
from formats.mqtt.publish import Publish
from tests.conformance.messages import (
    first_answer,
    kept,
    pair,
    payloads,
    publisher_of,
    receive_messages,
)

pytestmark = pytest.mark.versions(5)

RECEIVE_MAXIMUM = 0x21


def limited(client, maximum, qos=2):
    """A subscriber to `t` that takes so many unacknowledged messages, and a publisher."""
    subscriber = client()
    subscriber.connect("subscriber", properties={RECEIVE_MAXIMUM: maximum})
    subscriber.subscribe("t", qos=qos)
    return subscriber, publisher_of(client)


class TestTowardsTheClient:
    """The send quota of the Server"""

    @pytest.mark.statement("MQTT5-3.3.4-9", "MQTT5-4.9.0-1", "MQTT5-4.9.0-2")
    @pytest.mark.parametrize("maximum", [1, 2, 3])
    @pytest.mark.parametrize("qos", [1, 2])
    def test_no_more_than_receive_maximum_are_unacknowledged(self, client, qos, maximum):
        subscriber, publisher = limited(client, maximum)
        for place in range(6):
            publisher.publish("t", bytes([place]), qos)
        open_ = receive_messages(subscriber, maximum)
        subscriber.nothing()
        for place in range(maximum, 6):
            subscriber.acknowledge(open_.pop(0))
            open_.append(subscriber.receive(Publish))
            assert open_[-1].payload[0] == place
            subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.4-9")
    def test_pubrec_does_not_give_a_place_back(self, client):
        subscriber, publisher = limited(client, 1)
        publisher.publish("t", b"1", 2)
        publisher.publish("t", b"2", 1)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.send(Pubrec(packet_id))
        assert subscriber.receive() == Pubrel(packet_id)
        subscriber.nothing()
        subscriber.send(Pubcomp(packet_id))
        assert subscriber.receive(Publish).payload == b"2"

    @pytest.mark.statement("MQTT5-3.3.4-9", "MQTT5-4.9.0-2")
    @pytest.mark.parametrize(
        "answer", [lambda one: Puback(one, 0x80), lambda one: Pubrec(one, 0x97)]
    )
    def test_an_error_gives_it_back(self, client, answer):
        subscriber, publisher = limited(client, 1)
        qos = 1 if isinstance(answer(1), Puback) else 2
        for payload in (b"1", b"2", b"3"):
            publisher.publish("t", payload, qos)
        for payload in (b"1", b"2", b"3"):
            message = subscriber.receive(Publish)
            assert message.payload == payload
            subscriber.nothing()
            subscriber.send(answer(message.packet_id))
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.4-9")
    def test_a_pubcomp_with_an_error_gives_it_back(self, client):
        subscriber, publisher = limited(client, 1)
        publisher.publish("t", b"1", 2)
        publisher.publish("t", b"2", 2)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.send(Pubrec(packet_id))
        assert subscriber.receive() == Pubrel(packet_id)
        subscriber.send(Pubcomp(packet_id, 0x92))
        assert subscriber.receive(Publish).payload == b"2"

    @pytest.mark.statement("MQTT5-3.3.4-9", "MQTT5-4.9.0-2")
    def test_acknowledgements_of_nothing_give_nothing(self, client):
        subscriber, publisher = limited(client, 1)
        for payload in (b"1", b"2"):
            publisher.publish("t", payload, 1)
        subscriber.receive(Publish)
        subscriber.send(Puback(99), Pubcomp(99), Pubrec(99, 0x80))
        subscriber.nothing()

    def test_qos_0_is_sent_all_the_same(self, client):
        """A permission of 4.9."""
        subscriber, publisher = limited(client, 1)
        publisher.publish("t", b"1", 1)
        publisher.publish("t", b"2", 1)
        publisher.publish("t", b"0", 0)
        assert payloads(receive_messages(subscriber, 2)) == [b"1", b"0"]
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.4-10", "MQTT5-4.9.0-3")
    def test_all_other_packets_go_on(self, client):
        subscriber, publisher = limited(client, 1)
        publisher.publish("t", b"1", 1)
        publisher.publish("t", b"2", 1)
        subscriber.receive(Publish)
        subscriber.send(Pingreq())
        assert subscriber.receive() == Pingresp()
        assert subscriber.subscribe("u", qos=1) == [1]
        assert subscriber.unsubscribe("u").reasons == [0]
        assert subscriber.publish("v", b"", 1).reason == 0x10
        assert subscriber.publish("v", b"", 2).reason == 0x10
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.9.0-1")
    def test_it_begins_anew_with_each_connection(self, client):
        subscriber = kept(client, "t", properties={RECEIVE_MAXIMUM: 1})
        publisher = publisher_of(client)
        for place in range(4):
            publisher.publish("t", bytes([place]), 1)
        receive_messages(subscriber, 1)
        subscriber.nothing()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber", {RECEIVE_MAXIMUM: 3})
        assert [one.payload[0] for one in receive_messages(subscriber, 3)] == [0, 1, 2]
        subscriber.nothing()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        assert [one.payload[0] for one in receive_messages(subscriber, 4)] == [0, 1, 2, 3]

    @pytest.mark.versions(3, 4, 5)
    @pytest.mark.configuration("max_inflight_messages 2")
    def test_the_broker_may_send_fewer(self, client):
        subscriber, publisher = pair(client, "t")
        for place in range(4):
            publisher.publish("t", bytes([place]), 1 + place % 2)
        for message in receive_messages(subscriber, 2):
            subscriber.nothing()
            subscriber.acknowledge(message)
            assert subscriber.receive(Publish).payload[0] == message.payload[0] + 2

    @pytest.mark.versions(3, 4)
    def test_3_x_has_no_receive_maximum(self, client):
        subscriber, publisher = pair(client, "t")
        for _ in range(100):
            publisher.publish("t", b"x", 1)
        receive_messages(subscriber, 100)


@pytest.mark.configuration("receive_maximum 2")
class TestTowardsTheBroker:
    """The Receive Maximum of the Server, 3.2.2.3.2"""

    @pytest.mark.statement("U5-3.3.4-6")
    @pytest.mark.parametrize("topic", ["t", "new"])
    @pytest.mark.parametrize("qos", [1, 2])
    def test_more_than_it_ends_the_connection(self, client, qos, topic):
        subscriber = client()
        subscriber.connect("subscriber")
        subscriber.subscribe("t")
        one = client()
        assert one.connect().properties[RECEIVE_MAXIMUM] == 2
        one.publish("t", b"", 0)  # so that the broker knows the topic
        one.send(*[Publish(topic, b"", qos, packet_id=place) for place in (1, 2, 3)])
        packets = one.wait_closed()
        assert packets[-1].reason == 0x93
        assert [type(first_answer(Publish("t", b"", qos)))] * 2 == [
            type(packet) for packet in packets[:-1]
        ]

    @pytest.mark.statement("U5-3.3.4-6")
    def test_a_qos_2_message_counts_until_pubcomp(self, client):
        one = client()
        one.connect()
        for packet_id in (1, 2):
            one.send(Publish("t", b"", 2, packet_id=packet_id))
            one.receive(Pubrec)
        one.send(Pubrel(1))
        assert one.receive() == Pubcomp(1)
        one.send(Publish("t", b"", 1, packet_id=3))
        assert one.receive(Puback).packet_id == 3
        one.send(Publish("t", b"", 2, packet_id=4))
        assert one.receive(Pubrec).packet_id == 4
        one.send(Publish("t", b"", 1, packet_id=5))
        assert one.closed_with() == 0x93

    @pytest.mark.statement("U5-3.3.4-6")
    def test_a_pubrel_that_comes_with_it_is_not_answered_yet(self, client):
        one = client()
        one.connect()
        for packet_id in (1, 2):
            one.send(Publish("t", b"", 2, packet_id=packet_id))
            one.receive(Pubrec)
        one.send(Pubrel(1), Publish("t", b"", 2, packet_id=3))
        assert one.wait_closed()[-1].reason == 0x93

    def test_as_many_as_it_says_are_welcome_again_and_again(self, client):
        subscriber, publisher = pair(client, "t")
        for place in range(0, 20, 2):
            publisher.send(
                Publish("t", bytes([place]), 1, packet_id=1),
                Publish("t", bytes([place + 1]), 1, packet_id=2),
            )
            assert [publisher.receive() for _ in range(2)] == [Puback(1), Puback(2)]
        assert [subscriber.receive_message().payload[0] for _ in range(20)] == list(range(20))

    def test_a_refused_one_counts_no_longer(self, client):
        one = client()
        one.connect()
        for _ in range(5):
            one.send(Publish("$x", b"", 2, packet_id=1), Publish("$x", b"", 1, packet_id=2))
            assert [one.receive().reason for _ in range(2)] == [0x90, 0x90]

    def test_a_repeated_qos_2_publish_counts_once(self, client):
        one = client()
        one.connect()
        for dup in (False, True, True, True):
            one.send(Publish("t", b"", 2, False, dup, 1), Publish("t", b"", 2, False, dup, 2))
            assert [one.receive(Pubrec).packet_id for _ in range(2)] == [1, 2]

    def test_qos_0_does_not_count(self, client):
        one = client()
        one.connect()
        one.send(*[Publish("t", b"", 0) for _ in range(10)])
        one.nothing()

    @pytest.mark.statement("MQTT5-4.9.0-3")
    def test_other_packets_do_not_count(self, client):
        one = client()
        one.connect()
        for packet_id in (1, 2):
            one.send(Publish("t", b"", 2, packet_id=packet_id))
            one.receive(Pubrec)
        assert one.subscribe("t") == [0]
        one.publish("t", b"x", 0)
        assert one.receive(Publish).payload == b"x"
        one.send(Pubrel(1), Pubrel(2))
        assert [one.receive() for _ in range(2)] == [Pubcomp(1), Pubcomp(2)]

    def test_what_an_earlier_connection_sent_does_not_count(self, client):
        """4.9: Receive Maximum is not preserved across Network Connections."""
        one = client()
        one.resume()
        for packet_id in (1, 2):
            one.send(Publish("t", b"", 2, packet_id=packet_id))
            one.receive(Pubrec)
        one.drop()
        one = client()
        one.resume()
        for packet_id in (3, 4):
            one.send(Publish("t", b"", 2, packet_id=packet_id))
            assert one.receive(Pubrec).packet_id == packet_id
        one.send(Pubrel(1), Pubrel(2))
        assert [one.receive() for _ in range(2)] == [Pubcomp(1), Pubcomp(2)]
        one.send(Publish("t", b"", 2, packet_id=5))
        assert one.closed_with() == 0x93

    @pytest.mark.versions(3, 4)
    def test_3_x_clients_do_not_know_of_it(self, client):
        one = client()
        one.connect()
        one.send(*[Publish("t", b"", 1, packet_id=1 + place) for place in range(10)])
        assert [one.receive(Puback).packet_id for _ in range(10)] == list(range(1, 11))
