"""Topic names, topic filters and shared subscriptions (4.7; 5.0, 4.8.2)."""

import pytest

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.topics import check_topic_filter, check_topic_name, parse_shared


@pytest.mark.parametrize(
    "topic", ["a", "/", "//", " ", "$SYS/x", "Accounts payable", "é/屋", "\ufeff"]
)
def test_topic_name(topic):
    check_topic_name(topic)
    check_topic_filter(topic)


@pytest.mark.statement("MQTT5-4.7.0-1", "MQTT3-4.7.1-1")
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a+b", "a#"])
def test_topic_name_has_no_wildcard(topic):
    with pytest.raises(ProtocolViolation) as caught:
        check_topic_name(topic)
    assert caught.value.rule is rules.TOPIC_WILDCARD


@pytest.mark.statement("MQTT5-4.7.3-1", "MQTT3-4.7.3-1")
@pytest.mark.parametrize("check", [check_topic_name, check_topic_filter])
def test_topic_has_a_character_at_least(check):
    with pytest.raises(ProtocolViolation) as caught:
        check("")
    assert caught.value.rule is rules.TOPIC_EMPTY


@pytest.mark.statement("MQTT5-4.7.3-2", "MQTT3-4.7.3-2")
@pytest.mark.parametrize("check", [check_topic_name, check_topic_filter])
def test_topic_has_no_null_character(check):
    with pytest.raises(ProtocolViolation) as caught:
        check("a\0b")
    assert caught.value.rule is rules.TOPIC_WITH_NULL


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+",
        "/#",
        "sport/tennis/#",
        "+/tennis/#",
        "sport/+/player1",
        "+/+",
        "/+",
        "+/",
        "$SYS/#",
    ],
)
def test_topic_filter(topic_filter):
    check_topic_filter(topic_filter)


@pytest.mark.statement("MQTT5-4.7.1-1", "MQTT3-4.7.1-2")
@pytest.mark.parametrize(
    "topic_filter", ["sport/tennis#", "sport/tennis/#/ranking", "##", "#/", "#/#", "a/##", "+#"]
)
def test_multi_level_wildcard_is_the_whole_last_level(topic_filter):
    with pytest.raises(ProtocolViolation) as caught:
        check_topic_filter(topic_filter)
    assert caught.value.rule is rules.FILTER_MULTI_LEVEL


@pytest.mark.statement("MQTT5-4.7.1-2", "MQTT3-4.7.1-3")
@pytest.mark.parametrize("topic_filter", ["sport+", "+a", "a/+b/c", "++", "a/++", "a+/#"])
def test_single_level_wildcard_is_a_whole_level(topic_filter):
    with pytest.raises(ProtocolViolation) as caught:
        check_topic_filter(topic_filter)
    assert caught.value.rule is rules.FILTER_SINGLE_LEVEL


@pytest.mark.parametrize(
    ("topic_filter", "means"),
    [
        ("$share/consumer1//finance", ("consumer1", "/finance")),
        ("$share/consumer1/sport/tennis/+", ("consumer1", "sport/tennis/+")),
        ("$share/g/#", ("g", "#")),
        ("$share/g//", ("g", "/")),
        ("$share/$g/$share/a/b", ("$g", "$share/a/b")),
        ("$share", None),
        ("$SHARE/g/a", None),
        ("/$share/g/a", None),
        ("$shared/g/a", None),
        ("a", None),
    ],
)
def test_shared_subscription(topic_filter, means):
    assert parse_shared(topic_filter) == means


@pytest.mark.statement("MQTT5-4.8.2-1")
@pytest.mark.parametrize("topic_filter", ["$share/", "$share//", "$share//a"])
def test_share_name_has_a_character_at_least(topic_filter):
    with pytest.raises(ProtocolViolation) as caught:
        parse_shared(topic_filter)
    assert caught.value.rule is rules.SHARE_NAME_MISSING


@pytest.mark.statement("MQTT5-4.8.2-2")
@pytest.mark.parametrize(
    "topic_filter", ["$share/g", "$share/g/", "$share/+/a", "$share/#", "$share/g#/a"]
)
def test_share_name_is_plain_and_a_topic_filter_follows(topic_filter):
    with pytest.raises(ProtocolViolation) as caught:
        parse_shared(topic_filter)
    assert caught.value.rule is rules.SHARE_MALFORMED


def test_topic_filter_of_a_shared_subscription_is_checked():
    with pytest.raises(ProtocolViolation) as caught:
        parse_shared("$share/g/a#")
    assert caught.value.rule is rules.FILTER_MULTI_LEVEL
