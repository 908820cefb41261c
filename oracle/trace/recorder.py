"""A trace of every packet, while it happens: from a tap on each connection to files.

A tap hands over bytes and goes on; one thread cuts, decodes and writes. When that thread cannot
keep up the taps wait for it, so that no packet is missing and memory stays bounded. A file that
cannot be written is given up with a line in the log, and so is all of the trace when its thread
hangs in a write; the broker goes on.

Threads: `Trace` and each `Tap` may be called from any thread, the calls of one tap in their order.
The outputs belong to the trace's own thread.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from oracle.description import describe, version_of
from oracle.trace.output import RECEIVED, SENT, Output, Passed, Traced
from oracle.trace.splitting import Piece, Splitter

log = logging.getLogger("touchstone")

ROOM = 16 << 20  # bytes that may wait to be written
OVERHEAD = 200  # bytes that an entry of the queue counts for, beside its data
PATIENCE_S = 5.0  # a tap does not wait longer than that without any progress
GATHER_S = 0.05  # between two rounds of writing

OPENED, ENDED = "opened", "ended"  # beside RECEIVED and SENT


class Event(NamedTuple):
    """Something on its way to the trace's thread."""

    tap: "Tap"
    at: float
    kind: str
    chunks: Sequence[bytes]
    words: str

    @property
    def size(self) -> int:
        """What it counts for in memory, bytes."""
        return OVERHEAD + sum(map(len, self.chunks))


class Tap:
    """One connection's way into the trace."""

    __slots__ = ("_ended", "_received", "_sent", "_trace", "connection")

    def __init__(self, trace: "Trace", connection: Traced) -> None:
        self.connection = connection  # the trace's thread writes to it, nobody else looks
        self._trace = trace
        self._ended = False
        self._received = Splitter()
        self._sent = Splitter()

    def received(self, data: bytes) -> None:
        """MQTT bytes have come from the client, cut in any way."""
        if data and not self._ended:
            self._trace.take(self, RECEIVED, (data,))

    def sent(self, packets: Sequence[bytes]) -> None:
        """Packets have been sent to the client."""
        if packets and not self._ended:
            self._trace.take(self, SENT, tuple(packets))

    def ended(self, words: str) -> None:
        """The connection has ended, and why. The last call; any later one is ignored."""
        if not self._ended:
            self._ended = True
            self._trace.take(self, ENDED, (), words)

    def pieces(self, kind: str, chunk: bytes) -> list[Piece]:
        """The packets that one more chunk completes. On the trace's thread."""
        if kind == RECEIVED:
            return self._received.feed(chunk)
        if self._sent.malformed:  # on purpose: the next one begins at its first byte all the same
            self._sent = Splitter()
        return self._sent.feed(chunk)

    def rest(self) -> list[tuple[str, Piece]]:
        """The beginnings of packets that nothing will complete. On the trace's thread."""
        both = ((RECEIVED, self._received), (SENT, self._sent))
        return [(direction, piece) for direction, one in both for piece in one.finish()]


