"""The one thread that touches the database.

A ZODB connection is not safe to share between threads, and a commit waits for the disk; so no
listener holds one. A listener hands over what one of its rounds has changed, as one list, and goes
on; this thread applies what has come from all of them in one transaction. Only then the calls in
these lists are made: they send the acknowledgements, on the listener's own thread.

A list is applied whole or not at all. What the lists come to is in `persistence/changes.py`.

When a commit fails, everything stays here and is tried again each RETRY_S; `failing` says so to the
listeners meanwhile. A commit that failed may have been stored all the same (the answer of a server
was lost): doing it again is harmless.

Threads: `submit` may be called from any thread, `wait_for`, `adopt_...`, `start` and `stop` from
the one that made it; the rest is the writer's own.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ZODB.POSException import ConflictError

from persistence.changes import Changes
from persistence.database import Database
from persistence.records import MESSAGES, OUTGOING, Call, Change, OutgoingPut, Post, RowsOf

log = logging.getLogger("touchstone")

RETRY_S = 1.0
TAKE_S = 0.5  # while an interval passes
BUSY = 100  # changes in the last group, from which on it pays to wait for more
GATHER_S = 0.005  # so long at most; a commit of many rows takes about as long
LOOK_S = 0.0005  # whether more has come
CONFLICTS = 3  # after a reconnection; with one writer there are no others
PACK_MINIMUM = 8 << 20  # bytes; a smaller storage is not worth packing
COMMITS_PER_LOOK = 64  # at the size of the storage, which a server has to be asked for


class Writer:
    """The journal and its thread.

    Args:
        database:   closed when the writer ends.
        rows_of:    turns messages by number into their rows, the number first.
        interval_s: 0 commits as soon as there is something; otherwise so often, and calls do not
                    wait.
        pack_ratio: pack when the storage has grown to so many times what it was after the last
                    pack; 0 is never.
        now:        a clock in seconds, which ends gathering; without one it ends when nothing
                    more comes.

    Attributes:
        failing: whether the last commit failed; any thread may look.
    """

    def __init__(
        self,
        database: Database,
        rows_of: RowsOf,
        interval_s: float = 0.0,
        pack_ratio: float = 0.0,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.failing = False
        self._now = now
        self._database = database
        self._interval_s = interval_s
        self._journal: deque[list[Change]] = deque()
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._saved = threading.Event()  # all of it, at the end
        self._changes = Changes(rows_of, database.tables)
        self._calls: list[Call] = []
        self._to_abort = False
        self._taken = 0  # changes, for the last commit
        self._usual = 0  # the most of them lately, which it forgets by and by
        self._begun: list[Callable[[], bool]] = []
        self._packing = _Packing(database, pack_ratio)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def wait_for(self, begun: Callable[[], bool]) -> None:
        """Before `start`: whoever says so has changes that it will soon submit."""
        self._begun.append(begun)

    def adopt_outgoing(self, put: OutgoingPut, number: int) -> None:
        """Before `start`, for each row that was loaded and is to stay: it has the message with this
        number."""
        self._changes.adopt_outgoing(put, number)

    def adopt_retained(self, topic: str, message: Any, number: int) -> None:
        """The same for a retained message."""
        self._changes.adopt_retained(topic, message, number)

    def start(self) -> None:
        """Begin, on a thread of its own."""
        database = self._database
        self._changes.adopt_blocks(database.take_blocks(OUTGOING), database.take_blocks(MESSAGES))
        self._thread.start()

    def submit(self, changes: list[Change]) -> None:
        """Have these applied together, soon. The list is the writer's from now on."""
        if self._interval_s:
            _make([(one.post, one.call) for one in changes if type(one) is Call])
        self._journal.append(changes)
        if not self._due.is_set():
            self._due.set()

    def stop(self, patience_s: float) -> bool:
        """Commit what there is and end; False, and a line in the log, when that does not come to
        an end in time. Failed commits are tried again until then."""
        self._stopping.set()
        self._due.set()
        if self._thread.ident is None:
            self._database.close()
            return not self._journal
        self._thread.join(patience_s)
        if self._saved.is_set():
            return True
        self._given_up.set()
        log.error(
            "the last %d changes could not be stored, and are lost%s",
            len(self._changes) + sum(len(changes) for changes in list(self._journal)),
            "" if self._interval_s else "; what had to wait for them was not acknowledged",
        )
        return False

    # The writer's thread.

    def _run(self) -> None:
        try:
            self._work()
        except Exception:
            self.failing = True
            log.exception("the writer ended, nothing is stored any more")
        self._packing.wait()
        self._database.close()

    def _work(self) -> None:
        while True:
            self._due.wait()
            if self._taken >= BUSY:
                self._usual = max(self._taken, self._usual * 15 // 16)
                self._gather()
            stopping = self._stopping.is_set()
            self._due.clear()  # before reading the journal, so that no change is missed
            self._take()
            if self._changes or self._calls or self._packing.size_to_note:
                self._commit()
            if self.failing:
                if (self._given_up if stopping else self._stopping).wait(RETRY_S) and stopping:
                    return
                self._due.set()
            elif not stopping:
                if self._packing.look():
                    self._due.set()  # to store the size that was measured
                self._wait_interval()
            elif not self._journal:
                self._saved.set()
                return

    def _gather(self) -> None:
        """Wait for more while more comes, or is on its way. When all that clients may have
        outstanding is here, nothing will until this is committed: so it is, most likely, where as
        much is here as in the largest of the last groups.

        With 50 publishers, whoever commits while a listener is still reading finds half of them
        in each group for ever: the others wait for the group before.
        """
        lists = 0
        until = self._now() + GATHER_S  # a look may take longer than it should: others are busy
        while self._now() < until:
            begun = any(one() for one in self._begun)
            if not begun and len(self._journal) == lists:
                return
            lists = len(self._journal)
            here = sum(map(len, list(self._journal)))
            if here >= self._usual or self._stopping.wait(LOOK_S):
                return

    def _wait_interval(self) -> None:
        """Wait between commits. What comes meanwhile is taken, so that messages that come and go
        do not pile up."""
        left_s = self._interval_s
        while left_s > 0 and not self._stopping.wait(min(left_s, TAKE_S)):
            left_s -= TAKE_S
            self._take()

    def _take(self) -> None:
        journal = self._journal
        self._taken = 0
        for _ in range(len(journal)):
            changes = journal.popleft()
            self._taken += len(changes)
            calls = self._changes.take(changes)
            if not self._interval_s:
                self._calls.extend(calls)

    def _commit(self) -> None:
        for tries_left in reversed(range(CONFLICTS)):
            try:
                if self._to_abort:
                    self._database.abort()
                    self._to_abort = False
                self._changes.apply(self._database.tables)
                self._packing.note()
                self._database.commit()
                break
            except Exception as error:  # of whichever storage it is
                self._to_abort = True
                self._changes.doubt()
                if not tries_left or not isinstance(error, ConflictError):
                    self._failed(error)
                    return
        if self.failing:
            self.failing = False
            log.warning("the database can be written again")
        self._changes.clear()
        calls, self._calls = self._calls, []
        _make([(one.post, one.call) for one in calls])

    def _failed(self, error: Exception) -> None:
        if not self.failing:
            log.error(
                "the database cannot be written, what needs it waits: %s",
                str(error) or type(error).__name__,
            )
        self.failing = True
        told = [(one.post, one.failed) for one in self._calls if one.failed is not None]
        self._calls = [one for one in self._calls if one.failed is None]
        _make(told)


class _Packing:
    """When to pack, and the thread that does it beside the commits.

    Threads: the writer's; `_pack` is its own.
    """

    def __init__(self, database: Database, ratio: float) -> None:
        self._database = database
        self._ratio = ratio
        self._base = max(database.packed_size, PACK_MINIMUM)
        self.size_to_note = 0
        self._commits = 0
        self._packed = False  # by the last thread
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Pack if it is due; whether a size waits for `note`."""
        try:
            return self._look()
        except Exception as error:  # a server that is gone; the next commit says so too
            log.warning("the size of the database cannot be asked for: %s", error)
            return False

    def _look(self) -> bool:
        self._commits += 1
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            size = self._database.size()
            self._base = max(size, PACK_MINIMUM)
            if self._packed:
                self.size_to_note = size
            return self._packed
        if not self._ratio or self._commits % COMMITS_PER_LOOK or self._thread is not None:
            return False
        if self._database.size() >= self._base * self._ratio:
            self._packed = False
            thread = threading.Thread(target=self._pack, name="pack", daemon=True)
            thread.start()
            self._thread = thread  # whoever looks from elsewhere finds one that can be joined
        return False

    def note(self) -> None:
        """Have the size stored with the commit that is being made."""
        if self.size_to_note:
            self._database.packed_size = self.size_to_note
            self.size_to_note = 0

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _pack(self) -> None:
        try:
            self._database.pack()
            self._packed = True
        except Exception as error:  # of whichever storage it is; it will be tried again
            log.error("the database could not be packed: %s", error)


def _make(calls: list[tuple[Post, Callable[[], None]]]) -> None:
    """One post for each thread, in the order of the calls."""
    by_thread: dict[Post, list[Callable[[], None]]] = {}
    for post, call in calls:
        by_thread.setdefault(post, []).append(call)
    for post, its in by_thread.items():
        try:
            post(partial(_make_all, its))
        except Exception:
            log.exception("an acknowledgement could not be handed over")


def _make_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
