"""What a broker has counted; `$SYS` tells it.

Threads: each worker counts for itself, without a lock; `total` adds up what they have, and may be
a packet behind while they run.
"""

from collections.abc import Iterable


class Statistics:
    """Counters of one worker; all only grow, but for the two gauges at the end."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "expired_sessions",
        "messages_received",
        "messages_sent",
        "publish_bytes_received",
        "publish_bytes_sent",
        "publish_dropped",
        "publish_received",
        "publish_sent",
        "sockets",
        "violations",
    )

    def __init__(self) -> None:
        self.bytes_received = 0
        self.bytes_sent = 0
        self.messages_received = 0  # MQTT Control Packets of every kind
        self.messages_sent = 0
        self.publish_received = 0
        self.publish_sent = 0
        self.publish_dropped = 0  # a full queue, a packet over the receiver's limit, expired
        self.publish_bytes_received = 0
        self.publish_bytes_sent = 0
        self.connections = 0  # CONNECT packets accepted
        self.sockets = 0  # network connections accepted
        self.expired_sessions = 0
        self.violations = 0


def total(parts: Iterable[Statistics]) -> Statistics:
    """All counters added up."""
    result = Statistics()
    for part in parts:
        for name in Statistics.__slots__:
            setattr(result, name, getattr(result, name) + getattr(part, name))
    return result
