"""Properties (5.0, section 2.2.2).

Decoded properties are a dictionary from identifier to value: an int, str or bytes by the property's
type. User Property's value is a list of (name, value) pairs in their order, Subscription
Identifier's a list of ints. To write one, any property may have a list, and goes out once for each
element; an identifier that is not in the table writes its value, bytes, as it is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.fields import (
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
from formats.mqtt.packet_types import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    WILL,
)
from formats.mqtt.property_rules import OUT_OF_RANGE, REPEATED

Properties = dict[int, Any]

PAYLOAD_FORMAT_INDICATOR = 0x01
MESSAGE_EXPIRY_INTERVAL = 0x02
CONTENT_TYPE = 0x03
RESPONSE_TOPIC = 0x08
CORRELATION_DATA = 0x09
SUBSCRIPTION_IDENTIFIER = 0x0B
SESSION_EXPIRY_INTERVAL = 0x11
ASSIGNED_CLIENT_IDENTIFIER = 0x12
SERVER_KEEP_ALIVE = 0x13
AUTHENTICATION_METHOD = 0x15
AUTHENTICATION_DATA = 0x16
REQUEST_PROBLEM_INFORMATION = 0x17
WILL_DELAY_INTERVAL = 0x18
REQUEST_RESPONSE_INFORMATION = 0x19
RESPONSE_INFORMATION = 0x1A
SERVER_REFERENCE = 0x1C
REASON_STRING = 0x1F
RECEIVE_MAXIMUM = 0x21
TOPIC_ALIAS_MAXIMUM = 0x22
TOPIC_ALIAS = 0x23
MAXIMUM_QOS = 0x24
RETAIN_AVAILABLE = 0x25
USER_PROPERTY = 0x26
MAXIMUM_PACKET_SIZE = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
SHARED_SUBSCRIPTION_AVAILABLE = 0x2A

BYTE = "Byte"
TWO_BYTES = "Two Byte Integer"
FOUR_BYTES = "Four Byte Integer"
VARIABLE = "Variable Byte Integer"
TEXT = "UTF-8 Encoded String"
BINARY = "Binary Data"
PAIR = "UTF-8 String Pair"


class Property(NamedTuple):
    """A row of table 2-4.

    Attributes:
        packets:  packet types it may be in; WILL for the Will Properties.
        repeats:  packet types in which it may be more than once.
        low, high: what the value must be within; None where the type says it all.
    """

    identifier: int
    name: str
    type: str
    packets: frozenset[int]
    repeats: frozenset[int] = frozenset()
    low: int | None = None
    high: int | None = None

    def range_rule(self, packet_type: int) -> Rule:
        """The rule that limits its value in this packet."""
        return OUT_OF_RANGE[packet_type, self.identifier]


def _packets(*packet_types: int) -> frozenset[int]:
    return frozenset(packet_types)


_PUBLISH = _packets(PUBLISH, WILL)
_CONNECT = _packets(CONNECT, CONNACK)
_CONNACK = _packets(CONNACK)
_AUTH = _packets(CONNECT, CONNACK, AUTH)
_ANSWERS = _packets(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)
_ALL = _ANSWERS | {CONNECT, WILL, PUBLISH, SUBSCRIBE, UNSUBSCRIBE}

PROPERTIES: tuple[Property, ...] = (
    Property(PAYLOAD_FORMAT_INDICATOR, "Payload Format Indicator", BYTE, _PUBLISH, low=0, high=1),
    Property(MESSAGE_EXPIRY_INTERVAL, "Message Expiry Interval", FOUR_BYTES, _PUBLISH),
    Property(CONTENT_TYPE, "Content Type", TEXT, _PUBLISH),  # [MQTT5-3.3.2-19]
    Property(RESPONSE_TOPIC, "Response Topic", TEXT, _PUBLISH),  # [MQTT5-3.3.2-13]
    Property(CORRELATION_DATA, "Correlation Data", BINARY, _PUBLISH),
    Property(
        SUBSCRIPTION_IDENTIFIER,
        "Subscription Identifier",
        VARIABLE,
        _packets(PUBLISH, SUBSCRIBE),
        repeats=_packets(PUBLISH),
        low=1,
        high=268_435_455,
    ),
    Property(
        SESSION_EXPIRY_INTERVAL,
        "Session Expiry Interval",
        FOUR_BYTES,
        _packets(CONNECT, CONNACK, DISCONNECT),
    ),
    Property(ASSIGNED_CLIENT_IDENTIFIER, "Assigned Client Identifier", TEXT, _CONNACK),
    Property(SERVER_KEEP_ALIVE, "Server Keep Alive", TWO_BYTES, _CONNACK),
    Property(AUTHENTICATION_METHOD, "Authentication Method", TEXT, _AUTH),
    Property(AUTHENTICATION_DATA, "Authentication Data", BINARY, _AUTH),
    Property(
        REQUEST_PROBLEM_INFORMATION,
        "Request Problem Information",
        BYTE,
        _packets(CONNECT),
        low=0,
        high=1,
    ),
    Property(WILL_DELAY_INTERVAL, "Will Delay Interval", FOUR_BYTES, _packets(WILL)),
    Property(
        REQUEST_RESPONSE_INFORMATION,
        "Request Response Information",
        BYTE,
        _packets(CONNECT),
        low=0,
        high=1,
    ),
    Property(RESPONSE_INFORMATION, "Response Information", TEXT, _CONNACK),
    Property(SERVER_REFERENCE, "Server Reference", TEXT, _packets(CONNACK, DISCONNECT)),
    Property(REASON_STRING, "Reason String", TEXT, _ANSWERS),
    Property(RECEIVE_MAXIMUM, "Receive Maximum", TWO_BYTES, _CONNECT, low=1, high=65_535),
    Property(TOPIC_ALIAS_MAXIMUM, "Topic Alias Maximum", TWO_BYTES, _CONNECT),
    Property(TOPIC_ALIAS, "Topic Alias", TWO_BYTES, _packets(PUBLISH), low=1, high=65_535),
    Property(MAXIMUM_QOS, "Maximum QoS", BYTE, _CONNACK, low=0, high=1),
    Property(RETAIN_AVAILABLE, "Retain Available", BYTE, _CONNACK, low=0, high=1),
    Property(USER_PROPERTY, "User Property", PAIR, _ALL, repeats=_ALL),
    Property(
        MAXIMUM_PACKET_SIZE,
        "Maximum Packet Size",
        FOUR_BYTES,
        _CONNECT,
        low=1,
        high=0xFFFFFFFF,
    ),
    Property(
        WILDCARD_SUBSCRIPTION_AVAILABLE,
        "Wildcard Subscription Available",
        BYTE,
        _CONNACK,
        low=0,
        high=1,
    ),
    Property(
        SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        "Subscription Identifier Available",
        BYTE,
        _CONNACK,
        low=0,
        high=1,
    ),
    Property(
        SHARED_SUBSCRIPTION_AVAILABLE,
        "Shared Subscription Available",
        BYTE,
        _CONNACK,
        low=0,
        high=1,
    ),
)


def _read_pair(data: bytes, pos: int, end: int) -> tuple[tuple[str, str], int]:
    name, pos = read_text(data, pos, end)  # [MQTT5-1.5.7-1]
    value, pos = read_text(data, pos, end)
    return (name, value), pos


def _write_pair(out: bytearray, pair: tuple[str, str]) -> None:
    write_text(out, pair[0])
    write_text(out, pair[1])


_READERS: dict[str, Callable[[bytes, int, int], tuple[Any, int]]] = {
    BYTE: read_u8,
    TWO_BYTES: read_u16,
    FOUR_BYTES: read_u32,
    VARIABLE: read_variable,
    TEXT: read_text,
    BINARY: read_binary,
    PAIR: _read_pair,
}
_WRITERS: dict[str, Callable[[bytearray, Any], None]] = {
    BYTE: bytearray.append,
    TWO_BYTES: write_u16,
    FOUR_BYTES: write_u32,
    VARIABLE: write_variable,
    TEXT: write_text,
    BINARY: write_binary,
    PAIR: _write_pair,
}
_ROWS = {row.identifier: (row, _READERS[row.type], _WRITERS[row.type]) for row in PROPERTIES}
# What reading looks at of a row: in a tuple, since an attribute of a row takes a call.
_READ = {
    row.identifier: (row, row.packets, row.low is not None, _READERS[row.type])
    for row in PROPERTIES
}
_LISTS = (USER_PROPERTY, SUBSCRIPTION_IDENTIFIER)


def property_name(identifier: int) -> str:
    """The standard's name of a property, or its number."""
    found = _ROWS.get(identifier)
    return found[0].name if found else f"property 0x{identifier:02x}"


