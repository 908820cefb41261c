"""PINGREQ, PINGRESP, DISCONNECT and AUTH (5.0 and 3.1.1, sections 3.12 to 3.15)."""

from dataclasses import dataclass

from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.fields import framed, located, packet_start, read_u8
from formats.mqtt.packet_types import AUTH, DISCONNECT
from formats.mqtt.properties import (
    AUTHENTICATION_METHOD,
    Properties,
    read_properties,
    write_properties,
)
from formats.mqtt.reasons import ALLOWED

PINGREQ_BYTES = b"\xc0\x00"
PINGRESP_BYTES = b"\xd0\x00"


@dataclass(slots=True)
class Pingreq:
    """A client's sign of life, to be answered."""


@dataclass(slots=True)
class Pingresp:
    """The server's answer to PINGREQ."""


@dataclass(slots=True)
class Disconnect:
    """The last packet of its sender; in 3.x only a client sends it, without reason."""

    reason: int = 0
    properties: Properties | None = None


@dataclass(slots=True)
class Auth:
    """A step of enhanced authentication (5.0, 4.12)."""

    reason: int = 0
    properties: Properties | None = None


def _check_flags(flags: int, rule: Rule, pos: int, end: int, version: int) -> None:
    if flags and version != 3:
        raise ProtocolViolation(rule, f"{flags:04b}", packet_start(pos, end))


def _check_end(pos: int, end: int) -> None:
    if pos != end:
        raise ProtocolViolation(rules.TRAILING_BYTES, f"{end - pos} bytes", pos)


@located
def decode_pingreq(flags: int, data: bytes, pos: int, end: int, version: int) -> Pingreq:
    """Decode a packet that has no body (3.12)."""
    _check_flags(flags, rules.FLAGS_RESERVED, pos, end, version)
    _check_end(pos, end)
    return Pingreq()


@located
def decode_pingresp(flags: int, data: bytes, pos: int, end: int, version: int) -> Pingresp:
    """Decode a packet that has no body (3.13)."""
    _check_flags(flags, rules.FLAGS_RESERVED, pos, end, version)
    _check_end(pos, end)
    return Pingresp()


@located
def decode_disconnect(flags: int, data: bytes, pos: int, end: int, version: int) -> Disconnect:
    """Decode the packet body data[pos:end] (3.14).

    Raises:
        ProtocolViolation: DISCONNECT_FLAGS, DISCONNECT_REASON, TRAILING_BYTES, or what the property
            reader raises.
    """
    # [MQTT5-3.14.1-1] [MQTT3-3.14.1-1]
    _check_flags(flags, rules.DISCONNECT_FLAGS, pos, end, version)
    reason, properties = 0, None
    if version == 5 and pos < end:
        reason, pos = read_u8(data, pos, end)
        if reason not in ALLOWED[DISCONNECT]:  # [MQTT5-3.14.2-1]
            raise ProtocolViolation(rules.DISCONNECT_REASON, f"0x{reason:02x}", pos - 1)
        if pos < end:
            properties, pos = read_properties(data, pos, end, DISCONNECT)
    _check_end(pos, end)
    return Disconnect(reason, properties)


def encode_disconnect(disconnect: Disconnect, version: int) -> bytes:
    """Encode, in 5.0 as short as it can be (3.14.2.1)."""
    if version != 5 or not (disconnect.reason or disconnect.properties):
        return b"\xe0\x00"
    if not disconnect.properties:
        return bytes((0xE0, 1, disconnect.reason))
    body = bytearray((disconnect.reason,))
    write_properties(body, disconnect.properties)
    return framed(DISCONNECT << 4, body)


@located
def decode_auth(flags: int, data: bytes, pos: int, end: int, version: int) -> Auth:
    """Decode the packet body data[pos:end] (5.0, 3.15).

    An empty body is Success without properties (3.15.2.1), although 3.15.2.2.2 has the
    Authentication Method in every AUTH.

    Raises:
        ProtocolViolation: PACKET_TYPE_RESERVED in 3.x, AUTH_FLAGS, AUTH_REASON,
            AUTH_METHOD_MISSING, TRAILING_BYTES, or what the property reader raises.
    """
    if version != 5:
        raise ProtocolViolation(rules.PACKET_TYPE_RESERVED, "AUTH", packet_start(pos, end))
    _check_flags(flags, rules.AUTH_FLAGS, pos, end, version)  # [MQTT5-3.15.1-1]
    if pos == end:
        return Auth()
    reason, pos = read_u8(data, pos, end)
    if reason not in ALLOWED[AUTH]:  # [MQTT5-3.15.2-1]
        raise ProtocolViolation(rules.AUTH_REASON, f"0x{reason:02x}", pos - 1)
    properties, pos = read_properties(data, pos, end, AUTH)
    if not properties or AUTHENTICATION_METHOD not in properties:  # [U5-3.15.2.2.2-1]
        raise ProtocolViolation(rules.AUTH_METHOD_MISSING)
    _check_end(pos, end)
    return Auth(reason, properties)


def encode_auth(auth: Auth) -> bytes:
    """Encode, as short as it can be (3.15.2.1)."""
    if not (auth.reason or auth.properties):
        return b"\xf0\x00"
    body = bytearray((auth.reason,))
    write_properties(body, auth.properties)
    return framed(AUTH << 4, body)
