"""PUBLISH properties (5.0, section 3.3.2.3), those of Request / Response (4.10), and the Maximum
Packet Size that bounds them all (3.1.2.11.4, 3.2.2.3.6)."""

import pytest

from formats.mqtt.acks import Puback, Pubrec
from formats.mqtt.properties import (
    CONTENT_TYPE,
    CORRELATION_DATA,
    MAXIMUM_PACKET_SIZE,
    MESSAGE_EXPIRY_INTERVAL,
    PAYLOAD_FORMAT_INDICATOR,
    REASON_STRING,
    RESPONSE_TOPIC,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from tests.conformance.messages import assert_closed, kept, pair, publisher_of
from tests.harness.clock import ManualClock
from tests.harness.site import Site
from tests.wire.notation import wire_bytes

pytestmark = pytest.mark.versions(5)

NOT_UTF_8 = b"\xc3\x28"


class TestUnaltered:
    """3.3.2.3: what the Server passes on as it came."""

    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.parametrize(
        ("identifier", "value"),
        [
            pytest.param(PAYLOAD_FORMAT_INDICATOR, 0, marks=pytest.mark.statement("MQTT5-3.3.2-4")),
            pytest.param(PAYLOAD_FORMAT_INDICATOR, 1, marks=pytest.mark.statement("MQTT5-3.3.2-4")),
            pytest.param(
                RESPONSE_TOPIC,
                "réponse/à/moi",
                marks=pytest.mark.statement("MQTT5-3.3.2-13", "MQTT5-3.3.2-15"),
            ),
            pytest.param(
                CORRELATION_DATA, bytes(range(256)), marks=pytest.mark.statement("MQTT5-3.3.2-16")
            ),
            pytest.param(CORRELATION_DATA, b"", marks=pytest.mark.statement("MQTT5-3.3.2-16")),
            pytest.param(
                CONTENT_TYPE,
                "text/plain; x=ü",
                marks=pytest.mark.statement("MQTT5-3.3.2-19", "MQTT5-3.3.2-20"),
            ),
            pytest.param(
                USER_PROPERTY,
                [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("b", "0")],
                marks=pytest.mark.statement("MQTT5-3.3.2-17", "MQTT5-3.3.2-18"),
            ),
        ],
    )
    def test_each_arrives_as_it_was_sent(self, client, qos, identifier, value):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"x", qos, properties={identifier: value})
        assert subscriber.receive_message().properties == {identifier: value}

    @pytest.mark.statement("MQTT5-3.3.2-17", "MQTT5-3.3.2-18")
    def test_all_of_them_from_the_queue_and_the_retained_store(self, client):
        properties = {
            PAYLOAD_FORMAT_INDICATOR: 1,
            CONTENT_TYPE: "c",
            RESPONSE_TOPIC: "r",
            CORRELATION_DATA: b"d",
            USER_PROPERTY: [("z", "1"), ("a", "2")],
        }
        kept(client, "t").disconnect()
        publisher_of(client).publish("t", b"x", 1, retain=True, properties=properties)
        subscriber = client()
        subscriber.resume("subscriber")
        assert subscriber.receive_message().properties == properties
        subscriber.subscribe("t")
        assert subscriber.receive_message().properties == properties

    @pytest.mark.parametrize(
        ("properties", "reason"),
        [
            ("01 02", 0x82),  # Payload Format Indicator 2
            ("01 00 01 00", 0x82),  # twice
            ("02 00000001 02 00000001", 0x82),  # Message Expiry Interval
            pytest.param(
                '08 "r" 08 "r"', 0x82, marks=pytest.mark.statement("U5-3.3.2.3.5-1")
            ),  # Response Topic
            pytest.param(
                '09 "d" 09 "d"', 0x82, marks=pytest.mark.statement("U5-3.3.2.3.6-1")
            ),  # Correlation Data
            pytest.param(
                '03 "c" 03 "c"', 0x82, marks=pytest.mark.statement("U5-3.3.2.3.9-1")
            ),  # Content Type
            pytest.param("23 0001 23 0001", 0x82, marks=pytest.mark.statement("U5-3.3.2.3.4-1")),
            pytest.param('08 "a/#"', 0x82, marks=pytest.mark.statement("MQTT5-3.3.2-14")),
            pytest.param('08 "+"', 0x82, marks=pytest.mark.statement("MQTT5-3.3.2-14")),
            pytest.param("08 0002 c328", 0x81, marks=pytest.mark.statement("MQTT5-3.3.2-13")),
            pytest.param("03 0002 c328", 0x81, marks=pytest.mark.statement("MQTT5-3.3.2-19")),
            pytest.param("0b 00", 0x82, marks=pytest.mark.statement("U5-3.3.2.3.8-1")),
            ("11 00000001", 0x81),  # Session Expiry Interval has no place here
            ("7f 01", 0x81),  # no such property
        ],
    )
    def test_what_is_wrong_ends_the_connection(self, client, properties, reason):
        one = client()
        one.connect()
        one.send(wire_bytes(f'30 .. "t" [ {properties} ]'))
        assert one.closed_with() == reason


