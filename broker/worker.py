"""A thread's rounds: what others posted, sessions with something in their inbox, timers, one flush
each.

A listener is a worker with sockets (`broker/listeners/loop.py`); housekeeping is one without; a
test runs rounds itself.

Threads: `post`, `wake` and `nudge` may be called from any thread, everything else only from the
worker's own. Append first, ring the alarm second; a round silences the alarm first and looks
second. With either order swapped something could wait for the next timer.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from broker.clock import Clock
from broker.journal import Journal
from broker.overruns import Overruns
from broker.statistics import Statistics
from broker.timers import Timers

CROWDED_S = 5.0  # so long timers wait at most until all that is ready has been read


class Inbox(Protocol):
    """What can be woken: a session."""

    def drain_inbox(self, worker: "Worker") -> None: ...


class Output(Protocol):
    """What is flushed at the end of a round: a connection."""

    def flush(self) -> None: ...


class Worker:
    """Owner of connections and sessions.

    Attributes:
        now:     the clock at the start of this round, seconds; exact enough for every use.
        journal: what this round has changed of what outlives the broker; None where nothing does.
        touched: connections that have written something this round, each once.
        crowded: so much was ready in this round that more may be, and was not looked at.
        held_bytes, queued: of messages that its sessions hold (`broker/session/waiting.py`).
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.now = clock.now()
        self.timers = Timers()
        self.statistics = Statistics()
        self.overruns = Overruns(name, self.statistics)
        self.held_bytes = 0
        self.queued = 0
        self.touched: list[Output] = []
        self.journal: Journal | None = None
        self._posts: deque[Callable[[], None]] = deque()
        self._due: deque[Inbox] = deque()
        self._alarmed = False
        self._found_due: float | None = None  # when timers were
        self.crowded = False

    def post(self, call: Callable[[], None]) -> None:
        """Have `call()` run on this worker's thread, in the order of the posts."""
        self._posts.append(call)
        self.nudge()

    def wake(self, session: Inbox) -> None:
        """Have the session drain its inbox soon."""
        self._due.append(session)
        self.nudge()

    def nudge(self) -> None:
        """Have a round begin soon, even with nothing posted: the clock was moved."""
        if not self._alarmed:
            self._alarmed = True
            self.ring()

    def ring(self) -> None:
        """Interrupt the wait of the worker's thread, if it has one."""

    def silence(self) -> None:
        """The alarm was heard: from here on whoever adds something rings again, and what it was
        rung for, the clock among it, is looked at after."""
        self._alarmed = False
        self.now = self.clock.now()

    def run_due(self) -> None:
        """Run what was posted, drained and is due by now; what these add may wait for the next
        round."""
        posts, due = self._posts, self._due
        if posts:
            for _ in range(len(posts)):
                posts.popleft()()
        if due:
            for _ in range(len(due)):
                due.popleft().drain_inbox(self)
        heap = self.timers.heap
        if heap and heap[0][0] <= self.now:
            self._run_timers()

    def _run_timers(self) -> None:
        """Call in this round what the one before has found due.

        Between the two all sockets are read: where this thread or the whole process was held up,
        nobody is blamed for being late whose packets had arrived. In a crowd that takes rounds.
        """
        found_due, self._found_due = self._found_due, None
        if found_due is not None:
            if self.crowded and self.now - found_due < CROWDED_S:
                self._found_due = found_due
                self._posts.append(_nothing)
                return
            self.timers.run(found_due)
        next_at = self.timers.next_at()
        if next_at is not None and next_at <= self.now:
            self._found_due = self.now
            self._posts.append(_nothing)

    def limited(self, limit: str, words: str) -> None:
        """A limit was reached; see `Overruns.note`."""
        self.overruns.note(limit, words, self.now)

    def take_over(self, held_bytes: int, queued: int) -> None:
        """So much more its sessions hold: one came, or with negative numbers, one went."""
        self.held_bytes += held_bytes
        self.queued += queued

    def flush(self) -> None:
        """Send what this round has written, one send for each connection.

        What has to be durable first goes to the writer instead.
        """
        if self.journal is not None:
            self.journal.submit()
        touched = self.touched
        flushed = 0
        try:
            for connection in touched:  # in the order of their first packets; may grow meanwhile
                flushed += 1
                connection.flush()
        finally:
            del touched[:flushed]  # one that raises does not come again; the others do
        if self.journal is not None:
            self.journal.submit()  # a connection that ended just now; the next round may be far

    @property
    def failing(self) -> bool:
        """Whether what has to become durable cannot, just now."""
        return self.journal is not None and self.journal.failing

    @property
    def idle(self) -> bool:
        """Whether nothing waits but timers."""
        return not (self._posts or self._due or self.touched)


def _nothing() -> None:
    """What is posted to have one more round at once."""
