"""Packets made before the clock starts: what the load generator sends and expects, as bytes.

The generator writes its own packets instead of using `formats`, so that a mistake there cannot hide
here. A payload is a publisher number, a two byte counter (bytes from 0x80 up, seven bits each) and
padding. Packet ids run from 1 to the table's length, so that sending and comparing is slicing one
bytes object.
"""

from collections.abc import Iterable

CONNACK, SUBACK, UNSUBACK, PINGRESP = 0x20, 0x90, 0xB0, 0xD0  # first bytes
PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
ACK_SIZE = 4  # bytes of an acknowledgement without reason code
READ_SIZE = 256 * 1024  # bytes asked of the kernel at once
SMALL_READ_SIZE = 16 * 1024  # where there are hundreds of receivers
PAYLOAD_HEAD = 3  # bytes: publisher number, counter
# 5.0: a user property, and topic alias 1, which the first packet of a connection gives a topic.
USER_PROPERTY = b"\x26\x00\x04unit\x00\x07celsius"
TOPIC_ALIAS = b"\x23\x00\x01"
SUBSCRIPTION_IDENTIFIER = b"\x0b\x07"


def remaining_length(length: int) -> bytes:
    """The variable byte integer of a fixed header."""
    encoded = bytearray()
    while True:
        length, digit = length >> 7, length & 0x7F
        encoded.append(digit | 0x80 if length else digit)
        if not length:
            return bytes(encoded)


def text(value: str) -> bytes:
    """A UTF-8 string with its two byte length."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def packet(first_byte: int, body: bytes) -> bytes:
    """A packet: fixed header and the rest."""
    return bytes((first_byte,)) + remaining_length(len(body)) + body


def properties(version: int, encoded: bytes = b"") -> bytes:
    """Properties with their length; nothing before 5.0."""
    return remaining_length(len(encoded)) + encoded if version == 5 else b""


def connect_packet(client_id: str, version: int, kept: bool = False) -> bytes:
    """A CONNECT with a clean session, or one that is kept, and a keep alive of 300 seconds;
    `version` is the level."""
    expiry = properties(version, b"\x11\xff\xff\xff\xff" if kept else b"")
    flags = 0x00 if kept else 0x02
    head = text("MQTT") + bytes((version, flags)) + (300).to_bytes(2, "big")
    return packet(0x10, head + expiry + text(client_id))


def subscribe_packet(
    packet_id: int, topic_filters: Iterable[str], qos: int, version: int, encoded: bytes = b""
) -> bytes:
    """A SUBSCRIBE of some topic filters; `encoded` are its properties in 5.0."""
    filters = b"".join(text(topic_filter) + bytes((qos,)) for topic_filter in topic_filters)
    return packet(0x82, packet_id.to_bytes(2, "big") + properties(version, encoded) + filters)


def unsubscribe_packet(packet_id: int, topic_filter: str, version: int) -> bytes:
    """An UNSUBSCRIBE of one topic filter."""
    return packet(0xA2, packet_id.to_bytes(2, "big") + properties(version) + text(topic_filter))


def publish_packets(
    topics: list[str],
    payload_size: int,
    qos: int,
    version: int,
    publisher: int = 0,
    encoded: bytes = b"",
) -> list[bytes]:
    """One publisher's PUBLISH packets, which it repeats; the topics in turn."""
    count = packets_in_table(payload_size) // len(topics) * len(topics)
    between = properties(version, encoded)
    padding = b"x" * (payload_size - PAYLOAD_HEAD)
    heads = [text(topic) for topic in topics]
    packets = []
    for index in range(count):
        packet_id = (index + 1).to_bytes(2, "big") if qos else b""
        payload = bytes((0x80 | publisher, 0x80 | index >> 7, 0x80 | index & 0x7F)) + padding
        body = heads[index % len(heads)] + packet_id + between + payload
        packets.append(packet(0x30 | qos << 1, body))
    return packets


def packets_in_table(payload_size: int) -> int:
    """More than any window, and not more than 32 MiB."""
    return 4096 if payload_size <= 1024 else min(1024, 2**25 // payload_size)


class PublishTable:
    """Packets of one size in one bytes object, which repeats at its end.

    `stream[p : p + read_size]` is a plain slice for every `p` below `length`.
    """

    def __init__(self, packets: list[bytes], read_size: int = READ_SIZE) -> None:
        once = b"".join(packets)
        self.packets = packets
        self.read_size = read_size
        self.count = len(packets)
        self.size = len(packets[0])  # bytes of one packet
        self.length = len(once)  # bytes before it repeats
        copies, rest = divmod(read_size, self.length)
        self.stream = once * (1 + copies) + once[:rest]


class DeliveryTable(PublishTable):
    """What a subscriber gets, in that order, with what is constant in it taken apart."""

    def __init__(
        self, packets: list[bytes], payload_size: int, qos: int, read_size: int = READ_SIZE
    ) -> None:
        super().__init__(packets, read_size)
        first = packets[0]
        self.first_byte = first[0]
        self.payload_at = self.size - payload_size
        topic_at = 2
        while first[topic_at - 1] & 0x80:
            topic_at += 1
        topic_size = int.from_bytes(first[topic_at : topic_at + 2], "big")
        self.packet_id_at = topic_at + 2 + topic_size
        self.head = first[: self.packet_id_at]
        self.buffer_size = max(read_size, 2 * self.size)
        longest = self.buffer_size // self.size + 2  # packets in one buffer, at most
        repeats = 2 + longest // self.count
        counter = self.payload_at + 1
        self.counter_high = bytes(packet[counter] for packet in packets) * repeats
        self.counter_low = bytes(packet[counter + 1] for packet in packets) * repeats
        self.first_bytes = bytes((self.first_byte,)) * longest
        after_id = self.packet_id_at + (2 if qos else 0)
        self.between = first[after_id : self.payload_at]  # properties, where there are some
        self.padding = first[self.payload_at + PAYLOAD_HEAD :]
