"""WebSocket frames (RFC 6455, section 5), read and written, for servers and for clients.

MQTT takes no notice of frames: what binary frames carry is one stream of bytes
[MQTT5-6.0.0-2] [MQTT3-6.0.0-2], so a reader hands on what has arrived of a frame and keeps no
message in memory. Masking is XOR of big integers, for all frames of a read at once: that needs no
C, and takes a third less time than one small frame after the other.
"""

from typing import NamedTuple

from formats.errors import ProtocolViolation, Rule

# Opcodes, section 5.2.
CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA
OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

FIN = 0x80  # in byte 1
MASK = 0x80  # in byte 2
MAXIMUM_CONTROL = 125  # bytes of payload, section 5.5
LENGTH_16 = 126  # the length is in the next 2 bytes
LENGTH_64 = 127  # the length is in the next 8 bytes

# Status codes, section 7.4.1.
NORMAL = 1000
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS = 1005  # never sent: a close frame without a code
INVALID_DATA = 1007
TOO_BIG = 1009
# What may stand in a close frame: these of the registry, and what libraries and applications chose.
SENDABLE = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))

MALFORMED = 0x81  # Reason Code "Malformed Packet"
TOO_LARGE = 0x95  # Reason Code "Packet too large"

# Its frames are those of RFC 6455: what MQTT says of them is the first sentence of chapter 6.
FRAMES_3, FRAMES_5 = "U311-6-1", "U5-6-1"

UNMASKED_FRAME = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket frame of a client is not masked")
MASKED_FRAME = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket frame of a server is masked")
RESERVED_BITS = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket frame with a reserved bit set")
RESERVED_OPCODE = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket frame with a reserved opcode")
FRAGMENTED_CONTROL = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket control frame is fragmented")
CONTROL_TOO_LONG = Rule(
    MALFORMED, FRAMES_3, FRAMES_5, "WebSocket control frame of more than 125 bytes"
)
LONE_CONTINUATION = Rule(
    MALFORMED, FRAMES_3, FRAMES_5, "WebSocket continuation frame with nothing to continue"
)
UNFINISHED_MESSAGE = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket message begins inside another")
TEXT_FRAME = Rule(MALFORMED, "MQTT-6.0.0-1", "MQTT-6.0.0-1", "WebSocket text frame")
LENGTH_NOT_MINIMAL = Rule(
    MALFORMED, FRAMES_3, FRAMES_5, "WebSocket length not in its shortest form"
)
LENGTH_HIGH_BIT = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket length with its highest bit set")
CLOSE_LENGTH = Rule(MALFORMED, FRAMES_3, FRAMES_5, "WebSocket close frame with half a status code")
CLOSE_CODE = Rule(
    MALFORMED, FRAMES_3, FRAMES_5, "WebSocket close frame with a status code that is never sent"
)
CLOSE_REASON = Rule(
    MALFORMED, FRAMES_3, FRAMES_5, "WebSocket close frame with a reason that is not UTF-8"
)
FRAME_TOO_LARGE = Rule(TOO_LARGE, "", "", "WebSocket frame over the limit")

# The status code that answers each of them.
CLOSE_CODES = {
    UNMASKED_FRAME: PROTOCOL_ERROR,
    MASKED_FRAME: PROTOCOL_ERROR,
    RESERVED_BITS: PROTOCOL_ERROR,
    RESERVED_OPCODE: PROTOCOL_ERROR,
    FRAGMENTED_CONTROL: PROTOCOL_ERROR,
    CONTROL_TOO_LONG: PROTOCOL_ERROR,
    LONE_CONTINUATION: PROTOCOL_ERROR,
    UNFINISHED_MESSAGE: PROTOCOL_ERROR,
    TEXT_FRAME: UNSUPPORTED_DATA,
    LENGTH_NOT_MINIMAL: PROTOCOL_ERROR,
    LENGTH_HIGH_BIT: PROTOCOL_ERROR,
    CLOSE_LENGTH: PROTOCOL_ERROR,
    CLOSE_CODE: PROTOCOL_ERROR,
    CLOSE_REASON: INVALID_DATA,
    FRAME_TOO_LARGE: TOO_BIG,
}

XOR_AT_ONCE = 16_384  # bytes; integers that leave the processor's cache take twice as long


class Control(NamedTuple):
    """A control frame that has arrived.

    Attributes:
        opcode:  CLOSE, PING or PONG.
        payload: what it carries; of a CLOSE, the reason without the code.
        code:    status code of a CLOSE, NO_STATUS without one; 0 in the others.
    """

    opcode: int
    payload: bytes
    code: int = 0


