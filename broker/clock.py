"""The one place that knows what time it is, so that tests move time instead of sleeping.

Threads: a clock has no state of its own; any thread may ask.
"""

import time


class Clock:
    """Seconds that only go forward, and the time of day."""

    def now(self) -> float:
        """Seconds since some moment; what deadlines are counted on."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970, for people and for what outlives this process."""
        return time.time()
