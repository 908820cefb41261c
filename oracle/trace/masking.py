"""A packet's bytes without its secrets: the password of a CONNECT, and authentication data (5.0).

Their bytes become asterisks, so the packet keeps its length and its other bytes their places. The
fields are walked by their lengths alone: a CONNECT that breaks a rule has a password, too.
"""

from formats.errors import ProtocolViolation
from formats.mqtt.fields import read_u8, read_u16, read_variable
from formats.mqtt.packet_types import AUTH, CONNACK, CONNECT
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    BINARY,
    BYTE,
    FOUR_BYTES,
    PAIR,
    PROPERTIES,
    TEXT,
    TWO_BYTES,
)
from formats.mqtt.stream import read_remaining_length

_TYPES = {row.identifier: row.type for row in PROPERTIES}
_SIZES = {BYTE: 1, TWO_BYTES: 2, FOUR_BYTES: 4}
_STRINGS = {TEXT: 1, BINARY: 1, PAIR: 2}  # how many strings or blobs one after the other

_WILL, _USER_NAME = 0x04, 0x80  # Connect Flags (3.1.2.3)


def masked(packet: bytes, version: int) -> bytes:
    """The packet with asterisks; the very same bytes where it has no secret."""
    if not packet or packet[0] >> 4 not in (CONNECT, CONNACK, AUTH):
        return packet
    secrets: list[tuple[int, int]] = []
    try:
        _, pos = read_remaining_length(packet, 1, len(packet))
        if packet[0] >> 4 == CONNECT:
            _walk_connect(packet, pos, secrets)
        elif version == 5:
            _walk_properties(packet, pos + (2 if packet[0] >> 4 == CONNACK else 1), secrets)
    except ProtocolViolation:
        pass  # it ends early, and so does the walk
    if not secrets:
        return packet
    out = bytearray(packet)
    for start, stop in secrets:
        stop = min(stop, len(out))
        out[start:stop] = b"*" * (stop - start)
    return bytes(out)


def _walk_connect(packet: bytes, pos: int, secrets: list[tuple[int, int]]) -> None:
    end = len(packet)
    pos = _after_string(packet, pos)
    version, pos = read_u8(packet, pos, end)
    flags, pos = read_u8(packet, pos, end)
    _, pos = read_u16(packet, pos, end)  # Keep Alive
    if version == 5:
        pos = _walk_properties(packet, pos, secrets)
    pos = _after_string(packet, pos)  # Client Identifier
    if flags & _WILL:
        if version == 5:
            pos = _walk_properties(packet, pos, secrets)
        pos = _after_string(packet, _after_string(packet, pos))
    if flags & _USER_NAME:
        pos = _after_string(packet, pos)
    if pos + 2 < end:  # the password, or what a client that got flags or lengths wrong left there
        secrets.append((pos + 2, end))


def _walk_properties(packet: bytes, pos: int, secrets: list[tuple[int, int]]) -> int:
    """Where the properties end; an unknown one ends the walk through them, not through the rest."""
    length, pos = read_variable(packet, pos, len(packet))
    stop = pos + length
    while pos < min(stop, len(packet)):
        identifier, pos = read_variable(packet, pos, len(packet))
        kind = _TYPES.get(identifier)
        if kind in _SIZES:
            pos += _SIZES[kind]
        elif kind in _STRINGS:
            start = pos + 2
            for _ in range(_STRINGS[kind]):
                pos = _after_string(packet, pos)
            if identifier == AUTHENTICATION_DATA and start < len(packet):
                secrets.append((start, pos))
        elif kind:
            _, pos = read_variable(packet, pos, len(packet))
        else:
            break
    return stop


def _after_string(packet: bytes, pos: int) -> int:
    """Where a string or binary data at `pos` ends, be that behind the packet."""
    length, pos = read_u16(packet, pos, len(packet))
    return pos + length
