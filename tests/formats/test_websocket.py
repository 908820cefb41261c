"""WebSocket frames (RFC 6455, section 5): every kind, every mistake, however they arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.protocol import Protocol, Side
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from formats import websocket
from formats.errors import ProtocolViolation, Rule
from formats.websocket import (
    BINARY,
    CLOSE,
    CLOSE_CODES,
    CONTINUATION,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    Control,
    FrameReader,
    encode_close,
    encode_frame,
    masked,
)

LIMIT = 100_000  # bytes
KEY = bytes.fromhex("37fa213d")
PAYLOADS = (b"", b"x", b"abcd", b"m" * 125, b"n" * 126, bytes(range(256)) * 200, b"o" * 70_000)


def chunked(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


def arrivals(data):
    """Whole, byte by byte, and in pieces that cut headers, masks and payloads."""
    return [[data], chunked(data, 1), chunked(data, 3), chunked(data, 7), [data[:-1], data[-1:]]]


def read(chunks, from_client=True, limit=LIMIT):
    """What the frames carried, and the control frames among them."""
    reader = FrameReader(limit, from_client)
    return b"".join(reader.feed(chunk) for chunk in chunks), reader.controls


def frame(opcode, payload, from_client=True, **options):
    return encode_frame(opcode, payload, mask=KEY if from_client else None, **options)


class TestRfcExamples:
    """RFC 6455, section 5.7."""

    def test_unmasked_ping_and_masked_pong(self):
        ping = bytes.fromhex("89 05 48 65 6c 6c 6f")
        pong = bytes.fromhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")
        assert encode_frame(PING, b"Hello") == ping
        assert encode_frame(PONG, b"Hello", mask=KEY) == pong
        assert read([ping], from_client=False) == (b"", [Control(PING, b"Hello")])
        assert read([pong]) == (b"", [Control(PONG, b"Hello")])

    def test_256_bytes_and_64_kib(self):
        assert encode_frame(BINARY, bytes(256))[:4].hex() == "827e0100"
        assert encode_frame(BINARY, bytes(65_536))[:10].hex() == "827f0000000000010000"


@pytest.mark.parametrize("from_client", [True, False])
class TestDataFrames:
    @pytest.mark.parametrize("payload", PAYLOADS, ids=len)
    def test_any_length_however_it_arrives(self, from_client, payload):
        data = frame(BINARY, payload, from_client)
        for chunks in arrivals(data) if len(payload) < 1000 else [[data], chunked(data, 4099)]:
            assert read(chunks, from_client) == (payload, [])

    @pytest.mark.statement("MQTT5-6.0.0-2", "MQTT3-6.0.0-2")
    def test_several_frames_in_one_read_are_one_stream(self, from_client):
        data = b"".join(frame(BINARY, payload, from_client) for payload in PAYLOADS)
        assert read([data], from_client) == (b"".join(PAYLOADS), [])
        assert read(chunked(data, 1000), from_client) == (b"".join(PAYLOADS), [])

    @pytest.mark.statement("MQTT5-6.0.0-2", "MQTT3-6.0.0-2")
    def test_fragments_with_a_ping_between_them(self, from_client):
        data = (
            frame(BINARY, b"one ", from_client, fin=False)
            + frame(PING, b"still there?", from_client)
            + frame(CONTINUATION, b"two ", from_client, fin=False)
            + frame(CONTINUATION, b"", from_client, fin=False)
            + frame(CONTINUATION, b"three", from_client)
            + frame(BINARY, b"!", from_client)
        )
        for chunks in arrivals(data):
            got = read(chunks, from_client)
            assert got == (b"one two three!", [Control(PING, b"still there?")])

    def test_the_part_of_a_frame_that_has_arrived_is_not_kept(self, from_client):
        data = frame(BINARY, b"half of it", from_client)
        reader = FrameReader(LIMIT, from_client)
        assert reader.feed(data[:-6]) == b"half"
        assert reader.feed(data[-6:]) == b" of it"


class TestControlFrames:
    def test_they_come_in_order(self):
        data = frame(PING, b"1") + frame(PONG, b"2") + frame(PING, b"3" * 125) + frame(CLOSE, b"")
        expected = [
            Control(PING, b"1"),
            Control(PONG, b"2"),
            Control(PING, b"3" * 125),
            Control(CLOSE, b"", NO_STATUS),
        ]
        for chunks in arrivals(data):
            assert read(chunks) == (b"", expected)

    def test_they_are_taken_once(self):
        reader = FrameReader(LIMIT)
        reader.feed(frame(PING, b"1"))
        assert reader.take_controls() == [Control(PING, b"1")]
        assert reader.take_controls() == []

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999])
    def test_close_has_a_code_and_a_reason(self, code):
        reader = FrameReader(LIMIT)
        reader.feed(encode_close(code, "später".encode(), KEY))
        assert reader.controls == [Control(CLOSE, "später".encode(), code)]
        assert reader.closed

    def test_what_follows_a_close_is_ignored(self):
        reader = FrameReader(LIMIT)
        data = frame(BINARY, b"first") + frame(CLOSE, b"") + frame(TEXT, b"?")
        assert reader.feed(data) == b"first"
        assert reader.feed(b"anything") == b""


LENIENT = websocket.LENGTH_NOT_MINIMAL  # `websockets` does not mind
# Frames of a client, and the rule that each breaks.
BROKEN = {
    "unmasked": (frame(BINARY, b"x", False), websocket.UNMASKED_FRAME),
    "RSV1": (frame(BINARY, b"x", reserved=4), websocket.RESERVED_BITS),
    "RSV2": (frame(BINARY, b"x", reserved=2), websocket.RESERVED_BITS),
    "RSV3": (frame(PING, b"x", reserved=1), websocket.RESERVED_BITS),
    **{
        f"opcode {opcode}": (frame(opcode, b"x"), websocket.RESERVED_OPCODE)
        for opcode in (3, 7, 11, 15)
    },
    "fragmented ping": (frame(PING, b"x", fin=False), websocket.FRAGMENTED_CONTROL),
    "fragmented close": (frame(CLOSE, b"", fin=False), websocket.FRAGMENTED_CONTROL),
    "long ping": (frame(PING, b"x" * 126), websocket.CONTROL_TOO_LONG),
    "long close": (frame(CLOSE, bytes(70_000)), websocket.CONTROL_TOO_LONG),
    "lone continuation": (frame(CONTINUATION, b"x"), websocket.LONE_CONTINUATION),
    "continuation after the last": (
        frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"") + frame(CONTINUATION, b"x"),
        websocket.LONE_CONTINUATION,
    ),
    "message in a message": (
        frame(BINARY, b"", fin=False) + frame(BINARY, b"x"),
        websocket.UNFINISHED_MESSAGE,
    ),
    "text": (frame(TEXT, b"x"), websocket.TEXT_FRAME),
    "text in fragments": (frame(TEXT, b"x", fin=False), websocket.TEXT_FRAME),
    "125 in 2 bytes": (frame(BINARY, b"x" * 125, length_size=2), websocket.LENGTH_NOT_MINIMAL),
    "125 in 8 bytes": (frame(BINARY, b"x" * 125, length_size=8), websocket.LENGTH_NOT_MINIMAL),
    "65535 in 8 bytes": (
        frame(BINARY, bytes(65_535), length_size=8),
        websocket.LENGTH_NOT_MINIMAL,
    ),
    "high bit of the length": (
        bytes.fromhex("82 ff 8000000000000001") + KEY,
        websocket.LENGTH_HIGH_BIT,
    ),
    "close of 1 byte": (frame(CLOSE, b"\x03"), websocket.CLOSE_LENGTH),
    **{
        f"close {code}": (encode_close(code, b"", KEY), websocket.CLOSE_CODE)
        for code in (0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65_535)
    },
    "close 1005": (frame(CLOSE, (1005).to_bytes(2, "big")), websocket.CLOSE_CODE),
    "close with bad UTF-8": (encode_close(1000, b"\xc3\x28", KEY), websocket.CLOSE_REASON),
    "close with half a character": (encode_close(1000, b"\xc3", KEY), websocket.CLOSE_REASON),
    "over the limit": (frame(BINARY, bytes(LIMIT + 1)), websocket.FRAME_TOO_LARGE),
}


@pytest.mark.parametrize(("data", "rule"), BROKEN.values(), ids=BROKEN)
class TestViolations:
    def test_each_names_its_rule_however_it_arrives(self, data, rule):
        for chunks in arrivals(data[:300]):
            with pytest.raises(ProtocolViolation) as caught:
                read(chunks)
            assert caught.value.rule is rule

    def test_what_came_before_in_the_same_read_is_salvaged(self, data, rule):
        reader = FrameReader(LIMIT)
        with pytest.raises(ProtocolViolation):
            reader.feed(frame(PING, b"1") + frame(BINARY, b"before") + data)
        assert reader.salvaged.startswith(b"before")
        assert reader.controls[0] == Control(PING, b"1")

    def test_nothing_is_read_afterwards(self, data, rule):
        reader = FrameReader(LIMIT)
        for chunk in (data, frame(BINARY, b"more")):
            with pytest.raises(ProtocolViolation) as caught:
                reader.feed(chunk)
            assert caught.value.rule is rule


def test_a_server_does_not_mask():
    with pytest.raises(ProtocolViolation) as caught:
        read([frame(BINARY, b"x")], from_client=False)
    assert caught.value.rule is websocket.MASKED_FRAME


def test_the_length_alone_breaks_the_limit():
    with pytest.raises(ProtocolViolation) as caught:
        read([bytes.fromhex("82 ff 0000000100000000")])
    assert caught.value.rule is websocket.FRAME_TOO_LARGE


@pytest.mark.parametrize("limit", [0, 10, 125, 126, 70_000])
def test_a_frame_of_the_limit_is_read_and_a_longer_one_is_not(limit):
    assert read([frame(BINARY, bytes(limit))], limit=limit) == (bytes(limit), [])
    with pytest.raises(ProtocolViolation) as caught:
        read([frame(BINARY, bytes(limit + 1))], limit=limit)
    assert caught.value.rule is websocket.FRAME_TOO_LARGE


@pytest.mark.statement("MQTT5-6.0.0-1", "MQTT3-6.0.0-1")
def test_the_rule_of_text_frames_is_that_of_the_documents():
    assert websocket.TEXT_FRAME.v3 == "MQTT-6.0.0-1"
    assert websocket.TEXT_FRAME.v5 == "MQTT-6.0.0-1"
    assert CLOSE_CODES[websocket.TEXT_FRAME] == 1003


def test_every_rule_has_a_status_code():
    rules = {value for value in vars(websocket).values() if isinstance(value, Rule)}
    assert set(CLOSE_CODES) == rules
    assert CLOSE_CODES[websocket.CLOSE_REASON] == 1007
    assert CLOSE_CODES[websocket.FRAME_TOO_LARGE] == 1009


@given(st.binary(), st.binary(min_size=4, max_size=4))
def test_masking_is_xor_with_the_key_over_and_over(payload, key):
    assert masked(payload, key) == bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def test_masking_a_long_payload():
    payload = bytes(range(256)) * 300
    expected = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    assert masked(payload, KEY) == expected
    data = frame(BINARY, payload)
    assert data[-len(payload) :] == expected


@given(st.lists(st.binary(max_size=400)), st.booleans())
def test_any_bytes_are_payload_or_a_violation(chunks, from_client):
    reader = FrameReader(1000, from_client)
    size, broken = 0, []
    try:
        for chunk in chunks:
            size += len(reader.feed(chunk))
    except ProtocolViolation as violation:
        broken.append(violation.rule)
    assert CLOSE_CODES.keys() >= set(broken)
    assert size <= sum(map(len, chunks))


FRAMES = st.tuples(
    st.sampled_from([BINARY, CONTINUATION, PING, PONG]),
    st.binary(max_size=300),
    st.booleans(),
    st.binary(min_size=4, max_size=4),
)


@given(st.lists(FRAMES, max_size=8), st.integers(1, 60), st.booleans())
def test_how_they_arrive_makes_no_difference(frames, size, from_client):
    def outcome(chunks):
        reader = FrameReader(200, from_client)
        plain = b""
        try:
            for chunk in chunks:
                plain += reader.feed(chunk)
        except ProtocolViolation as violation:
            return plain + reader.salvaged, reader.controls, violation.rule
        return plain, reader.controls, None

    data = b"".join(
        encode_frame(opcode, payload, fin, key if from_client else None)
        for opcode, payload, fin, key in frames
    )
    assert outcome([data]) == outcome(chunked(data, size))


def wsproto_outcome(data, from_client):
    """What the independent reader makes of it: payload, controls, and how it was closed."""
    peer = Connection(ConnectionType.SERVER if from_client else ConnectionType.CLIENT)
    peer.receive_data(data)
    payload, controls = b"", []
    for event in peer.events():
        if isinstance(event, BytesMessage):
            payload += bytes(event.data)
        elif isinstance(event, TextMessage):
            return payload, controls, 1003
        elif isinstance(event, Ping):
            controls.append(Control(PING, bytes(event.payload)))
        elif isinstance(event, Pong):
            controls.append(Control(PONG, bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            return payload, controls, event.code
    return payload, controls, 0


class TestAgainstWsproto:
    @pytest.mark.parametrize("from_client", [True, False])
    @pytest.mark.parametrize("payload", PAYLOADS, ids=len)
    def test_it_reads_what_we_write(self, payload, from_client):
        data = frame(PING, b"p", from_client) + frame(BINARY, payload, from_client)
        assert wsproto_outcome(data, from_client) == (payload, [Control(PING, b"p")], 0)

    @pytest.mark.parametrize("from_client", [True, False])
    @pytest.mark.parametrize("payload", PAYLOADS, ids=len)
    def test_we_read_what_it_writes(self, payload, from_client):
        peer = Connection(ConnectionType.CLIENT if from_client else ConnectionType.SERVER)
        data = (
            peer.send(BytesMessage(payload, message_finished=False))
            + peer.send(Ping(b"between"))
            + peer.send(BytesMessage(b"end"))
            + peer.send(CloseConnection(1001, "bye"))
        )
        controls = [Control(PING, b"between"), Control(CLOSE, b"bye", 1001)]
        for chunks in ([data], chunked(data, 1000)):
            assert read(chunks, from_client) == (payload + b"end", controls)

    @pytest.mark.parametrize(
        ("data", "rule"),
        [case for name, case in BROKEN.items() if name != "over the limit"],
        ids=[name for name in BROKEN if name != "over the limit"],
    )
    def test_it_closes_for_the_same_reason(self, data, rule):
        assert wsproto_outcome(data, True)[2] == CLOSE_CODES[rule]


class TestAgainstWebsockets:
    """The same with `websockets`, which is lenient about lengths and UTF-8 of text."""

    @pytest.mark.parametrize("from_client", [True, False])
    @pytest.mark.parametrize("payload", PAYLOADS, ids=len)
    def test_it_reads_what_we_write(self, from_client, payload):
        peer = Protocol(Side.SERVER if from_client else Side.CLIENT)
        peer.receive_data(frame(BINARY, payload, from_client) + frame(PING, b"p", from_client))
        got = [(int(event.opcode), bytes(event.data)) for event in peer.events_received()]
        assert got == [(BINARY, payload), (PING, b"p")]

    @pytest.mark.parametrize("from_client", [True, False])
    @pytest.mark.parametrize("payload", PAYLOADS, ids=len)
    def test_we_read_what_it_writes(self, from_client, payload):
        peer = Protocol(Side.CLIENT if from_client else Side.SERVER)
        peer.send_binary(payload, fin=False)
        peer.send_ping(b"between")
        peer.send_continuation(b"end", fin=True)
        peer.send_close(1001, "bye")
        data = b"".join(peer.data_to_send())
        controls = [Control(PING, b"between"), Control(CLOSE, b"bye", 1001)]
        for chunks in ([data], chunked(data, 1000)):
            assert read(chunks, from_client) == (payload + b"end", controls)

    @pytest.mark.parametrize(
        "name",
        [
            name
            for name, (_, rule) in BROKEN.items()
            if not name.startswith(("text", "high bit")) and rule is not LENIENT
        ],
    )
    def test_it_closes_for_the_same_reason(self, name):
        data, rule = BROKEN[name]
        peer = Protocol(Side.SERVER, max_size=LIMIT)
        peer.receive_data(data)
        assert peer.close_sent.code == CLOSE_CODES[rule]
