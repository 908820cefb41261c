"""Sets of topic filters, and what two filters have in common (4.7).

As in subscriptions, a wildcard at the beginning of a filter matches no topic that begins with `$`.

Threads: not changed after they are made.
"""

from collections.abc import Iterable
from typing import Any

from broker.topics.filters import has_wildcard

END = ""  # in a node, the mark of a filter that ends there; names have a "/" before them


class FilterSet:
    """Well-formed topic filters that a topic is matched with at once."""

    __slots__ = ("_exact", "_wild", "filters")

    def __init__(self, filters: Iterable[str] = ()) -> None:
        self.filters = tuple(dict.fromkeys(filters))
        self._exact = frozenset(one for one in self.filters if not has_wildcard(one))
        self._wild: dict[str, Any] = {}
        for one in self.filters:
            if has_wildcard(one):
                node = self._wild
                for level in one.split("/"):
                    node = node.setdefault("/" + level, {})
                node[END] = True

    def matches(self, topic: str) -> bool:
        """Whether one of them matches a topic name."""
        if topic in self._exact:
            return True
        if not self._wild:
            return False
        nodes = [self._wild]
        wild = not topic.startswith("$")
        for name in topic.split("/"):
            following = []
            for node in nodes:
                if wild and "/#" in node:
                    return True
                exact = node.get("/" + name)
                if exact is not None:
                    following.append(exact)
                if wild:
                    one = node.get("/+")
                    if one is not None:
                        following.append(one)
            if not following:
                return False
            nodes = following
            wild = True
        return any(END in node or "/#" in node for node in nodes)


def intersection(one: str, other: str) -> str | None:
    """The filter of what both match; None if that is nothing."""
    ours, theirs = one.split("/"), other.split("/")
    common: list[str] = []
    for place in range(max(len(ours), len(theirs)) + 1):
        for here, there in ((ours, theirs), (theirs, ours)):
            if here[place:] == ["#"]:
                if not place and there[0].startswith("$"):
                    return None
                return "/".join(common + there[place:])
        if place == len(ours) or place == len(theirs):
            break
        level, another = ours[place], theirs[place]
        if level == "+":
            level, another = another, level
        if another not in (level, "+") or (
            another != level and not place and level.startswith("$")
        ):
            return None
        common.append(level)
    return "/".join(common) if len(ours) == len(theirs) else None


def covers(wide: str, narrow: str) -> bool:
    """Whether `wide` matches all that `narrow` does."""
    if narrow == "/#":
        narrow = "/+/#"  # what is above its # has no characters, and so is no topic (4.7.3)
    levels, names = wide.split("/"), narrow.split("/")
    for place, level in enumerate(levels):
        if level in ("#", "+") and not place and names[0].startswith("$"):
            return False
        if level == "#":
            return True
        if place == len(names) or names[place] == "#" or level not in ("+", names[place]):
            return False
    return len(levels) == len(names)
