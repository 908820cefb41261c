"""A trace's view of bytes: streams cut into packets, and packets without their secrets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.mqtt.codec import decode, encode
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    SESSION_EXPIRY_INTERVAL,
    SUBSCRIPTION_IDENTIFIER,
    USER_PROPERTY,
    WILL_DELAY_INTERVAL,
)
from formats.mqtt.publish import Publish
from oracle.trace.masking import masked
from oracle.trace.splitting import Piece, Splitter, split
from tests.formats.test_mqtt_wire import PACKETS

EXAMPLES = settings(max_examples=300, deadline=None, database=None)
PING, PUBLISH = b"\xc0\0", b"\x30\x04\x00\x01ax"
SECRET = b"open sesame"


class TestSplitting:
    def test_packets_come_one_by_one(self):
        assert split(PING + PUBLISH + PING) == [PING, PUBLISH, PING]

    def test_the_beginning_of_a_packet_is_the_last_piece(self):
        assert split(PING + PUBLISH[:3]) == [PING, PUBLISH[:3]]
        assert split(PING[:1]) == [PING[:1]]
        assert split(b"") == []

    def test_all_behind_a_malformed_remaining_length_is_one_piece(self):
        assert split(PING + b"\x30\xff\xff\xff\xff\x01" + PING) == [
            PING,
            b"\x30\xff\xff\xff\xff\x01" + PING,
        ]

    def test_behind_a_malformed_remaining_length_every_chunk_is_a_piece(self):
        splitter = Splitter()
        assert splitter.feed(b"\x30\xff\xff\xff") == []
        assert splitter.feed(b"\xff") == [Piece(b"\x30\xff\xff\xff\xff", 5)]
        assert splitter.malformed
        assert splitter.feed(PING) == [Piece(PING, 2)]
        assert splitter.finish() == []

    def test_a_remaining_length_that_is_not_the_shortest_is_followed(self):
        assert split(b"\xc0\x80\x00" + PING) == [b"\xc0\x80\x00", PING]

    def test_of_a_long_packet_the_beginning_is_kept(self):
        packet = encode(Publish("a", b"p" * 5000), 4)
        splitter = Splitter(kept=100)
        assert splitter.feed(PING + packet[:90]) == [Piece(PING, 2)]
        assert splitter.feed(packet[90:2000]) == []
        assert splitter.feed(packet[2000:] + PING) == [
            Piece(packet[:100], len(packet)),
            Piece(PING, 2),
        ]

    @pytest.mark.parametrize(("version", "wire"), PACKETS)
    def test_every_packet_is_a_piece_however_it_comes(self, version, wire):
        data = wire.data
        assert split(data * 2) == [data] * 2
        splitter = Splitter()
        pieces = [piece for byte in data[:300] for piece in splitter.feed(bytes([byte]))]
        pieces += splitter.feed(data[300:])
        assert pieces == [Piece(data, len(data))]

    @EXAMPLES
    @given(st.lists(st.binary(max_size=30)))
    def test_no_byte_gets_lost(self, chunks):
        splitter = Splitter()
        pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)]
        pieces += splitter.finish()
        assert b"".join(piece.data for piece in pieces) == b"".join(chunks)
        assert all(piece.size == len(piece.data) > 0 for piece in pieces)

    @EXAMPLES
    @given(st.lists(st.sampled_from([PING, PUBLISH, PUBLISH[:1] + b"\x85\x01" + b"p" * 133])),
           st.integers(1, 40))  # fmt: skip
    def test_packets_are_the_same_in_any_chunks(self, packets, size):
        data = b"".join(packets)
        splitter = Splitter()
        starts = range(0, len(data), size)
        pieces = [piece for at in starts for piece in splitter.feed(data[at : at + size])]
        assert [piece.data for piece in pieces] == packets
        assert splitter.finish() == []


WITH_SECRETS = [
    (3, Connect(3, "x", True, 0, "u", SECRET)),
    (4, Connect(4, "x", True, 0, "u", SECRET, Will("w", b"payload"))),
    (5, Connect(5, "x", True, 0, None, SECRET, Will("w", b"!", properties={WILL_DELAY_INTERVAL: 1}),
                {USER_PROPERTY: [("a", "b"), ("c", "d")], AUTHENTICATION_METHOD: "m",
                 AUTHENTICATION_DATA: SECRET, SESSION_EXPIRY_INTERVAL: 7})),
    (5, Connack(True, 0, {AUTHENTICATION_METHOD: "m", AUTHENTICATION_DATA: SECRET})),
    (5, Auth(0x18, {AUTHENTICATION_METHOD: "m", AUTHENTICATION_DATA: SECRET})),
]  # fmt: skip


class TestMasking:
    @pytest.mark.parametrize(("version", "packet"), WITH_SECRETS)
    def test_secrets_become_asterisks_and_nothing_else_changes(self, version, packet):
        data = encode(packet, version)
        hidden = masked(data, version)
        assert hidden == data.replace(SECRET, b"*" * len(SECRET))
        assert hidden != data
        decode(hidden[0], hidden, 2, len(hidden), version)

    @pytest.mark.parametrize(("version", "packet"), WITH_SECRETS)
    def test_a_packet_without_its_end_shows_no_part_of_a_secret(self, version, packet):
        data = encode(packet, version)
        for length in range(len(data)):
            assert SECRET[:2] not in masked(data[:length], version)

    def test_a_connect_that_is_broken_hides_its_password(self):
        data = bytearray(encode(Connect(4, "x", True, 0, "u", SECRET), 4))
        data[9] |= 1  # the reserved flag
        assert SECRET not in masked(bytes(data), 0)
        data[9] &= 0x80  # no password, says the flag
        assert SECRET not in masked(bytes(data), 0)

    def test_packets_without_secrets_are_the_same_bytes(self):
        for packet in (
            encode(Connect(4, "x", True, 0, "u"), 4),
            encode(Publish("a", b"\x16\x00\x02ab"), 5),
            encode(Publish("a", b"", properties={SUBSCRIPTION_IDENTIFIER: [300]}), 5),
            b"\x20\x02\x00\x00",
            b"\xf0\x00",
            b"",
        ):
            assert masked(packet, 5) is packet

    @EXAMPLES
    @given(st.sampled_from([0x10, 0x20, 0xF0]), st.binary(max_size=80), st.sampled_from([0, 4, 5]))
    def test_any_bytes_keep_their_length(self, byte1, body, version):
        data = bytes([byte1, len(body)]) + body
        assert len(masked(data, version)) == len(data)

    @EXAMPLES
    @given(st.sampled_from(WITH_SECRETS), st.data())
    def test_a_packet_with_bytes_changed_keeps_its_length(self, case, draw):
        version, packet = case
        data = bytearray(encode(packet, version))
        for _ in range(draw.draw(st.integers(1, 4))):
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
        assert len(masked(bytes(data), version)) == len(data)
