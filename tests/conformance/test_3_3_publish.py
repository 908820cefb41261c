"""PUBLISH (5.0 and 3.1.1, section 3.3): flags, topic name, payload, and what is done with it."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.publish import Publish
from tests.conformance.messages import assert_closed, kept, pair, publisher_of


def no_properties(version):
    """The Property Length of a PUBLISH without properties; 3.x has none."""
    return "00" if version == 5 else ""


class TestDup:
    """3.3.1.1 DUP"""

    @pytest.mark.statement("MQTT5-3.3.1-3", "MQTT3-3.3.1-3")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_dup_of_the_publisher_is_not_passed_on(self, client, qos):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"again", qos, False, True, 7))
        message = subscriber.receive(Publish)
        assert (message.payload, message.qos, message.dup) == (b"again", qos, False)

    @pytest.mark.statement("MQTT5-3.3.1-1", "MQTT3-3.3.1-1")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_what_is_sent_again_has_dup(self, client, qos):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", qos)
        first = subscriber.receive(Publish)
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        again = subscriber.receive(Publish)
        assert (first.dup, again.dup) == (False, True)

    @pytest.mark.statement("MQTT5-3.3.1-2", "MQTT3-3.3.1-2")
    @pytest.mark.versions(4, 5)
    def test_dup_at_qos_0_ends_the_connection(self, client, version):
        one = client()
        one.connect()
        one.send(Publish("t", b"", 0, False, True))
        assert_closed(one, 0x82)

    @pytest.mark.versions(3)
    def test_3_1_has_no_rule_against_dup_at_qos_0(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.send("38 03 0001 74")
        message = subscriber.receive(Publish)
        assert (message.qos, message.dup) == (0, False)


class TestQos:
    """3.3.1.2 QoS"""

    @pytest.mark.statement("MQTT5-3.3.1-4", "MQTT3-3.3.1-4", "U5-3.3.1.2-2", "U5-3.3.1.2-3")
    def test_both_qos_bits_end_the_connection(self, client, version):
        one = client()
        one.connect()
        properties = no_properties(version)
        one.send(f"36 {'06' if properties else '05'} 0001 74 0001 {properties}")
        assert_closed(one, 0x81)

    @pytest.mark.statement("U5-3.3.1.2-1")
    @pytest.mark.configuration("maximum_qos 1")
    def test_qos_above_the_maximum_ends_the_connection(self, client):
        one = client()
        connack = one.connect()
        if one.version == 5:
            assert connack.properties[0x24] == 1
        one.send(Publish("t", b"", 2, packet_id=1))
        assert_closed(one, 0x9B)

    @pytest.mark.statement("U5-3.3.1.2-1")
    @pytest.mark.configuration("maximum_qos 0")
    def test_qos_1_is_above_a_maximum_of_0(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"0")
        assert subscriber.receive(Publish).payload == b"0"
        publisher.send(Publish("t", b"", 1, packet_id=1))
        assert_closed(publisher, 0x9B)

    def test_packet_identifier_0_ends_the_connection(self, client, version):
        one = client()
        one.connect()
        properties = no_properties(version)
        one.send(f"32 {'06' if properties else '05'} 0001 74 0000 {properties}")
        assert_closed(one, 0x82)


class TestRetain:
    """3.3.1.3 RETAIN; what is retained: test_3_3_retained.py"""

    @pytest.mark.statement("U5-3.3.1.3-1")
    @pytest.mark.configuration("retain_available false")
    def test_retain_is_refused_where_it_is_not_available(self, client):
        one = client()
        connack = one.connect()
        if one.version == 5:
            assert connack.properties[0x25] == 0
        one.send(Publish("t", b"x", 0, True))
        assert_closed(one, 0x9A)


class TestTopicName:
    """3.3.2.1 Topic Name"""

    @pytest.mark.statement("MQTT5-3.3.2-1", "MQTT3-3.3.2-1")
    @pytest.mark.parametrize("topic", ["t", "/", "a//b", "Tür/屋/😀", "a b", "x" * 300])
    def test_it_arrives_as_it_was_sent(self, client, topic):
        subscriber, publisher = pair(client, "#")
        for qos in (0, 1, 2):
            publisher.publish(topic, b"x", qos)
            assert subscriber.receive_message().topic == topic

    @pytest.mark.statement("MQTT5-3.3.2-1", "MQTT3-3.3.2-1")
    def test_ill_formed_utf_8_ends_the_connection(self, client, version):
        one = client()
        one.connect()
        properties = no_properties(version)
        one.send(f"30 {'05' if properties else '04'} 0002 c328 {properties}")
        assert_closed(one, 0x81)

    @pytest.mark.statement("MQTT5-3.3.2-2", "MQTT3-3.3.2-2")
    @pytest.mark.parametrize("topic", ["#", "a/#", "+", "a/+/b", "a+"])
    def test_wildcards_end_the_connection(self, client, topic):
        subscriber = client()
        subscriber.connect("subscriber")
        subscriber.subscribe("#")
        one = publisher_of(client)
        one.send(Publish(topic, b""))
        assert_closed(one, 0x82)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.2-3", "MQTT3-3.3.2-3")
    def test_only_topics_that_match_the_filter_arrive(self, client):
        subscriber, publisher = pair(client, "a/+", "b/#")
        for topic in ("a", "a/1", "a/1/2", "b", "b/1", "c", "A/1", "/a/1"):
            publisher.publish(topic, b"x", 1)
        assert [subscriber.receive_message().topic for _ in range(3)] == ["a/1", "b", "b/1"]
        subscriber.nothing()

    @pytest.mark.statement("U5-3.3.2.1-1")
    def test_it_must_not_be_empty(self, client, version):
        one = client()
        one.connect()
        properties = no_properties(version)
        one.send(f"30 {'03' if properties else '02'} 0000 {properties}")
        assert_closed(one, 0x82)

    @pytest.mark.versions(4, 5)
    def test_names_of_the_server_are_refused(self, client, version):
        subscriber, publisher = pair(client, "#", "$SYS/#", "$x/#", "$x")
        refused = 0x90 if version == 5 else 0
        for topic in ("$SYS/broker/clients", "$x/y", "$x"):
            publisher.publish(topic, b"x", 0, retain=True)
            assert publisher.publish(topic, b"x", 1, retain=True).reason == refused
            assert publisher.publish(topic, b"x", 2, retain=True).reason == refused
        subscriber.nothing()
        subscriber.subscribe("$SYS/#", "$x/#", "$x")
        subscriber.nothing()

    @pytest.mark.versions(5)
    def test_a_packet_identifier_that_was_refused_is_free_again(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("$x", b"", 2, packet_id=5))
        assert publisher.receive(Pubrec).reason == 0x90
        publisher.send(Publish("t", b"x", 2, packet_id=5))
        assert publisher.receive(Pubrec) == Pubrec(5)
        assert subscriber.receive_message().payload == b"x"

    @pytest.mark.statement("MQTT3-3.3.5-2")
    @pytest.mark.versions(3, 4)
    def test_3_x_is_acknowledged_what_is_not_authorized(self, client):
        """3.1, section 3.3; as if accepted, up to the PUBCOMP."""
        one = client()
        one.connect()
        one.send(Publish("$x", b"", 1, packet_id=5), Publish("$x", b"", 2, packet_id=6))
        assert one.receive() == Puback(5)
        assert one.receive() == Pubrec(6)
        one.send(Pubrel(6))
        assert one.receive() == Pubcomp(6)


class TestPayload:
    """3.3.3 PUBLISH Payload"""

    @pytest.mark.parametrize(
        "payload", [b"", b"\0", bytes(range(256)), b"x" * 127, b"x" * 16_384, b"x" * 300_000]
    )
    def test_it_is_any_bytes(self, client, payload):
        subscriber, publisher = pair(client, "t")
        for qos in (0, 1, 2):
            publisher.publish("t", payload, qos)
            assert subscriber.receive_message().payload == payload


class TestActions:
    """3.3.4 PUBLISH Actions; overlapping subscriptions: test_3_3_overlapping.py"""

    @pytest.mark.statement("MQTT5-3.3.4-1", "MQTT3-3.3.4-1")
    def test_the_answer_is_that_of_the_qos(self, client):
        one = client()
        one.connect()
        one.subscribe("other")
        one.send(Publish("t", b"", 0))
        one.nothing()
        one.send(Publish("t", b"", 1, packet_id=1))
        assert one.receive(Puback).packet_id == 1
        one.send(Publish("t", b"", 2, packet_id=2))
        assert one.receive(Pubrec).packet_id == 2
        one.nothing()

    @pytest.mark.parametrize("granted", [0, 1, 2])
    @pytest.mark.parametrize("published", [0, 1, 2])
    def test_the_lower_qos_of_both_counts(self, client, published, granted):
        subscriber, publisher = pair(client, "t", qos=granted)
        publisher.publish("t", b"x", published)
        assert subscriber.receive_message().qos == min(published, granted)


class TestPacketIdentifier:
    """2.2.1 (3.1.1: 2.3.1) Packet Identifier"""

    @pytest.mark.statement("MQTT5-2.2.1-2", "MQTT3-2.3.1-5")
    def test_qos_0_has_none(self, client, version):
        subscriber, publisher = pair(client, "t")
        properties = no_properties(version)
        publisher.send(f"30 {'06' if properties else '05'} 0001 74 {properties} 7879")
        assert subscriber.receive(Publish) == Publish("t", b"xy")

    @pytest.mark.statement(
        "MQTT5-2.2.1-4", "MQTT3-2.3.1-4", "MQTT5-4.3.2-1", "MQTT5-4.3.3-1", "MQTT3-4.3.2-1",
        "MQTT3-4.3.3-1",
    )  # fmt: skip
    def test_the_broker_assigns_unused_ones(self, client):
        subscriber, publisher = pair(client, "t")
        seen = []
        for place in range(6):
            publisher.publish("t", b"x", 1 + place % 2)
            seen.append(subscriber.receive(Publish).packet_id)
        assert len(set(seen)) == 6
        assert min(seen) > 0

    @pytest.mark.statement("MQTT5-2.2.1-4", "MQTT3-2.3.1-4")
    def test_after_65535_comes_the_first_that_is_free(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"x", 1)
        publisher.publish("t", b"x", 2)
        first, second = subscriber.receive(Publish), subscriber.receive(Publish)
        assert (first.packet_id, second.packet_id) == (1, 2)
        (session,) = (
            one for one in client.site().context.registry.all() if one.client_id == "subscriber"
        )
        session.last_packet_id = 65_534
        publisher.publish("t", b"x", 1)
        publisher.publish("t", b"x", 1)
        assert subscriber.receive(Publish).packet_id == 65_535
        assert subscriber.receive(Publish).packet_id == 3

    def test_both_directions_count_on_their_own(self, client):
        """2.2.1, non-normative comment: the same identifier in flight both ways."""
        one = client()
        one.connect()
        one.subscribe("t", qos=1)
        one.send(Publish("t", b"x", 1, packet_id=1))
        assert one.receive_skipping(Puback) == Puback(1)
        message = one.receive(Publish)
        assert message.packet_id == 1
        one.send(Puback(1))
        one.nothing()

    @pytest.mark.statement("MQTT5-2.2.1-5", "MQTT3-2.3.1-6")
    @pytest.mark.parametrize("packet_id", [1, 256, 65_535])
    def test_an_acknowledgement_has_that_of_the_publish(self, client, packet_id):
        one = client()
        one.connect()
        one.send(Publish("t", b"", 1, packet_id=packet_id))
        assert one.receive(Puback).packet_id == packet_id
        one.send(Publish("t", b"", 2, packet_id=packet_id))
        assert one.receive(Pubrec).packet_id == packet_id
        one.send(Pubrel(packet_id))
        assert one.receive(Pubcomp).packet_id == packet_id
