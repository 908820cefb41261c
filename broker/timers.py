"""Deadlines of one worker.

Threads: a worker's own.
"""

import heapq
from collections.abc import Callable
from itertools import count


class Timers:
    """What is to be called when; nothing is ever cancelled, a call looks whether it still matters.

    Cancelling would cost a search on each packet; a connection instead keeps one entry that, when
    it comes up, looks at the time of the last packet and sets itself again.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def at(self, when: float, call: Callable[[float], None]) -> None:
        """Have `call(now)` called once the clock shows `when` or later."""
        heapq.heappush(self._heap, (when, next(self._order), call))

    def next_at(self) -> float | None:
        """When the next call is due; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Call what is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            heapq.heappop(heap)[2](now)
