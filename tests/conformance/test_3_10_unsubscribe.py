"""3.10 UNSUBSCRIBE and 3.11 UNSUBACK."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.properties import (
    MAXIMUM_PACKET_SIZE,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    SUBSCRIPTION_IDENTIFIER,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Unsuback, Unsubscribe
from tests.harness.site import Site

MALFORMED, PROTOCOL_ERROR, PACKET_TOO_LARGE = 0x81, 0x82, 0x95
NO_SUBSCRIPTION_EXISTED = 0x11
PAIRS = {USER_PROPERTY: [("key", "value" * 5)]}


def raw_unsubscribe(version, payload="0001 61", byte1="a2", packet_id="000a", properties="00"):
    """UNSUBSCRIBE as hex; by default with packet identifier 10 and the filter `a`."""
    body = bytes.fromhex(packet_id + (properties if version == 5 else "") + payload)
    return bytes.fromhex(byte1) + bytes([len(body)]) + body


def closes_with(client, reason):
    """The broker ends the connection; a 5.0 client is told why."""
    return client.closed_with() == (reason if client.version == 5 else None)


def reasons(client, *expected):
    """What an UNSUBACK has for payload: nothing in 3.x."""
    return list(expected) if client.version == 5 else []


class TestFixedHeader:
    """3.10.1 UNSUBSCRIBE Fixed Header."""

    @pytest.mark.statement("MQTT5-3.10.1-1", "MQTT3-3.10.1-1")
    @pytest.mark.parametrize("byte1", ["a0", "a3", "a6", "aa"])
    @pytest.mark.versions(4, 5)
    def test_flags_other_than_0010_are_malformed(self, connected, byte1):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(subscriber.version, byte1=byte1))
        assert closes_with(subscriber, MALFORMED)

    @pytest.mark.parametrize("byte1", ["a2", "a3", "aa"])
    @pytest.mark.versions(3)
    def test_in_3_1_dup_and_the_unused_bit_may_be_set(self, connected, byte1):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(3, byte1=byte1))
        assert subscriber.receive(Unsuback).packet_id == 10


class TestVariableHeaderAndPayload:
    """3.10.2 and 3.10.3."""

    @pytest.mark.statement("MQTT5-2.2.1-3", "MQTT3-2.3.1-1")
    def test_packet_identifier_0_is_refused(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(subscriber.version, packet_id="0000"))
        assert closes_with(subscriber, PROTOCOL_ERROR)

    @pytest.mark.statement("MQTT5-3.10.3-1", "MQTT3-3.10.3-1")
    def test_a_filter_that_is_not_utf8_is_refused(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(subscriber.version, "0001 ff"))
        assert closes_with(subscriber, MALFORMED)

    @pytest.mark.statement("MQTT5-3.10.3-2", "MQTT3-3.10.3-2", "U5-3.10.3-1")
    def test_no_filter_is_a_protocol_error(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(subscriber.version, ""))
        assert closes_with(subscriber, PROTOCOL_ERROR)

    @pytest.mark.versions(5)
    def test_user_properties_may_be_repeated(self, connected):
        subscriber = connected("subscriber")
        pairs = [("key", "1"), ("key", "2")]
        subscriber.send(Unsubscribe(1, ["a"], {USER_PROPERTY: pairs}))
        assert subscriber.receive(Unsuback).reasons == [NO_SUBSCRIPTION_EXISTED]

    @pytest.mark.versions(5)
    def test_a_property_of_another_packet_is_refused(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(5, properties="02 0b 01"))  # Subscription Identifier
        assert subscriber.closed_with() in (MALFORMED, PROTOCOL_ERROR)


class TestActions:
    """3.10.4 UNSUBSCRIBE Actions."""

    @pytest.mark.statement(
        "MQTT5-3.10.4-4", "MQTT5-3.10.4-5", "MQTT5-2.2.1-6", "MQTT3-3.10.4-4", "MQTT3-2.3.1-7"
    )
    @pytest.mark.parametrize("packet_id", [1, 0x1234, 65_535])
    def test_the_answer_has_its_packet_identifier(self, connected, packet_id):
        subscriber = connected("subscriber")
        subscriber.subscribe("a")
        subscriber.send(Unsubscribe(packet_id, ["a"]))
        assert subscriber.receive(Unsuback) == Unsuback(packet_id, reasons(subscriber, 0))
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.10.4-1", "MQTT5-3.10.4-2", "MQTT3-3.10.4-1", "MQTT3-3.10.4-2")
    @pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "a/b/#", "#"])
    def test_no_new_message_comes(self, connected, topic_filter):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe(topic_filter, qos=2)
        publisher.publish("a/b", b"1")
        assert subscriber.receive_message().payload == b"1"
        assert subscriber.unsubscribe(topic_filter).reasons == reasons(subscriber, 0)
        for qos in (0, 1, 2):
            publisher.publish("a/b", b"2", qos)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.10.4-5", "MQTT5-3.10.4-1", "MQTT3-3.10.4-5", "MQTT3-3.10.4-1")
    @pytest.mark.parametrize("topic_filter", ["a/c", "a/b/", "A/b", "a/+", "a/#", "#", "/a/b", "a"])
    def test_a_filter_must_be_the_same_character_for_character(self, connected, topic_filter):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/b")
        unsuback = subscriber.unsubscribe(topic_filter)
        assert unsuback.reasons == reasons(subscriber, NO_SUBSCRIPTION_EXISTED)
        publisher.publish("a/b")
        assert subscriber.receive_message().topic == "a/b"

    @pytest.mark.statement("MQTT5-3.10.4-1", "MQTT3-3.10.4-1")
    def test_other_subscriptions_that_match_stay(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/#", qos=1)
        subscriber.subscribe("a/b", qos=2)
        subscriber.unsubscribe("a/b")
        publisher.publish("a/b", b"x", 2)
        assert subscriber.receive_message().qos == 1
        subscriber.nothing()

    def test_other_clients_stay_subscribed(self, connected):
        one, other, publisher = connected("one"), connected("other"), connected("publisher")
        one.subscribe("a")
        other.subscribe("a")
        assert one.unsubscribe("a").reasons == reasons(one, 0)
        publisher.publish("a")
        assert other.receive_message().topic == "a"
        one.nothing()

    @pytest.mark.statement("MQTT5-3.10.4-6", "MQTT5-3.11.3-1", "MQTT5-3.11.3-2", "MQTT3-3.10.4-6")
    def test_several_filters_are_as_good_as_several_packets(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a", "b", "c")
        unsuback = subscriber.unsubscribe("a", "x", "c", "a")
        none = NO_SUBSCRIPTION_EXISTED
        assert unsuback.reasons == reasons(subscriber, 0, none, 0, none)
        for topic in ("a", "b", "c"):
            publisher.publish(topic)
        assert subscriber.receive_message().topic == "b"
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.10.4-3", "MQTT3-3.10.4-3")
    def test_a_qos_1_message_that_was_sent_is_completed(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", qos=1)
        connected("publisher").publish("a", b"x", 1)
        first = subscriber.receive(Publish)
        subscriber.unsubscribe("a")
        subscriber.drop()
        subscriber = connected("subscriber", kept=True)
        again = subscriber.receive(Publish)
        assert (again.packet_id, again.payload, again.dup) == (first.packet_id, b"x", True)
        subscriber.send(Puback(again.packet_id))
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.10.4-3", "MQTT3-3.10.4-3")
    def test_a_qos_2_message_that_was_sent_is_completed(self, connected):
        subscriber = connected("subscriber")
        subscriber.subscribe("a", qos=2)
        connected("publisher").publish("a", b"x", 2)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.unsubscribe("a")
        subscriber.send(Pubrec(packet_id))
        assert subscriber.receive(Pubrel).packet_id == packet_id
        subscriber.send(Pubcomp(packet_id))
        subscriber.nothing()

    @pytest.mark.versions(5)
    def test_what_waits_for_the_send_quota_is_delivered_still(self, connected):
        subscriber = connected("subscriber", properties={RECEIVE_MAXIMUM: 1})
        publisher = connected("publisher")
        subscriber.subscribe("a", qos=1)
        publisher.publish("a", b"1", 1)
        publisher.publish("a", b"2", 1)
        first = subscriber.receive(Publish)
        subscriber.unsubscribe("a")
        subscriber.acknowledge(first)
        assert subscriber.receive_message().payload == b"2"

    @pytest.mark.versions(5)
    def test_its_subscription_identifier_is_forgotten(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/#", identifier=1)
        subscriber.subscribe("a/b", identifier=2)
        subscriber.unsubscribe("a/#")
        publisher.publish("a/b")
        assert subscriber.receive_message().properties == {SUBSCRIPTION_IDENTIFIER: [2]}

    def test_a_session_that_comes_back_is_not_subscribed_any_more(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", "b")
        subscriber.unsubscribe("a")
        subscriber.drop()
        publisher = connected("publisher")
        subscriber = connected("subscriber", kept=True)
        publisher.publish("a")
        publisher.publish("b")
        assert subscriber.receive_message().topic == "b"
        subscriber.nothing()

    def test_it_can_be_subscribed_again_and_gets_what_is_retained(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        publisher.publish("a", b"kept", retain=True)
        for _ in range(2):
            subscriber.subscribe("a")
            assert subscriber.receive_message().retain
            subscriber.unsubscribe("a")
        publisher.publish("a", b"x")
        subscriber.nothing()


class TestUnsuback:
    """3.11 UNSUBACK."""

    @pytest.mark.versions(3, 4)
    def test_in_3_x_it_has_no_payload(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_unsubscribe(subscriber.version))
        assert subscriber.wire.receive() == bytes.fromhex("b0 02 000a")

    @pytest.mark.versions(5)
    @pytest.mark.configuration("behaviour echo_user_properties")
    def test_user_properties_are_sent_where_there_is_room(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 100})
        subscriber.send(Unsubscribe(1, ["a"], PAIRS))
        assert subscriber.receive(Unsuback).properties == PAIRS

    @pytest.mark.statement("MQTT5-3.11.2-2", "MQTT5-3.1.2-24")
    @pytest.mark.versions(5)
    @pytest.mark.configuration("behaviour echo_user_properties")
    def test_user_properties_are_left_out_where_there_is_none(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
        subscriber.send(Unsubscribe(1, ["a"], PAIRS))
        assert subscriber.receive(Unsuback) == Unsuback(1, [NO_SUBSCRIPTION_EXISTED], None)

    @pytest.mark.statement("MQTT5-3.1.2-24")
    @pytest.mark.versions(5)
    def test_more_filters_than_there_can_be_reason_codes_end_the_connection(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
        assert len(subscriber.unsubscribe(*["a"] * 25).reasons) == 25
        subscriber.send(Unsubscribe(2, ["a"] * 26))
        assert subscriber.closed_with() == PACKET_TOO_LARGE


@pytest.mark.statement("MQTT5-3.11.2-1")
def test_a_reason_string_is_left_out_where_there_is_no_room():
    """The broker has nothing to say in one yet: this is what its connection does with it."""
    site = Site("memory")
    subscriber = site.client()
    subscriber.connect("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
    for words, sent in (("short", {REASON_STRING: "short"}), ("long" * 10, None)):
        subscriber.wire.connection.send(Unsuback(1, [0], {REASON_STRING: words}))
        subscriber.wire.connection.flush()
        assert subscriber.receive() == Unsuback(1, [0], sent)
    site.close()
