"""Packets made before the clock starts: what the load generator sends and expects, as bytes.

The generator writes its own packets instead of using `formats`, so that a mistake there cannot hide
here. A payload is a publisher number, a two byte counter (bytes from 0x80 up, seven bits each) and
padding. Packet ids run from 1 to the table's length, so that sending and comparing is slicing one
bytes object.
"""

CONNACK, SUBACK, PINGRESP = 0x20, 0x90, 0xD0  # first bytes
PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
ACK_SIZE = 4  # bytes of an acknowledgement without reason code
READ_SIZE = 256 * 1024  # bytes asked of the kernel at once
SMALL_TABLE, LARGE_TABLE = 4096, 256  # packets; payloads above 1 KiB take the second
PAYLOAD_HEAD = 3  # bytes: publisher number, counter


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


def connect_packet(client_id: str, version: int, kept: bool = False) -> bytes:
    """A CONNECT with a clean session, or one that is kept, and a keep alive of 300 seconds;
    `version` is the level."""
    properties = b""
    if version == 5:
        properties = b"\x05\x11\xff\xff\xff\xff" if kept else b"\x00"
    flags = 0x00 if kept else 0x02
    head = text("MQTT") + bytes((version, flags)) + (300).to_bytes(2, "big")
    return packet(0x10, head + properties + text(client_id))


def subscribe_packet(packet_id: int, topic_filter: str, qos: int, version: int) -> bytes:
    """A SUBSCRIBE of one topic filter."""
    properties = b"\x00" if version == 5 else b""
    body = packet_id.to_bytes(2, "big") + properties + text(topic_filter) + bytes((qos,))
    return packet(0x82, body)


class PublishTable:
    """All the PUBLISH packets of one publisher in one bytes object, which repeats at its end.

    `stream[p : p + READ_SIZE]` is a plain slice for every `p` below `length`.
    """

    def __init__(
        self, topic: str, payload_size: int, qos: int, version: int, publisher: int = 0
    ) -> None:
        self.count = SMALL_TABLE if payload_size <= 1024 else LARGE_TABLE  # packets
        head = text(topic)
        properties = b"\x00" if version == 5 else b""
        padding = b"x" * (payload_size - PAYLOAD_HEAD)
        packets = []
        for index in range(self.count):
            packet_id = (index + 1).to_bytes(2, "big") if qos else b""
            payload = bytes((0x80 | publisher, 0x80 | index >> 7, 0x80 | index & 0x7F)) + padding
            packets.append(packet(0x30 | qos << 1, head + packet_id + properties + payload))
        once = b"".join(packets)
        self.size = len(packets[0])  # bytes of one packet
        self.length = len(once)  # bytes before it repeats
        self.stream = once * 2 if self.length >= READ_SIZE else once * (2 + READ_SIZE // len(once))
        self.first_byte = 0x30 | qos << 1
        self.payload_at = self.size - payload_size
        self.head = packets[0][: self.payload_at - len(properties) - (2 if qos else 0)]
        self.packet_id_at = len(self.head)
        counters = range(self.count)
        longest = READ_SIZE // self.size + 2  # packets in one read, at most
        repeats = 2 + longest // self.count
        self.counter_high = bytes(0x80 | index >> 7 for index in counters) * repeats
        self.counter_low = bytes(0x80 | index & 0x7F for index in counters) * repeats
        self.first_bytes = bytes((self.first_byte,)) * longest
        self.padding = padding
