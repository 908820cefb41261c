"""How sessions and their wills begin, wait and end (5.0: 3.1.2.5, 3.1.3.2.2, 4.1).

Threads: called on the worker that owns the session.
"""

import logging
from collections.abc import Iterator

from broker.access import Rights
from broker.keeping import Keeping
from broker.limits import SubscriptionBytes
from broker.logging_setup import quoted
from broker.message import NEVER, Message
from broker.router import Router
from broker.session.registry import SessionRegistry
from broker.session.session import Session
from broker.session.states import AWAITS_PUBCOMP
from broker.worker import Worker
from formats.mqtt.connect import Will
from formats.mqtt.properties import MESSAGE_EXPIRY_INTERVAL, WILL_DELAY_INTERVAL
from persistence.records import (
    OUTGOING,
    RECEIVED,
    SESSIONS,
    SUBSCRIPTIONS,
    Delete,
    Put,
    received_key,
)

log = logging.getLogger("touchstone")


def will_message(will: Will, client_id: str, now: float) -> Message:
    """The Application Message that a will becomes when it is published."""
    properties = dict(will.properties or {})
    properties.pop(WILL_DELAY_INTERVAL, None)
    interval = properties.get(MESSAGE_EXPIRY_INTERVAL)
    return Message(
        will.topic,
        will.payload,
        will.qos,
        will.retain,  # [MQTT5-3.1.2-14] [MQTT5-3.1.2-15] [MQTT3-3.1.2-16] [MQTT3-3.1.2-17]
        properties or None,
        client_id,
        NEVER if interval is None else now + interval,
    )


def rows_of(session: Session) -> Iterator[Delete]:
    """What to delete of a session that has ended."""
    number = session.number
    yield Delete(SESSIONS, number)
    for topic_filter in session.subscriptions:
        yield Delete(SUBSCRIPTIONS, (number, topic_filter))
    for outgoing in (*session.inflight.values(), *session.queue):
        if outgoing.place > 0:
            yield Delete(OUTGOING, outgoing.place)
    for packet_id in session.received:
        yield Delete(RECEIVED, received_key(number, packet_id))


class Lifetime:
    """Ends sessions when it is time to, and publishes wills."""

    def __init__(
        self,
        registry: SessionRegistry,
        router: Router,
        keeping: Keeping | None,
        subscribed: SubscriptionBytes,
    ) -> None:
        self._registry = registry
        self._router = router
        self._keeping = keeping
        self._subscribed = subscribed

    def grant(self, session: Session, rights: Rights | None, worker: Worker) -> None:
        """Let a session have the rights of the client that comes, before it is connected.

        They may be others than those of the last connection. What waits and the client may not have
        is dropped: another client, with its own rights, may have left it. A restored session has
        none until then, and gets all that its subscriptions match.
        """
        if rights is None and session.rights is None:
            return
        if rights is None or not rights.same_as(session.rights):
            session.rights = rights
            if session.subscriptions:  # after the rights: no route remembers the old ones
                self._router.tree.forget_routes()
        if rights is None:
            return
        session.drain_inbox(worker)
        waiting = (*session.inflight.values(), *session.queue)
        denied = {
            id(one): one
            for one in waiting
            if one.state != AWAITS_PUBCOMP and not rights.may_receive(one.message.topic)
        }
        if not denied:
            return
        for one in denied.values():
            session.inflight.pop(one.packet_id, None)
        session.drop(list(denied.values()))
        worker.statistics.publish_dropped += len(denied)

    def publish_will(self, session: Session, worker: Worker) -> None:
        """Publish the will now, once [MQTT5-3.1.2-8] [MQTT5-3.1.2-10] [MQTT3-3.1.2-8]
        [MQTT3-3.1.2-10]."""
        will, session.will, session.will_due = session.will, None, None
        if will is not None:
            rights = session.rights
            if rights is not None and not rights.may_publish(will.topic):  # no longer
                client_id, topic = quoted(session.client_id), quoted(will.topic)
                log.warning("will of %s to %s: not authorized", client_id, topic)
                self.note(session, worker)
                return
            message = will_message(will, session.client_id, worker.now)
            self._router.publish(message, worker, session)
            self.note(session, worker)

    def disconnected(self, session: Session, worker: Worker) -> None:
        """The session's connection is closed: start what waits for its return."""
        session.detach()  # [MQTT3-4.1.0-1] all else of it stays
        if session.expiry_interval_s <= 0:
            self.end(session, worker)
            return
        now = worker.now
        if session.expiry_interval_s < NEVER:
            session.expires_at = now + session.expiry_interval_s
        if session.will is not None:
            delay = (session.will.properties or {}).get(WILL_DELAY_INTERVAL, 0)
            if delay:
                session.will_due = now + delay
            else:
                self.publish_will(session, worker)
        self._set_timers(session, worker)
        self.note(session, worker)

    def note(self, session: Session, worker: Worker) -> None:
        """Have the database know the session as it is, if it is kept there."""
        journal, keeping = worker.journal, self._keeping
        if session.number and not session.ended and journal is not None and keeping is not None:
            journal.note(Put(SESSIONS, session.number, keeping.session_row(session)))

    def adopt(self, session: Session, worker: Worker) -> None:
        """Set a new owner's timers for a session without a connection.

        It may have moved on already; then it is no longer ours to look into.
        """
        if session.worker is worker:
            self._set_timers(session, worker)

    def _set_timers(self, session: Session, worker: Worker) -> None:
        session.cancel_timers()
        if session.expires_at < NEVER:
            timer = worker.timers.at(
                session.expires_at, lambda now: self._expire(session, worker, now)
            )
            session.timers += (timer,)
        if session.will_due is not None:
            timer = worker.timers.at(session.will_due, lambda now: self._will(session, worker, now))
            session.timers += (timer,)

    def _expire(self, session: Session, worker: Worker, now: float) -> None:
        if session.worker is worker and not session.ended and session.expires_at <= now:
            worker.statistics.expired_sessions += 1
            self.end(session, worker)  # [MQTT5-4.1.0-2]

    def _will(self, session: Session, worker: Worker, now: float) -> None:
        due = session.will_due
        if session.worker is worker and due is not None and due <= now:
            self.publish_will(session, worker)

    def end(self, session: Session, worker: Worker) -> None:
        """The session is over: its will is published, and nothing of it remains.

        What it had retained does: that is none of its state [MQTT3-3.1.2-7].
        """
        if session.ended:
            return
        if session.inbox:
            session.drain_inbox(worker)
        session.ended = True
        if session.timers:
            session.cancel_timers()
        self._registry.remove(session)
        if session.subscriptions:
            for subscription in session.subscriptions.values():
                self._router.tree.unsubscribe(subscription)
            self._subscribed.remove(session.subscriptions)
        holds = session.queue or session.inflight
        if holds:
            self._router.pass_on(session, worker)
        if session.will is not None:
            self.publish_will(session, worker)
        if session.number and worker.journal is not None:
            for change in rows_of(session):
                worker.journal.note(change)
        session.subscriptions.clear()
        if holds:
            session.empty()
            session.inflight.clear()
        session.received.clear()
