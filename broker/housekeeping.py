"""The thread for what no connection drives: `$SYS`, expired retained messages.

Threads: a worker without sockets.
"""

import logging
import threading

from broker.clock import Clock
from broker.worker import Worker

log = logging.getLogger("touchstone")


class Housekeeping(Worker):
    """A worker that waits for its next timer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("housekeeping", clock)
        self._rung = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def ring(self) -> None:
        self._rung.set()

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            due = self.timers.next_at()
            wait_s = None if due is None else max(0.0, due - self.clock.now())
            self._rung.wait(wait_s)
            self._rung.clear()
            self.silence()
            try:
                self.run_due()
                self.flush()
            except Exception:
                log.exception("%s: a bug of the broker", self.name)
                self.ring()  # for what else was due

    def stop(self, patience_s: float) -> None:
        """End, and wait for it; nothing if it never started. From any other thread."""
        self._stopping = True
        self._rung.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)
