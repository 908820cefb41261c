"""The thread of one listener: every socket it accepted, read, decoded and written here.

Threads: everything here runs on the listener's own thread, except `ring` (by way of `post`, `wake`
and `nudge`), which any thread may call.
"""

import logging
import socket
from typing import Protocol

from broker.clock import Clock
from broker.listeners.polling import MOST, READ, make_poller
from broker.worker import Worker

log = logging.getLogger("touchstone")

LOOKS = 80  # about 50 microseconds of asking
BRISK_S = 0.0002
LONGEST_WAIT_S = 3_600.0  # no selector takes the 136 years that a session may last
DRAIN_S = 5.0  # how long a closing connection still takes what the peer sends; a peer on a busy
# machine, who is to close it, may take that long to see that it is
READ_SIZE = 262_144  # bytes a round and connection; system calls cost, bytes hardly do


class Draining(Protocol):
    """A stream that is closing."""

    def close(self) -> None:
        """Close at once, and take itself out of `Loop.draining`."""


class Loop(Worker):
    """A worker that waits for sockets. Linux, macOS and Windows have a selector each.

    Attributes:
        watch, closing: see `Poller`.
        draining:     what is closing, and until when; as all may take as long, in the order of
            that. One timer for all of them costs a fifth of one for each.
        buffer, view: what all its sockets are read into. A `recv` of this size would have the
            allocator map and unmap memory for each packet, which costs more than the packet.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.buffer = bytearray(READ_SIZE)
        self.view = memoryview(self.buffer)
        self._poller = make_poller()
        self.watch = self._poller.watch
        self.closing = self._poller.closing
        self._awake, self._alarm = socket.socketpair()
        self._awake.setblocking(False)
        self._alarm.setblocking(False)
        self.watch(self._awake, 0, READ, self._hear)
        self.draining: dict[Draining, float] = {}
        self._drains = False  # a timer is set
        self._stopping = False
        self._machine = Clock()  # however a test moves the broker's
        self._brisk = False

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
        # Only now: a byte that is taken must not be that of an alarm raised since.
        self.silence()

    def run(self) -> None:
        """Rounds until `stop`.

        With a few messages under way each of them is a round, so what a round costs is most of what
        they cost: it makes no call that it does not need (benchmarks/micro.py, `round`).
        """
        now, timers = self.clock.now, self.timers.heap
        ready, means = self._poller.ready, self._poller.means
        while not self._stopping:
            events = self._wait()
            self.now = now()
            self.crowded = len(events) >= MOST
            try:
                for descriptor, what in events:
                    call = ready.get(descriptor)
                    if call is not None:  # otherwise an event of this round has closed it
                        call(means[what])
                if self._posts or self._due or (timers and timers[0][0] <= self.now):
                    self.run_due()
                if self.touched or self.journal is not None:
                    self.flush()
            except Exception:
                log.exception("%s: a bug of the broker", self.name)
                self.ring()  # for what else was due
        self.close()

    def close(self) -> None:
        """Give up what a loop holds that does not run, or not any more."""
        self._stopping = True
        self._poller.close()
        self._awake.close()
        self._alarm.close()

    def _wait(self) -> list[tuple[int, int]]:
        """Wait for sockets and timers; while packets come briskly, by asking again and again.

        A thread that has slept wakes up late and with cold caches. Where the last wait was shorter
        than that costs, not sleeping halves the round trip, for no more CPU time
        (benchmarks, `rtt-qos0` and `rtt-qos1`).
        """
        poll = self._poller.poll
        if self._brisk:
            for _ in range(LOOKS):
                events = poll(0.0)
                if events:
                    return events
            self._brisk = False
        began = self._machine.now()
        events = poll(self._patience())
        self._brisk = self._machine.now() - began < BRISK_S
        return events

    def _patience(self) -> float | None:
        """Seconds until the next timer."""
        if self._posts or self._due:
            return 0.0
        due = self.timers.next_at()
        if due is None:
            return None
        # Counted from the start of the round, which has only just been.
        return min(due - self.now, LONGEST_WAIT_S) if due > self.now else 0.0

    def drain(self, closing: Draining) -> None:
        """Have it closed in DRAIN_S seconds."""
        self.draining[closing] = due = self.now + DRAIN_S
        if not self._drains:
            self._drains = True
            self.timers.at(due, self._drained)

    def _drained(self, now: float) -> None:
        self._drains = False
        try:
            while self.draining:
                closing, due = next(iter(self.draining.items()))
                if due > now:
                    break
                del self.draining[closing]
                closing.close()
        finally:
            if self.draining:
                self._drains = True
                self.timers.at(next(iter(self.draining.values())), self._drained)

    def stop(self) -> None:
        """Let `run` return after this round. From the loop's own thread."""
        self._stopping = True
