"""What the tests of the topic tree share: names, filters, and a matcher to compare with."""

from types import SimpleNamespace

from hypothesis import strategies as st

from broker.session.session import Subscription

# Few words, so that they meet; and those that are easily got wrong.
WORDS = st.sampled_from(["", "a", "b", "A", "$", "$a", "\ufeff", "\u6e29"])
NAMES = st.lists(WORDS, min_size=1, max_size=5).map("/".join).filter(bool)
LEVELS = st.lists(st.one_of(WORDS, st.just("+")), max_size=5)
FILTERS = (
    st.tuples(LEVELS, st.sampled_from([[], ["#"]]))
    .map(lambda parts: "/".join(parts[0] + parts[1]))
    .filter(bool)
)


def reference(topic_filter, topic):
    """Whether the filter matches, level by level (4.7), as slowly and plainly as can be."""
    if topic.startswith("$") and topic_filter.startswith(("+", "#")):
        return False
    names, levels = topic.split("/"), topic_filter.split("/")
    if levels[-1] == "#":
        levels.pop()
        names = names[: len(levels)]
    if len(names) != len(levels):
        return False
    return all(level in ("+", name) for level, name in zip(levels, names, strict=True))


def session(name, connected=True):
    """As much of a session as the tree and its groups look at."""
    return SimpleSession(name, connected)


class SimpleSession(SimpleNamespace):
    """Compared by what it is, as sessions are."""

    def __init__(self, name, connected):
        connection = object() if connected else None
        super().__init__(client_id=name, connection=connection, rights=None)

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def subscription(of, topic_filter, qos=0, share="", **options):
    """A subscription; `share` is the name of a Shared Subscription."""
    shared = f"$share/{share}/{topic_filter}" if share else ""
    return Subscription(of, topic_filter, qos, share=shared, **options)
