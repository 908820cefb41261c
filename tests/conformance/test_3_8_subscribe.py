"""3.8 SUBSCRIBE and 3.9 SUBACK."""

import pytest

from formats.mqtt.control import Disconnect
from formats.mqtt.properties import (
    MAXIMUM_PACKET_SIZE,
    REASON_STRING,
    REQUEST_PROBLEM_INFORMATION,
    SUBSCRIPTION_IDENTIFIER,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.harness.site import Site

MALFORMED, PROTOCOL_ERROR, PACKET_TOO_LARGE = 0x81, 0x82, 0x95
SHARED_NOT_SUPPORTED, IDENTIFIERS_NOT_SUPPORTED, WILDCARDS_NOT_SUPPORTED = 0x9E, 0xA1, 0xA2

PAIRS = {USER_PROPERTY: [("key", "value" * 5)]}


def raw_subscribe(version, payload="0001 61 00", byte1="82", packet_id="000a", properties="00"):
    """SUBSCRIBE as hex; by default with packet identifier 10 and the filter `a` at QoS 0."""
    body = bytes.fromhex(packet_id + (properties if version == 5 else "") + payload)
    return bytes.fromhex(byte1) + bytes([len(body)]) + body


def closes_with(client, reason):
    """The broker ends the connection; a 5.0 client is told why."""
    return client.closed_with() == (reason if client.version == 5 else None)


class TestFixedHeader:
    """3.8.1 SUBSCRIBE Fixed Header."""

    @pytest.mark.statement("MQTT5-3.8.1-1", "MQTT3-3.8.1-1")
    @pytest.mark.parametrize("byte1", ["80", "83", "86", "8a"])
    @pytest.mark.versions(4, 5)
    def test_flags_other_than_0010_are_malformed(self, connected, byte1):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(subscriber.version, byte1=byte1))
        assert closes_with(subscriber, MALFORMED)

    @pytest.mark.parametrize("byte1", ["82", "83", "8a"])
    @pytest.mark.versions(3)
    def test_in_3_1_dup_and_the_unused_bit_may_be_set(self, connected, byte1):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(3, byte1=byte1))
        assert subscriber.receive(Suback).reasons == [0]


class TestVariableHeader:
    """3.8.2 SUBSCRIBE Variable Header."""

    @pytest.mark.statement("MQTT5-2.2.1-3", "MQTT3-2.3.1-1")
    def test_packet_identifier_0_is_refused(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(subscriber.version, packet_id="0000"))
        assert closes_with(subscriber, PROTOCOL_ERROR)

    @pytest.mark.statement("U5-3.8.2.1.2-1")
    @pytest.mark.versions(5)
    def test_subscription_identifier_0_is_a_protocol_error(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(5, properties="02 0b 00"))
        assert subscriber.closed_with() == PROTOCOL_ERROR

    @pytest.mark.statement("U5-3.8.2.1.2-2")
    @pytest.mark.versions(5)
    def test_two_subscription_identifiers_are_a_protocol_error(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(5, properties="04 0b 01 0b 02"))
        assert subscriber.closed_with() == PROTOCOL_ERROR

    @pytest.mark.versions(5)
    @pytest.mark.parametrize("identifier", [1, 127, 128, 268_435_455])
    def test_a_subscription_identifier_can_be_1_to_268_435_455(self, connected, identifier):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a", identifier=identifier)
        publisher.publish("a")
        assert subscriber.receive_message().properties == {SUBSCRIPTION_IDENTIFIER: [identifier]}

    @pytest.mark.versions(5)
    def test_user_properties_may_be_repeated(self, connected):
        subscriber = connected("subscriber")
        pairs = [("key", "1"), ("key", "2"), ("", "")]
        assert subscriber.subscribe("a", properties={USER_PROPERTY: pairs}) == [0]

    @pytest.mark.versions(5)
    def test_a_property_of_another_packet_is_malformed(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(5, properties="02 01 00"))  # Payload Format Indicator
        assert subscriber.closed_with() in (MALFORMED, PROTOCOL_ERROR)


