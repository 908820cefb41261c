"""Where packets begin and end in a stream of bytes (5.0, 2.1.4; 3.1.1, 2.2.3)."""

from collections.abc import Iterator

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.packet_types import PACKET_NAMES


def read_remaining_length(data: bytes, pos: int, end: int, version: int = 0) -> tuple[int, int]:
    """Read the Remaining Length at `pos`, the second byte of a packet.

    Only 5.0 demands the shortest form, so a longer one passes for other versions and while the
    version is not known.

    Returns:
        (length, next position); the length is -1 when data[pos:end] ends inside it.
    """
    length = shift = 0
    for place in range(pos, min(pos + 4, end)):
        byte = data[place]
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            if not byte and shift and version == 5:  # [MQTT5-1.5.5-1]
                seen = f"Remaining Length {data[pos : place + 1].hex()}"
                raise ProtocolViolation(rules.VARIABLE_NOT_MINIMAL, seen, 1)
            return length, place + 1
        shift += 7
    if pos + 4 > end:
        return -1, pos
    raise ProtocolViolation(
        rules.VARIABLE_TOO_LONG, f"Remaining Length {data[pos : pos + 4].hex()}", 1
    )


class PacketReader:
    """Cuts what arrives into packets and keeps the rest for the next time.

    Attributes:
        limit:   bytes that a packet may have, its fixed header included.
        version: protocol level once it is known; 0 before.
    """

    __slots__ = ("_chunks", "_size", "_wanted", "limit", "version")

    def __init__(self, limit: int, version: int = 0) -> None:
        self.limit = limit
        self.version = version
        self._chunks: list[bytes] = []
        self._size = 0
        self._wanted = 0  # bytes that `_chunks` needs before it is worth joining

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes, int, int]]:
        """Give (byte 1, data, pos, end) of each packet that `chunk` completes.

        Its body is data[pos:end]. The iterator must be run to its end. `limit` and `version` may
        change in between; they hold from the next packet on.

        Raises:
            ProtocolViolation: PACKET_TOO_LARGE as soon as the length is known, VARIABLE_TOO_LONG,
                VARIABLE_NOT_MINIMAL.
        """
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size < self._wanted:
            return
        data = chunk if len(self._chunks) == 1 else b"".join(self._chunks)
        pos, end = 0, len(data)
        wanted = 2
        while end - pos >= 2:
            length, body = read_remaining_length(data, pos + 1, end, self.version)
            if length < 0:
                wanted = end - pos + 1
                break
            stop = body + length
            if stop - pos > self.limit:
                seen = f"{PACKET_NAMES[data[pos] >> 4]} of {stop - pos} bytes, limit {self.limit}"
                raise ProtocolViolation(rules.PACKET_TOO_LARGE, seen, 1)
            if stop > end:
                wanted = stop - pos
                break
            yield data[pos], data, body, stop
            pos = stop
        self._chunks = [data[pos:]] if pos < end else []
        self._size = end - pos
        self._wanted = wanted
