"""A packet described: its name, a line of words, its fields."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.mqtt.acks import Puback, Pubrel
from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
from formats.mqtt.packet_types import PACKET_NAMES
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    CORRELATION_DATA,
    RECEIVE_MAXIMUM,
    SUBSCRIPTION_IDENTIFIER,
    TOPIC_ALIAS,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from oracle.description import FROM_SERVERS, LONGEST_WORDS, describe, version_of
from oracle.packet_words import LONGEST_LIST, LONGEST_TEXT, one_line
from tests.formats.test_mqtt_wire import PACKETS

EXAMPLES = settings(max_examples=300, deadline=None, database=None)

WORDS = [
    (5, Connect(5, "x", True, 60), "client id 'x', clean start, keep alive 60 s, MQTT 5.0"),
    (4, Connect(4, "x", True, 60), "client id 'x', clean session, keep alive 60 s, MQTT 3.1.1"),
    (
        3,
        Connect(3, "x", False, 0, "u", b"secret", Will("w", b"!", 1, True)),
        (
            "client id 'x', keep alive 0 s, MQTT 3.1, user name 'u', password of 6 bytes, "
            "will 'w', QoS 1, 1 byte, retain"
        ),
    ),
    (
        5,
        Connect(5, "x", False, 0, properties={RECEIVE_MAXIMUM: 9, USER_PROPERTY: [("a", "b")]}),
        "client id 'x', keep alive 0 s, MQTT 5.0, Receive Maximum 9, User Property 'a' 'b'",
    ),
    (5, Connack(True, 0), "Success, session present"),
    (5, Connack(False, 0x87), "Not authorized"),
    (4, Connack(False, 5), "Connection Refused, not authorized"),
    (4, Publish("a/b", b"twelve bytes", 1, packet_id=5), "packet id 5, QoS 1, 'a/b', 12 bytes"),
    (3, Publish("a", b"", 0, True), "QoS 0, 'a', 0 bytes, retain"),
    (5, Publish("a", b"x", 2, False, True, 7), "packet id 7, QoS 2, 'a', 1 byte, dup"),
    (
        5,
        Publish("", b"", properties={TOPIC_ALIAS: 3, CORRELATION_DATA: b"\0\1"}),
        "QoS 0, '', 0 bytes, Topic Alias 3, Correlation Data 2 bytes",
    ),
    (5, Puback(5), "packet id 5"),
    (5, Puback(5, 0x10), "packet id 5, No matching subscribers"),
    (4, Pubrel(5), "packet id 5"),
    (
        5,
        Subscribe(
            1,
            [Subscription("a/#", 2, True, True, 1), Subscription("b")],
            {SUBSCRIPTION_IDENTIFIER: [4]},
        ),
        (
            "packet id 1, 'a/#' QoS 2 no local retain as published retain handling 1, "
            "'b' QoS 0, Subscription Identifier 4"
        ),
    ),
    (4, Subscribe(1, [Subscription("a", 1)]), "packet id 1, 'a' QoS 1"),
    (5, Suback(1, [0, 1, 0x87]), "packet id 1, Granted QoS 0, Granted QoS 1, Not authorized"),
    (4, Suback(1, [2, 0x80]), "packet id 1, Granted QoS 2, Failure"),
    (5, Unsubscribe(2, ["a", "b"]), "packet id 2, 'a', 'b'"),
    (5, Unsuback(2, [0, 0x11]), "packet id 2, Success, No subscription existed"),
    (4, Unsuback(2, []), "packet id 2"),
    (4, Pingreq(), ""),
    (4, Pingresp(), ""),
    (4, Disconnect(), ""),
    (5, Disconnect(), "Normal disconnection"),
    (5, Disconnect(4), "Disconnect with Will Message"),
    (
        5,
        Auth(0x18, {AUTHENTICATION_METHOD: "m", AUTHENTICATION_DATA: b"secret"}),
        "Continue authentication, Authentication Method 'm', Authentication Data 6 bytes",
    ),
]


@pytest.mark.parametrize(("version", "packet", "words"), WORDS)
def test_a_packet_in_words(version, packet, words):
    data = encode(packet, version)
    described = describe(data, version, data[0] >> 4 in FROM_SERVERS)
    assert described.name == type(packet).__name__.upper()
    assert described.words == words
    assert "error" not in described.fields


@pytest.mark.parametrize(("version", "wire"), PACKETS)
def test_every_packet_of_every_version_has_fields(version, wire):
    described = describe(wire.data, version, wire.data[0] >> 4 in FROM_SERVERS)
    assert described.name == type(wire.means).__name__.upper()
    assert "error" not in described.fields
    assert json.loads(json.dumps(described.fields)) == described.fields
    assert len(described.words) <= LONGEST_WORDS
    assert described.words.isprintable()


def test_fields_of_a_connect():
    will = Will("w", b"\xff", properties={CORRELATION_DATA: b"\1"})
    connect = Connect(5, "x", True, 60, "u", b"secret", will, {RECEIVE_MAXIMUM: 9})
    assert describe(encode(connect, 5), 0, False).fields == {
        "version": "5.0",
        "client_id": "x",
        "clean_start": True,
        "keep_alive": 60,
        "user_name": "u",
        "password": "6 bytes",
        "will": {
            "topic": "w",
            "qos": 0,
            "retain": False,
            "payload_hex": "ff",
            "payload_size": 1,
            "properties": {"Correlation Data": "01"},
        },
        "properties": {"Receive Maximum": 9},
    }


def test_fields_of_a_publish():
    publish = Publish("a", "é\n".encode(), 1, True, True, 9, {USER_PROPERTY: [("k", "v")] * 2})
    assert describe(encode(publish, 5), 5, True).fields == {
        "packet_id": 9,
        "topic": "a",
        "qos": 1,
        "retain": True,
        "dup": True,
        "payload": "é\n",
        "payload_size": 3,
        "properties": {"User Property": [["k", "v"], ["k", "v"]]},
    }


def test_secrets_are_not_shown():
    secret = b"open sesame"
    connect = Connect(
        5, "x", True, 60, "u", secret,
        properties={AUTHENTICATION_METHOD: "m", AUTHENTICATION_DATA: secret},
    )  # fmt: skip
    for packet in (connect, Auth(0x18, connect.properties), Connack(False, 0, connect.properties)):
        shown = repr(describe(encode(packet, 5), 5, False))
        assert "sesame" not in shown
        assert secret.hex() not in shown
        assert "11 bytes" in shown


class TestBounds:
    """Nobody floods a report with one packet."""

    def test_long_values_are_cut(self):
        described = describe(encode(Publish("t" * 5000, b"p" * 5000), 4), 4, True)
        assert len(described.words) < LONGEST_WORDS
        assert described.words.endswith("…', 5000 bytes")
        assert len(described.fields["topic"]) == len(described.fields["payload"]) == LONGEST_TEXT
        assert described.fields["payload_size"] == 5000

    def test_a_long_text_that_is_cut_inside_a_character_is_still_text(self):
        described = describe(encode(Publish("t", b"x" + "é".encode() * 5000), 4), 4, True)
        assert described.fields["payload"] == "x" + "é" * (LONGEST_TEXT - 2) + "…"

    def test_long_lists_are_cut(self):
        subscribe = Subscribe(1, [Subscription(str(each)) for each in range(500)])
        described = describe(encode(subscribe, 4), 4, False)
        assert described.words.endswith("'3' QoS 0, and 496 more")
        assert len(described.fields["subscriptions"]) == LONGEST_LIST + 1
        assert described.fields["subscriptions"][-1] == "and 468 more"

    def test_a_publish_of_which_only_the_beginning_is_there(self):
        data = encode(Publish("a", b"p" * 5000, 1, packet_id=3), 4)
        described = describe(data[:100], 4, True, len(data))
        assert described.words == "packet id 3, QoS 1, 'a', 5000 bytes"
        assert described.fields["payload_size"] == 5000

    def test_words_have_no_line_ends(self):
        described = describe(encode(Connect(4, "a\nb\u202e"), 4), 4, False)
        assert described.words.startswith(r"client id 'a\nb\u202e'")

    def test_one_line_is_as_long_as_allowed(self):
        assert one_line("abcdef", 6) == "abcdef"
        assert one_line("abcdefg", 6) == "abcde…"
        assert one_line("\n" * 6, 6) == r"\n\n\…"


BROKEN = [
    ("", 4, "no packet", "no bytes"),
    ("30", 4, "PUBLISH", "packet ends inside a field: 1 byte of a fixed header"),
    ("30ff", 4, "PUBLISH", "packet ends inside a field: 2 bytes of a fixed header"),
    ("3003 0001", 4, "PUBLISH", "packet ends inside a field: 4 of 5 bytes"),
    ("c000 c0", 4, "PINGREQ", "bytes after the last field of the packet: 1 byte at byte 2"),
    ("c08000", 5, "PINGREQ", "0x8000"),
    ("10ffffffff01", 4, "CONNECT", "ffffffff"),
    ("0000", 4, "type 0", "0"),
    ("f000", 4, "AUTH", "AUTH"),
    ("36 05 0001 61 0001", 4, "PUBLISH", "0110"),
    ("10 0c 0004 4d515454 06 02 003c 0000", 4, "CONNECT", "'MQTT' level 6"),
]


@pytest.mark.parametrize(("data", "version", "name", "words"), BROKEN)
def test_what_is_no_packet_says_why(data, version, name, words):
    described = describe(bytes.fromhex(data), version, False)
    assert described.name == name
    assert words.removeprefix("0x") in described.words
    assert described.fields == {"error": described.words}


def test_a_packet_of_the_wrong_side_is_marked():
    assert describe(b"\xd0\0", 4, False).words == "which only a server sends"
    assert describe(b"\xc0\0", 4, True).fields == {"error": "which only a client sends"}
    assert describe(b"\xe0\0", 4, True).words == "which only a client sends"
    assert "error" not in describe(b"\xe0\0", 5, True).fields


def test_without_a_version_the_one_that_fits_is_taken():
    assert describe(encode(Connack(False, 0x87), 5), 0, True).words == "Not authorized"
    assert describe(b"\x20\x02\x00\x01", 0, True).words == RETURN_CODE_1
    assert describe(b"\x20\x02\x00\x09", 0, True).fields.keys() == {"error"}


RETURN_CODE_1 = "Connection Refused, unacceptable protocol version"


@pytest.mark.parametrize("version", [3, 4, 5])
def test_the_version_of_a_connect(version):
    data = encode(Connect(version, "x"), version)
    assert version_of(data) == version_of(data[:-3]) == version
    assert version_of(b"\x30" + data[1:]) == version_of(data[:5]) == version_of(b"") == 0


@EXAMPLES
@given(st.binary(max_size=80), st.sampled_from([0, 3, 4, 5, 6]), st.booleans())
def test_any_bytes_are_described(data, version, to_client):
    assert_fit_to_show(describe(data, version, to_client))


@EXAMPLES
@given(st.sampled_from([case.values for case in PACKETS]), st.data())
def test_any_packet_with_bytes_changed_is_described(case, draw):
    version, wire = case
    data = bytearray(wire.data[:500])
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    size = draw.draw(st.sampled_from([0, len(data), len(wire.data)]))
    assert_fit_to_show(describe(bytes(data), version, draw.draw(st.booleans()), size))


def assert_fit_to_show(described):
    assert described.name in (*PACKET_NAMES, "no packet")
    assert len(described.words) <= LONGEST_WORDS
    assert described.words.isprintable()
    assert len(json.dumps(described.fields, ensure_ascii=False).encode()) < 70_000
