"""What the broker tells about itself, under the names that Mosquitto uses: `$SYS/broker/...`.

`TOPICS` is the whole list, with what each counts; docs/sys-topics.md is made from it.

Threads: housekeeping's. Counters of the listeners are read while they change; a value may be one
round old.
"""

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from broker.context import Context
from broker.message import NEVER, Message
from broker.statistics import LIMITS, Statistics
from broker.worker import Worker

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PREFIX = "$SYS/broker/"
PERIODS_S = {"1min": 60, "5min": 300, "15min": 900}


@dataclass(slots=True)
class Sample:
    """What is true at one moment, for the rows of `TOPICS`."""

    version: str
    uptime_s: int
    clients: int
    connected: int
    maximum: int
    stored: int
    stored_bytes: int
    subscriptions: int
    retained: int
    heap: int | None
    heap_maximum: int | None
    counted: Statistics


class Topic(NamedTuple):
    """A row: name below `$SYS/broker/`, what it tells, and how."""

    name: str
    tells: str
    value: Callable[[Sample], object]


def _reached(limit: str, sample: Sample) -> int:
    return sample.counted.limits[limit]


TOPICS = (
    Topic("version", "name and version; sent once", lambda s: f"touchstone version {s.version}"),
    Topic("uptime", "seconds since the start", lambda s: f"{s.uptime_s} seconds"),
    Topic("clients/total", "sessions, connected or not", lambda s: s.clients),
    Topic("clients/active", "the same as clients/connected", lambda s: s.connected),
    Topic(
        "clients/inactive", "the same as clients/disconnected", lambda s: s.clients - s.connected
    ),
    Topic("clients/connected", "clients connected now", lambda s: s.connected),
    Topic(
        "clients/disconnected", "sessions without a connection", lambda s: s.clients - s.connected
    ),
    Topic("clients/maximum", "the most sessions there have been", lambda s: s.maximum),
    Topic("clients/expired", "sessions that expired", lambda s: s.counted.expired_sessions),
    Topic(
        "messages/received",
        "MQTT Control Packets of every kind received",
        lambda s: s.counted.messages_received,
    ),
    Topic(
        "messages/sent",
        "MQTT Control Packets of every kind sent",
        lambda s: s.counted.messages_sent,
    ),
    Topic("messages/stored", "the same as store/messages/count", lambda s: s.stored),
    Topic(
        "publish/messages/received",
        "PUBLISH packets received",
        lambda s: s.counted.publish_received,
    ),
    Topic("publish/messages/sent", "PUBLISH packets sent", lambda s: s.counted.publish_sent),
    Topic(
        "publish/messages/dropped",
        "messages not sent: a full queue, too large for the client, expired",
        lambda s: s.counted.publish_dropped,
    ),
    Topic(
        "publish/bytes/received",
        "bytes of payload received",
        lambda s: s.counted.publish_bytes_received,
    ),
    Topic("publish/bytes/sent", "bytes of payload sent", lambda s: s.counted.publish_bytes_sent),
    Topic("bytes/received", "bytes of the network received", lambda s: s.counted.bytes_received),
    Topic("bytes/sent", "bytes of the network sent", lambda s: s.counted.bytes_sent),
    Topic(
        "store/messages/count",
        "messages retained, queued and in flight",
        lambda s: s.stored,
    ),
    Topic("store/messages/bytes", "bytes of their payloads", lambda s: s.stored_bytes),
    Topic("subscriptions/count", "subscriptions", lambda s: s.subscriptions),
    Topic("retained messages/count", "retained messages", lambda s: s.retained),
    *(
        Topic(
            f"limits/{limit}",
            "how often too little was left of the process's file descriptors for a client"
            if limit == "descriptors"
            else f"how often `{limit}` had something refused, dropped or ended",
            partial(_reached, limit),
        )
        for limit in LIMITS
    ),
    Topic("heap/current", "bytes of memory in use, where the system tells", lambda s: s.heap),
    Topic("heap/maximum", "the most of it there has been", lambda s: s.heap_maximum),
)

# Below `load/`, each with `/1min`, `/5min` and `/15min`: a moving average per minute.
LOADS: dict[str, Callable[[Statistics], int]] = {
    "messages/received": lambda counted: counted.messages_received,
    "messages/sent": lambda counted: counted.messages_sent,
    "publish/received": lambda counted: counted.publish_received,
    "publish/sent": lambda counted: counted.publish_sent,
    "publish/dropped": lambda counted: counted.publish_dropped,
    "bytes/received": lambda counted: counted.bytes_received,
    "bytes/sent": lambda counted: counted.bytes_sent,
    "sockets": lambda counted: counted.sockets,
    "connections": lambda counted: counted.connections,
}


class SysTopics:
    """Publishes what has changed, each `interval_s`."""

    def __init__(
        self,
        context: Context,
        worker: Worker,
        counted: Callable[[], Statistics],
        version: str,
        interval_s: float,
    ) -> None:
        self._context = context
        self._worker = worker
        self._counted = counted
        self._version = version
        self._interval_s = interval_s
        self._started = self._last = worker.now
        self._before = Statistics()
        self._loads: dict[str, float] = {}
        self._told: dict[str, bytes] = {}

    def publish(self, now: float) -> None:
        """Publish, and set the next time."""
        sample = self._sample(now)
        for topic in TOPICS:
            value = topic.value(sample)
            if value is not None:
                self._tell(PREFIX + topic.name, str(value).encode())
        self._publish_loads(now, sample.counted)
        self._worker.timers.at(now + self._interval_s, self.publish)

    def _publish_loads(self, now: float, counted: Statistics) -> None:
        elapsed = now - self._last
        if elapsed > 0:
            for name, counter in LOADS.items():
                per_minute = (counter(counted) - counter(self._before)) * 60 / elapsed
                for period, length_s in PERIODS_S.items():
                    key = f"{name}/{period}"
                    weight = math.exp(-elapsed / length_s)
                    load = per_minute + weight * (self._loads.get(key, 0.0) - per_minute)
                    self._loads[key] = load
                    self._tell(f"{PREFIX}load/{key}", f"{load:.2f}".encode())
            self._last = now
            self._before = counted

    def _tell(self, topic: str, payload: bytes) -> None:
        if self._told.get(topic) != payload:
            self._told[topic] = payload
            message = Message(topic, payload, 0, True, None, "", NEVER)
            self._context.router.publish(message, self._worker, None)

    def _sample(self, now: float) -> Sample:
        context = self._context
        sessions = context.registry.all()
        stored, stored_bytes = context.retained.count, context.retained.size
        for session in sessions:
            for outgoing in (*session.queue.copy(), *session.inflight.copy().values()):
                stored += 1
                stored_bytes += len(outgoing.message.payload)
        current, maximum = memory()
        return Sample(
            self._version,
            int(now - self._started),
            len(sessions),
            sum(session.connection is not None for session in sessions),
            context.registry.maximum,
            stored,
            stored_bytes,
            context.tree.count,
            context.retained.count,
            current,
            maximum,
            self._counted(),
        )


def memory() -> tuple[int | None, int | None]:
    """Bytes of memory this process uses now, and has used at most; None where the system does not
    say."""
    current = maximum = None
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            current = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass  # not Linux
    return current, maximum
