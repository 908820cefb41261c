"""CONNECT and CONNACK (5.0 and 3.1.1, sections 3.1 and 3.2)."""

from dataclasses import dataclass

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.fields import (
    framed,
    located,
    packet_start,
    read_binary,
    read_text,
    read_u8,
    read_u16,
    write_binary,
    write_text,
    write_u16,
)
from formats.mqtt.packet_types import CONNACK, CONNECT, WILL
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    Properties,
    read_properties,
    write_properties,
)
from formats.mqtt.reasons import ALLOWED, CONNACK_RETURN_CODES
from formats.mqtt.topics import check_topic_name

# Name and level belong together: (MQTT, 3) and (MQIsdp, 4) are nothing. Some bridges set the top
# bit of the level, 0x83 or 0x84; no specification has that and it is refused like any other level.
VERSIONS = (("MQIsdp", 3), ("MQTT", 4), ("MQTT", 5))
BEGINNINGS = {b"\0\4MQTT\4": 4, b"\0\4MQTT\5": 5}
# With the flags of a CONNECT without will, user name and password: version, Clean Start.
PLAIN = {
    b"\0\4MQTT" + bytes((version, clean_start << 1)): (version, clean_start)
    for version in (4, 5)
    for clean_start in (False, True)
}
# In every version: no will, both a user name and a password or none.
ALLOWED_FLAGS = (0x02, 0x00, 0xC2, 0xC0)
HIGHEST_RETURN_CODE = 5  # of 3.1 and 3.1.1, table 3.1


