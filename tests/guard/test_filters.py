"""Sets of topic filters against a model that looks at every topic there is, of a few names."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from broker.guard.filters import FilterSet, covers, intersection
from broker.topics.filters import matches

NAMES = ("", "a", "b", "$s")
TOPICS = [
    topic
    for depth in (1, 2, 3, 4)
    for levels in product(NAMES, repeat=depth)
    if (topic := "/".join(levels))
]

levels = st.sampled_from((*NAMES, "+"))
filters = (
    st.tuples(st.lists(levels, max_size=3), st.sampled_from((None, "#", "a", "+")))
    .map(lambda parts: "/".join([*parts[0], *([parts[1]] if parts[1] else [])]))
    .filter(bool)
)


@given(st.lists(filters, max_size=5))
def test_a_set_matches_what_one_of_its_filters_does(some):
    one = FilterSet(some)
    for topic in TOPICS:
        assert one.matches(topic) == any(matches(filter_, topic) for filter_ in some)


@given(filters, filters)
def test_an_intersection_matches_what_both_do(one, other):
    common = intersection(one, other)
    for topic in TOPICS:
        both = matches(one, topic) and matches(other, topic)
        assert both == (common is not None and matches(common, topic))


@given(filters, filters)
def test_a_filter_that_covers_another_matches_all_of_it(wide, narrow):
    # A name that no filter has stands for all others.
    every = [
        topic.replace("b", "other") if "b" not in wide + narrow else topic
        for topic in [*TOPICS, "a/a/a/a/a", "/".join(["b"] * 5)]
    ]
    assert covers(wide, narrow) == all(matches(wide, one) for one in every if matches(narrow, one))


def test_what_is_above_the_first_level_is_no_topic():
    assert covers("/+/#", "/#")
    assert not covers("/+", "/#")


def test_filters_of_subscriptions():
    assert intersection("a/+/c", "+/b/#") == "a/b/c"
    assert intersection("a/#", "a") == "a"
    assert intersection("#", "a/+") == "a/+"
    assert intersection("a/b", "a/+/#") == "a/b"
    assert intersection("a/b", "a/c") is None
    assert intersection("#", "$SYS/#") is None
    assert intersection("$SYS/#", "$SYS/broker/+") == "$SYS/broker/+"
