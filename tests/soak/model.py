"""What the documents owe to whom while hundreds of clients come and go.

Nobody outside sees in which order the broker handles what comes on different connections. So a
message is owed to a session only where every order says so: the subscription was acknowledged
before the message was sent, and not given up before it was acknowledged. Whatever comes must be
allowed by some order: the session has asked for such topics, it has not had the message before
unless that may be, and from each publisher messages come in the order they were sent.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

from broker.topics.filters import matches

matching = lru_cache(maxsize=1 << 16)(matches)


class OwedError(AssertionError):
    """The broker did what no document allows, or not what they demand."""


@dataclass(eq=False, slots=True)
class Message:
    """One application message.

    Attributes:
        number:  of its publisher, which counts.
        resent:  its PUBLISH was sent again, so that at QoS 1 it may be another message.
    """

    publisher: str
    number: int
    topic: str
    qos: int
    retain: bool
    sent_at: float
    resent: bool = False
    acknowledged: bool = False

    @property
    def payload(self):
        return f"{self.publisher} {self.number}".encode()


@dataclass
class Session:
    """Of one client id, until it ends.

    Attributes:
        granted: topic filter -> QoS, and since when it is certain.
        asked:   topic filters that may have matched something.
        owed:    messages at QoS 1 and 2 that must come, with their QoS.
        seen:    how often the application had each message.
    """

    client_id: str
    granted: dict[str, tuple[int, float]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    owed: dict[Message, int] = field(default_factory=dict)
    seen: Counter = field(default_factory=Counter)
    latest: dict[tuple, int] = field(default_factory=dict)

    def qos_of(self, message):
        """The QoS at which a message is due for certain; -1 if it is not."""
        levels = [
            qos
            for topic_filter, (qos, since) in self.granted.items()
            if since < message.sent_at and matching(topic_filter, message.topic)
        ]
        return min(message.qos, max(levels)) if levels else -1


class Book:
    """All messages and sessions, and what was found wrong."""

    def __init__(self):
        self.messages = {}  # by payload
        self.sessions = {}
        self.jobs = Counter()  # payload -> how often a member of the share group got it
        self.wills = {}  # payload -> True: must come, False: must not, None: may
        self.will_watchers = {}  # client id -> the wills that it got
        self.retained = {}  # topic -> the latest number that is acknowledged, that was sent
        self.counts = Counter()

    def session(self, client_id):
        return self.sessions.setdefault(client_id, Session(client_id))

    def end(self, client_id):
        """The session is over, and nothing is owed to it."""
        self.sessions.pop(client_id, None)

    def published(self, message):
        self.messages[message.payload] = message
        self.counts[f"published at QoS {message.qos}"] += 1
        if message.retain:
            acknowledged, _ = self.retained.get(message.topic, (0, 0))
            self.retained[message.topic] = acknowledged, message.number

    def acknowledged(self, message):
        """PUBACK or PUBREC: the broker has it, and everybody who is due it must get it."""
        if message.acknowledged:
            return
        message.acknowledged = True
        if message.retain:
            before, sent = self.retained[message.topic]
            self.retained[message.topic] = max(before, message.number), sent
        if message.topic.startswith("jobs/"):
            self.jobs.setdefault(message.payload, 0)
        for session in self.sessions.values():
            qos = session.qos_of(message)
            if qos > 0 and message not in session.seen:
                session.owed[message] = qos
                self.counts["owed"] += 1

    def unsubscribing(self, client_id, topic_filter):
        """What was not sent yet need not come any more."""
        session = self.session(client_id)
        session.granted.pop(topic_filter, None)
        for message in list(session.owed):
            if matching(topic_filter, message.topic):
                del session.owed[message]

    def came(self, client_id, publish):
        """A message got to the application of a client."""
        self.counts[f"delivered at QoS {publish.qos}"] += 1
        if publish.topic.startswith("wills/"):
            self._will_came(client_id, publish)
            return
        message = self.messages.get(publish.payload)
        if message is None or message.topic != publish.topic:
            raise OwedError(f"{client_id} got what nobody sent: {publish}")
        if publish.topic.startswith("jobs/"):
            self._job_came(message, publish)
            return
        session = self.session(client_id)
        session.owed.pop(message, None)
        if not any(matching(one, publish.topic) for one in session.asked):
            raise OwedError(f"{client_id} has not asked for {publish}")
        if publish.qos > message.qos:
            raise OwedError(f"{client_id} got {publish}, sent at QoS {message.qos}")
        if publish.retain:
            return  # as often as it subscribes
        session.seen[message] += 1
        again = session.seen[message] > 1
        may = publish.qos < 2 and (message.resent or (publish.qos == 1 and publish.dup))
        if again and not may:
            raise OwedError(f"{client_id} got twice: {publish}")
        key = message.publisher, message.topic, message.qos, publish.qos
        if not again:
            if session.latest.get(key, 0) > message.number:
                raise OwedError(f"{client_id} got {publish} after {session.latest[key]}")
            session.latest[key] = message.number

    def _job_came(self, message, publish):
        self.jobs[message.payload] += 1
        may = publish.dup or message.resent
        if self.jobs[message.payload] > 1 and not may:
            raise OwedError(f"two members got {publish}")

    def _will_came(self, client_id, publish):
        if publish.payload not in self.wills:
            raise OwedError(f"{client_id} got the will of nobody: {publish}")
        if self.wills[publish.payload] is False:
            raise OwedError(f"the will of who has disconnected: {publish}")
        self.will_watchers[client_id].add(publish.payload)

    def forget(self, before):
        """Let go of what was seen long ago: what comes again then is out of order, too."""
        for session in self.sessions.values():
            for message in [one for one in session.seen if one.sent_at < before]:
                del session.seen[message]

    def left(self):
        """What is owed still, in words."""
        found = [
            f"{session.client_id} is owed {message.payload!r} of {message.topic} at QoS {qos}"
            for session in self.sessions.values()
            for message, qos in session.owed.items()
        ]
        found += [f"no member got {payload!r}" for payload, times in self.jobs.items() if not times]
        found += [
            f"{watcher} did not get the will {payload!r}"
            for watcher, got in self.will_watchers.items()
            for payload, due in self.wills.items()
            if due and payload not in got
        ]
        return found
