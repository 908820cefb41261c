"""What the documents owe to each session: a model of the broker that is as simple as they allow.

In memory everything that was sent has been handled when the next thing is sent. So the model knows
what is on its way: at QoS 0 a message is owed to who is connected, at QoS 1 and 2 to who has a
session. Overlapping subscriptions get one copy with the highest QoS.
"""

from dataclasses import dataclass, field

from broker.topics.filters import matches


@dataclass(eq=False)
class Owed:
    """One copy of one message.

    Attributes:
        order:   those of one session come in this order; retained ones of one SUBSCRIBE have the
                 same number.
        dropped: a connection of the session ended meanwhile: it may have been sent before.
        seen:    it was, on an earlier connection, and came.
    """

    payload: bytes
    qos: int
    order: int
    dropped: bool = False
    seen: bool = False


@dataclass
class Session:
    client_id: str
    expiry_s: float
    expires_at: float | None = None  # None while connected
    filters: dict[str, tuple[int, bool]] = field(default_factory=dict)  # to QoS and No Local
    owed: list[Owed] = field(default_factory=list)  # at QoS 1 and 2, not delivered yet
    at_most_once: list[Owed] = field(default_factory=list)  # at QoS 0, not read yet
    arrived: dict[int, Owed] = field(default_factory=dict)  # QoS 1 and not acknowledged
    latest: int = 0  # the order of what came last on this connection

    def came(self, publish):
        """A PUBLISH that is no repetition to an application that takes QoS 2 once."""
        if publish.qos == 0:
            first = self.at_most_once[:1]
            fitting = [one for one in self.at_most_once if one.payload == publish.payload]
            assert fitting, f"not owed: {publish} but {self.at_most_once}"
            assert fitting[0].order == first[0].order, f"out of order: {publish} before {first}"
            assert not publish.dup
            self.at_most_once.remove(fitting[0])
            return
        fitting = [
            one
            for one in self.owed
            if (one.payload, one.qos) == (publish.payload, publish.qos)
            and one not in self.arrived.values()
        ]
        assert fitting, f"not owed: {publish} but {self.owed}"
        one = fitting[0]
        assert one.dropped or not publish.dup, f"DUP on a first sending: {publish}"
        assert publish.dup or not one.seen, f"no DUP: {publish}"
        assert one.order >= self.latest, f"out of order: {publish} after {self.latest}"
        self.latest = one.order
        if publish.qos == 1:
            self.arrived[publish.packet_id] = one
        else:
            self.owed.remove(one)

    def acknowledged(self, packet_id):
        """PUBACK was sent: it must not come again."""
        self.owed.remove(self.arrived.pop(packet_id))

    def lost_connection(self, now):
        for one in self.owed:
            one.dropped = True
        for one in self.arrived.values():
            one.seen = True
        self.arrived.clear()
        self.at_most_once.clear()
        self.latest = 0
        self.expires_at = now + self.expiry_s


class Debts:
    """All sessions and retained messages of the clients that are modelled.

    Args:
        now:             of the broker's clock, seconds.
        retain_expiry_s: how long what is retained stays.
    """

    def __init__(self, now, retain_expiry_s):
        self.now = now
        self.sessions = {}
        self.retained = {}  # topic to payload, QoS, client id and when it expires
        self._retain_expiry_s = retain_expiry_s
        self._order = 0
        self.at_once = False  # what happens now has no order: several threads are at it

    def connect(self, client_id, clean, expiry_s):
        """CONNECT was accepted; whether the session had been there."""
        before = self.sessions.get(client_id)
        present = before is not None and not clean
        if not present:
            self.sessions[client_id] = Session(client_id, expiry_s)
        session = self.sessions[client_id]
        session.expiry_s, session.expires_at = expiry_s, None
        return present

    def disconnect(self, client_id, will=None):
        """The connection has ended; `will` is published."""
        session = self.sessions[client_id]
        session.lost_connection(self.now)
        if not session.expiry_s:
            del self.sessions[client_id]
        if will is not None:
            self.publish(client_id, will.topic, will.payload, will.qos, will.retain)

    def advance(self, seconds):
        """Time passes."""
        now = self.now = self.now + seconds
        over = [
            client_id
            for client_id, session in self.sessions.items()
            if session.expires_at is not None and session.expires_at <= now
        ]
        for client_id in over:
            del self.sessions[client_id]
        for topic, (_payload, _qos, _origin, expires_at) in list(self.retained.items()):
            if expires_at <= now:
                del self.retained[topic]

    def publish(self, client_id, topic, payload, qos, retain):
        """A message was accepted."""
        self._next()
        if retain and payload:
            self.retained[topic] = payload, qos, client_id, self.now + self._retain_expiry_s
        elif retain:
            self.retained.pop(topic, None)
        for session in self.sessions.values():
            granted = [
                maximum
                for topic_filter, (maximum, no_local) in session.filters.items()
                if matches(topic_filter, topic)
                and not (no_local and session.client_id == client_id)
            ]
            if granted:
                self._owe(session, payload, min(qos, max(granted)))

    def subscribe(self, client_id, topic_filter, qos, no_local):
        """A subscription was granted: what is retained is due, however often it is asked for."""
        self._next()
        session = self.sessions[client_id]
        session.filters[topic_filter] = qos, no_local
        for topic, (payload, published_qos, origin, _) in self.retained.items():
            if matches(topic_filter, topic) and not (no_local and origin == client_id):
                self._owe(session, payload, min(qos, published_qos))

    def _next(self):
        if not self.at_once:
            self._order += 1

    def _owe(self, session, payload, qos):
        one = Owed(payload, qos, self._order, dropped=self.at_once)
        if qos:
            session.owed.append(one)
        elif session.expires_at is None:
            session.at_most_once.append(one)
