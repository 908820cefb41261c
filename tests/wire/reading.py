"""Bytes to packets, the way a connection does it."""

from formats.mqtt.codec import decode
from formats.mqtt.stream import PacketReader

LIMIT = 1_000_000  # bytes


def decode_all(chunks, version):
    """The packets in a stream that arrives in these chunks."""
    reader = PacketReader(LIMIT, version)
    return [
        decode(byte1, data, pos, end, version)
        for chunk in chunks
        for byte1, data, pos, end in reader.feed(chunk)
    ]
