"""SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (5.0 and 3.1.1, sections 3.8 to 3.11)."""

from dataclasses import dataclass

from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.fields import (
    framed,
    located,
    packet_start,
    read_text,
    read_u16,
    write_text,
    write_u16,
)
from formats.mqtt.packet_types import SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE
from formats.mqtt.properties import Properties, read_properties, write_properties
from formats.mqtt.reasons import ALLOWED
from formats.mqtt.topics import check_topic_filter, parse_shared

FAILURE = 0x80  # the only SUBACK return code of 3.1.1 that is not a granted QoS


@dataclass(slots=True)
class Subscription:
    """A topic filter and its subscription options (3.8.3.1); 3.x has no options but the QoS."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(slots=True)
class Subscribe:
    """A request for one or more subscriptions."""

    packet_id: int
    subscriptions: list[Subscription]
    properties: Properties | None = None


@dataclass(slots=True)
class Suback:
    """The answer to SUBSCRIBE: one reason code for each subscription, in order."""

    packet_id: int
    reasons: list[int]
    properties: Properties | None = None


@dataclass(slots=True)
class Unsubscribe:
    """A request to end one or more subscriptions."""

    packet_id: int
    topic_filters: list[str]
    properties: Properties | None = None


@dataclass(slots=True)
class Unsuback:
    """The answer to UNSUBSCRIBE: one reason code for each topic filter, in order; none in 3.x."""

    packet_id: int
    reasons: list[int]
    properties: Properties | None = None


@located
def decode_subscribe(flags: int, data: bytes, pos: int, end: int, version: int) -> Subscribe:
    """Decode the packet body data[pos:end].

    Raises:
        ProtocolViolation: SUBSCRIBE_FLAGS, PACKET_ID_ZERO, SUBSCRIBE_EMPTY, SUBSCRIBE_QOS_3,
            SUBSCRIBE_RESERVED_BITS, RETAIN_HANDLING_3, SHARED_NO_LOCAL, or what the field
            and property readers and `topics` raise.
    """
    _check_request_flags(flags, rules.SUBSCRIBE_FLAGS, pos, end, version)
    packet_id, properties, pos = _read_request(SUBSCRIBE, data, pos, end, version)
    if pos == end:  # [MQTT5-3.8.3-2] [MQTT3-3.8.3-3]
        raise ProtocolViolation(rules.SUBSCRIBE_EMPTY, "", pos)
    subscriptions = []
    while pos < end:
        topic_filter, pos = _read_filter(data, pos, end)
        if pos == end:
            raise ProtocolViolation(rules.TRUNCATED, "no subscription options", pos)
        options = data[pos]
        qos = options & 3
        if qos == 3:  # [U5-3.8.3.1-1] [MQTT3-3.8.3-4]
            raise ProtocolViolation(rules.SUBSCRIBE_QOS_3, f"{options:08b}", pos)
        if version == 5:
            subscription = Subscription(
                topic_filter, qos, options & 4 == 4, options & 8 == 8, options >> 4 & 3
            )
            _check_options(subscription, options, pos)
        else:
            if version == 4 and options > 2:  # [MQTT3-3.8.3-4]; 3.1 does not use the bits
                raise ProtocolViolation(rules.SUBSCRIBE_RESERVED_BITS, f"{options:08b}", pos)
            subscription = Subscription(topic_filter, qos)
        subscriptions.append(subscription)
        pos += 1
    return Subscribe(packet_id, subscriptions, properties)


def _check_options(subscription: Subscription, options: int, pos: int) -> None:
    """Refuse what 5.0 forbids in the subscription options (3.8.3.1)."""
    if options & 0xC0:  # [MQTT5-3.8.3-5]
        raise ProtocolViolation(rules.SUBSCRIBE_RESERVED_BITS, f"{options:08b}", pos)
    if subscription.retain_handling == 3:  # [U5-3.8.3.1-2]
        raise ProtocolViolation(rules.RETAIN_HANDLING_3, f"{options:08b}", pos)
    shared = parse_shared(subscription.topic_filter)
    if shared and subscription.no_local:  # [MQTT5-3.8.3-4]
        raise ProtocolViolation(rules.SHARED_NO_LOCAL, subscription.topic_filter, pos)


def _check_request_flags(flags: int, rule: Rule, pos: int, end: int, version: int) -> None:
    """Refuse reserved flags; in 3.1 only the QoS, 1, counts, and DUP may be set."""
    # [MQTT5-3.8.1-1] [MQTT5-3.10.1-1] [MQTT3-3.8.1-1] [MQTT3-3.10.1-1]
    if (flags & 6 if version == 3 else flags) != 2:
        raise ProtocolViolation(rule, f"{flags:04b}", packet_start(pos, end))


def _read_request(
    packet_type: int, data: bytes, pos: int, end: int, version: int
) -> tuple[int, Properties | None, int]:
    """Packet identifier and properties, and where the payload begins."""
    start = pos
    packet_id, pos = read_u16(data, pos, end)
    if not packet_id:  # [MQTT5-2.2.1-3] [MQTT3-2.3.1-1]
        raise ProtocolViolation(rules.PACKET_ID_ZERO, "", start)
    properties = None
    if version == 5:
        properties, pos = read_properties(data, pos, end, packet_type)
    return packet_id, properties, pos


def _read_filter(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """A topic filter that is well-formed, and where it ends."""
    topic_filter, stop = read_text(data, pos, end)
    try:
        check_topic_filter(topic_filter)
    except ProtocolViolation as violation:
        violation.offset = pos
        raise
    return topic_filter, stop


def encode_subscribe(subscribe: Subscribe, version: int) -> bytes:
    """Encode; 3.x has no room for options other than the QoS."""
    body = _request(subscribe.packet_id, subscribe.properties, version)
    for subscription in subscribe.subscriptions:
        write_text(body, subscription.topic_filter)
        options = subscription.qos
        if version == 5:
            options |= subscription.no_local << 2 | subscription.retain_as_published << 3
            options |= subscription.retain_handling << 4
        body.append(options & 0xFF)
    return framed(SUBSCRIBE << 4 | 2, body)


def _request(packet_id: int, properties: Properties | None, version: int) -> bytearray:
    body = bytearray()
    write_u16(body, packet_id)
    if version == 5:
        write_properties(body, properties)
    return body


@located
def decode_suback(flags: int, data: bytes, pos: int, end: int, version: int) -> Suback:
    """Decode the packet body data[pos:end].

    Raises:
        ProtocolViolation: FLAGS_RESERVED, SUBSCRIPTION_ACKNOWLEDGED_ID_ZERO, SUBACK_EMPTY,
            SUBACK_REASON, or what the field and property readers raise.
    """
    packet_id, properties, pos = _read_answer(SUBACK, flags, data, pos, end, version)
    if pos == end:  # [MQTT5-3.8.4-6] [MQTT3-3.8.4-5]
        raise ProtocolViolation(rules.SUBACK_EMPTY, "", pos)
    for place in range(pos, end):
        reason = data[place]
        if version == 5:
            wrong = reason not in ALLOWED[SUBACK]
        elif version == 4:
            wrong = reason > 2 and reason != FAILURE
        else:
            wrong = reason & 3 == 3  # 3.1 does not use the other bits
        if wrong:  # [MQTT5-3.9.3-2] [MQTT3-3.9.3-2]
            raise ProtocolViolation(rules.SUBACK_REASON, f"0x{reason:02x}", place)
    return Suback(packet_id, list(data[pos:end]), properties)


def _read_answer(
    packet_type: int, flags: int, data: bytes, pos: int, end: int, version: int
) -> tuple[int, Properties | None, int]:
    """Packet identifier and properties, and where the payload begins."""
    if flags and version != 3:  # [MQTT5-2.1.3-1] [MQTT3-2.2.2-2]
        raise ProtocolViolation(rules.FLAGS_RESERVED, f"{flags:04b}", packet_start(pos, end))
    packet_id, pos = read_u16(data, pos, end)
    if not packet_id:  # [MQTT5-2.2.1-6] [MQTT3-2.3.1-7]
        raise ProtocolViolation(rules.SUBSCRIPTION_ACKNOWLEDGED_ID_ZERO, "", pos - 2)
    properties = None
    if version == 5:
        properties, pos = read_properties(data, pos, end, packet_type)
    return packet_id, properties, pos


def encode_suback(suback: Suback, version: int) -> bytes:
    """Encode; 3.1.1 knows one failure, 0x80 [MQTT3-3.9.3-2], and 3.1 none."""
    body = _request(suback.packet_id, suback.properties, version)
    if version == 4:
        body += bytes(min(reason, FAILURE) for reason in suback.reasons)
    else:
        body += bytes(suback.reasons)
    return framed(SUBACK << 4, body)


@located
def decode_unsubscribe(flags: int, data: bytes, pos: int, end: int, version: int) -> Unsubscribe:
    """Decode the packet body data[pos:end].

    Raises:
        ProtocolViolation: UNSUBSCRIBE_FLAGS, PACKET_ID_ZERO, UNSUBSCRIBE_EMPTY, or what the field
            and property readers and `topics` raise.
    """
    _check_request_flags(flags, rules.UNSUBSCRIBE_FLAGS, pos, end, version)
    packet_id, properties, pos = _read_request(UNSUBSCRIBE, data, pos, end, version)
    if pos == end:  # [MQTT5-3.10.3-2] [MQTT3-3.10.3-2]
        raise ProtocolViolation(rules.UNSUBSCRIBE_EMPTY, "", pos)
    topic_filters = []
    while pos < end:
        topic_filter, pos = _read_filter(data, pos, end)
        if version == 5:
            parse_shared(topic_filter)
        topic_filters.append(topic_filter)
    return Unsubscribe(packet_id, topic_filters, properties)


def encode_unsubscribe(unsubscribe: Unsubscribe, version: int) -> bytes:
    """Encode the whole packet."""
    body = _request(unsubscribe.packet_id, unsubscribe.properties, version)
    for topic_filter in unsubscribe.topic_filters:
        write_text(body, topic_filter)
    return framed(UNSUBSCRIBE << 4 | 2, body)


@located
def decode_unsuback(flags: int, data: bytes, pos: int, end: int, version: int) -> Unsuback:
    """Decode the packet body data[pos:end].

    Raises:
        ProtocolViolation: FLAGS_RESERVED, SUBSCRIPTION_ACKNOWLEDGED_ID_ZERO, UNSUBACK_EMPTY,
            UNSUBACK_REASON, TRAILING_BYTES in 3.x, or what the field and property readers raise.
    """
    packet_id, properties, pos = _read_answer(UNSUBACK, flags, data, pos, end, version)
    if version != 5:
        if pos != end:
            raise ProtocolViolation(rules.TRAILING_BYTES, f"{end - pos} bytes", pos)
        return Unsuback(packet_id, [])
    if pos == end:  # [MQTT5-3.11.3-2]
        raise ProtocolViolation(rules.UNSUBACK_EMPTY, "", pos)
    for place in range(pos, end):
        if data[place] not in ALLOWED[UNSUBACK]:  # [MQTT5-3.11.3-2]
            raise ProtocolViolation(rules.UNSUBACK_REASON, f"0x{data[place]:02x}", place)
    return Unsuback(packet_id, list(data[pos:end]), properties)


def encode_unsuback(unsuback: Unsuback, version: int) -> bytes:
    """Encode; in 3.x it has no payload."""
    body = _request(unsuback.packet_id, unsuback.properties, version)
    if version == 5:
        body += bytes(unsuback.reasons)
    return framed(UNSUBACK << 4, body)
