"""A broker inside the process of the tests: one that can say when it has handled what was sent, and
that does not wait for clients when it stops.

Threads: made, asked and stopped by the thread of the test; it posts to those of the listeners.
"""

import threading
from functools import partial

from broker.broker import Broker
from broker.clock import Clock
from broker.listeners.loop import Loop

SETTLE_S = 5.0  # how long to wait for clients that go on sending


class Embedded(Broker):
    """A `Broker` for tests of clients."""

    def settle(self) -> bool:
        """Wait until the listeners have handled all that clients have sent by now.

        Returns:
            False if clients were still sending after `SETTLE_S`.
        """
        clock = Clock()  # of this machine
        deadline = clock.now() + SETTLE_S
        before: list[tuple[int, ...]] = []
        while clock.now() < deadline:
            # More than one pass: listeners hand sessions over to each other.
            counted = [self._counted(one.loop, deadline, clock) for one in self._listeners]
            if counted == before:
                return True
            before = counted
        return False

    def _counted(self, loop: Loop, deadline: float, clock: Clock) -> tuple[int, ...]:
        """What a listener has counted after it looked at all its sockets once more."""
        done = threading.Event()
        counted: list[int] = []

        def count() -> None:
            statistics = loop.statistics
            counted.extend(
                (statistics.bytes_received, statistics.sockets, statistics.messages_received)
            )
            done.set()

        # What is posted from a round runs in the next one, after its sockets.
        loop.post(lambda: loop.post(count))
        done.wait(max(0.0, deadline - clock.now()))
        return tuple(counted)

    def stop(self) -> None:
        """As `Broker.stop`, but clients that do not go are left behind at once.

        A test that keeps a socket open would make the next one wait.
        """
        for listener in self._listeners:
            listener.begin_stop()
            listener.loop.post(partial(listener.loop.post, listener.end))  # after they are told
        super().stop()
