"""Quality of Service levels and protocol flows (5.0 and 3.1.1, section 4.3), receipt (4.5)."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.publish import Publish
from tests.conformance.messages import (
    kept,
    pair,
    payloads,
    publisher_of,
    receive_messages,
)


class TestQos0:
    """4.3.1 QoS 0: At most once delivery"""

    @pytest.mark.statement("MQTT5-4.3.1-1", "MQTT3-4.3.1-1")
    def test_it_is_delivered_once_and_not_answered(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"x"))
        publisher.nothing()
        assert subscriber.receive(Publish) == Publish("t", b"x")
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.1-1", "MQTT3-4.3.1-1")
    def test_a_message_of_higher_qos_is_delivered_so_where_0_is_granted(self, client):
        subscriber, publisher = pair(client, "t", qos=0)
        publisher.publish("t", b"x", 1)
        publisher.send(Publish("t", b"y", 2, False, True, 9))
        assert subscriber.receive(Publish) == Publish("t", b"x")
        assert subscriber.receive(Publish) == Publish("t", b"y")

    def test_it_is_not_kept_for_a_session_without_a_connection(self, client):
        kept(client, "t").disconnect()
        publisher = publisher_of(client)
        publisher.publish("t", b"0")
        publisher.publish("t", b"1", 1)
        subscriber = client()
        subscriber.resume("subscriber")
        assert subscriber.receive_message().payload == b"1"
        subscriber.nothing()

    @pytest.mark.configuration("queue_qos0_messages true")
    def test_it_may_be(self, client):
        kept(client, "t").disconnect()
        publisher = publisher_of(client)
        for place in range(4):
            publisher.publish("t", bytes([place]), place % 2)
        subscriber = client()
        subscriber.resume("subscriber")
        received = [subscriber.receive_message() for _ in range(4)]
        assert [(one.payload[0], one.qos) for one in received] == [(0, 0), (1, 1), (2, 0), (3, 1)]


class TestQos1:
    """4.3.2 QoS 1: At least once delivery"""

    @pytest.mark.statement("MQTT5-4.3.2-2", "MQTT3-4.3.2-1")
    def test_it_is_sent_with_a_packet_identifier_and_dup_0(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"x", 1)
        message = subscriber.receive(Publish)
        assert (message.qos, message.dup) == (1, False)
        assert 0 < message.packet_id < 65_536

    @pytest.mark.statement("MQTT5-4.3.2-3", "MQTT3-4.3.2-1")
    def test_it_is_unacknowledged_until_puback_comes(self, client):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", 1)
        first = subscriber.receive(Publish)
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        assert subscriber.receive(Publish).packet_id == first.packet_id
        subscriber.send(Puback(first.packet_id))
        subscriber.fence()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.2-4", "MQTT3-4.3.2-2")
    def test_the_broker_answers_with_puback(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"x", 1, packet_id=77))
        assert publisher.receive() == Puback(77)
        assert subscriber.receive_message().payload == b"x"

    @pytest.mark.statement("MQTT5-4.3.2-5", "MQTT3-4.3.2-2")
    @pytest.mark.parametrize("dup", [False, True])
    def test_the_same_packet_identifier_is_a_new_message_after_puback(self, client, dup):
        subscriber, publisher = pair(client, "t")
        for payload in (b"1", b"2"):
            publisher.send(Publish("t", payload, 1, False, dup, 7))
            assert publisher.receive() == Puback(7)
        assert payloads(subscriber.receive_message() for _ in range(2)) == [b"1", b"2"]

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-4.4.0-2")
    @pytest.mark.parametrize("reason", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
    def test_a_puback_with_an_error_is_an_acknowledgement_too(self, client, reason):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", 1)
        subscriber.send(Puback(subscriber.receive(Publish).packet_id, reason))
        subscriber.nothing()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        subscriber.nothing()


class TestQos2FromTheBroker:
    """4.3.3 QoS 2: Exactly once delivery, the sender"""

    @pytest.mark.statement("MQTT5-4.3.3-2", "MQTT3-4.3.3-1")
    def test_it_is_sent_with_a_packet_identifier_and_dup_0(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"x", 2)
        message = subscriber.receive(Publish)
        assert (message.qos, message.dup) == (2, False)
        assert 0 < message.packet_id < 65_536

    @pytest.mark.statement(
        "MQTT5-4.3.3-3", "MQTT5-4.3.3-4", "MQTT5-4.3.3-5", "MQTT5-4.3.3-6", "MQTT3-4.3.3-1"
    )
    def test_each_step_is_repeated_until_its_answer_comes(self, client):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", 2)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        again = subscriber.receive(Publish)
        assert (again.packet_id, again.dup) == (packet_id, True)
        subscriber.send(Pubrec(packet_id))
        assert subscriber.receive() == Pubrel(packet_id)
        for _ in range(2):
            subscriber.drop()
            subscriber = client()
            subscriber.resume("subscriber")
            assert subscriber.receive() == Pubrel(packet_id)
            subscriber.nothing()
        subscriber.send(Pubcomp(packet_id))
        subscriber.fence()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-4", "MQTT5-4.3.3-6")
    def test_a_second_pubrec_gets_a_second_pubrel(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"x", 2)
        packet_id = subscriber.receive(Publish).packet_id
        for _ in range(2):
            subscriber.send(Pubrec(packet_id))
            assert subscriber.receive() == Pubrel(packet_id)
        subscriber.send(Pubcomp(packet_id))
        subscriber.nothing()

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-4.3.3-4", "MQTT5-4.4.0-2")
    @pytest.mark.parametrize("reason", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
    def test_a_pubrec_with_an_error_ends_it_without_pubrel(self, client, reason):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 2)
        subscriber.send(Pubrec(subscriber.receive(Publish).packet_id, reason))
        subscriber.nothing()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        subscriber.nothing()
        publisher.publish("t", b"2", 2)
        assert subscriber.receive_message().payload == b"2"


class TestQos2ToTheBroker:
    """4.3.3 QoS 2: Exactly once delivery, the receiver"""

    @pytest.mark.statement("MQTT5-4.3.3-8", "MQTT5-4.3.3-11", "MQTT3-4.3.3-2")
    def test_the_flow(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"x", 2, packet_id=77))
        assert publisher.receive() == Pubrec(77)
        publisher.send(Pubrel(77))
        assert publisher.receive() == Pubcomp(77)
        assert subscriber.receive_message().payload == b"x"
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-10", "MQTT3-4.3.3-2")
    @pytest.mark.parametrize("dup", [False, True])
    def test_until_pubrel_the_same_identifier_is_the_same_message(self, client, dup):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"x", 2, packet_id=77))
        assert publisher.receive() == Pubrec(77)
        for _ in range(2):
            publisher.send(Publish("t", b"x", 2, False, dup, 77))
            assert publisher.receive() == Pubrec(77)
        assert subscriber.receive_message().payload == b"x"
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-10", "MQTT3-4.3.3-2")
    @pytest.mark.parametrize("listener", [0, 1])
    def test_so_it_is_on_the_next_connection(self, client, listener):
        subscriber = client()
        subscriber.connect("subscriber")
        subscriber.subscribe("t", qos=2)
        publisher = client()
        publisher.resume("publisher")
        publisher.send(Publish("t", b"x", 2, packet_id=77))
        assert publisher.receive() == Pubrec(77)
        publisher.drop()
        publisher = client(listener=listener)
        publisher.resume("publisher")
        publisher.send(Publish("t", b"x", 2, False, True, 77))
        assert publisher.receive() == Pubrec(77)
        publisher.send(Pubrel(77))
        assert publisher.receive() == Pubcomp(77)
        assert subscriber.receive_message().payload == b"x"
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-10", "MQTT3-4.3.3-2")
    def test_a_pubrel_that_was_lost_is_answered_on_the_next_connection(self, client):
        publisher = client()
        publisher.resume("publisher")
        publisher.subscribe("t", qos=0)
        publisher.send(Publish("t", b"x", 2, packet_id=77))
        publisher.receive_skipping(Pubrec)
        publisher.drop()
        publisher = client()
        publisher.resume("publisher")
        publisher.send(Pubrel(77))
        assert publisher.receive() == Pubcomp(77)

    @pytest.mark.statement("MQTT5-4.3.3-12", "MQTT3-4.3.3-2")
    @pytest.mark.parametrize("dup", [False, True])
    def test_after_pubcomp_it_is_a_new_message(self, client, dup):
        subscriber, publisher = pair(client, "t")
        for payload in (b"1", b"2"):
            publisher.send(Publish("t", payload, 2, False, dup, 77))
            assert publisher.receive() == Pubrec(77)
            publisher.send(Pubrel(77))
            assert publisher.receive() == Pubcomp(77)
        assert payloads(subscriber.receive_message() for _ in range(2)) == [b"1", b"2"]

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-4.3.3-9")
    def test_after_a_pubrec_with_an_error_it_is_a_new_message(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"\xff", 2, packet_id=77, properties={1: 1}))
        assert publisher.receive(Pubrec).reason == 0x99
        publisher.send(Publish("t", b"x", 2, False, True, 77))
        assert publisher.receive() == Pubrec(77)
        assert subscriber.receive_message().payload == b"x"
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-11", "MQTT3-4.3.3-2")
    def test_a_second_pubrel_gets_a_second_pubcomp(self, client, version):
        one = client()
        one.connect()
        one.send(Publish("t", b"x", 2, packet_id=77))
        one.receive(Pubrec)
        one.send(Pubrel(77), Pubrel(77))
        assert one.receive() == Pubcomp(77)
        assert one.receive() == Pubcomp(77, 0x92 if version == 5 else 0)

    def test_a_clean_start_forgets_it(self, client):
        subscriber, publisher = client(), client()
        subscriber.connect("subscriber")
        subscriber.subscribe("t", qos=2)
        publisher.resume("publisher")
        publisher.send(Publish("t", b"1", 2, packet_id=77))
        publisher.receive(Pubrec)
        publisher.drop()
        publisher = client()
        publisher.connect("publisher")
        publisher.send(Publish("t", b"2", 2, False, True, 77))
        publisher.receive(Pubrec)
        assert payloads(subscriber.receive_message() for _ in range(2)) == [b"1", b"2"]


class TestReceipt:
    """4.5 Message receipt"""

    @pytest.mark.statement("MQTT5-4.5.0-1", "MQTT3-4.5.0-1")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_every_matching_session_gets_it_connected_or_not(self, client, qos):
        kept(client, "a/+").disconnect()
        others = []
        for listener, topic_filter in enumerate(("#", "a/b")):
            other = client(listener=listener)
            other.connect(f"other {listener}")
            other.subscribe(topic_filter, qos=2)
            others.append(other)
        publisher = publisher_of(client)
        publisher.publish("a/b", b"x", qos)
        publisher.publish("c", b"y", qos)
        assert payloads(receive_messages(others[0], 2)) == [b"x", b"y"]
        assert payloads(receive_messages(others[1], 1)) == [b"x"]
        returned = client()
        returned.resume("subscriber")
        message = returned.receive_message()
        assert (message.payload, message.qos, message.dup) == (b"x", qos, False)
        returned.nothing()
        others[1].nothing()

    @pytest.mark.configuration("max_queued_messages 3")
    def test_the_queue_has_a_limit(self, client):
        kept(client, "t").disconnect()
        publisher = publisher_of(client)
        for place in range(5):
            publisher.publish("t", bytes([place]), 1 + place % 2)
        subscriber = client()
        subscriber.resume("subscriber")
        assert [subscriber.receive_message().payload[0] for _ in range(3)] == [0, 1, 2]
        subscriber.nothing()
        publisher.publish("t", b"\x05", 1)
        assert subscriber.receive_message().payload[0] == 5

    @pytest.mark.configuration("max_queued_messages 2")
    @pytest.mark.versions(5)
    def test_what_has_expired_makes_room_in_it(self, client):
        kept(client, "t").disconnect()
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 1, properties={2: 10})
        publisher.publish("t", b"2", 1)
        client.site().advance(20)
        publisher.publish("t", b"3", 1)
        subscriber = client()
        subscriber.resume("subscriber")
        assert payloads(subscriber.receive_message() for _ in range(2)) == [b"2", b"3"]

    @pytest.mark.configuration("max_queued_messages 2", "max_inflight_messages 1")
    def test_it_limits_a_connected_client_that_does_not_acknowledge(self, client):
        subscriber, publisher = pair(client, "t")
        for place in range(5):
            publisher.publish("t", bytes([place]), 1)
        assert [subscriber.receive_message().payload[0] for _ in range(3)] == [0, 1, 2]
        subscriber.nothing()