class TestPayloadFormatIndicator:
    """3.3.2.3.2"""

    @pytest.mark.statement("U5-3.3.2.3.2-2")
    @pytest.mark.parametrize(("qos", "answer"), [(1, Puback), (2, Pubrec)])
    def test_1_with_something_else_than_utf_8_is_refused(self, client, qos, answer):
        subscriber, publisher = pair(client, "t")
        indicator = {PAYLOAD_FORMAT_INDICATOR: 1}
        publisher.send(Publish("t", NOT_UTF_8, qos, packet_id=3, properties=indicator))
        refused = publisher.receive(answer)
        assert (refused.packet_id, refused.reason) == (3, 0x99)
        subscriber.nothing()
        publisher.send(Publish("t", "ü".encode(), qos, packet_id=3, properties=indicator))
        assert publisher.receive(answer) == answer(3)
        assert subscriber.receive_message().payload == "ü".encode()

    @pytest.mark.statement("U5-3.3.2.3.2-2")
    def test_at_qos_0_the_message_is_dropped(self, client):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", NOT_UTF_8, properties={PAYLOAD_FORMAT_INDICATOR: 1})
        subscriber.nothing()

    @pytest.mark.parametrize("properties", [None, {PAYLOAD_FORMAT_INDICATOR: 0}])
    def test_0_or_none_is_any_bytes(self, client, properties):
        subscriber, publisher = pair(client, "t")
        assert publisher.publish("t", NOT_UTF_8, 1, properties=properties).reason == 0
        assert subscriber.receive_message().payload == NOT_UTF_8


