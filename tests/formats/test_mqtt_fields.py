"""Data representation (5.0 and 3.1.1, 1.5)."""

import pytest

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.fields import (
    packet_start,
    read_binary,
    read_text,
    read_u8,
    read_u16,
    read_u32,
    read_variable,
    write_binary,
    write_text,
    write_u16,
    write_u32,
    write_variable,
)

# Table 1-1 of 5.0 (2.4 of 3.1.1): where the number of bytes changes.
VARIABLE = (
    (0, "00"),
    (127, "7f"),
    (128, "8001"),
    (16_383, "ff7f"),
    (16_384, "808001"),
    (2_097_151, "ffff7f"),
    (2_097_152, "80808001"),
    (268_435_455, "ffffff7f"),
)


def written(write, value):
    out = bytearray(b"\xee")
    write(out, value)
    assert out[:1] == b"\xee"
    return bytes(out[1:])


@pytest.mark.statement("MQTT5-1.5.5-1")
@pytest.mark.parametrize(("value", "notation"), VARIABLE)
def test_variable_byte_integer(value, notation):
    data = bytes.fromhex(notation)
    assert written(write_variable, value) == data
    assert read_variable(b"\xff" + data + b"\xff", 1, len(data) + 2) == (value, len(data) + 1)


@pytest.mark.statement("MQTT5-1.5.5-1")
@pytest.mark.parametrize("notation", ["8000", "ff00", "808000", "80808000"])
def test_variable_byte_integer_has_no_byte_too_many(notation):
    data = bytes.fromhex(notation)
    with pytest.raises(ProtocolViolation) as caught:
        read_variable(data, 0, len(data))
    assert caught.value.rule is rules.VARIABLE_NOT_MINIMAL


@pytest.mark.parametrize("notation", ["8080808001", "ffffffff7f", "80808080"])
def test_variable_byte_integer_has_four_bytes_at_most(notation):
    data = bytes.fromhex(notation)
    with pytest.raises(ProtocolViolation) as caught:
        read_variable(data, 0, len(data))
    assert caught.value.rule is rules.VARIABLE_TOO_LONG


@pytest.mark.parametrize(
    ("read", "write", "value", "notation"),
    [
        (read_u16, write_u16, 0x0102, "0102"),
        (read_u32, write_u32, 0xFFFEFDFC, "fffefdfc"),
        (read_text, write_text, "A\U0002a6d4", "0005 41 f0aa9b94"),  # figure 1-2 of 5.0
        (read_text, write_text, "", "0000"),
        (read_text, write_text, "\ufeff", "0003 efbbbf"),
        (read_binary, write_binary, b"\0\xff", "0002 00ff"),
        (read_variable, write_variable, 300, "ac02"),
    ],
)
def test_field_is_read_and_written_and_missed_when_cut(read, write, value, notation):
    data = bytes.fromhex(notation)
    assert written(write, value) == data
    assert read(b"\0" + data + b"\0", 1, len(data) + 2) == (value, len(data) + 1)
    for length in range(len(data)):
        with pytest.raises(ProtocolViolation) as caught:
            read(data, 0, length)
        assert caught.value.rule is rules.TRUNCATED


def test_byte_is_read_and_missed_when_cut():
    assert read_u8(b"\1\2", 1, 2) == (2, 2)
    with pytest.raises(ProtocolViolation) as caught:
        read_u8(b"\1\2", 1, 1)
    assert caught.value.rule is rules.TRUNCATED


def test_text_of_65535_bytes():
    text = "x" * 65_535
    assert read_text(written(write_text, text), 0, 65_537) == (text, 65_537)


@pytest.mark.statement("MQTT5-1.5.4-1", "U5-1.5.4-1", "MQTT3-1.5.3-1")
@pytest.mark.parametrize(
    ("notation", "offset"),
    [
        ("ff", 0),
        ("61c3", 1),  # sequence cut
        ("c080", 0),  # overlong U+0000
        ("e08080", 0),
        ("eda080", 0),  # U+D800
        ("edbfbf", 0),  # U+DFFF
        ("f4908080", 0),  # above U+10FFFF
        ("f8888080 80", 0),
    ],
)
def test_ill_formed_utf_8_is_malformed(notation, offset):
    text = bytes.fromhex(notation)
    data = len(text).to_bytes(2, "big") + text
    with pytest.raises(ProtocolViolation) as caught:
        read_text(data, 0, len(data))
    assert caught.value.rule is rules.TEXT_NOT_UTF_8
    assert caught.value.offset == 2 + offset


@pytest.mark.statement("MQTT5-1.5.4-2", "U5-1.5.4-2", "MQTT3-1.5.3-2")
def test_null_character_is_malformed():
    with pytest.raises(ProtocolViolation) as caught:
        read_text(b"\0\3a\0b", 0, 5)
    assert caught.value.rule is rules.TEXT_WITH_NULL
    assert caught.value.offset == 3


@pytest.mark.parametrize("text", ["\x01", "\x7f", "\x9f", "\ufdd0", "\uffff"])
def test_control_and_non_characters_pass(text):
    data = written(write_text, text)
    assert read_text(data, 0, len(data)) == (text, len(data))


def test_lone_surrogate_can_be_written():
    assert written(write_text, "\ud800") == bytes.fromhex("0003 eda080")


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_packet_starts_before_its_remaining_length(length):
    pos = 1 + len(written(write_variable, length))
    assert packet_start(pos + 5, pos + 5 + length) == 5
