"""What a topic name, a topic filter and a shared subscription may look like (4.7; 5.0, 4.8.2)."""

from formats.errors import ProtocolViolation
from formats.mqtt import rules

SHARE = "$share/"


def check_topic_name(topic: str) -> None:
    """Refuse a topic name that is empty or has wildcards."""
    if not topic:
        raise ProtocolViolation(rules.TOPIC_EMPTY)  # [MQTT5-4.7.3-1] [MQTT3-4.7.3-1]
    if "+" in topic or "#" in topic:
        raise ProtocolViolation(rules.TOPIC_WILDCARD, topic)  # [MQTT5-4.7.0-1] [MQTT3-4.7.1-1]
    if "\0" in topic:
        raise ProtocolViolation(rules.TOPIC_WITH_NULL)  # [MQTT5-4.7.3-2] [MQTT3-4.7.3-2]


def check_topic_filter(topic_filter: str) -> None:
    """Refuse a topic filter that is empty or whose wildcards are not whole levels."""
    if not topic_filter:
        raise ProtocolViolation(rules.TOPIC_EMPTY)  # [MQTT5-4.7.3-1] [MQTT3-4.7.3-1]
    if "\0" in topic_filter:
        raise ProtocolViolation(rules.TOPIC_WITH_NULL)  # [MQTT5-4.7.3-2] [MQTT3-4.7.3-2]
    if "#" in topic_filter:  # [MQTT5-4.7.1-1] [MQTT3-4.7.1-2]
        parent = topic_filter[:-1]
        if "#" in parent or (parent and parent[-1] != "/"):
            raise ProtocolViolation(rules.FILTER_MULTI_LEVEL, topic_filter)
    if "+" in topic_filter:  # [MQTT5-4.7.1-2] [MQTT3-4.7.1-3]
        for level in topic_filter.split("/"):
            if "+" in level and level != "+":
                raise ProtocolViolation(rules.FILTER_SINGLE_LEVEL, topic_filter)


def parse_shared(topic_filter: str) -> tuple[str, str] | None:
    """Share name and filter of `$share/NAME/FILTER`; None for a filter that is not shared (5.0)."""
    if not topic_filter.startswith(SHARE):
        return None
    name, _, shared_filter = topic_filter[len(SHARE) :].partition("/")
    if not name:  # [MQTT5-4.8.2-1]
        raise ProtocolViolation(rules.SHARE_NAME_MISSING, topic_filter)
    if not shared_filter or "+" in name or "#" in name:  # [MQTT5-4.8.2-2]
        raise ProtocolViolation(rules.SHARE_MALFORMED, topic_filter)
    check_topic_filter(shared_filter)
    return name, shared_filter
