"""What was refused or dropped because of a limit: counted, and said in the log once in a while.

A client that runs into a limit tends to do so again and again; a line for each would be another way
to fill a disk.

Threads: belongs to one worker.
"""

import logging

from broker.logging_setup import printable
from broker.statistics import Statistics

log = logging.getLogger("touchstone")

QUIET_S = 60.0  # after a line, for the same limit


class Overruns:
    """The limits that one worker has seen reached."""

    __slots__ = ("_name", "_quiet_until", "_said", "_statistics")

    def __init__(self, name: str, statistics: Statistics) -> None:
        self._name = name
        self._statistics = statistics
        self._quiet_until: dict[str, float] = {}
        self._said: dict[str, int] = {}  # how many had been counted with the last line

    def note(self, limit: str, words: str, now: float) -> None:
        """`limit`, one of LIMITS, was reached; `words` say by whom, and what comes of it."""
        limits = self._statistics.limits
        count = limits[limit] = limits[limit] + 1
        if now < self._quiet_until.get(limit, 0.0):
            return
        self._quiet_until[limit] = now + QUIET_S
        more = count - self._said.get(limit, 0) - 1
        self._said[limit] = count
        since = f" ({more} more since this was last said)" if more else ""
        log.warning("%s: limit %s: %s%s", self._name, limit, printable(words), since)
