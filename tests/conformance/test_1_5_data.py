"""1.5 Data representation (3.1.1: 1.5)."""

import pytest

from formats.mqtt.connect import Connack
from formats.mqtt.properties import CORRELATION_DATA, RESPONSE_TOPIC, USER_PROPERTY
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.wire.notation import text, variable

MALFORMED = 0x81
ILL_FORMED = [
    pytest.param(b"\xff", id="never in UTF-8"),
    pytest.param(b"a\x80", id="continuation alone"),
    pytest.param(b"\xc3", id="cut"),
    pytest.param(b"\xc0\xaf", id="overlong"),
    pytest.param(b"\xe0\x80\xaf", id="overlong, 3 bytes"),
    pytest.param(b"\xed\xa0\x80", id="U+D800"),
    pytest.param(b"\xed\xbf\xbf", id="U+DFFF"),
    pytest.param(b"\xed\xa0\xbd\xed\xb8\x80", id="surrogate pair"),
    pytest.param(b"\xf4\x90\x80\x80", id="above U+10FFFF"),
]


def field(data):
    """A UTF-8 Encoded String of bytes that may be anything else."""
    return len(data).to_bytes(2, "big") + data


def publish_to(topic, version, properties=b"", payload=b""):
    body = field(topic)
    if version == 5:
        body += variable(len(properties)) + properties
    return b"\x30" + variable(len(body + payload)) + body + payload


def connect_as(client_id, version):
    name = b"\0\6MQIsdp" if version == 3 else b"\0\4MQTT"
    body = name + bytes((version, 2, 0, 0)) + (b"\0" if version == 5 else b"") + client_id
    return b"\x10" + variable(len(body)) + body


def closed(version):
    """How a broken packet after the CONNACK ends: 3.x knows no reason."""
    return MALFORMED if version == 5 else None


@pytest.fixture
def pair(client):
    """A subscriber to everything, and a publisher."""
    subscriber, publisher = client(), client()
    subscriber.connect("subscriber")
    subscriber.subscribe("#", qos=2)
    publisher.connect("publisher")
    return subscriber, publisher


class TestIntegers:
    """1.5.2 Two Byte Integer, 1.5.3 Four Byte Integer."""

    def test_two_bytes_have_the_high_one_first(self, client, version):
        one = client()
        one.connect("c")
        # PUBLISH QoS 1, topic "a", packet id 0x0102
        one.send("32 06 0001 61 0102 00" if version == 5 else "32 05 0001 61 0102")
        assert one.receive().packet_id == 0x0102

    @pytest.mark.versions(5)
    def test_four_bytes_have_the_highest_first(self, pair):
        subscriber, publisher = pair
        publisher.send(publish_to(b"a", 5, bytes.fromhex("02 01020304")))
        assert subscriber.receive(Publish).properties == {0x02: 0x01020304}


