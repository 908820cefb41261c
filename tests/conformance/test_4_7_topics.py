"""4.7 Topic Names and Topic Filters."""

import pytest

from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from tests.harness.site import Site

PROTOCOL_ERROR, TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID = 0x82, 0x8F, 0x90
BAD_FILTER = (0x81, PROTOCOL_ERROR, TOPIC_FILTER_INVALID)
BAD_NAME = (0x81, PROTOCOL_ERROR, TOPIC_NAME_INVALID)


def closes_with(client, reasons):
    """The broker ends the connection; a 5.0 client is told why."""
    return client.closed_with() in (reasons if client.version == 5 else (None,))


def matching(connected, topic_filter, topics):
    """Those of the topics that a subscriber to the filter gets."""
    subscriber, publisher = connected("subscriber"), connected("publisher")
    assert subscriber.subscribe(topic_filter) == [0]
    publisher.send(*(Publish(topic, b"x") for topic in topics))
    publisher.fence()
    return [message.topic for message in subscriber.receive_messages()]


class TestWildcards:
    """4.7.1 Topic wildcards; most rows are the examples of the document."""

    @pytest.mark.statement("U311-3.8.3-1", "MQTT5-3.3.2-3", "MQTT3-3.3.2-3")
    @pytest.mark.parametrize(
        ("topic_filter", "matched", "others"),
        [
            (
                "sport/tennis/player1/#",
                [
                    "sport/tennis/player1",
                    "sport/tennis/player1/ranking",
                    "sport/tennis/player1/score/wimbledon",
                    "sport/tennis/player1/",
                ],
                ["sport/tennis/player2", "sport/tennis", "sport/tennis/player10"],
            ),
            ("sport/#", ["sport", "sport/", "sport/a/b/c"], ["sports", "/sport", "a/sport"]),
            ("#", ["a", "/", "//", "a/b/c/d", "/a"], []),
            (
                "sport/tennis/+",
                ["sport/tennis/player1", "sport/tennis/player2", "sport/tennis/"],
                ["sport/tennis/player1/ranking", "sport/tennis", "sport//player1"],
            ),
            ("sport/+", ["sport/", "sport/a"], ["sport", "sport/a/", "sport/a/b"]),
            ("+", ["finance", "a"], ["/finance", "finance/", "/"]),
            ("+/+", ["/finance", "finance/", "a/b", "/"], ["finance", "//", "a/b/c"]),
            ("/+", ["/finance", "/"], ["finance", "a/finance", "/a/b", "//"]),
            ("+/tennis/#", ["sport/tennis", "/tennis/a/b"], ["tennis", "a/b/tennis"]),
            ("sport/+/player1", ["sport/a/player1", "sport//player1"], ["sport/player1"]),
            ("+/+/+", ["//", "a//", "/a/", "a/b/c"], ["/", "a/b", "///"]),
            ("a//b", ["a//b"], ["a/b", "a///b", "a/x/b"]),
            ("a/+/b/#", ["a/x/b", "a//b/c", "a/x/b/c/d"], ["a/b", "a/x/y/b"]),
            ("/", ["/"], ["//", "a/", "/a"]),
            ("a/", ["a/"], ["a", "a//"]),
            ("+/#", ["a", "a/b", "/", "/a/b"], []),
        ],
    )
    def test_what_a_filter_matches(self, connected, topic_filter, matched, others):
        topics = [topic for pair in zip(matched, matched, strict=True) for topic in pair] + others
        expected = [topic for topic in topics if topic in matched]
        assert matching(connected, topic_filter, topics) == expected

    @pytest.mark.statement("MQTT5-4.7.1-1", "MQTT3-4.7.1-2")
    @pytest.mark.parametrize(
        "topic_filter", ["sport/tennis#", "sport/#/ranking", "##", "#/", "a#b"]
    )
    def test_a_multi_level_wildcard_is_the_whole_last_level(self, connected, topic_filter):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription(topic_filter)]))
        assert closes_with(subscriber, BAD_FILTER)

    @pytest.mark.statement("MQTT5-4.7.1-2", "MQTT3-4.7.1-3")
    @pytest.mark.parametrize("topic_filter", ["sport+", "+sport", "a/b+/c", "++", "a/+b", "+#"])
    def test_a_single_level_wildcard_is_a_whole_level(self, connected, topic_filter):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription(topic_filter)]))
        assert closes_with(subscriber, BAD_FILTER)

    @pytest.mark.statement("MQTT5-4.7.1-1", "MQTT3-4.7.1-2")
    @pytest.mark.parametrize("topic_filter", ["sport/#/ranking", "a#"])
    def test_that_holds_for_unsubscribe_too(self, connected, topic_filter):
        subscriber = connected("subscriber")
        subscriber.send(Unsubscribe(1, [topic_filter]))
        assert closes_with(subscriber, BAD_FILTER)

    @pytest.mark.statement("MQTT5-4.7.0-1", "MQTT3-4.7.1-1", "MQTT5-3.3.2-2", "MQTT3-3.3.2-2")
    @pytest.mark.parametrize("topic", ["#", "+", "a/+", "a/#", "a+b", "a#"])
    def test_a_topic_name_has_none(self, connected, topic):
        publisher = connected("publisher")
        publisher.send(Publish(topic, b"x"))
        assert closes_with(publisher, BAD_NAME)