class FrameReader:
    """The frames of one peer, however they arrive.

    Attributes:
        controls: the control frames that have arrived, in order; `take_controls` empties it.
        closed:   a close frame has arrived; what follows it is ignored (5.5.1).
        salvaged: payload that the same `feed` found before the violation it raised.
    """

    __slots__ = (
        "_fragmented",
        "_held",
        "_key",
        "_left",
        "_limit",
        "_masked",
        "_small",
        "_violation",
        "closed",
        "controls",
        "salvaged",
    )

    def __init__(self, limit: int, masked_expected: bool = True) -> None:
        """`limit` is for the payload of a data frame, bytes; the frames of clients are masked."""
        self.controls: list[Control] = []
        self.closed = False
        self.salvaged = b""
        self._limit = limit
        self._masked = masked_expected
        # Byte 2 of the frames that `feed` reads without looking twice, at most.
        self._small = (MASK if masked_expected else 0) | min(limit, MAXIMUM_CONTROL)
        self._held = b""  # a frame's header that is not whole yet, or a control frame
        self._left = 0  # payload bytes that are missing of the data frame at hand
        self._key = b""  # its mask, turned to where the next byte is
        self._fragmented = False  # a continuation frame is due
        self._violation: ProtocolViolation | None = None

    def feed(self, data: bytes) -> bytes:
        """The payload of data frames in `data`, as far as it has arrived.

        Raises:
            ProtocolViolation: one of the rules of CLOSE_CODES, now and for all later calls.
        """
        if self._violation is not None:
            raise self._violation
        if self.closed:
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
        parts: list[bytes] = []
        keys: list[bytes] = []
        try:
            self._read(data, parts, keys)
        except ProtocolViolation as violation:
            self._violation = violation
            self.salvaged = self._plain(parts, keys)
            raise
        return self._plain(parts, keys)

    def take_controls(self) -> list[Control]:
        controls = self.controls
        self.controls = []
        return controls

    def _plain(self, parts: list[bytes], keys: list[bytes]) -> bytes:
        data = b"".join(parts)
        return _xor(data, b"".join(keys)) if keys else data

    def _read(self, data: bytes, parts: list[bytes], keys: list[bytes]) -> None:
        pos, end = 0, len(data)
        small = self._small
        if self._left:
            pos = min(end, self._left)
            self._take(data[:pos], self._left, self._key, parts, keys)
        while end - pos >= 2:
            byte2 = data[pos + 1]
            # Most frames are small, whole and binary. Anything else is `_read_frame`'s.
            if data[pos] == FIN | BINARY and byte2 <= small and not self._fragmented:
                if not self._masked:
                    stop = pos + 2 + byte2
                    if stop <= end:
                        parts.append(data[pos + 2 : stop])
                        pos = stop
                        continue
                elif byte2 >= MASK:
                    start = pos + 6
                    stop = start + byte2 - MASK
                    if stop <= end:
                        parts.append(data[start:stop])
                        keys.append((data[pos + 2 : start] * 32)[: byte2 - MASK])
                        pos = stop
                        continue
            after = self._read_frame(data, pos, end, parts, keys)
            if after == pos:
                break
            pos = after
        if not self.closed:
            self._held = data[pos:]

    def _read_frame(
        self, data: bytes, pos: int, end: int, parts: list[bytes], keys: list[bytes]
    ) -> int:
        """Read the frame at `pos`; where the next begins, or `pos` when more bytes are needed."""
        opcode = data[pos] & 0x0F
        self._check_kind(data[pos], opcode, data[pos + 1])
        length, start = _read_length(data, pos + 1, end)
        if start < 0:
            return pos
        if length > self._limit and opcode < CLOSE:
            raise ProtocolViolation(FRAME_TOO_LARGE, f"{length} bytes, limit {self._limit}")
        key = b""
        if self._masked:
            key = data[start : start + 4]
            start += 4
            if start > end:
                return pos
        stop = start + length
        if opcode >= CLOSE:
            if stop > end:
                return pos
            self._take_control(opcode, masked(data[start:stop], key) if key else data[start:stop])
            return end if self.closed else stop
        self._fragmented = not data[pos] & FIN
        self._take(data[start:stop], length, key, parts, keys)
        return min(stop, end)

    def _check_kind(self, byte1: int, opcode: int, byte2: int) -> None:
        if byte1 & 0x70:
            raise ProtocolViolation(RESERVED_BITS, f"first byte 0x{byte1:02x}")
        if opcode not in OPCODES:
            raise ProtocolViolation(RESERVED_OPCODE, f"opcode {opcode}")
        if (byte2 >= MASK) != self._masked:
            raise ProtocolViolation(UNMASKED_FRAME if self._masked else MASKED_FRAME)
        if opcode >= CLOSE:
            if not byte1 & FIN:
                raise ProtocolViolation(FRAGMENTED_CONTROL, f"opcode {opcode}")
            if byte2 & 0x7F > MAXIMUM_CONTROL:
                raise ProtocolViolation(CONTROL_TOO_LONG, f"opcode {opcode}")
        elif opcode == TEXT:
            raise ProtocolViolation(TEXT_FRAME)  # [MQTT5-6.0.0-1] [MQTT3-6.0.0-1]
        elif opcode == CONTINUATION:
            if not self._fragmented:
                raise ProtocolViolation(LONE_CONTINUATION)
        elif self._fragmented:
            raise ProtocolViolation(UNFINISHED_MESSAGE)

    def _take(
        self, arrived: bytes, expected: int, key: bytes, parts: list[bytes], keys: list[bytes]
    ) -> None:
        """Take the payload that has arrived of a frame that has `expected` bytes to come."""
        size = len(arrived)
        parts.append(arrived)
        if key:
            keys.append(_stretched(key, size))
            turn = size % 4
            self._key = key[turn:] + key[:turn]
        self._left = expected - size

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode != CLOSE:
            self.controls.append(Control(opcode, payload))
            return
        if not payload:
            self.controls.append(Control(CLOSE, b"", NO_STATUS))
        elif len(payload) == 1:
            raise ProtocolViolation(CLOSE_LENGTH)
        else:
            code = payload[0] << 8 | payload[1]
            if code not in SENDABLE:
                raise ProtocolViolation(CLOSE_CODE, f"{code}")
            try:
                payload[2:].decode("utf-8")
            except UnicodeDecodeError:
                raise ProtocolViolation(CLOSE_REASON, payload[2:].hex()) from None
            self.controls.append(Control(CLOSE, payload[2:], code))
        self.closed = True


