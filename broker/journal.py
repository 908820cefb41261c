"""What one round of a worker has changed of what outlives the broker.

The changes of a round go to the writer as one list, at its end, so that a crash never leaves half
of what a packet did. What the client may only see once that is durable (acknowledgements, the
PUBLISH and PUBREL of QoS 2) is *pledged*: it goes with the list, and leaves when the writer says
so. Pledges of a connection leave in the order they were made.

Threads: a journal is its worker's own, but for `is_begun`. What it submits is the writer's from
then on.
"""

from collections.abc import Callable
from typing import Protocol

from broker.session.link import Delivery
from broker.session.outgoing import Outgoing
from broker.session.states import AWAITS_PUBACK
from persistence.records import (
    RECEIVED,
    Call,
    Change,
    Delete,
    Post,
    Put,
    received_key,
)


class Pledging(Protocol):
    """A connection, as far as pledges are concerned."""

    def hand_in(self, post: Post) -> list[Call]:
        """This round's pledges, as what the writer is to call for them."""


class Inbox(Protocol):
    """A session, as far as other workers know it."""

    def put(self, delivery: Delivery) -> None: ...


class Log(Protocol):
    """The writer, as far as a worker knows it."""

    failing: bool

    def submit(self, changes: list[Change]) -> None: ...


class Journal:
    """The list of one worker.

    Attributes:
        count:   changes noted since the start; whoever compares it with an earlier value knows
            whether something has to become durable first.
        next_place: draws a place in the order of the messages of all sessions.
        failing: the database cannot be written just now.
    """

    __slots__ = ("_changes", "_deliveries", "_log", "_pledging", "_post", "count", "next_place")

    def __init__(self, log: Log, post: Post, next_place: Callable[[], int]) -> None:
        self._log = log
        self._post = post
        self.next_place = next_place
        self._changes: list[Change] = []
        self._deliveries: list[tuple[Inbox, Delivery]] = []
        self._pledging: list[Pledging] = []
        self.count = 0

    @property
    def failing(self) -> bool:
        return self._log.failing

    def is_begun(self) -> bool:
        """Whether this round has changed something. Any thread may ask."""
        return bool(self._changes)

    def note(self, change: Put | Delete) -> None:
        """Add a change to this round."""
        self.count += 1
        self._changes.append(change)

    def outgoing(self, session_number: int, outgoing: Outgoing) -> None:
        """A message is due to a session, or the state of one that is has changed.

        Noted is what may change until the writer looks; the rest it finds in `outgoing`.
        """
        self.count += 1
        self._changes.append((outgoing, session_number, outgoing.packet_id, outgoing.state))

    def outgoing_run(self, session_number: int, outgoing: list[Outgoing]) -> None:
        """`outgoing` for each."""
        self.count += len(outgoing)
        self._changes.extend([(one, session_number, one.packet_id, one.state) for one in outgoing])

    def outgoing_elsewhere(self, session: Inbox, session_number: int, delivery: Delivery) -> None:
        """The same for a session of another worker.

        It gets the message when it is in the writer's hands: otherwise the session could change
        the message's state first, or send it as durable when it is not.
        """
        self.count += 1
        self._changes.append((delivery, session_number, 0, AWAITS_PUBACK))
        self._deliveries.append((session, delivery))

    def outgoing_gone(self, place: int) -> None:
        """A message is no longer due to its session."""
        self.count += 1
        self._changes.append(place)

    def outgoing_all_gone(self, places: list[int]) -> None:
        """`outgoing_gone` for each."""
        self.count += len(places)
        self._changes.extend(places)

    def received(self, session_number: int, packet_id: int, topic: str) -> None:
        """A QoS 2 message came and awaits PUBREL."""
        self.note(Put(RECEIVED, received_key(session_number, packet_id), (topic,)))

    def received_gone(self, session_number: int, packet_id: int) -> None:
        """PUBREL came for it."""
        self.note(Delete(RECEIVED, received_key(session_number, packet_id)))

    def pledging(self, connection: Pledging) -> None:
        """A connection has made its first pledge of this round."""
        self._pledging.append(connection)

    def when_durable(
        self, call: Callable[[], None], failed: Callable[[], None] | None = None
    ) -> None:
        """Have `call()` run on this thread once what was noted so far is durable."""
        self._changes.append(Call(self._post, call, failed))

    def submit(self) -> None:
        """End of the round: hand over what there is."""
        for connection in self._pledging:
            self._changes.extend(connection.hand_in(self._post))
        self._pledging.clear()
        if self._changes:
            changes, self._changes = self._changes, []
            self._log.submit(changes)
        if self._deliveries:
            deliveries, self._deliveries = self._deliveries, []
            for session, delivery in deliveries:
                session.put(delivery)
