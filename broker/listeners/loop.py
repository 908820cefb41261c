"""The thread of one listener: every socket it accepted, read, decoded and written here.

Threads: everything here runs on the listener's own thread, except `ring` (by way of `post`, `wake`
and `nudge`), which any thread may call.
"""

import logging
import selectors
import socket
from collections.abc import Callable

from broker.clock import Clock
from broker.worker import Worker

log = logging.getLogger("touchstone")

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Ready = Callable[[int], None]  # called with READ, WRITE or both


LONGEST_WAIT_S = 3_600.0  # no selector takes the 136 years that a session may last
READ_SIZE = 262_144  # bytes a round and connection; system calls cost, bytes hardly do


class Loop(Worker):
    """A worker that waits for sockets. Linux, macOS and Windows have a selector each.

    Attributes:
        buffer, view: what all its sockets are read into. A `recv` of this size would have the
            allocator map and unmap memory for each packet, which costs more than the packet.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.buffer = bytearray(READ_SIZE)
        self.view = memoryview(self.buffer)
        self._selector = selectors.DefaultSelector()
        self._awake, self._alarm = socket.socketpair()
        self._awake.setblocking(False)
        self._alarm.setblocking(False)
        self._selector.register(self._awake, READ, self._hear)
        self._stopping = False

    def ring(self) -> None:
        try:
            self._alarm.send(b"\0")
        except BlockingIOError:
            pass  # so many alarms wait that one more says nothing new
        except OSError:
            if not self._stopping:
                raise

    def _hear(self, _events: int) -> None:
        self._awake.recv(4096)

    def watch(self, sock: socket.socket, before: int, events: int, ready: Ready) -> None:
        """Have `ready` called for these events from now on; `before` is what it was, 0 for
        nothing."""
        if not events:
            if before:
                self._selector.unregister(sock)
        elif before:
            self._selector.modify(sock, events, ready)
        else:
            self._selector.register(sock, events, ready)

    def run(self) -> None:
        """Rounds until `stop`."""
        select = self._selector.select
        while not self._stopping:
            events = select(self._patience())
            self.now = self.clock.now()
            try:
                for key, ready in events:
                    key.data(ready)
                # After `_hear`: a byte that it takes must not be that of an alarm raised since.
                self.silence()
                self.run_due()
                self.flush()
            except Exception:
                log.exception("%s: a bug of the broker", self.name)
                self.ring()  # for what else was due
        self.close()

    def close(self) -> None:
        """Give up what a loop holds that does not run, or not any more."""
        self._stopping = True
        self._selector.close()
        self._awake.close()
        self._alarm.close()

    def _patience(self) -> float | None:
        """Seconds until the next timer."""
        if self._posts or self._due:
            return 0.0
        due = self.timers.next_at()
        if due is None:
            return None
        # Counted from the start of the round, which has only just been.
        return min(due - self.now, LONGEST_WAIT_S) if due > self.now else 0.0

    def stop(self) -> None:
        """Let `run` return after this round. From the loop's own thread."""
        self._stopping = True
