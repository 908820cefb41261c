"""A session: what outlives a network connection (5.0 and 3.1.1, section 4.1).

Subscriptions, messages on their way to the client and their acknowledgements, QoS 2 messages from
the client that are not completed, the will, and when it all ends.

Threads: a session belongs to one worker, connected or not, and only that worker looks into it. Any
other thread appends to `inbox` and wakes `worker`. While a session moves, the old worker passes
such a wake-up on to the new one.
"""

from collections import deque

from broker.access import Rights
from broker.limits import QueueLimits
from broker.message import NEVER, Message
from broker.session.link import Delivery, Link
from broker.session.outgoing import Outgoing
from broker.session.states import (
    AWAITS_PUBACK,
    AWAITS_PUBCOMP,
    DONE,
    FIRST_STATE,
    GOT_PUBREC,
    GOT_PUBREC_ERROR,
    NEXT,
)
from broker.session.waiting import NOTHING, Waiting
from broker.timers import Timer, cancel
from broker.worker import Worker
from formats.mqtt.connect import Will

# What most sessions have of what takes room even when it is empty; nothing is ever added.
NO_IDS: set[int] = set()
UNSOLICITED_INBOX = 100_000  # QoS 0 messages in one inbox beyond which more are dropped


class Subscription:
    """One topic filter of one session, as granted (3.8.3.1)."""

    __slots__ = (
        "identifier",
        "no_local",
        "qos",
        "retain_as_published",
        "session",
        "share",
        "topic_filter",
    )

    def __init__(
        self,
        session: "Session",
        topic_filter: str,
        qos: int,
        no_local: bool = False,
        retain_as_published: bool = False,
        identifier: int = 0,
        share: str = "",
    ) -> None:
        self.session = session
        self.topic_filter = topic_filter  # of a shared one, without `$share/NAME/`
        self.qos = qos
        self.no_local = no_local
        self.retain_as_published = retain_as_published
        self.identifier = identifier  # 0: none
        self.share = share  # the whole `$share/NAME/FILTER`; "" when not shared


