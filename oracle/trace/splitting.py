"""A stream of bytes cut into MQTT packets, whatever is wrong with it.

Unlike the broker's own reader it never gives up: where a Remaining Length is malformed, nobody can
say where the next packet begins, so all that follows is one piece. No byte gets lost.
"""

from typing import NamedTuple

from formats.errors import ProtocolViolation
from formats.mqtt.stream import read_remaining_length

KEPT = 1 << 20  # bytes of one packet that are held in memory; of a longer one, its beginning


class Piece(NamedTuple):
    """A packet, or what cannot be cut any further.

    Attributes:
        data: its bytes, or the first `kept` of them.
        size: how many there were.
    """

    data: bytes
    size: int


class Splitter:
    """Cuts what it is fed, chunk by chunk.

    Attributes:
        malformed: a Remaining Length was malformed; every chunk is a piece from there on.
    """

    __slots__ = ("_chunks", "_held", "_kept", "_seen", "_wanted", "malformed")

    def __init__(self, kept: int = KEPT) -> None:
        self.malformed = False
        self._kept = kept
        self._chunks: list[bytes] = []  # the beginning of a packet
        self._held = 0  # bytes in `_chunks`
        self._seen = 0  # bytes of the packet that have come, held or not
        self._wanted = 0  # bytes that the packet has; 0 while that is not known

    def feed(self, data: bytes) -> list[Piece]:
        """The packets that `data` completes."""
        pieces: list[Piece] = []
        pos, end = 0, len(data)
        if self._seen and not self._wanted:  # a fixed header came in parts: begin it again
            data = b"".join(self._chunks) + data
            end = len(data)
            self._forget()
        while pos < end:
            if self.malformed:
                pieces.append(Piece(data[pos : pos + self._kept], end - pos))
                break
            if not self._seen:
                self._begin(data, pos, end)
                if self.malformed:
                    continue
            stop = min(end, pos + self._wanted - self._seen) if self._wanted else end
            self._take(data, pos, stop)
            pos = stop
            if self._seen == self._wanted:
                pieces.append(self._whole())
        return pieces

    def finish(self) -> list[Piece]:
        """What is left at the end of the stream: the beginning of a packet, or nothing."""
        return [self._whole()] if self._seen else []

    def _begin(self, data: bytes, pos: int, end: int) -> None:
        """Find out how long the packet at `pos` is, if that can be told yet."""
        if end - pos < 2:
            return
        try:
            length, body = read_remaining_length(data, pos + 1, end)
        except ProtocolViolation:
            self.malformed = True
            return
        if length >= 0:
            self._wanted = body - pos + length

    def _take(self, data: bytes, pos: int, stop: int) -> None:
        self._seen += stop - pos
        if part := data[pos : min(stop, pos + self._kept - self._held)]:
            self._held += len(part)
            self._chunks.append(part)

    def _whole(self) -> Piece:
        piece = Piece(b"".join(self._chunks), self._seen)
        self._forget()
        return piece

    def _forget(self) -> None:
        self._chunks = []
        self._held = self._seen = self._wanted = 0


def split(data: bytes) -> list[bytes]:
    """All of `data` in packets; the last piece is what is malformed or has no end."""
    splitter = Splitter(len(data))
    return [piece.data for piece in (*splitter.feed(data), *splitter.finish())]