def _read_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The payload length at `pos`, and the position after it: -1 while bytes are missing."""
    length = data[pos] & 0x7F
    pos += 1
    if length < LENGTH_16:
        return length, pos
    size = 2 if length == LENGTH_16 else 8
    if end - pos < size:
        return 0, -1
    length = int.from_bytes(data[pos : pos + size], "big")
    if length >> 63:
        raise ProtocolViolation(LENGTH_HIGH_BIT, f"0x{length:x}")
    if length < (LENGTH_16 if size == 2 else 0x1_0000):
        raise ProtocolViolation(LENGTH_NOT_MINIMAL, f"{length} in {size} bytes")
    return length, pos + size


def _stretched(key: bytes, size: int) -> bytes:
    return (key * (size // 4 + 1))[:size]


def _xor(data: bytes, keys: bytes) -> bytes:
    """XOR of two strings of the same length."""
    size = len(data)
    if size <= XOR_AT_ONCE:
        return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(
            size, "little"
        )
    return b"".join(
        _xor(data[pos : pos + XOR_AT_ONCE], keys[pos : pos + XOR_AT_ONCE])
        for pos in range(0, size, XOR_AT_ONCE)
    )


def masked(payload: bytes, key: bytes) -> bytes:
    """`payload` masked with the 4 bytes of `key`, or unmasked: it is the same (5.3)."""
    return _xor(payload, _stretched(key, len(payload)))


def encode_frame(
    opcode: int,
    payload: bytes,
    fin: bool = True,
    mask: bytes | None = None,
    reserved: int = 0,
    length_size: int = 0,
) -> bytes:
    """A frame, right or wrong: nothing is checked.

    Args:
        mask:        4 bytes, which a client draws anew for each frame; None is unmasked.
        reserved:    RSV1, RSV2 and RSV3, as 0 to 7.
        length_size: bytes of the extended length, 2 or 8; 0 takes what is shortest.
    """
    size = len(payload)
    byte1 = (FIN if fin else 0) | reserved << 4 | opcode
    byte2 = MASK if mask is not None else 0
    if size <= MAXIMUM_CONTROL and not length_size:
        head = b"%c%c" % (byte1, byte2 | size)
    elif length_size == 2 or (size <= 0xFFFF and not length_size):
        head = b"%c%c%b" % (byte1, byte2 | LENGTH_16, size.to_bytes(2, "big"))
    else:
        head = b"%c%c%b" % (byte1, byte2 | LENGTH_64, size.to_bytes(8, "big"))
    if mask is None:
        return head + payload
    return head + mask + masked(payload, mask)


def encode_close(code: int, reason: bytes = b"", mask: bytes | None = None) -> bytes:
    """A close frame; NO_STATUS leaves it empty."""
    payload = b"" if code == NO_STATUS else code.to_bytes(2, "big") + reason
    return encode_frame(CLOSE, payload, True, mask)
