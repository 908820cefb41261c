"""Deadlines of one worker.

Threads: a worker's own, but for `cancel`, which any thread may call.
"""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

Call = Callable[[float], None]
Timer = list[Any]  # when, a number that keeps the order of equals, what to call

SWEPT_AT = 1_024  # timers; fewer are not worth a look for cancelled ones


class Timers:
    """What is to be called when.

    Cancelling on each packet would cost too much: a connection keeps one timer that, when it comes
    up, looks at the time of the last packet and sets itself again.

    Attributes:
        heap: what is to be called, the next first; to look at only.
    """

    __slots__ = ("_order", "_sweep_at", "heap")

    def __init__(self) -> None:
        self.heap: list[Timer] = []
        self._order = count()
        self._sweep_at = SWEPT_AT

    def at(self, when: float, call: Call) -> Timer:
        """Have `call(now)` called once the clock shows `when` or later."""
        if len(self.heap) >= self._sweep_at:
            self._sweep()
        timer: Timer = [when, next(self._order), call]
        heapq.heappush(self.heap, timer)
        return timer

    def _sweep(self) -> None:
        """Let go of cancelled timers once they may be half of all: some would stay for years."""
        heap = self.heap
        heap[:] = [timer for timer in heap if timer[2] is not _nothing]  # `run` holds this list
        heapq.heapify(heap)
        self._sweep_at = max(SWEPT_AT, 2 * len(heap))

    def next_at(self) -> float | None:
        """When the next call is due; None when there is none."""
        when: float | None = self.heap[0][0] if self.heap else None
        return when

    def __len__(self) -> int:
        """How many there are, with the cancelled ones that are still kept."""
        return len(self.heap)

    def run(self, now: float) -> None:
        """Call what is due."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            heapq.heappop(heap)[2](now)


def cancel(timer: Timer) -> None:
    """Let go of what `timer` would call. Its place is kept until then, or until there are many
    such: removing it would cost a search."""
    timer[2] = _nothing


def _nothing(_now: float) -> None:
    """What a cancelled timer calls."""