class TestPayload:
    """3.8.3 SUBSCRIBE Payload."""

    @pytest.mark.statement("MQTT5-3.8.3-1", "MQTT3-3.8.3-1")
    def test_a_filter_that_is_not_utf8_is_refused(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(subscriber.version, "0001 ff 00"))
        assert closes_with(subscriber, MALFORMED)

    @pytest.mark.statement("MQTT5-3.8.3-2", "MQTT3-3.8.3-3", "U5-3.8.3-1")
    def test_no_filter_is_a_protocol_error(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(subscriber.version, ""))
        assert closes_with(subscriber, PROTOCOL_ERROR)

    def test_a_filter_without_options_is_malformed(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(subscriber.version, "0001 61"))
        assert closes_with(subscriber, MALFORMED)

    @pytest.mark.statement("U5-3.8.3.1-1", "MQTT3-3.8.3-4")
    def test_maximum_qos_3_is_refused(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(subscriber.version, "0001 61 03"))
        assert closes_with(subscriber, PROTOCOL_ERROR)

    @pytest.mark.statement("MQTT5-3.8.3-5")
    @pytest.mark.parametrize("options", ["40", "80", "c0"])
    @pytest.mark.versions(5)
    def test_reserved_bits_are_malformed(self, connected, options):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(5, "0001 61" + options))
        assert subscriber.closed_with() == MALFORMED

    @pytest.mark.statement("MQTT3-3.8.3-4")
    @pytest.mark.parametrize("options", ["04", "08", "10", "20", "40", "80"])
    @pytest.mark.versions(4)
    def test_in_3_1_1_the_upper_six_bits_of_the_qos_are_reserved(self, connected, options):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(4, "0001 61" + options))
        assert subscriber.closed_with() is None

    @pytest.mark.parametrize("options", ["04", "81"])
    @pytest.mark.versions(3)
    def test_in_3_1_they_are_not_used(self, connected, options):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(3, "0001 61" + options))
        assert subscriber.receive(Suback).reasons == [int(options, 16) & 3]

    @pytest.mark.statement("U5-3.8.3.1-2")
    @pytest.mark.versions(5)
    def test_retain_handling_3_is_a_protocol_error(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(raw_subscribe(5, "0001 61 30"))
        assert subscriber.closed_with() == PROTOCOL_ERROR

    def test_nothing_of_a_refused_packet_is_subscribed(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.send(raw_subscribe(subscriber.version, "0001 61 00 0001 62 03"))
        subscriber.wait_closed()
        subscriber = connected("subscriber", kept=True)
        connected("publisher").publish("a")
        subscriber.nothing()


@pytest.mark.versions(5)
@pytest.mark.statement("MQTT5-3.8.3-3")
class TestNoLocal:
    """3.8.3.1: the No Local option."""

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_the_publisher_does_not_get_its_own_messages(self, connected, qos):
        one, other = connected("one"), connected("other")
        one.subscribe("a/+", qos=2, no_local=True)
        one.publish("a/b", b"own", qos)
        one.nothing()
        other.publish("a/b", b"of another", qos)
        assert one.receive_message().payload == b"of another"

    def test_others_get_them(self, connected):
        one, other = connected("one"), connected("other", listener=1)
        for client in (one, other):
            client.subscribe("a", no_local=True)
        one.publish("a", b"x")
        assert other.receive_message().payload == b"x"
        one.nothing()

    def test_without_the_option_the_publisher_gets_its_own_messages(self, connected):
        one = connected("one")
        one.subscribe("a")
        one.publish("a", b"own")
        assert one.receive_message().payload == b"own"

    def test_of_overlapping_filters_only_those_without_the_option_count(self, connected):
        one, other = connected("one"), connected("other")
        one.subscribe("#", qos=2, no_local=True, identifier=1)
        one.subscribe("a/+", qos=1, identifier=2)
        one.publish("a/b", b"own", 2)
        own = one.receive_message()
        assert (own.payload, own.qos) == (b"own", 1)
        assert own.properties == {SUBSCRIPTION_IDENTIFIER: [2]}
        other.publish("a/b", b"of another", 2)
        message = one.receive_message()
        assert (message.payload, message.qos) == (b"of another", 2)
        assert sorted(message.properties[SUBSCRIPTION_IDENTIFIER]) == [1, 2]
        one.nothing()

    def test_a_retained_message_is_not_sent_to_who_published_it(self, connected):
        one, other = connected("one"), connected("other")
        one.publish("a/own", b"x", retain=True)
        other.publish("a/foreign", b"x", retain=True)
        one.subscribe("a/#", no_local=True)
        assert one.receive_message().topic == "a/foreign"
        one.nothing()

    def test_it_is_the_client_identifier_that_counts_not_the_connection(self, connected):
        connected("one").publish("a", b"x", retain=True)
        again = connected("one")
        again.subscribe("a", no_local=True)
        again.nothing()

    @pytest.mark.statement("MQTT5-3.8.3-4")
    def test_on_a_shared_subscription_it_is_a_protocol_error(self, connected):
        one = connected("one")
        one.send(Subscribe(1, [Subscription("$share/g/a", 0, no_local=True)]))
        assert one.closed_with() == PROTOCOL_ERROR


class TestSuback:
    """3.8.4 SUBSCRIBE Actions and 3.9 SUBACK."""

    @pytest.mark.statement(
        "MQTT5-3.8.4-1",
        "MQTT5-3.8.4-2",
        "MQTT5-2.2.1-6",
        "MQTT3-3.8.4-1",
        "MQTT3-3.8.4-2",
        "MQTT3-2.3.1-7",
    )
    @pytest.mark.parametrize("packet_id", [1, 10, 0x1234, 65_535])
    def test_it_has_the_packet_identifier_of_the_subscribe(self, connected, packet_id):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(packet_id, [Subscription("a")]))
        assert subscriber.receive(Suback).packet_id == packet_id
        subscriber.nothing()

    @pytest.mark.statement(
        "MQTT5-3.8.4-6",
        "MQTT5-3.8.4-7",
        "MQTT5-3.9.3-1",
        "MQTT5-3.9.3-2",
        "MQTT3-3.8.4-5",
        "MQTT3-3.9.3-1",
        "MQTT3-3.9.3-2",
    )
    @pytest.mark.configuration("behaviour refuse_subscription refused")
    @pytest.mark.versions(4, 5)
    def test_it_has_a_reason_code_for_each_filter_in_their_order(self, connected):
        subscriber = connected("subscriber")
        wanted = [("a", 2), ("refused", 1), ("b", 0), ("a", 1), ("refused", 0), ("c", 2)]
        reasons = subscriber.subscribe(*(Subscription(*one) for one in wanted))
        assert reasons == [2, 0x80, 0, 1, 0x80, 2]

    @pytest.mark.configuration("behaviour refuse_subscription refused")
    def test_what_failed_is_not_subscribed(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("refused", "granted")
        publisher.publish("refused")
        publisher.publish("granted")
        assert subscriber.receive_message().topic == "granted"
        subscriber.nothing()

    @pytest.mark.configuration("wildcard_subscription_available false")
    @pytest.mark.versions(3)
    def test_in_3_1_a_failure_looks_like_a_grant(self, connected):
        assert connected("subscriber").subscribe("refused/#", "a", qos=1) == [0, 1]

    @pytest.mark.statement("MQTT5-3.8.4-7", "MQTT5-3.2.2-10")
    @pytest.mark.configuration("maximum_qos 1")
    def test_a_lower_qos_may_be_granted(self, connected):
        wanted = [Subscription("a", 0), Subscription("b", 1), Subscription("c", 2)]
        assert connected("subscriber").subscribe(*wanted) == [0, 1, 1]

    @pytest.mark.statement(
        "MQTT5-3.8.4-5", "MQTT3-3.8.4-4", "MQTT5-3.8.4-3", "MQTT3-3.8.4-3", "MQTT5-3.8.4-6"
    )
    def test_several_filters_are_as_good_as_several_packets(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        publisher.publish("a", b"kept", 2, retain=True)
        # the second replaces the first, and each sends what is retained
        assert subscriber.subscribe(Subscription("a", 0), Subscription("a", 2)) == [0, 2]
        kept = [subscriber.receive_message() for _ in range(2)]
        assert [(one.payload, one.qos, one.retain) for one in kept] == [
            (b"kept", 0, True),
            (b"kept", 2, True),
        ]
        publisher.publish("a", b"new", 2)
        new = subscriber.receive_message()
        assert (new.payload, new.qos) == (b"new", 2)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.8.4-8", "MQTT3-3.8.4-6")
    @pytest.mark.parametrize("granted", [0, 1, 2])
    @pytest.mark.parametrize("published", [0, 1, 2])
    def test_the_qos_of_a_message_is_the_lower_of_the_two(self, connected, granted, published):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        assert subscriber.subscribe("a", qos=granted) == [granted]
        publisher.publish("a", b"x", published)
        assert subscriber.receive_message().qos == min(granted, published)
        subscriber.nothing()

    @pytest.mark.configuration("upgrade_outgoing_qos true")
    @pytest.mark.parametrize("published", [0, 1, 2])
    def test_unless_configured_to_be_that_of_the_subscription(self, connected, published):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a", qos=2)
        for _ in range(2):
            publisher.publish("a", b"x", published)
            assert subscriber.receive_message().qos == 2

    def test_several_hundred_filters_get_several_hundred_reason_codes(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        filters = [f"a/{place}" for place in range(300)]
        assert subscriber.subscribe(*filters, qos=1) == [1] * 300
        publisher.publish("a/299", b"x", 1)
        assert subscriber.receive_message().topic == "a/299"

    def test_a_message_published_at_once_after_it_is_not_missed(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher", listener=1)
        for place in range(20):
            subscriber.subscribe(f"a/{place}", qos=1)
            publisher.publish(f"a/{place}", b"x", 1)
            assert subscriber.receive_message().topic == f"a/{place}"


class TestReplacing:
    """3.8.4: a SUBSCRIBE with the filter of a subscription that exists."""

    @pytest.mark.statement("MQTT5-3.8.4-3", "MQTT3-3.8.4-3")
    @pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "#"])
    def test_the_new_options_replace_the_old_ones(self, connected, topic_filter):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe(topic_filter, qos=2)
        publisher.publish("a/b", b"1", 2)
        assert subscriber.receive_message().qos == 2
        subscriber.subscribe(topic_filter, qos=0)
        publisher.publish("a/b", b"2", 2)
        message = subscriber.receive_message()
        assert (message.payload, message.qos) == (b"2", 0)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.8.4-3")
    @pytest.mark.versions(5)
    def test_so_do_no_local_retain_as_published_and_the_identifier(self, connected):
        one, other = connected("one"), connected("other")
        one.subscribe("a", no_local=True, retain_as_published=True, identifier=5)
        other.publish("a", b"x", retain=True)
        message = one.receive_message()
        assert (message.retain, message.properties) == (True, {SUBSCRIPTION_IDENTIFIER: [5]})
        one.subscribe("a", retain_handling=2)
        one.publish("a", b"own")
        assert one.receive_message().payload == b"own"
        other.publish("a", b"y", retain=True)
        message = one.receive_message()
        assert (message.retain, message.properties) == (False, None)

    @pytest.mark.statement("MQTT5-3.8.4-4", "MQTT3-3.8.4-3")
    def test_retained_messages_are_sent_again(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        publisher.publish("a/b", b"kept", retain=True)
        for _ in range(2):
            subscriber.subscribe("a/+")
            message = subscriber.receive_message()
            assert (message.payload, message.retain) == (b"kept", True)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.8.4-4", "MQTT3-3.8.4-3")
    def test_no_message_is_lost(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher", listener=1)
        subscriber.subscribe("a", qos=1)
        received = []
        for place in range(20):
            publisher.send(Publish("a", bytes([place]), 1, packet_id=place + 1))
            packet_id = subscriber.next_packet_id()
            subscriber.send(Subscribe(packet_id, [Subscription("a", 1 + place % 2)]))
        while len(received) < 20:
            received.append(subscriber.receive_skipping(Publish))
            subscriber.acknowledge(received[-1])
        assert [message.payload[0] for message in received] == list(range(20))

    @pytest.mark.statement("MQTT5-3.8.4-4", "MQTT3-3.8.4-3")
    def test_what_waits_for_a_client_that_is_away_is_kept(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", qos=1)
        subscriber.drop()
        connected("publisher").publish("a", b"x", 1)
        subscriber = connected("subscriber", kept=True)
        subscriber.send(Subscribe(9, [Subscription("a", 0)]))
        assert subscriber.receive_skipping(Suback).reasons == [0]
        assert subscriber.receive_message().payload == b"x"


@pytest.mark.versions(5)
@pytest.mark.configuration("behaviour echo_user_properties")
class TestAnswersWithinTheMaximumPacketSize:
    """3.9.2: what is left out of a SUBACK that would be too large."""

    def test_user_properties_are_sent_where_there_is_room(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 100})
        subscriber.send(Subscribe(1, [Subscription("a")], PAIRS))
        assert subscriber.receive(Suback).properties == PAIRS

    @pytest.mark.statement("MQTT5-3.9.2-2", "MQTT5-3.1.2-24")
    def test_user_properties_are_left_out_where_there_is_none(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
        subscriber.send(Subscribe(1, [Subscription("a", 1)], PAIRS))
        assert subscriber.receive(Suback) == Suback(1, [1], None)

    @pytest.mark.statement("MQTT5-3.1.2-29")
    def test_user_properties_are_left_out_for_who_does_not_want_them(self, connected):
        subscriber = connected("subscriber", properties={REQUEST_PROBLEM_INFORMATION: 0})
        subscriber.send(Subscribe(1, [Subscription("a", 1)], PAIRS))
        assert subscriber.receive(Suback) == Suback(1, [1], None)

    @pytest.mark.statement("MQTT5-3.1.2-24")
    def test_more_filters_than_there_can_be_reason_codes_end_the_connection(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
        subscriber.send(Subscribe(1, [Subscription("a")] * 26))
        assert subscriber.closed_with() == PACKET_TOO_LARGE

    def test_as_many_as_fit_are_answered(self, connected):
        subscriber = connected("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
        assert subscriber.subscribe(*["a"] * 25) == [0] * 25


class TestNotAvailable:
    """3.2.2.3.11 to 3.2.2.3.13: what the CONNACK said there is not."""

    @pytest.mark.statement("U5-3.2.2.3.11-2")
    @pytest.mark.configuration("wildcard_subscription_available false")
    @pytest.mark.parametrize("topic_filter", ["#", "a/+", "$share/g/a/#"])
    @pytest.mark.versions(5)
    def test_wildcards(self, connected, topic_filter):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription("a"), Subscription(topic_filter)]))
        assert subscriber.closed_with() == WILDCARDS_NOT_SUPPORTED

    @pytest.mark.statement("MQTT3-3.8.3-2")
    @pytest.mark.configuration("wildcard_subscription_available false")
    @pytest.mark.versions(4)
    def test_wildcards_in_3_1_1(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        assert subscriber.subscribe("a/+", "#", "a/b") == [0x80, 0x80, 0]
        publisher.publish("a/c")
        publisher.publish("a/b")
        assert subscriber.receive_message().topic == "a/b"
        subscriber.nothing()

    @pytest.mark.statement("U5-3.2.2.3.12-2")
    @pytest.mark.configuration("subscription_identifier_available false")
    @pytest.mark.versions(5)
    def test_subscription_identifiers(self, connected):
        subscriber = connected("subscriber")
        assert subscriber.subscribe("a") == [0]
        subscriber.send(Subscribe(1, [Subscription("a")], {SUBSCRIPTION_IDENTIFIER: [1]}))
        assert subscriber.closed_with() == IDENTIFIERS_NOT_SUPPORTED

    @pytest.mark.statement("U5-3.2.2.3.13-2")
    @pytest.mark.configuration("shared_subscription_available false")
    @pytest.mark.versions(5)
    def test_shared_subscriptions(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription("$share/g/a")]))
        packets = subscriber.wait_closed()
        assert [type(one) for one in packets] == [Disconnect]
        assert packets[0].reason == SHARED_NOT_SUPPORTED
        assert "$share/g/a" in packets[0].properties[REASON_STRING]


class TestStateOfTheSession:
    """4.1: subscriptions are kept with the session, and go with it."""

    def test_they_survive_a_reconnect(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a/+", qos=1)
        subscriber.drop()
        subscriber = connected("subscriber", kept=True)
        connected("publisher").publish("a/b", b"x", 2)
        assert subscriber.receive_message().qos == 1

    def test_they_survive_a_reconnect_to_another_listener(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a/+", qos=1)
        subscriber.drop()
        subscriber = connected("subscriber", kept=True, listener=1)
        connected("publisher").publish("a/b", b"x", 2)
        assert subscriber.receive_message().qos == 1

    @pytest.mark.versions(5)
    def test_so_do_their_options_and_identifiers(self, connected):
        one = connected("one", kept=True)
        one.subscribe("a/#", qos=2, no_local=True, retain_as_published=True, identifier=7)
        one.drop()
        one = connected("one", kept=True)
        one.publish("a/own", b"x")
        connected("other").publish("a/b", b"x", 2, retain=True)
        message = one.receive_message()
        assert (message.topic, message.qos, message.retain) == ("a/b", 2, True)
        assert message.properties == {SUBSCRIPTION_IDENTIFIER: [7]}

    def test_a_clean_start_discards_them(self, connected, client):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", "b/#")
        subscriber.drop()
        subscriber = connected("subscriber")
        publisher = connected("publisher")
        publisher.publish("a")
        publisher.publish("b")
        subscriber.nothing()
        assert client.site().context.tree.count == 0

    def test_they_end_with_a_session_that_is_not_kept(self, connected, client):
        subscriber = connected("subscriber")
        subscriber.subscribe("a", "b/#")
        subscriber.disconnect()
        client.site().settle()
        assert client.site().context.tree.count == 0

    @pytest.mark.versions(5)
    def test_they_end_when_the_session_expires(self, connected, client):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", "b/#")
        subscriber.drop()
        client.site().advance(999)
        assert client.site().context.tree.count == 2
        client.site().advance(1)
        assert client.site().context.tree.count == 0


@pytest.mark.statement("MQTT5-3.9.2-1")
def test_a_reason_string_is_left_out_where_there_is_no_room():
    """The broker has nothing to say in one yet: this is what its connection does with it."""
    site = Site("memory")
    subscriber = site.client()
    subscriber.connect("subscriber", properties={MAXIMUM_PACKET_SIZE: 30})
    for words, sent in (("short", {REASON_STRING: "short"}), ("long" * 10, None)):
        subscriber.wire.connection.send(Suback(1, [0], {REASON_STRING: words}))
        subscriber.wire.connection.flush()
        assert subscriber.receive() == Suback(1, [0], sent)
    site.close()