class TestUtf8EncodedString:
    """1.5.4 UTF-8 Encoded String (3.1.1: 1.5.3)."""

    def test_the_example_of_the_standard_arrives(self, pair, version):
        subscriber, publisher = pair
        publisher.send(publish_to(bytes.fromhex("41 f0aa9b94"), version))
        assert subscriber.receive(Publish).topic == "A\U0002a6d4"

    @pytest.mark.statement(
        "MQTT5-1.5.4-1", "U5-1.5.4-1", "MQTT3-1.5.3-1", "MQTT5-4.13.1-1", "MQTT5-3.3.2-1"
    )
    @pytest.mark.parametrize("data", ILL_FORMED)
    def test_ill_formed_topic_names_are_malformed(self, pair, version, data):
        subscriber, publisher = pair
        publisher.send(publish_to(data, version))
        assert publisher.closed_with() == closed(version)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-1.5.4-1", "U5-1.5.4-1", "MQTT3-1.5.3-1")
    @pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80"])
    def test_ill_formed_topic_filters_are_malformed(self, client, version, data):
        one = client()
        one.connect("c")
        body = b"\0\1" + (b"\0" if version == 5 else b"") + field(data) + b"\0"
        one.send(b"\x82" + variable(len(body)) + body)
        assert one.closed_with() == closed(version)

    @pytest.mark.statement("MQTT5-1.5.4-1", "U5-1.5.4-1", "MQTT3-1.5.3-1")
    @pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80"])
    def test_ill_formed_client_ids_are_malformed(self, client, version, data):
        one = client()
        one.send(connect_as(field(data), version))
        answer = [Connack(False, MALFORMED)] if version == 5 else []
        packets = one.wait_closed()
        assert [(type(packet), packet.reason) for packet in packets] == [
            (type(packet), packet.reason) for packet in answer
        ]

    @pytest.mark.statement("MQTT5-1.5.4-2", "U5-1.5.4-2", "MQTT3-1.5.3-2", "MQTT5-4.7.3-2")
    @pytest.mark.parametrize("data", [b"\0", b"a\0b", b"a/\0"])
    def test_the_null_character_is_malformed(self, pair, version, data):
        subscriber, publisher = pair
        publisher.send(publish_to(data, version))
        assert publisher.closed_with() == closed(version)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-1.5.4-2", "MQTT3-1.5.3-2")
    def test_the_null_character_in_a_client_id_is_malformed(self, client, version):
        one = client()
        one.send(connect_as(field(b"a\0b"), version))
        assert [packet.reason for packet in one.wait_closed()] == (
            [MALFORMED] if version == 5 else []
        )

    @pytest.mark.statement("MQTT5-1.5.4-3", "MQTT3-1.5.3-3")
    def test_ef_bb_bf_is_part_of_the_string(self, client, pair, version):
        subscriber, publisher = pair
        publisher.send(publish_to(b"\xef\xbb\xbfa", version))
        assert subscriber.receive(Publish).topic == "\ufeffa"
        exact = client()
        exact.connect("\ufeffc")
        exact.subscribe("a")
        publisher.send(publish_to(b"\xef\xbb\xbfa", version))
        publisher.fence()
        exact.nothing()
        assert subscriber.receive(Publish).topic == "\ufeffa"

    @pytest.mark.parametrize("char", ["\x01", "\x1f", "\x7f", "\x9f", "\uffff", "\ufdd0"])
    def test_disallowed_code_points_are_forwarded(self, pair, char):
        subscriber, publisher = pair
        publisher.publish(f"a{char}b", b"x")
        assert subscriber.receive(Publish).topic == f"a{char}b"

    def test_a_string_may_have_65_535_bytes(self, pair):
        subscriber, publisher = pair
        longest = "ü" * 32_767 + "x"
        publisher.publish(longest, b"y", 1)
        assert subscriber.receive_message().topic == longest

    def test_a_string_longer_than_its_packet_is_malformed(self, pair, version):
        _, publisher = pair
        publisher.send("30 05 0010 61 62 63")
        assert publisher.closed_with() == closed(version)


class Tapped:
    """A client's wire that remembers what came over it."""

    def __init__(self, client):
        self._wire = client.wire
        self.seen = b""
        client.wire = self

    def receive(self):
        data = self._wire.receive()
        self.seen += data
        return data

    def __getattr__(self, name):
        return getattr(self._wire, name)


