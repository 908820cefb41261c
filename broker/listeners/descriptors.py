"""File descriptors: some are spared for files of the broker, and one to turn clients away with.

Threads: a `Reserve` is its listener's.
"""

import contextlib
import os

try:
    import resource
except ImportError:  # Windows, where sockets are no file descriptors
    resource = None  # type: ignore[assignment]

SPARED = 16  # for the database, the log, reports and files that are loaded again
ANY = 1 << 62


def limit_for_clients() -> int:
    """The number from which on a socket of a client has a descriptor that is spared.

    A new one always gets the lowest that is free: if that is so high, all below are in use.
    """
    if resource is None:
        return ANY
    limit: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return ANY
    return limit - SPARED if limit > 2 * SPARED else limit // 2


class Reserve:
    """A descriptor to be given up when there is no other: with it a client can be accepted and
    closed, which does not keep it waiting for an answer that does not come."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self.take()

    def take(self) -> None:
        """Hold one, if there is one."""
        if self._descriptor is None:
            with contextlib.suppress(OSError):
                self._descriptor = os.open(os.devnull, os.O_RDONLY)

    def give(self) -> bool:
        """Let go of it; False if there was none."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return False
        os.close(descriptor)
        return True