class Session(Waiting):
    """The broker's half of one client's Session State.

    Attributes:
        subscriptions: by topic filter as subscribed, `$share/...` included.
        inflight:   sent and not completely acknowledged, by packet id, in the order first sent.
        received:   packet ids of QoS 2 messages that await PUBREL, with their topics.
        carried:    those of them that an earlier connection received: they take nothing of the
                    Receive Maximum of this one (4.9).
        next_puback, next_pubrec, next_pubrel, next_pubcomp: the packet id that the next one has if
                    it comes in order, and then shows nothing new of the client; 0: not known. The
                    first is negative where that holds only while nothing else is in flight.
        send_quota: QoS 1 and 2 PUBLISH packets that may still be sent (4.9).
        uncounted:  packet ids in flight whose PUBLISH this connection has not sent: what completes
                    them gives nothing back to its send quota.
        expiry_interval_s: 0 ends the session with its connection, NEVER keeps it.
        expires_at: when it ends, on the broker's clock, while not connected; NEVER otherwise.
        timers:     what its worker is to call at `expires_at` and `will_due`.
        will, will_due: the Will Message of the latest connection, and when it is due, if it waits.
    """

    __slots__ = (
        "carried",
        "connection",
        "expires_at",
        "expiry_interval_s",
        "inbox",
        "inflight",
        "last_packet_id",
        "next_puback",
        "next_pubcomp",
        "next_pubrec",
        "next_pubrel",
        "received",
        "resend",
        "rights",
        "send_quota",
        "subscriptions",
        "timers",
        "uncounted",
        "version",
        "will",
        "will_due",
    )

    def __init__(self, client_id: str, worker: Worker, limits: QueueLimits) -> None:
        Waiting.__init__(self, client_id, worker, limits)  # `super` would be a call more
        self.connection: Link | None = None
        self.version = 0
        self.subscriptions: dict[str, Subscription] = {}
        self.inbox: list[Delivery] = []
        self.resend = NOTHING
        self.inflight: dict[int, Outgoing] = {}
        self.received: dict[int, str] = {}
        self.carried = NO_IDS
        self.last_packet_id = 0
        self.next_puback = self.next_pubrec = self.next_pubrel = self.next_pubcomp = 0
        self.send_quota = 0
        self.uncounted = NO_IDS
        self.expiry_interval_s = 0.0
        self.expires_at = NEVER
        self.timers: tuple[Timer, ...] = ()
        self.will: Will | None = None
        self.will_due: float | None = None
        self.rights: Rights | None = None  # set by `Lifetime.grant`

    # What is due to the client.

    def put(self, delivery: Delivery) -> None:
        """Leave a message in the inbox and wake the owner. Any thread may."""
        if delivery.qos == 0 and len(self.inbox) >= UNSOLICITED_INBOX:
            return
        self.inbox.append(delivery)
        self.worker.wake(self)

    def drain_inbox(self, worker: Worker) -> None:
        """Take what other threads have put in."""
        if self.worker is not worker:
            self.worker.wake(self)  # it has moved on: its owner looks
            return
        inbox = self.inbox
        while inbox:
            # Others may append meanwhile: what was there goes out, and the rest next time.
            deliveries = inbox[:]
            del inbox[: len(deliveries)]
            for message, qos, retain, identifiers, share, place in deliveries:
                self.deliver(message, qos, retain, identifiers, share, place)

    def deliver(
        self,
        message: Message,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        share: str = "",
        place: int = 0,
    ) -> None:
        """Send a message to the client, or keep it for later (4.5)."""
        connection = self.connection
        if qos == 0:
            if connection is not None:
                connection.send_qos0(message, retain, identifiers)
            elif self.limits.qos0 and not self.ended:
                self._enqueue(Outgoing(message, 0, retain, identifiers, share), True)
            return
        outgoing = Outgoing(message, qos, retain, identifiers, share, place)
        if self.number:
            if self.ended:
                self._note_gone(outgoing)
                return
            journal = self.worker.journal
            if not place and journal is not None:
                outgoing.place = journal.next_place()
        if (
            self.send_quota <= 0  # so it is without a connection, too
            or connection is None
            or self.queue
            or self.resend
            or connection.congested
            or (message.large and self.is_too_much(message))
        ):
            self._enqueue(outgoing, place != 0)  # [MQTT5-4.5.0-1] [MQTT3-4.5.0-1]
        else:
            self._send(connection, outgoing, place != 0)

    def _send(self, connection: Link, outgoing: Outgoing, noted: bool = True) -> None:
        packet_id = self.last_packet_id
        inflight = self.inflight
        while True:  # [MQTT5-2.2.1-4] [MQTT3-2.3.1-4] [MQTT5-4.3.2-1] [MQTT5-4.3.3-1]
            packet_id = packet_id + 1 if packet_id < 65_535 else 1
            if packet_id not in inflight:
                break
        outgoing.packet_id = packet_id
        outgoing.state = FIRST_STATE[outgoing.qos]
        # [MQTT5-4.3.2-2] [MQTT5-4.3.3-2] with DUP 0
        if not connection.send_message(outgoing, False):
            if noted:
                self._note_gone(outgoing)
            return  # [MQTT5-3.1.2-25] over the client's limit: as good as sent
        self.last_packet_id = packet_id
        inflight[packet_id] = outgoing
        if outgoing.message.large:
            self.hold(outgoing)
        if outgoing.place > 0:
            self._note_state(outgoing)
        self.send_quota -= 1  # [MQTT5-4.9.0-2]

    def send_run(self, messages: list[Message], packet_ids: range) -> None:
        """Messages leave under packet ids that nothing else has, as nothing speaks against."""
        number, journal, qos = self.number, self.worker.journal, messages[0].qos
        state = FIRST_STATE[qos]
        if number and journal is not None:
            run = [
                Outgoing(message, qos, False, (), "", journal.next_place(), packet_id, state)
                for message, packet_id in zip(messages, packet_ids, strict=True)
            ]
            journal.outgoing_run(number, run)
        else:
            run = [
                Outgoing(message, qos, False, (), "", 0, packet_id, state)
                for message, packet_id in zip(messages, packet_ids, strict=True)
            ]
        if messages[0].large:
            for one in run:
                self.hold(one)
        self.inflight.update(zip(packet_ids, run, strict=True))
        self.last_packet_id = packet_ids[-1]
        self.send_quota -= len(run)  # [MQTT5-4.9.0-2]

    def pump(self) -> None:
        """Send what waits, as far as the send quota and the connection allow."""
        connection = self.connection
        if connection is None:
            return
        while self.resend and self.send_quota > 0 and not connection.congested:
            outgoing = self.resend.popleft()
            # Unless the client has answered without being asked again.
            if self._is_due(outgoing):
                self._resend(connection, outgoing)
        queue = self.queue
        now = self.worker.now
        while queue and not self.resend and not connection.congested:
            outgoing = queue[0]
            if outgoing.message.expires_at <= now:  # [MQTT5-3.3.2-5]
                self.worker.statistics.publish_dropped += 1
                self._note_gone(self._take())
            elif outgoing.qos == 0:
                self._take()
                connection.send_qos0(outgoing.message, outgoing.retain, outgoing.identifiers)
            elif self.send_quota > 0:
                self._send(connection, self._take())
            else:
                # [MQTT5-3.3.4-9] and nothing else waits for it [MQTT5-3.3.4-10] [MQTT5-4.9.0-3]
                return

    # What the client acknowledges.

    def acknowledged(self, packet_id: int, event: int) -> bool:
        """PUBACK, PUBREC or PUBCOMP came; True when it fits what was sent."""
        outgoing = self.inflight.get(packet_id)
        state = None if outgoing is None else NEXT.get((outgoing.state, event))
        if outgoing is None or state is None:
            return False
        if state == DONE:
            self._complete(packet_id)
        elif outgoing.state != state:
            outgoing.state = state
            self._note_state(outgoing)
            # Last, so that PUBRELs go out again in the order of the PUBRECs [MQTT3-4.6.0-6].
            self.inflight[packet_id] = self.inflight.pop(packet_id)
        return True

    def _complete(self, packet_id: int) -> None:
        self.let_go(self.inflight.pop(packet_id))
        if packet_id in self.uncounted:
            self.uncounted.remove(packet_id)  # so that the quota stays within its start (4.9)
            self.give_back(0)
        else:
            self.give_back(1)

    def give_back(self, count: int) -> None:
        """So many messages are complete: as many more may be sent [MQTT5-4.9.0-2]."""
        self.send_quota += count
        if self.queue or self.resend:
            self.pump()

    def acknowledged_qos1(self, packet_id: int) -> bool:
        """PUBACK came; `acknowledged` for the most frequent case."""
        inflight = self.inflight
        outgoing = inflight.get(packet_id)
        if outgoing is None or outgoing.state != AWAITS_PUBACK:
            return False
        del inflight[packet_id]
        if outgoing.place:
            self.let_go(outgoing)
        if packet_id in self.uncounted:
            self.uncounted.remove(packet_id)
        else:
            self.send_quota += 1
        if self.queue or self.resend:
            self.pump()
        return True

    def recorded(self, packet_id: int, reason: int) -> bool:
        """PUBREC came; True when PUBREL is due for it."""
        if reason >= 0x80:
            self.acknowledged(packet_id, GOT_PUBREC_ERROR)
            return False
        return self.acknowledged(packet_id, GOT_PUBREC)

    # Coming and going of the network connection.

    def cancel_timers(self) -> None:
        """Wait no longer for its end and its will."""
        for timer in self.timers:
            cancel(timer)
        self.timers = ()

    def attach(self, connection: Link, version: int, send_quota: int) -> None:
        """A connection opens this session: what is unacknowledged goes out again (4.4)."""
        self.connection = connection
        self.version = version
        self.send_quota = send_quota  # [MQTT5-4.9.0-1]
        self.uncounted = set(self.inflight) if self.inflight else NO_IDS
        self.carried = set(self.received) if self.received else NO_IDS
        self.next_puback = self.next_pubrec = self.next_pubrel = self.next_pubcomp = 0
        self.expires_at = NEVER  # [MQTT5-4.1.0-1] [MQTT3-4.1.0-2]
        self.will_due = None
        if self.timers:
            self.cancel_timers()

    def resume(self) -> None:
        """Send again, in the order first sent, what is not acknowledged; then what waits.

        [MQTT5-4.4.0-1] [MQTT5-4.8.2-4] [MQTT3-4.4.0-1] [MQTT3-4.6.0-1]
        """
        connection = self.connection
        if connection is None:
            return
        for outgoing in list(self.inflight.values()):
            if outgoing.state == AWAITS_PUBCOMP:
                connection.send_pubrel(outgoing.packet_id)
            elif self.send_quota > 0 and not self.resend:
                self._resend(connection, outgoing)
            else:
                if self.resend is NOTHING:
                    self.resend = deque()
                self.resend.append(outgoing)
        self.pump()
        if self.queue and self.limits.qos0:
            self._send_queued_qos0(connection)

    def _send_queued_qos0(self, connection: Link) -> None:
        """QoS 0 waits for no quota; what is published from now on must not overtake it."""
        due = [outgoing for outgoing in self.queue if not outgoing.qos]
        self.drop(due)
        for outgoing in due:
            if outgoing.message.expires_at > self.worker.now:  # [MQTT5-3.3.2-5]
                connection.send_qos0(outgoing.message, outgoing.retain, outgoing.identifiers)

    def _is_due(self, outgoing: Outgoing) -> bool:
        return (
            outgoing.state != AWAITS_PUBCOMP  # [MQTT5-4.3.3-6]
            and self.inflight.get(outgoing.packet_id) is outgoing
        )

    def _resend(self, connection: Link, outgoing: Outgoing) -> None:
        """Send a PUBLISH again, even if the message has expired meanwhile [MQTT5-4.3.3-7]."""
        self.uncounted.remove(outgoing.packet_id)
        if connection.send_message(outgoing, True):
            self.send_quota -= 1
        else:
            self.let_go(self.inflight.pop(outgoing.packet_id))

    def restore(self, outgoing: Outgoing) -> None:
        """Have what the database held, in the order it was held there."""
        if outgoing.packet_id:
            self.inflight[outgoing.packet_id] = outgoing
            self.last_packet_id = outgoing.packet_id
            if outgoing.message.large:
                self.hold(outgoing)
        else:
            self._append(outgoing)

    def detach(self) -> None:
        """The connection is gone; packets sent over it may or may not have arrived."""
        self.connection = None
        self.resend = NOTHING