def read_properties(
    data: bytes, pos: int, end: int, packet_type: int
) -> tuple[Properties | None, int]:
    """Read Property Length and the properties that follow it; None when there are none.

    Raises:
        ProtocolViolation: PROPERTY_UNKNOWN, PROPERTY_NOT_ALLOWED, RESPONSE_TOPIC_WILDCARD,
            TOPIC_EMPTY for a Response Topic, those of `property_rules`, or what the field readers
            raise.
    """
    if pos < end and not data[pos]:
        return None, pos + 1
    length, pos = read_length(data, pos, end)
    properties: Properties = {}
    read_into(properties, data, pos, pos + length, packet_type)
    return properties or None, pos + length


def read_length(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a Property Length, so many bytes of which are there."""
    length, start = read_variable(data, pos, end)
    if start + length > end:
        seen = f"{end - start} of {length} bytes of properties"
        raise ProtocolViolation(rules.TRUNCATED, seen, pos)
    return length, start


def read_into(properties: Properties, data: bytes, pos: int, stop: int, packet_type: int) -> int:
    """Read the properties data[pos:stop]; returns where the Topic Alias starts, -1 without one.

    Raises:
        ProtocolViolation: as `read_properties` does.
    """
    alias_at = -1
    while pos < stop:
        start = pos
        identifier = data[pos]
        if identifier & 0x80:  # no property has two bytes of identifier
            identifier, pos = read_variable(data, pos, stop)
        else:
            pos += 1
        found = _READ.get(identifier)
        if found is None:  # [U5-2.2.2.2-1]
            raise ProtocolViolation(rules.PROPERTY_UNKNOWN, f"0x{identifier:02x}", start)
        row, packets, limited, read = found
        if packet_type not in packets:  # [U5-2.2.2.2-1]
            place = PACKET_NAMES[packet_type] if packet_type else "Will Properties"
            raise ProtocolViolation(rules.PROPERTY_NOT_ALLOWED, f"{row.name} in {place}", start)
        value, pos = read(data, pos, stop)
        if limited and row.low is not None and not row.low <= value <= row.high:
            rule = row.range_rule(packet_type)
            raise ProtocolViolation(rule, f"{row.name} {value}", start)
        if identifier in properties:
            if packet_type not in row.repeats:
                raise ProtocolViolation(REPEATED[packet_type, identifier], row.name, start)
            properties[identifier].append(value)
        elif identifier in _LISTS:
            properties[identifier] = [value]
        else:
            properties[identifier] = value
        if identifier == RESPONSE_TOPIC:
            if "+" in value or "#" in value:  # [MQTT5-3.3.2-14]
                raise ProtocolViolation(rules.RESPONSE_TOPIC_WILDCARD, value, start)
            if not value:  # [MQTT5-4.7.3-1]
                raise ProtocolViolation(rules.TOPIC_EMPTY, row.name, start)
        elif identifier == TOPIC_ALIAS:
            alias_at = start
    return alias_at


def write_properties(out: bytearray, properties: Properties | None) -> None:
    """Write Property Length, 0 when there are none [MQTT5-2.2.2-1], and the properties."""
    if not properties:
        out.append(0)
        return
    body = bytearray()
    for identifier, value in properties.items():
        found = _ROWS.get(identifier)
        for one in value if isinstance(value, list) else (value,):
            write_variable(body, identifier)
            if found is None:
                body += one
            else:
                found[2](body, one)
    write_variable(out, len(body))
    out += body
