"""A clock that the test moves."""

from broker.clock import Clock


class ManualClock(Clock):
    """Stands still until `advance`."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return 1_800_000_000.0 + self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
