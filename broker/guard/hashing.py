"""Threads for hashes that take long, so that a login does not hold up who is connected.

Threads: `submit` from any thread; jobs run on threads of this pool, which begin with the first.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger("touchstone")

THREADS = 2

Job = Callable[[], None]


class HashingThreads:
    """A few threads, and a queue of bounded length before them; first come, first served."""

    def __init__(self, maximum_waiting: int) -> None:
        self._maximum_waiting = maximum_waiting
        self._jobs: deque[Job] = deque()
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def submit(self, job: Job) -> bool:
        """Have `job` run soon; False if too many wait already, or all is over."""
        with self._change:
            if self._stopped or len(self._jobs) >= self._maximum_waiting:
                return False
            if not self._threads:
                self._start()
            self._jobs.append(job)
            self._change.notify()
        return True

    def _start(self) -> None:
        for place in range(THREADS):
            # Daemons: a hash that takes minutes must not keep the process from its end.
            thread = threading.Thread(target=self._run, name=f"hashing {place}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while True:
            with self._change:
                while not (self._jobs or self._stopped):
                    self._change.wait()
                if self._stopped:
                    return
                job = self._jobs.popleft()
            try:
                job()
            except Exception:
                log.exception("a bug of the broker has ended a login")

    def stop(self, timeout_s: float) -> None:
        """Begin nothing more, and wait for what has begun, for so long at most."""
        with self._change:
            self._stopped = True
            self._jobs.clear()
            self._change.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)
