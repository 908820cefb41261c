"""PUBLISH (5.0 and 3.1.1, section 3.3)."""

from dataclasses import dataclass

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.fields import locate, packet_start, read_text, write_variable
from formats.mqtt.properties import TOPIC_ALIAS, Properties
from formats.mqtt.publish_properties import encoded_properties, read_publish_properties

PUBLISH = 0x30  # fixed header byte 1 without its flags


@dataclass(slots=True)
class Publish:
    """A message on its way, as it stands in one packet.

    Attributes:
        topic:      Topic Name; "" where a 5.0 Topic Alias stands for it (3.3.2.1).
        payload:    application message, 0 bytes or more, never inspected.
        qos:        0, 1 or 2.
        retain:     the RETAIN flag (3.3.1.3).
        dup:        the DUP flag (3.3.1.1).
        packet_id:  1 to 65535, or 0 when qos is 0.
        properties: 5.0 properties by identifier; None in 3.x and when there are none.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties | None = None


def decode_publish(flags: int, data: bytes, pos: int, end: int, version: int) -> Publish:
    """Decode the packet body data[pos:end].

    Raises:
        ProtocolViolation: PUBLISH_QOS_3, PUBLISH_DUP_QOS_0, PUBLISH_WILDCARD, TOPIC_EMPTY,
            TOPIC_MISSING, PACKET_ID_ZERO, or what the field and property readers raise.
    """
    body = pos
    try:  # as fields.located does, without its call
        qos = flags >> 1 & 3
        if qos == 3:  # [MQTT5-3.3.1-4] [MQTT3-3.3.1-4]
            raise ProtocolViolation(rules.PUBLISH_QOS_3, f"{flags:04b}", packet_start(pos, end))
        if not qos and flags & 8 and version > 3:  # [MQTT5-3.3.1-2] [MQTT3-3.3.1-2]
            raise ProtocolViolation(rules.PUBLISH_DUP_QOS_0, "", packet_start(pos, end))
        topic, pos = read_text(data, pos, end)  # [MQTT5-3.3.2-1] [MQTT3-3.3.2-1]
        if "#" in topic or "+" in topic:  # [MQTT5-3.3.2-2] [MQTT3-3.3.2-2]
            raise ProtocolViolation(rules.PUBLISH_WILDCARD, topic, body)
        packet_id = 0
        if qos:
            if pos + 2 > end:
                raise ProtocolViolation(rules.TRUNCATED, f"{end - pos} of 2 bytes", pos)
            packet_id = data[pos] << 8 | data[pos + 1]
            if not packet_id:  # [MQTT5-2.2.1-3] [MQTT3-2.3.1-1]
                raise ProtocolViolation(rules.PACKET_ID_ZERO, "PUBLISH", pos)
            pos += 2
        properties = None
        if version == 5:
            properties, pos = read_publish_properties(data, pos, end)
        if not topic:
            if version != 5:  # [MQTT3-4.7.3-1]
                raise ProtocolViolation(rules.TOPIC_EMPTY, "PUBLISH", body)
            if not properties or TOPIC_ALIAS not in properties:  # [U5-3.3.2.1-1]
                raise ProtocolViolation(rules.TOPIC_MISSING, "", body)
    except ProtocolViolation as violation:
        locate(violation, body, end)
        raise
    return Publish(topic, data[pos:end], qos, flags & 1 == 1, flags & 8 == 8, packet_id, properties)


def encode_publish(publish: Publish, version: int) -> bytes:
    """Encode the whole packet."""
    head, tail = encode_publish_parts(
        publish.topic, publish.payload, publish.qos, publish.retain, version, publish.properties
    )
    if publish.dup:
        head = bytes((head[0] | 8,)) + head[1:]
    if publish.qos:
        return b"%b%b%b" % (head, publish.packet_id.to_bytes(2, "big"), tail)
    return head


def encode_publish_parts(
    topic: str,
    payload: bytes,
    qos: int,
    retain: bool,
    version: int,
    properties: Properties | None,
) -> tuple[bytes, bytes]:
    """Encode up to where the packet identifier goes, and from there on.

    Head and tail are the same for every receiver, the two bytes between them are not. At QoS 0
    there is no packet identifier [MQTT5-2.2.1-2] [MQTT3-2.3.1-5]: the head is the whole packet, the
    tail empty. To send it again, the head's first byte needs 8, the DUP flag.
    """
    return join_publish(
        topic, payload, qos, retain, encoded_properties(properties) if version == 5 else b""
    )


def join_publish(
    topic: str, payload: bytes, qos: int, retain: bool, properties: bytes
) -> tuple[bytes, bytes]:
    """`encode_publish_parts` with Property Length and properties as bytes; none at all in 3.x."""
    # A lone surrogate is written as it is, to send it on purpose.
    name = topic.encode("utf-8", "surrogatepass")
    byte1 = PUBLISH | qos << 1 | (1 if retain else 0)
    length = 2 + len(name) + (2 if qos else 0) + len(properties) + len(payload)
    if length < 0x80:  # as `write_variable` does, for the lengths that nearly all have
        start = bytes((byte1, length))
    elif length < 0x4000:
        start = bytes((byte1, length & 0x7F | 0x80, length >> 7))
    else:
        head = bytearray((byte1,))
        write_variable(head, length)
        start = bytes(head)
    size = len(name).to_bytes(2, "big")
    if qos:
        return b"".join((start, size, name)), properties + payload
    return b"".join((start, size, name, properties, payload)), b""
