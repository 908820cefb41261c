"""The properties of a PUBLISH, and the bytes in which they go on to receivers (5.0, 3.3.2.3).

Most of them go out as they came in, and publishers send the same again and again, so that what was
read and checked once is remembered by its bytes, as far as it is short.

Threads: any may read; what is remembered is never changed, and at worst read twice.
"""

from functools import lru_cache
from typing import Any

from formats.mqtt.fields import write_variable
from formats.mqtt.packet_types import PUBLISH
from formats.mqtt.properties import (
    SUBSCRIPTION_IDENTIFIER,
    TOPIC_ALIAS,
    USER_PROPERTY,
    Properties,
    read_into,
    read_length,
    write_properties,
)

REMEMBERED = 1_024
ALIAS_SIZE = 3  # bytes, with the identifier
FEW = 16  # Subscription Identifiers whose bytes are remembered
REMEMBERED_LENGTH = 128  # bytes, without the Property Length, so that what is kept stays bounded
BESIDES = 64  # bytes, about, that a value in a property takes besides its characters


class PublishProperties(dict[int, Any]):
    """Properties by identifier, shared by all messages that have the same: nobody changes them.

    Attributes:
        encoded: as they came, without the Property Length.
        rest:    where there is a Topic Alias, those without it; None when there are none.
        size:    bytes, about, that it takes to keep them.
    """

    __slots__ = ("encoded", "rest", "size")

    encoded: bytes
    rest: "PublishProperties | None"
    size: int


_remembered: dict[bytes, PublishProperties] = {}


def read_publish_properties(
    data: bytes, pos: int, end: int
) -> tuple[PublishProperties | None, int]:
    """Read Property Length and the properties that follow it; None when there are none.

    Raises:
        ProtocolViolation: as `read_properties` does.
    """
    if pos < end and not data[pos]:
        return None, pos + 1
    start = pos + 1
    length = data[pos] if pos < end else 0x80
    if length & 0x80 or start + length > end:
        length, start = read_length(data, pos, end)
    stop = start + length
    body = data[start:stop]
    properties = _remembered.get(body)
    if properties is None:
        properties = PublishProperties()
        alias_at = read_into(properties, data, start, stop, PUBLISH)
        properties.encoded = body
        properties.rest = None
        properties.size = _size_of(properties, length)
        if alias_at >= 0 and len(properties) > 1:
            rest = properties.rest = PublishProperties(properties)
            del rest[TOPIC_ALIAS]
            rest.encoded = data[start:alias_at] + data[alias_at + ALIAS_SIZE : stop]
            rest.size = properties.size - ALIAS_SIZE - BESIDES
        if length <= REMEMBERED_LENGTH:
            if len(_remembered) >= REMEMBERED:
                _remembered.clear()
            _remembered[body] = properties
    return properties, stop


def without_alias(properties: Properties) -> Properties | None:
    """What travels with the message [MQTT5-3.3.2-7]; None when nothing does."""
    if isinstance(properties, PublishProperties):
        return properties.rest
    return {key: value for key, value in properties.items() if key != TOPIC_ALIAS} or None


def properties_size(properties: Properties) -> int:
    """Bytes, about, that it takes to keep them."""
    if isinstance(properties, PublishProperties):
        return properties.size
    characters = sum(len(one) for one in properties.values() if isinstance(one, str | bytes))
    for name, value in properties.get(USER_PROPERTY, ()):
        characters += len(name) + len(value)
    return _size_of(properties, characters)


def _size_of(properties: Properties, characters: int) -> int:
    return characters + BESIDES * (len(properties) + 3 * len(properties.get(USER_PROPERTY, ())))


def encoded_properties(properties: Properties | None, identifiers: tuple[int, ...] = ()) -> bytes:
    """Property Length and properties, with these Subscription Identifiers [MQTT5-3.3.4-3]."""
    if properties is not None and not isinstance(properties, PublishProperties):
        if identifiers:
            properties = {**properties, SUBSCRIPTION_IDENTIFIER: list(identifiers)}
        out = bytearray()
        write_properties(out, properties)
        return bytes(out)
    body = properties.encoded if properties is not None else b""
    if identifiers:
        few = len(identifiers) <= FEW
        body += (_remembered_identifiers if few else _encoded_identifiers)(identifiers)
    size = len(body)
    if size < 0x80:  # [MQTT5-2.2.2-1]
        return b"%c%b" % (size, body)
    length = bytearray()
    write_variable(length, size)
    return bytes(length + body)


def _encoded_identifiers(identifiers: tuple[int, ...]) -> bytes:
    out = bytearray()
    for identifier in identifiers:
        out.append(SUBSCRIPTION_IDENTIFIER)
        write_variable(out, identifier)
    return bytes(out)


_remembered_identifiers = lru_cache(REMEMBERED)(_encoded_identifiers)
