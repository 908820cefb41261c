"""The rules, what they are made of, and that the wire tables break each of them."""

import re
from pathlib import Path

import pytest

from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.reasons import ALLOWED, REASON_CODES, reason_name
from oracle.statements import by_key
from tests.formats.test_mqtt_wire import TABLES
from tests.wire.notation import wire_bytes
from tests.wire.reading import decode_all

SOURCES = Path(rules.__file__).parent
# Raised before a decoder runs, or where no decoder gets to: see the tests of stream and topics.
ELSEWHERE = {"PACKET_TOO_LARGE", "TOPIC_WITH_NULL"}
IDENTIFIER = re.compile(r"(MQTT|U5|U311)-\d+(\.\d+)*-\d+")


def key(identifier, document):
    return identifier.replace("MQTT-", document) if identifier else None


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.summary)
def test_rule_names_statements_that_exist(rule):
    for identifier, document in ((rule.v3, "MQTT3-"), (rule.v5, "MQTT5-")):
        assert not identifier or key(identifier, document) in by_key()
    assert not rule.v3.startswith("U5")
    assert not rule.v5.startswith("U311")


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.summary)
def test_reason_of_a_rule_can_be_answered(rule):
    answers = ALLOWED[2] | ALLOWED[14] | ALLOWED[4]  # CONNACK, DISCONNECT, PUBACK
    assert rule.reason in answers
    assert rule.reason >= 0x80


def test_every_constant_is_in_all():
    constants = {name: value for name, value in vars(rules).items() if isinstance(value, Rule)}
    assert set(constants.values()) <= set(rules.ALL)
    assert all(name.isupper() for name in constants)


def test_wire_tables_break_every_rule_of_the_decoders():
    named = set()
    for path in SOURCES.glob("*.py"):
        named |= set(re.findall(r"\brules\.([A-Z][A-Z0-9_]+)", path.read_text(encoding="utf-8")))
    broken = {wire.means for table in TABLES for wire in table if isinstance(wire.means, Rule)}
    assert len(named) > 40
    assert [name for name in named - ELSEWHERE if getattr(rules, name) not in broken] == []


@pytest.mark.parametrize(
    ("version", "notation", "offset"),
    [
        (4, '38 .. "a"', 0),  # fixed header flags
        (4, '30 .. "a/#"', 2),
        (5, '30 .. "a" [ 04 00 ]', 6),
        (5, '30 .. "a" [ 26 "b" 0001 ff ]', 12),
        (4, '82 .. 0007 "a" 00 "b#" 00', 8),
        (5, '82 .. 0007 [] "a" 03', 8),
        (4, '10 .. "MQTT" 04 03 0000 "c"', 9),
        (5, "40 03 0007 ff", 4),
        (4, "90 03 0007 03", 4),
        (5, "f0 .. ff []", 2),
        (4, '30 .. "a+' + "b" * 200 + '"', 3),  # a Remaining Length of two bytes
    ],
)
@pytest.mark.parametrize("before", [b"", b"\xc0\0", b"\xc0\0" * 99])
def test_violation_knows_its_byte(version, notation, offset, before):
    with pytest.raises(ProtocolViolation) as caught:
        decode_all([before + wire_bytes(notation)], version)
    assert caught.value.offset == offset


class TestProtocolViolation:
    def test_says_what_was_seen_and_where(self):
        violation = ProtocolViolation(rules.PUBLISH_WILDCARD, "a/#", 2)
        assert str(violation) == "topic name contains a wildcard: a/# at byte 2"
        assert (violation.rule, violation.seen, violation.offset) == (
            rules.PUBLISH_WILDCARD,
            "a/#",
            2,
        )

    def test_says_no_more_than_it_knows(self):
        assert str(ProtocolViolation(rules.SECOND_CONNECT)) == "second CONNECT"


class TestReasonCodes:
    """2.4"""

    def test_there_are_43(self):
        assert len({row.code for row in REASON_CODES}) == len(REASON_CODES) == 43

    def test_name(self):
        assert reason_name(0x8E) == "Session taken over"
        assert reason_name(0) == "Success"
        assert reason_name(0x42) == "reason code 0x42"

    @pytest.mark.parametrize(
        ("packet_type", "codes"),
        [
            (4, "00 10 80 83 87 90 91 97 99"),
            (5, "00 10 80 83 87 90 91 97 99"),
            (6, "00 92"),
            (7, "00 92"),
            (9, "00 01 02 80 83 87 8f 91 97 9e a1 a2"),
            (11, "00 11 80 83 87 8f 91"),
            (15, "00 18 19"),
            (2, "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"),
            (14, ("00 04 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f"
                  " a0 a1 a2")),
        ],
    )  # fmt: skip
    def test_packet_may_carry(self, packet_type, codes):
        assert ALLOWED[packet_type] == set(bytes.fromhex(codes))
