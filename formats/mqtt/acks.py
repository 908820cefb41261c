"""PUBACK, PUBREC, PUBREL and PUBCOMP (5.0 and 3.1.1, sections 3.4 to 3.7), built alike."""

from dataclasses import dataclass

from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.fields import framed, locate, packet_start, read_u8, read_u16
from formats.mqtt.packet_types import PACKET_NAMES, PUBACK, PUBCOMP, PUBREC, PUBREL
from formats.mqtt.properties import Properties, read_properties, write_properties
from formats.mqtt.reasons import ALLOWED


@dataclass(slots=True)
class Puback:
    """The answer to a PUBLISH at QoS 1."""

    packet_id: int
    reason: int = 0
    properties: Properties | None = None


@dataclass(slots=True)
class Pubrec:
    """The first answer to a PUBLISH at QoS 2."""

    packet_id: int
    reason: int = 0
    properties: Properties | None = None


@dataclass(slots=True)
class Pubrel:
    """The answer to PUBREC."""

    packet_id: int
    reason: int = 0
    properties: Properties | None = None


@dataclass(slots=True)
class Pubcomp:
    """The answer to PUBREL."""

    packet_id: int
    reason: int = 0
    properties: Properties | None = None


Acknowledgement = Puback | Pubrec | Pubrel | Pubcomp

_BYTE1: dict[type, int] = {Puback: 0x40, Pubrec: 0x50, Pubrel: 0x62, Pubcomp: 0x70}
_REASON_RULES: dict[int, Rule] = {
    PUBACK: rules.PUBACK_REASON,
    PUBREC: rules.PUBREC_REASON,
    PUBREL: rules.PUBREL_REASON,
    PUBCOMP: rules.PUBCOMP_REASON,
}


def decode_puback(flags: int, data: bytes, pos: int, end: int, version: int) -> Puback:
    """Decode the packet body data[pos:end] (3.4)."""
    if end - pos == 2 and not flags:
        packet_id = data[pos] << 8 | data[pos + 1]
        if packet_id:
            return Puback(packet_id)
    return Puback(*_decode(PUBACK, flags, data, pos, end, version))


def decode_pubrec(flags: int, data: bytes, pos: int, end: int, version: int) -> Pubrec:
    """Decode the packet body data[pos:end] (3.5)."""
    if end - pos == 2 and not flags:
        packet_id = data[pos] << 8 | data[pos + 1]
        if packet_id:
            return Pubrec(packet_id)
    return Pubrec(*_decode(PUBREC, flags, data, pos, end, version))


def decode_pubrel(flags: int, data: bytes, pos: int, end: int, version: int) -> Pubrel:
    """Decode the packet body data[pos:end] (3.6)."""
    if end - pos == 2 and flags == 2:
        packet_id = data[pos] << 8 | data[pos + 1]
        if packet_id:
            return Pubrel(packet_id)
    return Pubrel(*_decode(PUBREL, flags, data, pos, end, version))


def decode_pubcomp(flags: int, data: bytes, pos: int, end: int, version: int) -> Pubcomp:
    """Decode the packet body data[pos:end] (3.7)."""
    if end - pos == 2 and not flags:
        packet_id = data[pos] << 8 | data[pos + 1]
        if packet_id:
            return Pubcomp(packet_id)
    return Pubcomp(*_decode(PUBCOMP, flags, data, pos, end, version))


def _decode(
    packet_type: int, flags: int, data: bytes, pos: int, end: int, version: int
) -> tuple[int, int, Properties | None]:
    """Packet identifier, reason code and properties of what is longer, or wrong."""
    body = pos
    try:
        _check_flags(packet_type, flags, packet_start(pos, end), version)
        packet_id, pos = read_u16(data, pos, end)
        if not packet_id:  # [MQTT5-2.2.1-5] [MQTT3-2.3.1-6]
            raise ProtocolViolation(rules.ACKNOWLEDGED_ID_ZERO, PACKET_NAMES[packet_type], body)
        reason, properties = 0, None
        if version == 5 and pos < end:
            reason, pos = read_u8(data, pos, end)
            if reason not in ALLOWED[packet_type]:
                rule = _REASON_RULES[packet_type]
                raise ProtocolViolation(rule, f"0x{reason:02x}", pos - 1)
            if pos < end:
                properties, pos = read_properties(data, pos, end, packet_type)
        if pos != end:
            raise ProtocolViolation(rules.TRAILING_BYTES, f"{end - pos} bytes", pos)
    except ProtocolViolation as violation:
        locate(violation, body, end)
        raise
    return packet_id, reason, properties


def _check_flags(packet_type: int, flags: int, pos: int, version: int) -> None:
    """Refuse reserved flags; in 3.1 only the QoS of a PUBREL, 1, counts, DUP may be set."""
    if packet_type == PUBREL:
        if (flags & 6 if version == 3 else flags) != 2:  # [MQTT5-3.6.1-1] [MQTT3-3.6.1-1]
            raise ProtocolViolation(rules.PUBREL_FLAGS, f"{flags:04b}", pos)
    elif flags and version != 3:  # [MQTT5-2.1.3-1] [MQTT3-2.2.2-2]
        raise ProtocolViolation(rules.FLAGS_RESERVED, f"{flags:04b}", pos)


def encode_acknowledgement(packet: Acknowledgement, version: int) -> bytes:
    """Encode any of the four, in 5.0 as short as it can be (3.4.2.1)."""
    byte1, packet_id = _BYTE1[type(packet)], packet.packet_id
    if version != 5 or not (packet.reason or packet.properties):
        return bytes((byte1, 2, packet_id >> 8, packet_id & 0xFF))
    if not packet.properties:
        return bytes((byte1, 3, packet_id >> 8, packet_id & 0xFF, packet.reason))
    body = bytearray((packet_id >> 8, packet_id & 0xFF, packet.reason))
    write_properties(body, packet.properties)
    return framed(byte1, body)