class TestMessageExpiryInterval:
    """3.3.2.3.3"""

    @pytest.mark.statement("MQTT5-3.3.2-6")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_it_goes_on_undiminished_at_once(self, client, qos):
        subscriber, publisher = pair(client, "t")
        publisher.publish("t", b"x", qos, properties={MESSAGE_EXPIRY_INTERVAL: 100})
        assert subscriber.receive_message().properties == {MESSAGE_EXPIRY_INTERVAL: 100}

    @pytest.mark.statement("MQTT5-3.3.2-6")
    def test_it_never_grows_on_its_way_to_a_listener_that_is_a_round_behind(self):
        site = Site("memory", listeners=2)
        site.workers[1].clock = ManualClock()
        site.clock.advance(0.4)
        subscriber, publisher = site.client(5, 1), site.client(5, 0)
        subscriber.connect("subscriber")
        subscriber.subscribe("t")
        publisher.connect("publisher")
        publisher.publish("t", b"x", properties={MESSAGE_EXPIRY_INTERVAL: 10})
        assert subscriber.receive_message().properties == {MESSAGE_EXPIRY_INTERVAL: 10}
        site.close()

    @pytest.mark.statement("MQTT5-3.3.2-6")
    def test_time_in_the_queue_is_taken_off(self, client):
        kept(client, "t").disconnect()
        publisher_of(client).publish("t", b"x", 1, properties={MESSAGE_EXPIRY_INTERVAL: 100})
        client.site().advance(40)
        subscriber = client()
        subscriber.resume("subscriber")
        assert subscriber.receive_message().properties == {MESSAGE_EXPIRY_INTERVAL: 60}

    @pytest.mark.statement("MQTT5-3.3.2-5")
    def test_in_the_queue_it_ends_the_message(self, client):
        kept(client, "t").disconnect()
        publisher = publisher_of(client)
        publisher.publish("t", b"short", 1, properties={MESSAGE_EXPIRY_INTERVAL: 39})
        publisher.publish("t", b"none", 1)
        publisher.publish("t", b"long", 1, properties={MESSAGE_EXPIRY_INTERVAL: 41})
        client.site().advance(40)
        subscriber = client()
        subscriber.resume("subscriber")
        assert [subscriber.receive_message().payload for _ in range(2)] == [b"none", b"long"]
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.2-5")
    def test_so_it_does_while_the_quota_is_used_up(self, client):
        subscriber = client()
        subscriber.connect("subscriber", properties={0x21: 1})
        subscriber.subscribe("t", qos=1)
        publisher = publisher_of(client)
        publisher.publish("t", b"1", 1)
        publisher.publish("t", b"2", 1, properties={MESSAGE_EXPIRY_INTERVAL: 10})
        publisher.publish("t", b"3", 1, properties={MESSAGE_EXPIRY_INTERVAL: 30})
        client.site().advance(20)
        subscriber.receive_message()
        message = subscriber.receive_message()
        assert (message.payload, message.properties) == (b"3", {MESSAGE_EXPIRY_INTERVAL: 10})
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.2-5", "MQTT5-3.3.2-6")
    def test_a_retained_message_goes_when_its_time_is_up(self, client):
        publisher_of(client).publish(
            "t", b"x", 1, retain=True, properties={MESSAGE_EXPIRY_INTERVAL: 100}
        )
        subscriber = client()
        subscriber.connect("subscriber")
        for passed, left in ((0, 100), (70, 30)):
            client.site().advance(passed)
            subscriber.subscribe("t")
            assert subscriber.receive_message().properties == {MESSAGE_EXPIRY_INTERVAL: left}
        client.site().advance(30)
        subscriber.subscribe("t")
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.2-6")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_time_in_flight_is_taken_off_what_is_sent_again(self, client, qos):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", qos, properties={MESSAGE_EXPIRY_INTERVAL: 100})
        assert subscriber.receive(Publish).properties == {MESSAGE_EXPIRY_INTERVAL: 100}
        subscriber.drop()
        client.site().advance(25)
        subscriber = client()
        subscriber.resume("subscriber")
        again = subscriber.receive_message()
        assert (again.dup, again.properties) == (True, {MESSAGE_EXPIRY_INTERVAL: 75})

    @pytest.mark.statement("MQTT5-4.3.3-7", "MQTT5-4.3.3-13")
    def test_a_qos_2_message_that_was_sent_does_not_expire(self, client):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", 2, properties={MESSAGE_EXPIRY_INTERVAL: 100})
        subscriber.receive(Publish)
        subscriber.drop()
        client.site().advance(200)
        subscriber = client()
        subscriber.resume("subscriber")
        again = subscriber.receive_message()
        assert (again.payload, again.qos, again.dup) == (b"x", 2, True)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-13")
    def test_the_sequence_of_an_expired_qos_2_message_goes_on(self, client):
        subscriber = kept(client, "t")
        subscriber.disconnect()
        publisher = publisher_of(client)
        publisher.send(Publish("t", b"x", 2, packet_id=1, properties={MESSAGE_EXPIRY_INTERVAL: 10}))
        assert publisher.receive(Pubrec) == Pubrec(1)
        client.site().advance(20)
        publisher.send("34 08 0001 74 0001 00 7879")  # the same Packet Identifier again
        assert publisher.receive(Pubrec) == Pubrec(1)
        publisher.send("62 02 0001")
        assert publisher.receive().packet_id == 1
        subscriber = client()
        subscriber.resume("subscriber")
        subscriber.nothing()


class TestUserProperty:
    """3.3.2.3.7, and 3.1.2.11.7: in PUBLISH it is never left out."""

    def test_request_problem_information_0_does_not_concern_publish(self, client):
        subscriber, publisher = client(), publisher_of(client)
        subscriber.connect("subscriber", properties={0x17: 0})
        subscriber.subscribe("t")
        publisher.publish("t", b"x", properties={USER_PROPERTY: [("a", "b")]})
        assert subscriber.receive_message().properties == {USER_PROPERTY: [("a", "b")]}


