"""The messages that a session holds for its client, as far as they are counted and limited.

They wait in `queue`, or are on their way and not acknowledged; of these only large ones count,
so that the others cost nothing: there are 65,535 at most. What a session holds its worker counts,
too, so that there is a limit for all sessions together.

Threads: belongs to the worker of the session.
"""

from collections import deque
from functools import partial

from broker.limits import QueueLimits
from broker.message import Message
from broker.session.outgoing import Outgoing
from broker.worker import Worker

# An empty deque takes 600 bytes, and most sessions never need one; nothing is ever added to it.
NOTHING: deque[Outgoing] = deque()
COUNTED = -1  # in the place of a large message that has none in the database
SWEPT_A_SECOND = 1_000_000  # messages of a full queue that are looked at for expired ones


class Waiting:
    """The half of a session that waits.

    Attributes:
        queue:  due to the client and not sent yet, oldest first.
        held:   bytes of `queue` and of large messages in flight, as `Message.size` has them.
        number: in the database; 0 where the session is not kept there.
    """

    __slots__ = ("_sweep_at", "client_id", "ended", "held", "limits", "number", "queue", "worker")

    def __init__(self, client_id: str, worker: Worker, limits: QueueLimits) -> None:
        self.client_id = client_id
        self.worker = worker
        self.limits = limits
        self.number = 0
        self.ended = False
        self.queue = NOTHING
        self.held = 0
        self._sweep_at = 0.0  # on the broker's clock, seconds

    @property
    def queued(self) -> int:
        """How many messages are in the queue."""
        return len(self.queue)

    @property
    def full(self) -> bool:
        """Whether it holds as much as it may by itself."""
        return self.queued >= self.limits.messages or self.held >= self.limits.size

    def wait(self, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...]) -> None:
        """Keep a message for later, even beyond the limits."""
        outgoing = Outgoing(message, qos, retain, identifiers, "")
        if self.number and qos and self.worker.journal is not None:
            outgoing.place = self.worker.journal.next_place()
        self._append(outgoing)
        self._note_state(outgoing)

    def is_too_much(self, message: Message, count: int = 1) -> bool:
        """Whether a large message is one that may not even be sent at once; of several such ones,
        whether each has to be asked for."""
        limits = self.limits
        return self.held + message.size * count > limits.unasked and (
            count > 1 or bool(limits.reached(self, message, False))
        )

    def _count(self, size: int) -> None:
        self.held += size
        self.worker.held_bytes += size

    def hold(self, outgoing: Outgoing) -> None:
        """A large message is on its way."""
        if not outgoing.place:
            outgoing.place = COUNTED
        self._count(outgoing.message.size)

    def let_go(self, outgoing: Outgoing) -> None:
        """It is no longer: every way out of what is in flight and has a place."""
        if outgoing.message.large:
            self._count(-outgoing.message.size)
        self._note_gone(outgoing)

    def let_go_all(self, outgoing: list[Outgoing]) -> None:
        """`let_go` for each."""
        journal = self.worker.journal
        if journal is not None:
            journal.outgoing_all_gone([one.place for one in outgoing if one.place > 0])
        size = sum([one.message.size for one in outgoing if one.message.large])
        if size:
            self._count(-size)

    def _note_gone(self, outgoing: Outgoing) -> None:
        """What the database was told of is due no longer."""
        journal = self.worker.journal
        if outgoing.place > 0 and journal is not None:
            journal.outgoing_gone(outgoing.place)

    def _note_state(self, outgoing: Outgoing) -> None:
        journal = self.worker.journal
        if outgoing.place > 0 and journal is not None:
            journal.outgoing(self.number, outgoing)

    def _append(self, outgoing: Outgoing) -> None:
        if self.queue is NOTHING:
            self.queue = deque()
        self.queue.append(outgoing)
        self.worker.queued += 1
        self._count(outgoing.message.size)

    def _take(self) -> Outgoing:
        """The first of the queue, to be sent or dropped."""
        outgoing = self.queue.popleft()
        message = outgoing.message
        self.worker.queued -= 1
        self._count(-message.size)
        return outgoing

    def _enqueue(self, outgoing: Outgoing, noted: bool) -> None:
        if self.ended:
            return  # who gets what it does not is decided
        limit = self.limits.reached(self, outgoing.message)
        if limit and self.worker.now >= self._sweep_at:
            self._drop_expired()
            limit = self.limits.reached(self, outgoing.message)
        if limit:
            worker = self.worker
            worker.statistics.publish_dropped += 1
            worker.limited(limit, f"{self.client_id!r} does not get all messages it is due")
            if noted:
                self._note_gone(outgoing)
            return
        self._append(outgoing)
        if outgoing.place > 0 and not noted and self.worker.journal is not None:
            self.worker.journal.outgoing(self.number, outgoing)  # `_note_state`, but for a call

    def _drop_expired(self) -> None:
        now = self.worker.now
        self._sweep_at = now + len(self.queue) / SWEPT_A_SECOND
        expired = [outgoing for outgoing in self.queue if outgoing.message.expires_at <= now]
        if expired:
            self.worker.statistics.publish_dropped += len(expired)
            self.drop(expired)

    def drop(self, messages: list[Outgoing]) -> None:
        """Let go of these, those of them that are in the queue and those that were in flight."""
        gone = set(map(id, messages))
        alive = deque(outgoing for outgoing in self.queue if id(outgoing) not in gone)
        self.worker.queued -= len(self.queue) - len(alive)
        self.queue = alive
        for outgoing in messages:
            if outgoing.packet_id:
                self.let_go(outgoing)
            else:
                self._count(-outgoing.message.size)
                self._note_gone(outgoing)

    def empty(self) -> None:
        """The session has ended, and what it holds with it; the database knows already."""
        self.worker.queued -= len(self.queue)
        self.worker.held_bytes -= self.held
        self.held = 0
        self.queue.clear()

    def move(self, worker: Worker) -> None:
        """Let another worker own the session; on the thread of the old one."""
        held, queued, old = self.held, len(self.queue), self.worker
        old.take_over(-held, -queued)
        self.worker = worker
        worker.post(partial(worker.take_over, held, queued))
