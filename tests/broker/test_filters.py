"""What a topic filter matches, against the plainest way to say it."""

from hypothesis import given

from broker.topics.filters import has_wildcard, matches
from tests.broker.topics import FILTERS, NAMES, reference


@given(FILTERS, NAMES)
def test_it_agrees_with_the_reference(topic_filter, topic):
    assert matches(topic_filter, topic) == reference(topic_filter, topic)


@given(NAMES)
def test_a_filter_without_wildcards_matches_itself_alone(topic):
    assert matches(topic, topic)
    assert not matches(topic, topic + "/")
    assert not matches(topic, "/" + topic)


@given(FILTERS)
def test_wildcards_are_seen(topic_filter):
    assert has_wildcard(topic_filter) == any(
        level in ("+", "#") for level in topic_filter.split("/")
    )
