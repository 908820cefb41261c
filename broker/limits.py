"""What clients may have of the broker, each and all together, as configured.

Limits that a network connection meets before its CONNECT are those of `broker/listeners/door.py`.

Threads: set before the listeners start; `QueueLimits` and `SubscriptionBytes` guard themselves.
"""

import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from broker.message import Message
from broker.settings import Options

UNLIMITED = 1 << 62
LONGEST_TEXT = 65_535  # bytes of a UTF-8 string (1.5.4)
LOOKED_AT = 1_024  # a session that holds a smaller part of the total is not what fills it
SUBSCRIPTION_BYTES, LEVEL_BYTES = 200, 450  # about, that one and each level of its filter take


class Holder(Protocol):
    """A worker: what the sessions that it owns hold, together."""

    held_bytes: int
    queued: int


class Holding(Protocol):
    """A session."""

    held: int

    @property
    def queued(self) -> int: ...


class QueueLimits:
    """How much sessions may hold of messages to their clients.

    What all hold is the sum of what each worker counts of its own: it may be as far behind as
    others get while one looks.

    Attributes:
        qos0:    QoS 0 messages are queued, too.
        unasked: bytes up to which a session sends without asking `reached`.
    """

    def __init__(
        self,
        messages: int = 0,
        size: int = 0,
        messages_in_all: int = 0,
        size_in_all: int = 0,
        qos0: bool = False,
    ) -> None:
        self.messages = messages or UNLIMITED
        self.size = size or UNLIMITED
        self.qos0 = qos0
        self._messages_in_all = messages_in_all or UNLIMITED
        self._size_in_all = size_in_all or UNLIMITED
        self.unasked = min(self.size, self._size_in_all // LOOKED_AT)
        self._workers: tuple[Holder, ...] = ()

    def include(self, worker: Holder) -> None:
        """Count what the sessions of this worker hold; one caller at a time."""
        if worker not in self._workers:
            self._workers = (*self._workers, worker)

    def reached(self, session: Holding, message: Message, queues: bool = True) -> str:
        """The option that keeps a session from having one more message; "" if none does.

        Without `queues` it would be sent at once.
        """
        if queues and session.queued >= self.messages:
            return "max_queued_messages"
        if session.held + message.size > self.size:
            return "max_queued_bytes"
        queued, held = 0, message.size
        for worker in self._workers:
            queued += worker.queued
            held += worker.held_bytes
        if queues and queued >= self._messages_in_all:
            return "global_max_queued_messages"
        return "global_max_queued_bytes" if held > self._size_in_all else ""


def subscription_cost(topic_filter: str) -> int:
    """Bytes, about, that a subscription takes whose levels no other has; the filter is kept whole
    and in its levels."""
    levels = topic_filter.count("/") + 1
    return SUBSCRIPTION_BYTES + LEVEL_BYTES * levels + 2 * sys.getsizeof(topic_filter)


class SubscriptionBytes:
    """What the subscriptions of all sessions take, by their filters as subscribed.

    Attributes:
        taken: bytes, about.
    """

    def __init__(self, maximum: int = UNLIMITED) -> None:
        self._maximum = maximum
        self._lock = threading.Lock()
        self.taken = 0

    def lacks(self, topic_filter: str) -> bool:
        """Whether there is no room for one more; an answer for this moment."""
        return self.taken + subscription_cost(topic_filter) > self._maximum

    def add(self, topic_filter: str) -> None:
        """Count one, whether there is room or not: it may have been there before a restart."""
        with self._lock:
            self.taken += subscription_cost(topic_filter)

    def remove(self, topic_filters: Iterable[str]) -> None:
        """Count those no longer."""
        freed = sum(map(subscription_cost, topic_filters))
        with self._lock:
            self.taken -= freed


@dataclass(slots=True)
class Limits:
    """The rest; each a number that is still allowed.

    Attributes:
        short: characters up to which a topic needs no further look, whatever is in it.
    """

    client_id_bytes: int = LONGEST_TEXT
    topic_bytes: int = LONGEST_TEXT
    topic_levels: int = UNLIMITED
    user_properties: int = UNLIMITED
    sessions: int = UNLIMITED
    subscriptions: int = UNLIMITED
    subscription_bytes: int = UNLIMITED
    shared_groups: int = UNLIMITED
    retained_messages: int = UNLIMITED
    retained_bytes: int = UNLIMITED
    short: int = 0

    def __post_init__(self) -> None:
        # A character has 4 bytes at most; one "/" more is one level more.
        self.short = min(self.topic_bytes // 4, self.topic_levels - 1)

    @classmethod
    def of(cls, options: Options) -> "Limits":
        return cls(
            options["max_client_id_length"],
            options["max_topic_length"],
            options["max_topic_levels"] or UNLIMITED,
            options["max_user_properties"] or UNLIMITED,
            options["global_max_clients"] if options["global_max_clients"] >= 0 else UNLIMITED,
            options["max_subscriptions"] or UNLIMITED,
            options["global_max_subscription_bytes"] or UNLIMITED,
            options["max_shared_groups"] or UNLIMITED,
            options["max_retained_messages"] or UNLIMITED,
            options["max_retained_bytes"] or UNLIMITED,
        )