class TestTopicsBeginningWithDollar:
    """4.7.2 Topics beginning with $."""

    @pytest.mark.statement("MQTT5-4.7.2-1", "MQTT3-4.7.2-1")
    @pytest.mark.configuration("sys_interval 10")
    @pytest.mark.parametrize("topic_filter", ["#", "+/#", "+/broker/uptime", "+/+/+"])
    def test_a_leading_wildcard_does_not_match_them(self, connected, client, topic_filter):
        subscriber = connected("subscriber")
        subscriber.subscribe(topic_filter)
        client.site().advance(30)
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.7.2-1", "MQTT3-4.7.2-1")
    @pytest.mark.configuration("sys_interval 10")
    @pytest.mark.parametrize("topic_filter", ["$SYS/#", "$SYS/+/uptime", "$SYS/broker/+"])
    def test_a_wildcard_further_down_does(self, connected, client, topic_filter):
        subscriber = connected("subscriber")
        subscriber.subscribe("#", topic_filter)
        assert "$SYS/broker/uptime" in [one.topic for one in subscriber.receive_messages()]
        client.site().advance(10)
        assert "$SYS/broker/uptime" in [one.topic for one in subscriber.receive_messages()]

    @pytest.mark.statement("U5-4.7.2-1", "U311-4.7.2-1")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.parametrize("topic", ["$SYS/broker/uptime", "$a", "$share/g/a", "$"])
    def test_clients_cannot_exchange_messages_through_them(self, connected, topic, qos):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("$SYS/#", "$a", "$", qos=2)
        answer = publisher.publish(topic, b"x", qos, retain=True)
        if publisher.version == 5 and qos:
            assert answer.reason == TOPIC_NAME_INVALID
        subscriber.nothing()
        late = connected("late")
        late.subscribe("$SYS/#", "$a", "$")
        late.nothing()

    def test_a_dollar_elsewhere_is_a_character_like_others(self, connected):
        topics = ["a$", "a/$b", "/$SYS"]
        assert matching(connected, "#", topics) == topics