class TestVariableByteInteger:
    """1.5.5 Variable Byte Integer (3.1.1: 2.2.3)."""

    @pytest.mark.statement("MQTT5-1.5.5-1")
    @pytest.mark.configuration("maximum_packet_size 0")
    @pytest.mark.parametrize("length", [127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
    def test_remaining_lengths_of_every_size_are_understood_and_sent(self, client, version, length):
        one = client()
        one.connect("c")
        one.subscribe("a")
        tapped = Tapped(one)
        overhead = 4 if version == 5 else 3
        packet = publish_to(b"a", version, b"", bytes(length - overhead))
        assert packet[1:].startswith(variable(length))
        one.send(packet)
        assert len(one.receive(Publish).payload) == length - overhead
        assert tapped.seen.startswith(b"\x30" + variable(length) + b"\0\1a")

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-1.5.5-1")
    @pytest.mark.parametrize(
        "packet",
        [
            "c0 80 00",  # PINGREQ, Remaining Length 0 in two bytes
            "30 84 00 0001 61 00",  # PUBLISH, Remaining Length 4 in two bytes
            "30 05 0001 61 80 00",  # its Property Length 0 in two bytes
            "30 07 0001 61 83 80 00 00",
        ],
    )
    def test_more_bytes_than_needed_are_malformed(self, client, packet):
        one = client()
        one.connect("c")
        one.send(packet)
        assert one.closed_with() == MALFORMED

    @pytest.mark.versions(3, 4)
    def test_3_x_does_not_mind_more_bytes_than_needed(self, client):
        one = client()
        one.connect("c")
        one.send("c0 80 80 00")
        assert type(one.receive()).__name__ == "Pingresp"

    def test_a_fifth_byte_is_malformed(self, client, version):
        one = client()
        one.connect("c")
        one.send("30 80 80 80 80 01")
        assert one.closed_with() == closed(version)

    @pytest.mark.versions(5)
    def test_a_subscription_identifier_may_have_four_bytes(self, client):
        one = client()
        one.connect("c")
        for identifier in (1, 127, 128, 16_384, 268_435_455):
            one.subscribe("a", identifier=identifier)
            one.publish("a", b"x")
            assert one.receive(Publish).properties == {0x0B: [identifier]}


@pytest.mark.versions(5)
class TestBinaryDataAndStringPair:
    """1.5.6 Binary Data, 1.5.7 UTF-8 String Pair."""

    @pytest.mark.parametrize("size", [0, 1, 65_535])
    def test_binary_data_has_0_to_65_535_bytes(self, pair, size):
        subscriber, publisher = pair
        data = bytes(number & 0xFF for number in range(size))
        publisher.publish("a", b"x", properties={CORRELATION_DATA: data, RESPONSE_TOPIC: "r"})
        assert subscriber.receive(Publish).properties[CORRELATION_DATA] == data

    def test_pairs_keep_names_values_and_order(self, pair):
        subscriber, publisher = pair
        pairs = [("b", "2"), ("a", "1"), ("b", ""), ("", "ü"), ("b", "2")]
        publisher.publish("a", b"x", properties={USER_PROPERTY: pairs})
        assert subscriber.receive(Publish).properties[USER_PROPERTY] == pairs

    @pytest.mark.statement("MQTT5-1.5.7-1", "U5-1.5.7-1")
    @pytest.mark.parametrize(
        ("name", "value"), [(b"\xff", b"v"), (b"n", b"\xff"), (b"\0", b"v"), (b"n", b"a\0")]
    )
    def test_both_strings_are_utf_8(self, pair, name, value):
        subscriber, publisher = pair
        publisher.send(publish_to(b"a", 5, b"\x26" + field(name) + field(value)))
        assert publisher.closed_with() == MALFORMED
        subscriber.nothing()

    def test_a_pair_without_its_value_is_malformed(self, pair):
        _, publisher = pair
        publisher.send(publish_to(b"a", 5, b"\x26" + text("name")))
        assert publisher.closed_with() == MALFORMED


def test_strings_of_every_script_arrive_as_they_were_sent(client):
    one = client()
    one.connect("Zürich 屋 😀"[:23])
    topics = ["Tür/屋", "😀/é", "é", "e\u0301", "שלום", "\u2126/\u03a9"]
    for topic in topics:
        one.send(Subscribe(one.next_packet_id(), [Subscription(topic, 0)]))
        one.receive()
    for topic in topics:
        one.publish(topic, topic.encode())
        message = one.receive(Publish)
        assert (message.topic, message.payload.decode()) == (topic, topic)
    one.nothing()
