"""Waiting for sockets: epoll where there is one, elsewhere what `selectors` has.

`selectors` makes a key, a tuple and three calls of each event. For a broker that wakes for every
packet that is a fifth of what a round costs, so on Linux epoll is asked directly, without a
function of ours in between, and what it reports is looked up by whoever asks.
"""

import os
import select
import selectors
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
BOTH = READ | WRITE
# Events that are taken at once. With fewer, many connections with little each would have as many
# more flushes; `epoll` allocates room for all of them each time, 1,023 by itself.
MOST = 512
Ready = Callable[[int], None]  # called with READ, WRITE or both
Poll = Callable[[float | None], list[tuple[int, int]]]


class Poller(Protocol):
    """What a loop waits with.

    Attributes:
        poll:  waits so many seconds at most, None for ever; descriptors, and what is reported of
            each.
        means: what is reported -> READ, WRITE or both.
        ready: whom to call with that, by descriptor; one that is not there is not watched any more.
    """

    poll: Poll
    means: tuple[int, ...]
    ready: dict[int, Ready]

    def watch(self, sock: socket.SocketType, before: int, events: int, ready: Ready) -> None:
        """Have `ready` called for these events from now on; `before` is what it was, 0 for
        nothing."""

    def closing(self, sock: socket.SocketType) -> None:
        """Do not watch it any more, as it is closed next."""

    def close(self) -> None:
        """Watch nothing any more."""


class SelectorPoller:
    """kqueue on macOS, select on Windows."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.poll: Poll = self._select
        self.means: tuple[int, ...] = tuple(range(BOTH + 1))
        self.ready: dict[int, Ready] = {}

    def watch(self, sock: socket.SocketType, before: int, events: int, ready: Ready) -> None:
        if not events:
            if before:
                self._selector.unregister(sock)
                del self.ready[sock.fileno()]
            return
        if before:
            self._selector.modify(sock, events)
        else:
            self._selector.register(sock, events)
        self.ready[sock.fileno()] = ready

    def closing(self, sock: socket.SocketType) -> None:
        self.watch(sock, BOTH, 0, _nothing)

    def _select(self, patience_s: float | None) -> list[tuple[int, int]]:
        return [(key.fd, events) for key, events in self._selector.select(patience_s)]

    def close(self) -> None:
        self._selector.close()


def _nothing(_events: int) -> None:
    """What is called of a socket that is not watched."""


def make_poller() -> Poller:
    """The best there is on this system."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()


if sys.platform == "linux":
    # What epoll reports -> READ, WRITE or both: a hang-up or an error is something for either.
    MEANS = tuple(
        (READ if events & ~select.EPOLLOUT else 0) | (WRITE if events & ~select.EPOLLIN else 0)
        for events in range(32)
    )
    WANTED = {
        READ: select.EPOLLIN,
        WRITE: select.EPOLLOUT,
        BOTH: select.EPOLLIN | select.EPOLLOUT,
    }

    # epoll forgets by itself what is closed, which saves a system call for each client that goes,
    # unless another process has it still: it would report that for ever. (What is started with
    # `subprocess` has none of it.)
    forks: set[bool] = set()  # empty until the first
    os.register_at_fork(before=partial(forks.add, True))

    class EpollPoller:
        """epoll on Linux."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self.poll: Poll = partial(self._epoll.poll, maxevents=MOST)
            self.means: tuple[int, ...] = MEANS
            self.ready: dict[int, Ready] = {}

        def watch(self, sock: socket.SocketType, before: int, events: int, ready: Ready) -> None:
            descriptor = sock.fileno()
            if not events:
                if before:
                    self._epoll.unregister(descriptor)
                    del self.ready[descriptor]
                return
            if before:
                self._epoll.modify(descriptor, WANTED[events])
            else:
                self._epoll.register(descriptor, WANTED[events])
            self.ready[descriptor] = ready

        def closing(self, sock: socket.SocketType) -> None:
            descriptor = sock.fileno()
            if forks:
                self._epoll.unregister(descriptor)
            del self.ready[descriptor]

        def close(self) -> None:
            self._epoll.close()