class TestSemantics:
    """4.7.3 Topic semantic and usage."""

    @pytest.mark.statement("MQTT5-4.7.3-1", "MQTT3-4.7.3-1")
    def test_a_topic_filter_is_not_empty(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription("")]))
        assert closes_with(subscriber, BAD_FILTER)

    @pytest.mark.statement("MQTT5-4.7.3-1", "MQTT3-4.7.3-1")
    def test_a_topic_name_is_not_empty(self, connected):
        publisher = connected("publisher")
        publisher.send(Publish("", b"x"))
        assert closes_with(publisher, BAD_NAME)

    @pytest.mark.statement("MQTT5-4.7.3-2", "MQTT3-4.7.3-2")
    @pytest.mark.parametrize("topic", ["\0", "a\0b", "a/\0"])
    def test_they_have_no_null_character(self, connected, topic):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.send(Subscribe(1, [Subscription(topic)]))
        assert closes_with(subscriber, BAD_FILTER)
        publisher.send(Publish(topic, b"x"))
        assert closes_with(publisher, BAD_NAME)

    @pytest.mark.statement("MQTT5-4.7.3-4", "MQTT3-4.7.3-4")
    @pytest.mark.parametrize(
        ("topic_filter", "others"),
        [
            ("ACCOUNTS", ["Accounts", "accounts"]),
            ("finance", ["/finance", "finance/", " finance", "finance "]),
            ("Accounts payable", ["Accountspayable", "Accounts  payable"]),
            ("caf\u00e9", ["cafe\u0301", "cafe"]),  # composed, decomposed
            ("cafe\u0301", ["caf\u00e9"]),
            ("\ufeffa", ["a"]),  # a zero width no-break space is never stripped
            ("a\ufeff", ["a"]),
            ("\u00c5", ["\u212b", "A\u030a"]),  # the letter, the unit, the letter decomposed
            ("\ufb01", ["fi"]),  # a ligature
            ("\u0130", ["i", "I", "\u0131"]),
            ("a/./b", ["a/b"]),
            ("a/../b", ["b"]),
            ("a%2Fb", ["a/b"]),
            ("\U0001f600/\u6e29\u5ea6", ["\U0001f601/\u6e29\u5ea6"]),
            ("\u0001", ["\u0002"]),
            ("\ufffd", ["?"]),
        ],
    )
    def test_they_are_compared_character_for_character(self, connected, topic_filter, others):
        assert matching(connected, topic_filter, [*others, topic_filter]) == [topic_filter]

    @pytest.mark.statement("MQTT5-4.7.3-4", "MQTT3-4.7.3-4", "MQTT5-1.5.4-3", "MQTT3-1.5.3-3")
    def test_a_topic_comes_out_as_the_bytes_it_went_in(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        topic = "\ufeff\u6e29\u5ea6/cafe\u0301/\U0001f600"
        publisher.publish(topic, b"x", retain=True)
        subscriber.subscribe("+/#")
        assert subscriber.receive_message().topic == topic
        publisher.publish(topic, b"y", 1)
        assert subscriber.receive_message().topic == topic
        assert subscriber.unsubscribe(topic, "+/#").reasons == (
            [0x11, 0] if subscriber.version == 5 else []
        )

    @pytest.mark.statement("MQTT5-4.7.3-3", "MQTT3-4.7.3-3")
    @pytest.mark.parametrize("character", ["a", "\u00e9", "\u6e29", "/"])
    @pytest.mark.configuration("max_topic_levels 0")
    def test_they_can_be_65_535_bytes_long(self, connected, character):
        size = len(character.encode())
        longest = character * (65_535 // size) + "b" * (65_535 % size)
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe(longest, qos=1)
        publisher.publish(longest, b"x", 1)
        message = subscriber.receive_message()
        assert (message.topic, len(message.topic.encode())) == (longest, 65_535)


def test_there_is_no_limit_to_the_number_of_levels():
    """4.7.3, unless one is configured; in memory only, because it takes its time."""
    site = Site("memory", "max_topic_levels 0")
    subscriber, publisher = site.client(), site.client()
    subscriber.connect("subscriber")
    publisher.connect("publisher")
    deep = "/".join("a" * 30_000)
    filters = [deep, "/".join(["+"] * 30_000), deep[:-1] + "#", "#"]
    for topic_filter in filters:
        subscriber.send(Subscribe(1, [Subscription(topic_filter, 1)]))
        assert subscriber.receive(Suback).reasons == [1]
    publisher.publish(deep, b"x", 1, retain=True)
    assert subscriber.receive_message().topic == deep
    for topic_filter in filters:
        subscriber.send(Subscribe(1, [Subscription(topic_filter, 1)]))
        subscriber.receive(Suback)
        assert subscriber.receive_message().retain
    for topic_filter in filters:
        subscriber.send(Unsubscribe(2, [topic_filter]))
        subscriber.receive(Unsuback)
    publisher.publish(deep, b"", 1, retain=True)
    subscriber.nothing()
    context = site.context
    assert (context.tree.count, context.retained.count) == (0, 0)
    assert context.tree._root.empty
    assert not context.retained._root.children
    site.close()