class TestRequestResponse:
    """4.10"""

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_a_request_and_its_response(self, client, qos):
        requester, responder = client(), client(listener=1)
        requester.connect("requester")
        responder.connect("responder")
        requester.subscribe("answers/requester", qos=2)
        responder.subscribe("questions/+", qos=2)
        requester.publish(
            "questions/1",
            b"6 * 7",
            qos,
            properties={RESPONSE_TOPIC: "answers/requester", CORRELATION_DATA: b"\0\1"},
        )
        question = responder.receive_message()
        responder.publish(
            question.properties[RESPONSE_TOPIC],
            b"42",
            qos,
            properties={CORRELATION_DATA: question.properties[CORRELATION_DATA]},
        )
        answer = requester.receive_message()
        assert (answer.payload, answer.properties) == (b"42", {CORRELATION_DATA: b"\0\1"})


class TestMaximumPacketSize:
    """3.1.2.11.4 for what the Client receives, 3.2.2.3.6 for what it sends"""

    @pytest.mark.statement("MQTT5-3.1.2-24", "MQTT5-3.1.2-25")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_what_is_too_large_for_the_client_counts_as_delivered(self, client, qos):
        subscriber, publisher = client(), publisher_of(client)
        subscriber.connect("subscriber", properties={MAXIMUM_PACKET_SIZE: 100, 0x21: 1})
        subscriber.subscribe("t", qos=2)
        most = 100 - (2 + 3 + (2 if qos else 0) + 1)
        for size in (most + 1, 100_000, most):
            publisher.publish("t", b"x" * size, qos)
        assert len(subscriber.receive_message().payload) == most
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-24", "MQTT5-3.1.2-25")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_so_it_does_from_the_queue_and_when_sent_again(self, client, qos):
        subscriber = kept(client, "t")
        publisher = publisher_of(client)
        publisher.publish("t", b"x" * 100, qos)
        subscriber.receive(Publish)
        subscriber.drop()
        publisher.publish("t", b"x" * 101, qos)
        publisher.publish("t", b"small", qos)
        subscriber = client()
        subscriber.resume("subscriber", {MAXIMUM_PACKET_SIZE: 50, 0x21: 1})
        assert subscriber.receive_message().payload == b"small"
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-24")
    def test_others_get_what_is_too_large_for_one(self, client):
        subscriber, publisher = pair(client, "t")
        other = client()
        other.connect("other", properties={MAXIMUM_PACKET_SIZE: 50})
        other.subscribe("t")
        publisher.publish("t", b"x" * 100)
        assert len(subscriber.receive_message().payload) == 100
        other.nothing()

    @pytest.mark.versions(3, 4, 5)
    @pytest.mark.configuration("maximum_packet_size 100")
    def test_what_is_too_large_for_the_broker_ends_the_connection(self, client, version):
        subscriber, publisher = pair(client, "t")
        rest = 2 + 3 + (1 if version == 5 else 0)
        publisher.publish("t", b"x" * (100 - rest))
        assert len(subscriber.receive_message().payload) == 100 - rest
        publisher.send(Publish("t", b"x" * (101 - rest)))
        assert_closed(publisher, 0x95)
        subscriber.nothing()

    @pytest.mark.versions(3, 4, 5)
    @pytest.mark.configuration("maximum_packet_size 100")
    def test_it_is_refused_by_its_fixed_header_already(self, client):
        one = client()
        one.connect()
        one.send("30 63")  # 99 bytes follow
        assert_closed(one, 0x95)

    def test_words_of_a_refusal_never_make_it_too_large(self, client):
        one = client()
        one.connect(properties={MAXIMUM_PACKET_SIZE: 60})
        one.send(Publish("$x", b"", 1, packet_id=1))
        answer = one.receive(Puback)
        assert (answer.reason, REASON_STRING in (answer.properties or {})) == (0x90, True)
        one.disconnect()
        one = client()
        one.connect(properties={MAXIMUM_PACKET_SIZE: 20})
        one.send(Publish("$x", b"", 1, packet_id=1))
        assert one.receive(Puback) == Puback(1, 0x90)
