"""A clock that the test moves."""

import time

from broker.clock import Clock


class ManualClock(Clock):
    """Stands still until `advance`; `release` lets it go, for the end of a test."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._released_at = None

    def now(self) -> float:
        if self._released_at is None:
            return self._now
        return self._now + time.monotonic() - self._released_at

    def release(self) -> None:
        """From now on time passes: a broker that stops waits for its clients, with a limit."""
        self._released_at = time.monotonic()

    def wall(self) -> float:
        return 1_800_000_000.0 + self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
