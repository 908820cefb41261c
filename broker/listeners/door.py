"""How many connections are let in: at a listener, in all, from one address, and how quickly.

Threads: a `Door` is its listener's; the `Hall` is shared by all and has a lock.
"""

import threading
from typing import Final

QUOTA_EXCEEDED: Final = 0x97
CONNECTION_RATE_EXCEEDED: Final = 0x9F
TURNED_AWAY_AT_ONCE = 64  # connections of a listener that are kept until their CONNECT is refused

# Option -> the reason code that the CONNECT gets.
REASONS = {
    "max_connections": QUOTA_EXCEEDED,
    "global_max_connections": QUOTA_EXCEEDED,
    "max_connections_per_address": QUOTA_EXCEEDED,
    "max_connect_rate": CONNECTION_RATE_EXCEEDED,
}


class Hall:
    """The connections of all listeners; -1 is any number."""

    def __init__(self, maximum: int = -1, maximum_per_address: int = -1) -> None:
        self._lock = threading.Lock()
        self._maximum = maximum
        self._maximum_per_address = maximum_per_address
        self._counts = maximum >= 0 or maximum_per_address >= 0  # otherwise nobody asks
        self._count = 0
        self._by_address: dict[str, int] = {}

    def enter(self, address: str) -> str:
        """Take one more from an address; otherwise the option that keeps it out."""
        if not self._counts:
            return ""
        with self._lock:
            if 0 <= self._maximum <= self._count:
                return "global_max_connections"
            count = self._by_address.get(address, 0)
            if 0 <= self._maximum_per_address <= count:
                return "max_connections_per_address"
            self._count += 1
            self._by_address[address] = count + 1
            return ""

    def leave(self, address: str) -> None:
        if not self._counts:
            return
        with self._lock:
            self._count -= 1
            left = self._by_address[address] - 1
            if left:
                self._by_address[address] = left
            else:
                del self._by_address[address]


class Door:
    """The way in at one listener.

    Args:
        maximum: connections; -1 is any number.
        rate:    connections per second; a burst may be as many as come in a second. 0 is any.
    """

    def __init__(self, hall: Hall, maximum: int, rate: int, now: float) -> None:
        self._hall = hall
        self._maximum = maximum
        self._rate = rate
        self._left = float(rate)  # of the rate
        self._counted_at = now
        self._inside = 0
        self._turned_away = 0

    def enter(self, address: str, now: float) -> str:
        """Let one in; otherwise the option that keeps it out."""
        if self._rate:
            gained = (now - self._counted_at) * self._rate
            self._left = min(float(self._rate), self._left + gained)
            self._counted_at = now
            if self._left < 1:
                return "max_connect_rate"
            self._left -= 1
        if 0 <= self._maximum <= self._inside:
            return "max_connections"
        limit = self._hall.enter(address)
        if not limit:
            self._inside += 1
        return limit

    def leave(self, address: str) -> None:
        """One that was let in has ended."""
        self._inside -= 1
        self._hall.leave(address)

    def wait_outside(self) -> bool:
        """Whether one that was kept out may stay for its answer."""
        if self._turned_away >= TURNED_AWAY_AT_ONCE:
            return False
        self._turned_away += 1
        return True

    def go_away(self) -> None:
        """It has had its answer."""
        self._turned_away -= 1
