"""What a packet would have of the broker beyond its limits, and how its document lets that be said.

What is over is counted and logged here; the reason code is for whoever answers.

Threads: the connection's worker.
"""

from broker.connection import Connection
from broker.durable_output import QUOTA_EXCEEDED
from broker.limits import Limits
from broker.message import Message
from broker.session.session import Session
from formats.mqtt.connect import Connect
from formats.mqtt.properties import USER_PROPERTY, Properties
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscription
from formats.mqtt.topics import SHARE

CLIENT_ID_NOT_VALID = 0x85
TOPIC_FILTER_INVALID = 0x8F
TOPIC_NAME_INVALID = 0x90


def connect_over_limits(connection: Connection, connect: Connect) -> tuple[int, str] | None:
    """Why this CONNECT is not accepted, as a reason code and words; None when nothing is against
    it."""
    limits, registry = connection.context.limits, connection.context.registry
    client_id, will = connect.client_id, connect.will
    if len(client_id) * 4 > limits.client_id_bytes:
        size = len(client_id.encode())
        if size > limits.client_id_bytes:
            words = f"a client id of {size} bytes, maximum {limits.client_id_bytes}"
            connection.worker.limited("max_client_id_length", f"{connection.address}: {words}")
            return CLIENT_ID_NOT_VALID, words
    if will is not None:
        words = topic_over(connection, will.topic)
        if words:
            return TOPIC_NAME_INVALID, words
    if will is not None or connect.properties:
        for properties in (connect.properties, will.properties if will is not None else None):
            words = user_properties_over(connection, properties) if properties else ""
            if words:
                return QUOTA_EXCEEDED, words
    if registry.full(limits.sessions) and client_id not in registry:
        words = f"there are {limits.sessions} sessions"
        connection.worker.limited("global_max_clients", f"{connection.address}: {words}")
        return QUOTA_EXCEEDED, words
    return None


def topic_over(connection: Connection, topic: str) -> str:
    """What is too much of a topic name or filter, in words; "" for nothing."""
    limits = connection.context.limits
    if len(topic) <= limits.short:
        return ""
    levels = topic.count("/") + 1
    if levels > limits.topic_levels:
        limit, words = "max_topic_levels", f"{levels} levels, maximum {limits.topic_levels}"
    else:
        size = len(topic.encode())
        if size <= limits.topic_bytes:
            return ""
        limit, words = "max_topic_length", f"{size} bytes, maximum {limits.topic_bytes}"
    words = f"a topic of {words}"
    connection.worker.limited(limit, f"{connection.name}: {words}")
    return words


def user_properties_over(connection: Connection, properties: Properties | None) -> str:
    """Whether there are too many, in words; "" if not."""
    count = len(properties.get(USER_PROPERTY, ())) if properties else 0
    maximum = connection.context.limits.user_properties
    if count <= maximum:
        return ""
    words = f"{count} User Properties, maximum {maximum}"
    connection.worker.limited("max_user_properties", f"{connection.name}: {words}")
    return words


def ends_over_user_properties(connection: Connection, properties: Properties | None) -> bool:
    """End the connection, with a DISCONNECT or a CONNACK, if there are too many in a packet that
    has no answer with a reason code for it."""
    words = user_properties_over(connection, properties)
    if words:
        connection.disconnect(QUOTA_EXCEEDED, None, words, logged=True)
    return bool(words)


def publish_over_limits(connection: Connection, publish: Publish) -> tuple[int, str] | None:
    """Why this PUBLISH is not taken.

    At QoS 0 a retained message for which there is no room is passed on nevertheless.
    """
    words = topic_over(connection, publish.topic)
    if words:
        return TOPIC_NAME_INVALID, words
    words = user_properties_over(connection, publish.properties)
    if words:
        return QUOTA_EXCEEDED, words
    if publish.retain and publish.qos and publish.payload:
        size = Message("", publish.payload, 0, False, publish.properties, "").size
        limit = connection.context.retained.lacks(publish.topic, size)
        if limit:
            words = "no room to retain it"
            connection.worker.limited(limit, f"{connection.name}: {publish.topic!r}: {words}")
            return QUOTA_EXCEEDED, words
    return None


def subscription_over_limits(connection: Connection, session: Session, wanted: Subscription) -> int:
    """The reason code against one filter of a SUBSCRIBE, 0 for none."""
    topic_filter, limits = wanted.topic_filter, connection.context.limits
    if topic_over(connection, topic_filter):
        return TOPIC_FILTER_INVALID
    if topic_filter in session.subscriptions:
        return 0  # replaced
    if len(session.subscriptions) >= limits.subscriptions:
        words = f"{connection.name}: has {limits.subscriptions} subscriptions"
        connection.worker.limited("max_subscriptions", words)
        return QUOTA_EXCEEDED
    if connection.context.subscribed.lacks(topic_filter):
        words = f"{connection.name}: no room for one more subscription"
        connection.worker.limited("global_max_subscription_bytes", words)
        return QUOTA_EXCEEDED
    if connection.version == 5 and topic_filter.startswith(SHARE):
        return _group_over(connection, topic_filter, limits)
    return 0


def _group_over(connection: Connection, share: str, limits: Limits) -> int:
    tree = connection.context.tree
    if tree.groups < limits.shared_groups or tree.group(share) is not None:
        return 0
    words = f"{connection.name}: there are {limits.shared_groups} shared subscriptions"
    connection.worker.limited("max_shared_groups", words)
    return QUOTA_EXCEEDED