class Trace:
    """All connections' packets on their way to some files.

    Attributes:
        stopped: nothing is recorded any more.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        wall: Callable[[], float],
        room: int = ROOM,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Begin, with a thread of its own.

        Args:
            outputs:    what to write to; the trace closes them.
            wall:       tells the time, seconds since 1970.
            room:       bytes that may wait to be written.
            patience_s: how long a tap waits for room while nothing gets written.
        """
        self.stopped = False
        self._outputs = tuple(outputs)
        self._wall = wall
        self._room = room
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._queue: list[Event] = []
        self._taken = self._done = self._flushed = 0  # bytes, since the beginning
        self._packets = 0  # written; it shows that the thread does not hang
        self._flushing = self._closing = False
        self._thread = threading.Thread(target=self._run, name="trace", daemon=True)
        self._thread.start()

    def open_connection(
        self, number: int, listener_port: int, address: str, transport: str, at: float
    ) -> Tap:
        """Record a connection from now on.

        Args:
            number:    which of the broker's connections, from 1.
            address:   "host:port" of the client.
            transport: "tcp", "tls", "ws" or "wss".
            at:        when it was accepted, seconds since 1970.
        """
        tap = Tap(self, Traced(number, listener_port, address, transport))
        self._put(Event(tap, at, OPENED, (), ""))
        return tap

    def take(self, tap: Tap, kind: str, chunks: Sequence[bytes], words: str = "") -> None:
        """Record what a tap has."""
        if not self.stopped:
            self._put(Event(tap, self._wall(), kind, chunks, words))

    def flush(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until all that was handed over so far is in the files; False if it took too long."""
        with self._changed:
            taken = self._taken
            self._flushing = True
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: self._flushed >= taken or self.stopped, patience_s
            )

    def close(self, patience_s: float = PATIENCE_S) -> bool:
        """Write what there is and close the files; False if that took too long."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(patience_s)
        self.stopped = True
        return not self._thread.is_alive()

    def _put(self, event: Event) -> None:
        size = event.size
        with self._changed:
            while not self._has_room(size):
                before = self._done, self._packets
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: self._has_room(size), self._patience_s) and (
                    before == (self._done, self._packets)
                ):
                    log.error("trace: nothing could be written in time; the trace stops here")
                    self.stopped = True
                    self._queue.clear()
                    self._changed.notify_all()
            if self.stopped or self._closing:
                return
            self._queue.append(event)
            self._taken += size
            if len(self._queue) == 1:
                self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        waiting = self._taken - self._done
        return self.stopped or self._closing or not waiting or waiting + size <= self._room

    # On the trace's own thread.

    def _run(self) -> None:
        while not self.stopped:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                self._changed.wait_for(self._urgent, GATHER_S)
                events, self._queue = self._queue, []
                closing, self._flushing = self._closing, False
            for event in events:
                self._record(event)
                with self._changed:
                    self._done += event.size
                    self._changed.notify_all()
            for output in self._outputs:
                self._try(output, output.flush)
            with self._changed:
                self._flushed = self._done
                self.stopped = self.stopped or closing or not self._outputs
                self._changed.notify_all()
        for output in self._outputs:
            self._try(output, output.close)

    def _urgent(self) -> bool:
        return self._closing or self._flushing or self._taken - self._done > self._room // 2

    def _record(self, event: Event) -> None:
        tap, at, connection = event.tap, event.at, event.tap.connection
        if event.kind == OPENED:
            for output in self._outputs:
                self._try(output, output.opened, connection, at)
        elif event.kind == ENDED:
            for direction, piece in tap.rest():
                self._packet(connection, at, direction, piece)
            for output in self._outputs:
                self._try(output, output.ended, connection, at, event.words)
        else:
            for chunk in event.chunks:
                for output in self._outputs:
                    self._try(output, output.passed, connection, at, event.kind, chunk)
                if any(output.wants_packets for output in self._outputs):
                    for piece in tap.pieces(event.kind, chunk):
                        self._packet(connection, at, event.kind, piece)

    def _packet(self, connection: Traced, at: float, direction: str, piece: Piece) -> None:
        self._packets += 1
        data, size = piece
        description = describe(data, connection.version, direction == SENT, size)
        if direction == RECEIVED and description.name == "CONNECT":
            connection.version = connection.version or version_of(data)
        if description.name in ("CONNECT", "CONNACK") and not connection.client_id:
            connection.client_id = _client_id(description.fields)
        for output in self._outputs:
            if output.wants_packets:
                passed = Passed(direction, data, size, description)
                self._try(output, output.packet, connection, at, passed)

    def _try(self, output: Output, call: Callable[..., None], *arguments: object) -> None:
        """Give up an output that cannot be written."""
        try:
            call(*arguments)
        except OSError as error:
            log.error("%s: the trace stops here: %s", output.path, error.strerror or error)
            self._give_up(output)
        except Exception:
            log.exception("%s: the trace stops here", output.path)
            self._give_up(output)

    def _give_up(self, output: Output) -> None:
        self._outputs = tuple(other for other in self._outputs if other is not output)
        with suppress(OSError):  # what could not be written still cannot; it is closed all the same
            output.file.close()


def _client_id(fields: dict[str, object]) -> str | None:
    """The client id that a CONNECT has or a CONNACK assigns."""
    properties = fields.get("properties")
    assigned = isinstance(properties, dict) and properties.get("Assigned Client Identifier")
    return str(assigned) if assigned else str(fields.get("client_id", "")) or None
