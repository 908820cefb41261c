"""What a topic filter is made of (5.0 and 3.1.1, section 4.7)."""

SHARE_PREFIX = "$share/"


def has_wildcard(topic_filter: str) -> bool:
    """Whether the (well-formed) filter can match more than one topic name."""
    return "+" in topic_filter or "#" in topic_filter


def matches(topic_filter: str, topic: str) -> bool:
    """Whether one filter matches one name; the tree does the same for many at once.

    Characters are compared as they are, with no normalisation [MQTT5-4.7.3-4] [MQTT3-4.7.3-4].
    """
    if topic[:1] == "$" and topic_filter[:1] in ("+", "#"):
        return False  # [MQTT5-4.7.2-1] [MQTT3-4.7.2-1]
    names = topic.split("/")
    levels = topic_filter.split("/")
    for place, level in enumerate(levels):
        if level == "#":
            return True
        if place == len(names) or level not in ("+", names[place]):
            return False
    return len(levels) == len(names)
