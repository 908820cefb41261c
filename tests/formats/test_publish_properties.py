"""Properties of a PUBLISH go on as they came, without the Topic Alias, and are read once."""

import pytest

from formats.errors import ProtocolViolation
from formats.mqtt import publish_properties, rules
from formats.mqtt.packet_types import PUBLISH
from formats.mqtt.properties import (
    CONTENT_TYPE,
    MESSAGE_EXPIRY_INTERVAL,
    TOPIC_ALIAS,
    USER_PROPERTY,
    read_properties,
)
from formats.mqtt.publish_properties import (
    REMEMBERED_LENGTH,
    encoded_properties,
    properties_size,
    read_publish_properties,
    without_alias,
)

ALIAS = b"\x23\0\x05"
CONTENT = b"\x03\0\x04text"
FIRST = b"\x26\0\x01b\0\x011"
SECOND = b"\x26\0\x01a\0\x012"


def block(*properties):
    body = b"".join(properties)
    length = len(body)
    prefix = bytes((length,)) if length < 128 else bytes((length & 127 | 128, length >> 7))
    return prefix + body


def read(data):
    properties, stop = read_publish_properties(data, 0, len(data))
    assert stop == len(data)
    return properties


@pytest.mark.statement("MQTT5-3.3.2-17", "MQTT5-3.3.2-18")
@pytest.mark.parametrize(
    "properties",
    [(ALIAS, FIRST, CONTENT, SECOND), (FIRST, ALIAS, CONTENT, SECOND), (FIRST, CONTENT, SECOND)],
    ids=["first", "between", "none"],
)
def test_all_but_the_alias_go_on_as_they_came(properties):
    came = read(block(*properties))
    assert came == read_properties(block(*properties), 0, 99, PUBLISH)[0]
    travelling = without_alias(came) if ALIAS in properties else came
    assert travelling == {USER_PROPERTY: [("b", "1"), ("a", "2")], CONTENT_TYPE: "text"}
    assert encoded_properties(travelling) == block(*(p for p in properties if p != ALIAS))


def test_bytes_in_a_value_that_look_like_the_alias_stay():
    correlation = b"\x09\0\x03" + ALIAS
    came = read(block(CONTENT, ALIAS, correlation))
    assert encoded_properties(without_alias(came)) == block(CONTENT, correlation)


def test_an_alias_alone_leaves_nothing():
    assert without_alias(read(block(ALIAS))) is None
    assert without_alias({TOPIC_ALIAS: 5}) is None
    assert without_alias({TOPIC_ALIAS: 5, CONTENT_TYPE: "text"}) == {CONTENT_TYPE: "text"}


@pytest.mark.statement("MQTT5-3.3.4-3")
def test_subscription_identifiers_are_added():
    assert encoded_properties(None, (1, 200)) == block(b"\x0b\x01", b"\x0b\xc8\x01")
    came = read(block(CONTENT))
    assert encoded_properties(came, (7,)) == block(CONTENT, b"\x0b\x07")
    assert encoded_properties({CONTENT_TYPE: "text"}, (7,)) == block(CONTENT, b"\x0b\x07")
    assert encoded_properties(came) == block(CONTENT)  # for everybody else


@pytest.mark.statement("MQTT5-2.2.2-1")
def test_none_are_a_length_of_0():
    assert encoded_properties(None) == encoded_properties({}) == b"\0"
    assert read_publish_properties(b"\xff\0\xff", 1, 3) == (None, 2)


def test_a_long_block_goes_on_with_a_long_length():
    long = b"\x03" + (300).to_bytes(2, "big") + b"x" * 300
    assert encoded_properties(read(block(long))) == block(long)
    assert encoded_properties(read(block(long)), (7,)) == block(long, b"\x0b\x07")


@pytest.mark.parametrize(
    "data", [b"", b"\x05\x03\0\x04t", b"\x80", b"\x81\x01" + CONTENT], ids=lambda data: data.hex()
)
def test_missing_bytes_are_malformed(data):
    with pytest.raises(ProtocolViolation) as caught:
        read_publish_properties(data, 0, len(data))
    assert caught.value.rule is rules.TRUNCATED


def test_a_faulty_block_is_not_remembered():
    data = block(ALIAS, ALIAS)
    for _ in range(2):
        with pytest.raises(ProtocolViolation) as caught:
            read_publish_properties(data, 0, len(data))
        assert caught.value.offset == 4


def test_a_length_that_is_longer_than_need_be_is_malformed():
    with pytest.raises(ProtocolViolation) as caught:
        read_publish_properties(b"\x87\0" + CONTENT, 0, 9)
    assert caught.value.rule is rules.VARIABLE_NOT_MINIMAL


def test_what_is_remembered_stays_bounded(monkeypatch):
    monkeypatch.setattr(publish_properties, "REMEMBERED", 4)
    monkeypatch.setattr(publish_properties, "_remembered", remembered := {})
    for number in range(100):
        data = block(b"\x02" + number.to_bytes(4, "big"))
        assert read(data) == {MESSAGE_EXPIRY_INTERVAL: number}
        assert read(data) is read(data)
        assert len(remembered) <= 4
    remembered.clear()
    long = block(b"\x03\0\x7e" + b"x" * (REMEMBERED_LENGTH - 2))
    assert read(long) == read(long)
    assert not remembered


def test_the_size_counts_characters_and_what_holds_them():
    plain = {USER_PROPERTY: [("b", "1"), ("a", "2")], CONTENT_TYPE: "text"}
    size = properties_size(plain)
    assert 500 < size < 600
    assert size <= properties_size(read(block(FIRST, CONTENT, SECOND))) < size + 20
    assert properties_size(without_alias(read(block(FIRST, CONTENT, ALIAS, SECOND)))) < size + 20
