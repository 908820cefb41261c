"""What a broker has counted; `$SYS` tells it.

Threads: each worker counts for itself, without a lock; `total` adds up what they have, and may be
a packet behind while they run.
"""

from collections.abc import Iterable

# What a client can run into: options, and what the system sets.
LIMITS = (
    "descriptors",
    "max_connections",
    "global_max_connections",
    "max_connections_per_address",
    "max_connect_rate",
    "connect_timeout_s",
    "global_max_clients",
    "max_client_id_length",
    "maximum_packet_size",
    "max_user_properties",
    "max_topic_length",
    "max_topic_levels",
    "max_subscriptions",
    "global_max_subscription_bytes",
    "max_shared_groups",
    "max_retained_messages",
    "max_retained_bytes",
    "max_queued_messages",
    "max_queued_bytes",
    "global_max_queued_messages",
    "global_max_queued_bytes",
    "max_connection_output_bytes",
)


class Statistics:
    """Counters of one worker; all only grow.

    Attributes:
        limits: how often each of LIMITS has had something refused or dropped.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "connections",
        "expired_sessions",
        "limits",
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
        self.limits = dict.fromkeys(LIMITS, 0)


def total(parts: Iterable[Statistics]) -> Statistics:
    """All counters added up."""
    result = Statistics()
    for part in parts:
        for name in Statistics.__slots__:
            if name != "limits":
                setattr(result, name, getattr(result, name) + getattr(part, name))
        for limit in LIMITS:
            result.limits[limit] += part.limits[limit]
    return result
