"""Waiting for sockets: epoll where there is one, elsewhere what `selectors` has.

`selectors` makes a key, a tuple and three calls of each event. For a broker that wakes for every
packet that is a fifth of what a round costs, so on Linux epoll is asked directly.
"""

import select
import selectors
import socket
import sys
from collections.abc import Callable
from typing import Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Ready = Callable[[int], None]  # called with READ, WRITE or both


class Poller(Protocol):
    """What a loop waits with."""

    def watch(self, sock: socket.socket, before: int, events: int, ready: Ready) -> None:
        """Have `ready` called for these events from now on; `before` is what it was, 0 for
        nothing."""

    def poll(self, patience_s: float | None) -> list[tuple[Ready, int]]:
        """Wait so long at most, None for ever; whom to call, and with which events."""

    def close(self) -> None:
        """Watch nothing any more."""


class SelectorPoller:
    """kqueue on macOS, select on Windows."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, sock: socket.socket, before: int, events: int, ready: Ready) -> None:
        if not events:
            if before:
                self._selector.unregister(sock)
        elif before:
            self._selector.modify(sock, events, ready)
        else:
            self._selector.register(sock, events, ready)

    def poll(self, patience_s: float | None) -> list[tuple[Ready, int]]:
        return [(key.data, events) for key, events in self._selector.select(patience_s)]

    def close(self) -> None:
        self._selector.close()


def make_poller() -> Poller:
    """The best there is on this system."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()


if sys.platform == "linux":
    BOTH = READ | WRITE
    # What epoll reports -> READ, WRITE or both: a hang-up or an error is something for either.
    MEANS = tuple(
        (READ if events & ~select.EPOLLOUT else 0) | (WRITE if events & ~select.EPOLLIN else 0)
        for events in range(64)
    )
    WANTED = {
        READ: select.EPOLLIN,
        WRITE: select.EPOLLOUT,
        BOTH: select.EPOLLIN | select.EPOLLOUT,
    }

    class EpollPoller:
        """epoll on Linux."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._ready: dict[int, Ready] = {}

        def watch(self, sock: socket.socket, before: int, events: int, ready: Ready) -> None:
            descriptor = sock.fileno()
            if not events:
                if before:
                    self._epoll.unregister(descriptor)
                    del self._ready[descriptor]
                return
            if before:
                self._epoll.modify(descriptor, WANTED[events])
            else:
                self._epoll.register(descriptor, WANTED[events])
            self._ready[descriptor] = ready

        def poll(self, patience_s: float | None) -> list[tuple[Ready, int]]:
            ready = self._ready
            return [
                (ready[descriptor], MEANS[events & 63])
                for descriptor, events in self._epoll.poll(patience_s)
            ]

        def close(self) -> None:
            self._epoll.close()