@dataclass(slots=True)
class Will:
    """The Will Message of a CONNECT (3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties | None = None


@dataclass(slots=True)
class Connect:
    """A client's first packet.

    Attributes:
        version:      protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0.
        clean_start:  Clean Start; Clean Session in 3.1 and 3.1.1.
        keep_alive_s: seconds, 0 for none.
        user_name, password: None where the packet has none.
    """

    version: int
    client_id: str
    clean_start: bool = True
    keep_alive_s: int = 0
    user_name: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties | None = None


@dataclass(slots=True)
class Connack:
    """The server's answer.

    Attributes:
        reason: 5.0 reason code, which `encode_connack` translates for a 3.x client; decoded from
            3.x it is the return code, 0 to 5.
    """

    session_present: bool = False
    reason: int = 0
    properties: Properties | None = None


def decode_connect(flags: int, data: bytes, pos: int, end: int) -> Connect:
    """Decode the packet body data[pos:end], which says its own version.

    Raises:
        ProtocolViolation: UNSUPPORTED_VERSION before anything behind the version is looked at, else
            what sections 3.1.2 and 3.1.3 forbid.
    """
    plain = PLAIN.get(data[pos : pos + 8])
    if plain is not None and not flags and end - pos > 12:
        # What most send has little to look at, in less than half of the time that `_decode` takes.
        start = pos + 12 if plain[0] == 4 else pos + 13
        if start + (data[start - 2] << 8 | data[start - 1]) == end and (
            plain[0] == 4 or not data[pos + 10]  # no properties
        ):
            client_id = data[start:end]
            if client_id.isascii() and 0 not in client_id:
                keep_alive_s = data[pos + 8] << 8 | data[pos + 9]
                return Connect(plain[0], client_id.decode(), plain[1], keep_alive_s)
    return _decode(flags, data, pos, end)


@located
def _decode(flags: int, data: bytes, pos: int, end: int) -> Connect:
    body, start = pos, packet_start(pos, end)
    version = BEGINNINGS.get(data[pos : pos + 7], 0) if end - pos >= 7 else 0
    if version:  # as nearly all begin
        pos += 7
    else:
        name, pos = read_text(data, pos, end)
        version, pos = read_u8(data, pos, end)
        # [MQTT5-3.1.2-1] [MQTT5-3.1.2-2] [MQTT3-3.1.2-1] [MQTT3-3.1.2-2]
        if (name, version) not in VERSIONS:
            seen = f"{name!r:.40} level {version}"
            raise ProtocolViolation(rules.UNSUPPORTED_VERSION, seen, body)
    if flags and version > 3:
        raise ProtocolViolation(rules.FLAGS_RESERVED, f"{flags:04b}", start)
    flags_pos = pos
    connect_flags, pos = read_u8(data, pos, end)
    has_will = connect_flags & 4 == 4
    has_user_name, has_password = connect_flags & 0x80 == 0x80, connect_flags & 0x40 == 0x40
    _check_connect_flags(connect_flags, version, flags_pos)
    keep_alive_s, pos = read_u16(data, pos, end)
    properties = None
    if version == 5:
        properties, pos = read_properties(data, pos, end, CONNECT)
        if (
            properties
            and AUTHENTICATION_DATA in properties
            and AUTHENTICATION_METHOD not in properties
        ):
            raise ProtocolViolation(rules.AUTHENTICATION_DATA_WITHOUT_METHOD)
    if pos == end:
        raise ProtocolViolation(rules.CLIENT_ID_MISSING, "", pos)  # [MQTT5-3.1.3-3] [MQTT3-3.1.3-3]
    client_id, pos = read_text(data, pos, end)
    will = None
    if has_will:
        will, pos = _read_will(connect_flags, data, pos, end, version)
    # 3.1: the Remaining Length takes precedence, so what a flag announces may be missing.
    user_name = password = None
    if has_user_name and not (version == 3 and pos == end):
        if pos == end:
            raise ProtocolViolation(rules.USER_NAME_MISSING, "", pos)
        user_name, pos = read_text(data, pos, end)
    if has_password and not (version == 3 and pos == end):
        if pos == end:
            raise ProtocolViolation(rules.PASSWORD_MISSING, "", pos)
        password, pos = read_binary(data, pos, end)
    if pos != end:
        rule = rules.TRAILING_BYTES
        if not has_password:  # [MQTT5-3.1.2-16] [MQTT5-3.1.2-18]
            rule = rules.PASSWORD_WITHOUT_FLAG if has_user_name else rules.USER_NAME_WITHOUT_FLAG
        raise ProtocolViolation(rule, f"{end - pos} bytes", pos)
    return Connect(
        version,
        client_id,
        connect_flags & 2 == 2,
        keep_alive_s,
        user_name,
        password,
        will,
        properties,
    )


def _check_connect_flags(connect_flags: int, version: int, pos: int) -> None:
    """Refuse combinations that section 3.1.2 forbids."""
    if connect_flags in ALLOWED_FLAGS:
        return
    seen = f"{connect_flags:08b}"
    will_qos = connect_flags >> 3 & 3
    if version > 3 and connect_flags & 1:  # [MQTT5-3.1.2-3] [MQTT3-3.1.2-3]
        raise ProtocolViolation(rules.CONNECT_RESERVED_FLAG, seen, pos)
    if connect_flags & 4:
        if will_qos == 3:  # [MQTT5-3.1.2-12] [MQTT3-3.1.2-14]
            raise ProtocolViolation(rules.WILL_QOS_3, seen, pos)
    elif version > 3:
        if will_qos:  # [MQTT5-3.1.2-11] [MQTT3-3.1.2-13]
            raise ProtocolViolation(rules.WILL_QOS_WITHOUT_WILL, seen, pos)
        if connect_flags & 0x20:  # [MQTT5-3.1.2-13] [MQTT3-3.1.2-15]
            raise ProtocolViolation(rules.WILL_RETAIN_WITHOUT_WILL, seen, pos)
    if version < 5 and connect_flags & 0xC0 == 0x40:  # [MQTT3-3.1.2-22]
        raise ProtocolViolation(rules.PASSWORD_WITHOUT_USER_NAME, seen, pos)


def _read_will(
    connect_flags: int, data: bytes, pos: int, end: int, version: int
) -> tuple[Will, int]:
    """Read Will Properties, Will Topic and Will Payload (3.1.3.2 to 3.1.3.4)."""
    if pos == end:
        raise ProtocolViolation(rules.WILL_MISSING, "", pos)  # [MQTT5-3.1.2-9] [MQTT3-3.1.2-9]
    properties = None
    if version == 5:
        properties, pos = read_properties(data, pos, end, WILL)
    topic, pos = read_text(data, pos, end)
    check_topic_name(topic)
    payload, pos = read_binary(data, pos, end)
    qos, retain = connect_flags >> 3 & 3, connect_flags & 0x20 == 0x20
    return Will(topic, payload, qos, retain, properties), pos


def encode_connect(connect: Connect) -> bytes:
    """Encode for the version that `connect` names."""
    will = connect.will
    connect_flags = 2 if connect.clean_start else 0
    if will is not None:
        connect_flags |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
    if connect.password is not None:
        connect_flags |= 0x40
    if connect.user_name is not None:
        connect_flags |= 0x80
    body = bytearray()
    write_text(body, "MQIsdp" if connect.version == 3 else "MQTT")
    body.append(connect.version)
    body.append(connect_flags & 0xFF)
    write_u16(body, connect.keep_alive_s)
    if connect.version == 5:
        write_properties(body, connect.properties)
    write_text(body, connect.client_id)  # [MQTT5-3.1.3-1] [MQTT3-3.1.3-1] the order of the payload
    if will is not None:
        if connect.version == 5:
            write_properties(body, will.properties)
        write_text(body, will.topic)
        write_binary(body, will.payload)
    if connect.user_name is not None:
        write_text(body, connect.user_name)
    if connect.password is not None:
        write_binary(body, connect.password)
    return framed(CONNECT << 4, body)


@located
def decode_connack(flags: int, data: bytes, pos: int, end: int, version: int) -> Connack:
    """Decode the packet body data[pos:end].

    Raises:
        ProtocolViolation: CONNACK_FLAGS_RESERVED, CONNACK_REASON, SESSION_PRESENT_IN_REFUSAL, or
            what the field readers raise.
    """
    if flags and version > 3:
        raise ProtocolViolation(rules.FLAGS_RESERVED, f"{flags:04b}", packet_start(pos, end))
    acknowledge_flags, pos = read_u8(data, pos, end)
    if version == 3:
        acknowledge_flags = 0  # reserved and unused in 3.1
    elif acknowledge_flags & 0xFE:  # [MQTT5-3.2.2-1]
        seen = f"{acknowledge_flags:08b}"
        raise ProtocolViolation(rules.CONNACK_FLAGS_RESERVED, seen, pos - 1)
    reason, pos = read_u8(data, pos, end)
    if reason not in ALLOWED[CONNACK] if version == 5 else reason > HIGHEST_RETURN_CODE:
        raise ProtocolViolation(rules.CONNACK_REASON, f"0x{reason:02x}", pos - 1)
    if acknowledge_flags and reason:  # [MQTT5-3.2.2-6] [MQTT3-3.2.2-4]
        seen = f"reason code 0x{reason:02x}"
        raise ProtocolViolation(rules.SESSION_PRESENT_IN_REFUSAL, seen, pos - 1)
    properties = None
    if version == 5:
        properties, pos = read_properties(data, pos, end, CONNACK)
    if pos != end:
        raise ProtocolViolation(rules.TRAILING_BYTES, f"{end - pos} bytes", pos)
    return Connack(acknowledge_flags == 1, reason, properties)


def encode_connack(connack: Connack, version: int) -> bytes:
    """Encode; a 3.x client gets the return code nearest to the reason, a 3.1 client no flags."""
    if version == 5:
        body = bytearray((connack.session_present, connack.reason))
        write_properties(body, connack.properties)
        return framed(CONNACK << 4, body)
    present = connack.session_present and version != 3
    code = CONNACK_RETURN_CODES.get(connack.reason, connack.reason if connack.reason < 0x80 else 3)
    return bytes((CONNACK << 4, 2, present, code))
