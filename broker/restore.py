"""From the database to the state of a broker that starts.

Threads: the thread that starts the broker, before any worker runs.
"""

import logging
from collections.abc import Iterable
from typing import Any, Protocol

from broker.context import Context
from broker.keeping import Keeping
from broker.message import Message
from broker.session.outgoing import Outgoing
from broker.session.session import Session, Subscription
from broker.topics.filters import SHARE_PREFIX
from broker.worker import Worker
from persistence.records import (
    OUTGOING,
    PACKET_ID_BITS,
    RECEIVED,
    RETAINED,
    SESSIONS,
    SUBSCRIPTIONS,
    Change,
    Delete,
    OutgoingPut,
    Row,
)

log = logging.getLogger("touchstone")


class Rows(Protocol):
    """The database, as far as reading it goes."""

    def checked_rows(self, table: str) -> Iterable[tuple[Any, Row]]:
        """Keys and rows of a table, in the order of the keys."""


class Holder(Protocol):
    """The writer, which has to know what it already holds."""

    def adopt_outgoing(self, put: OutgoingPut, number: int) -> None: ...

    def adopt_retained(self, topic: str, message: Any, number: int) -> None: ...

    def submit(self, changes: list[Change]) -> None: ...


def restore(
    database: Rows,
    messages: dict[int, Message],
    holder: Holder,
    context: Context,
    keeping: Keeping,
    worker: Worker,
) -> None:
    """Fill the context with what the database holds; sessions belong to `worker` until they are
    claimed.

    What names something that is not there (half of it was written by a broker that ended badly) is
    deleted. Sessions that have expired meanwhile end now, before anybody connects.
    """
    orphans: list[Change] = []
    for topic, (number, expires_at) in database.checked_rows(RETAINED):
        message = messages.get(number)
        if message is None:
            orphans.append(Delete(RETAINED, topic))
            continue
        holder.adopt_retained(topic, message, number)
        context.retained.restore(message, keeping.from_wall(expires_at))
    sessions: dict[int, Session] = {}
    begun: set[int] = set()
    session_rows = dict(database.checked_rows(SESSIONS))
    # A worker may have begun the next session of a client before another had handed over the end
    # of the last: the highest number is the one that there is.
    latest = {row[0]: session_number for session_number, row in session_rows.items()}
    for session_number, row in session_rows.items():
        if latest[row[0]] != session_number:
            orphans.append(Delete(SESSIONS, session_number))
            continue
        session, _ = context.registry.find_or_create(row[0], worker)
        session.number = session_number
        if keeping.restore_session(session, row):
            begun.add(session_number)
        sessions[session_number] = session
    for key, row in database.checked_rows(SUBSCRIPTIONS):
        owner = sessions.get(key[0])
        if owner is None:
            orphans.append(Delete(SUBSCRIPTIONS, key))
        else:
            _restore_subscription(context, owner, key[1], row)
    last_place = 0
    for place, row in database.checked_rows(OUTGOING):
        number, session_number, qos, retain, identifiers, share, packet_id, state = row
        owner = sessions.get(session_number)
        message = messages.get(number)
        last_place = place
        if owner is None or message is None:
            continue  # what is not adopted goes
        outgoing = Outgoing(message, qos, retain, identifiers, share, place)
        outgoing.packet_id, outgoing.state = packet_id, state
        holder.adopt_outgoing((outgoing, session_number, packet_id, state), number)
        owner.restore(outgoing)
    for key, row in database.checked_rows(RECEIVED):
        owner = sessions.get(key >> PACKET_ID_BITS)
        if owner is None:
            orphans.append(Delete(RECEIVED, key))
        else:
            owner.received[key & (1 << PACKET_ID_BITS) - 1] = row[0]
    if orphans:
        holder.submit(orphans)
    keeping.start_after(max(sessions, default=0), last_place)
    _begin(context, sessions, begun, worker)
    log.info(
        "restored %d sessions, %d retained messages, %d messages on their way",
        len(sessions),
        context.retained.count,
        sum(len(one.queue) + len(one.inflight) for one in sessions.values()),
    )


def _restore_subscription(
    context: Context, session: Session, topic_filter: str, row: tuple[Any, ...]
) -> None:
    qos, no_local, retain_as_published, identifier, shared = row
    subscription = Subscription(
        session,
        topic_filter[len(SHARE_PREFIX) :].partition("/")[2] if shared else topic_filter,
        qos,
        no_local,
        retain_as_published,
        identifier,
        topic_filter if shared else "",
    )
    session.subscriptions[topic_filter] = subscription
    context.subscribed.add(topic_filter)
    context.tree.subscribe(subscription)


def _begin(context: Context, sessions: dict[int, Session], begun: set[int], worker: Worker) -> None:
    """End what has expired, and wait for the end of the rest.

    Where that time begins now it is noted: it must not begin again with each start.
    """
    for number, session in sessions.items():
        if session.expires_at <= worker.now or session.expiry_interval_s == 0:
            context.lifetime.end(session, worker)
        else:
            context.lifetime.adopt(session, worker)
            if number in begun:
                context.lifetime.note(session, worker)
