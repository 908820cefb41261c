"""Data representation (5.0 and 3.1.1, section 1.5) and where in a packet a reader stumbled.

Readers take what `data[pos:end]` begins with and return (value, next position); they raise
`ProtocolViolation` where it is missing or malformed. Writers append. A violation raised on the way
carries a position in `data`; `locate` makes it the offset in the packet.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from formats.errors import ProtocolViolation
from formats.mqtt import rules

P = ParamSpec("P")
T = TypeVar("T")


def read_u8(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a Byte."""
    if pos >= end:
        raise ProtocolViolation(rules.TRUNCATED, "no byte left", pos)
    return data[pos], pos + 1


def read_u16(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a Two Byte Integer (1.5.2)."""
    if pos + 2 > end:
        raise ProtocolViolation(rules.TRUNCATED, f"{end - pos} of 2 bytes", pos)
    return data[pos] << 8 | data[pos + 1], pos + 2


def read_u32(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a Four Byte Integer (5.0, 1.5.3)."""
    if pos + 4 > end:
        raise ProtocolViolation(rules.TRUNCATED, f"{end - pos} of 4 bytes", pos)
    return int.from_bytes(data[pos : pos + 4], "big"), pos + 4


def read_text(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """Read a UTF-8 Encoded String (5.0, 1.5.4; 3.1.1, 1.5.3)."""
    start = pos + 2
    if start > end:
        raise ProtocolViolation(rules.TRUNCATED, f"{end - pos} of 2 length bytes", pos)
    stop = start + (data[pos] << 8 | data[pos + 1])
    if stop > end:
        raise ProtocolViolation(rules.TRUNCATED, f"{end - start} of {stop - start} bytes", pos)
    try:
        # Strict decoding refuses surrogates [MQTT5-1.5.4-1] [MQTT3-1.5.3-1] and keeps U+FEFF
        # [MQTT5-1.5.4-3] [MQTT3-1.5.3-3].
        text = data[start:stop].decode()
    except UnicodeDecodeError as error:
        seen = data[start + error.start : start + error.end].hex()
        raise ProtocolViolation(rules.TEXT_NOT_UTF_8, seen, start + error.start) from None
    if "\0" in text:  # [MQTT5-1.5.4-2] [MQTT3-1.5.3-2]
        raise ProtocolViolation(rules.TEXT_WITH_NULL, ascii(text[:40]), data.index(0, start))
    return text, stop


def read_binary(data: bytes, pos: int, end: int) -> tuple[bytes, int]:
    """Read Binary Data (5.0, 1.5.6)."""
    start = pos + 2
    if start > end:
        raise ProtocolViolation(rules.TRUNCATED, f"{end - pos} of 2 length bytes", pos)
    stop = start + (data[pos] << 8 | data[pos + 1])
    if stop > end:
        raise ProtocolViolation(rules.TRUNCATED, f"{end - start} of {stop - start} bytes", pos)
    return data[start:stop], stop


def read_variable(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a Variable Byte Integer in its shortest form (5.0, 1.5.5)."""
    value = shift = 0
    for place in range(pos, min(pos + 4, end)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            if not byte and shift:  # [MQTT5-1.5.5-1]
                seen = data[pos : place + 1].hex()
                raise ProtocolViolation(rules.VARIABLE_NOT_MINIMAL, seen, pos)
            return value, place + 1
        shift += 7
    if pos + 4 > end:
        raise ProtocolViolation(rules.TRUNCATED, "no end of a variable byte integer", pos)
    raise ProtocolViolation(rules.VARIABLE_TOO_LONG, data[pos : pos + 4].hex(), pos)


def write_u16(out: bytearray, value: int) -> None:
    """Write a Two Byte Integer."""
    out += value.to_bytes(2, "big")


def write_u32(out: bytearray, value: int) -> None:
    """Write a Four Byte Integer."""
    out += value.to_bytes(4, "big")


def write_text(out: bytearray, value: str) -> None:
    """Write a UTF-8 Encoded String; a lone surrogate is written as it is, to send it on purpose."""
    data = value.encode("utf-8", "surrogatepass")
    out += len(data).to_bytes(2, "big")
    out += data


def write_binary(out: bytearray, value: bytes) -> None:
    """Write Binary Data."""
    out += len(value).to_bytes(2, "big")
    out += value


def write_variable(out: bytearray, value: int) -> None:
    """Write a Variable Byte Integer in its shortest form [MQTT5-1.5.5-1]."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def framed(byte1: int, body: bytearray) -> bytes:
    """The packet with this first byte and this body."""
    out = bytearray((byte1,))
    write_variable(out, len(body))
    out += body
    return bytes(out)


def packet_start(pos: int, end: int) -> int:
    """Where in `data` the packet with body data[pos:end] begins, its length in shortest form."""
    length = end - pos
    if length < 0x80:
        return pos - 2
    if length < 0x4000:
        return pos - 3
    return pos - 4 if length < 0x200000 else pos - 5


def locate(violation: ProtocolViolation, pos: int, end: int) -> None:
    """Turn a position in `data` into the offset in the packet with body data[pos:end]."""
    if violation.offset != -1:
        violation.offset -= packet_start(pos, end)


def located(
    decode: Callable[Concatenate[int, bytes, int, int, P], T],
) -> Callable[Concatenate[int, bytes, int, int, P], T]:
    """Have the violations of a decoder say where in the packet they are."""

    @wraps(decode)
    def decode_located(
        flags: int, data: bytes, pos: int, end: int, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return decode(flags, data, pos, end, *args, **kwargs)
        except ProtocolViolation as violation:
            locate(violation, pos, end)
            raise

    return decode_located
