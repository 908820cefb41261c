"""Packet boundaries (5.0, 2.1.4; 3.1.1, 2.2.3)."""

from itertools import pairwise

import pytest

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.stream import PacketReader, read_remaining_length
from tests.wire.notation import variable

PINGREQ = b"\xc0\0"


def packets(reader, chunk):
    return [(byte1, data[pos:end]) for byte1, data, pos, end in reader.feed(chunk)]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_packet_of_any_length_in_pieces(length):
    data = b"\x30" + variable(length) + b"x" * length
    reader = PacketReader(3_000_000)
    found = []
    whole = len(data)
    cuts = sorted({min(cut, whole) for cut in (0, 1, 2, 3, 4, 5, whole // 2, whole - 1, whole)})
    for start, stop in pairwise(cuts):
        found += packets(reader, data[start:stop])
    assert found == [(0x30, b"x" * length)]
    assert packets(reader, PINGREQ) == [(0xC0, b"")]


def test_many_packets_in_one_chunk_and_the_rest_in_the_next():
    reader = PacketReader(100)
    assert packets(reader, PINGREQ * 3 + b"\x40\2\0") == [(0xC0, b"")] * 3
    assert packets(reader, b"") == []
    assert packets(reader, b"\7" + PINGREQ) == [(0x40, b"\0\7"), (0xC0, b"")]


@pytest.mark.statement("U5-3.2.2.3.6-2")
@pytest.mark.parametrize("length", [9, 126, 127])
def test_limit_counts_the_whole_packet(length):
    data = b"\x30" + variable(length) + b"x" * length
    assert packets(PacketReader(len(data)), data) == [(0x30, b"x" * length)]
    with pytest.raises(ProtocolViolation) as caught:
        packets(PacketReader(len(data) - 1), data)
    assert caught.value.rule is rules.PACKET_TOO_LARGE


@pytest.mark.statement("U5-3.2.2.3.6-2")
def test_packet_over_the_limit_is_refused_as_soon_as_its_length_is_known():
    reader = PacketReader(1000)
    assert packets(reader, PINGREQ + b"\x30\xe9") == [(0xC0, b"")]
    with pytest.raises(ProtocolViolation) as caught:
        packets(reader, b"\x07")
    assert caught.value.rule is rules.PACKET_TOO_LARGE
    assert caught.value.seen == "PUBLISH of 1004 bytes, limit 1000"


def test_packets_before_a_violation_are_given():
    feed = PacketReader(10).feed(PINGREQ + b"\x30\x7f")
    assert next(feed)[0] == 0xC0
    with pytest.raises(ProtocolViolation):
        next(feed)


def test_remaining_length_has_four_bytes_at_most():
    reader = PacketReader(10)
    assert packets(reader, b"\x30\xff\xff\xff") == []
    with pytest.raises(ProtocolViolation) as caught:
        packets(reader, b"\xff")
    assert caught.value.rule is rules.VARIABLE_TOO_LONG
    assert caught.value.offset == 1


@pytest.mark.statement("MQTT5-1.5.5-1")
def test_remaining_length_in_shortest_form_is_demanded_by_5_0_only():
    data = b"\xc0\x80\x00"
    for version in (0, 3, 4):
        assert packets(PacketReader(10, version), data) == [(0xC0, b"")]
    with pytest.raises(ProtocolViolation) as caught:
        packets(PacketReader(10, 5), data)
    assert caught.value.rule is rules.VARIABLE_NOT_MINIMAL


def test_version_and_limit_hold_from_the_next_packet_on():
    reader = PacketReader(10)
    feed = reader.feed(b"\xc0\x80\x00\xc0\x80\x00")
    next(feed)
    reader.version = 5
    with pytest.raises(ProtocolViolation):
        next(feed)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x80", b"\xff\xff\xff"])
def test_remaining_length_waits_for_its_end(data):
    assert read_remaining_length(data, 0, len(data)) == (-1, 0)
