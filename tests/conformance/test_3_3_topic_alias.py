"""Topic Alias (5.0, section 3.3.2.3.4 and 3.3.4), in both directions."""

import pytest

from formats.mqtt.properties import (
    CONTENT_TYPE,
    MAXIMUM_PACKET_SIZE,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
)
from formats.mqtt.publish import Publish
from tests.conformance.messages import pair, publisher_of

pytestmark = pytest.mark.versions(5)


class TestTopicAliasFromTheClient:
    """3.3.2.3.4 and 3.3.4, towards the Server"""

    @pytest.mark.statement("MQTT5-3.3.2-12")
    def test_every_alias_up_to_the_maximum_is_accepted(self, client):
        subscriber = client()
        subscriber.connect("subscriber")
        subscriber.subscribe("#")
        publisher = client()
        maximum = publisher.connect("publisher").properties[TOPIC_ALIAS_MAXIMUM]
        for alias in range(1, maximum + 1):
            publisher.publish(f"t/{alias}", b"1", properties={TOPIC_ALIAS: alias})
        for alias in range(maximum, 0, -1):
            publisher.publish("", b"2", 1, properties={TOPIC_ALIAS: alias})
        topics = [f"t/{alias}" for alias in range(1, maximum + 1)]
        received = [subscriber.receive_message() for _ in range(2 * maximum)]
        assert [one.topic for one in received] == topics + topics[::-1]

    def test_a_topic_name_changes_the_mapping(self, client):
        subscriber, publisher = pair(client, "#")
        for topic in ("a", "", "b", ""):
            publisher.publish(topic, b"x", properties={TOPIC_ALIAS: 1})
        assert [subscriber.receive_message().topic for _ in range(4)] == ["a", "a", "b", "b"]

    def test_it_is_nobody_elses(self, client):
        subscriber, publisher = pair(client, "#")
        publisher.publish("a", b"x", 1, properties={TOPIC_ALIAS: 1, CONTENT_TYPE: "c"})
        message = subscriber.receive_message()
        assert (message.topic, message.properties) == ("a", {CONTENT_TYPE: "c"})

    @pytest.mark.statement("MQTT5-3.3.2-8", "U5-3.3.4-4")
    @pytest.mark.parametrize("alias", [0, 11, 65_535])
    def test_0_and_more_than_the_maximum_end_the_connection(self, client, alias):
        one = client()
        assert one.connect().properties[TOPIC_ALIAS_MAXIMUM] == 10
        one.send(Publish("t", b"", properties={TOPIC_ALIAS: alias}))
        assert one.closed_with() == 0x94

    @pytest.mark.statement("U5-3.3.4-4")
    @pytest.mark.configuration("topic_alias_maximum 0")
    def test_with_a_maximum_of_0_there_are_none(self, client):
        one = client()
        assert TOPIC_ALIAS_MAXIMUM not in (one.connect().properties or {})
        one.send(Publish("t", b"", properties={TOPIC_ALIAS: 1}))
        assert one.closed_with() == 0x94

    @pytest.mark.statement("U5-3.3.4-5")
    def test_an_unknown_one_ends_the_connection(self, client):
        one = client()
        one.connect()
        one.send(Publish("", b"", properties={TOPIC_ALIAS: 1}))
        assert one.closed_with() == 0x82

    @pytest.mark.statement("MQTT5-3.3.2-7")
    def test_the_mapping_ends_with_the_connection(self, client):
        one = client()
        one.resume()
        one.publish("t", b"", properties={TOPIC_ALIAS: 1})
        one.disconnect()
        one = client()
        assert one.resume().session_present
        one.send(Publish("", b"", properties={TOPIC_ALIAS: 1}))
        assert one.closed_with() == 0x82


class TestTopicAliasToTheClient:
    """3.3.2.3.4, from the Server"""

    def subscriber(self, client, maximum, size=1000):
        subscriber = client()
        subscriber.resume("subscriber", {TOPIC_ALIAS_MAXIMUM: maximum, MAXIMUM_PACKET_SIZE: size})
        subscriber.subscribe("#", qos=2)
        return subscriber

    def seen(self, subscriber, count):
        """(topic name, alias or 0) of the next messages."""
        messages = [subscriber.receive_message() for _ in range(count)]
        return [(one.topic, (one.properties or {}).get(TOPIC_ALIAS, 0)) for one in messages]

    @pytest.mark.statement("MQTT5-3.3.2-11", "MQTT5-3.3.2-8")
    def test_the_first_topics_get_them_up_to_the_maximum(self, client):
        subscriber = self.subscriber(client, 2)
        publisher = publisher_of(client)
        for place, topic in enumerate(("a", "b", "c", "a", "c", "b")):
            publisher.publish(topic, b"x", place % 3)
        assert self.seen(subscriber, 6) == [
            ("a", 1), ("b", 2), ("c", 0), ("", 1), ("c", 0), ("", 2),
        ]  # fmt: skip

    @pytest.mark.statement("MQTT5-3.3.2-11")
    @pytest.mark.parametrize("properties", [None, {TOPIC_ALIAS_MAXIMUM: 0}])
    def test_a_client_that_does_not_ask_gets_none(self, client, properties):
        subscriber = client()
        subscriber.connect("subscriber", properties=properties)
        subscriber.subscribe("#")
        publisher = publisher_of(client)
        publisher.publish("a", b"x")
        publisher.publish("a", b"x")
        assert self.seen(subscriber, 2) == [("a", 0)] * 2

    @pytest.mark.configuration("max_topic_alias_broker 1")
    def test_the_broker_may_use_fewer(self, client):
        subscriber = self.subscriber(client, 2)
        publisher = publisher_of(client)
        publisher.publish("a", b"x")
        publisher.publish("b", b"x")
        assert self.seen(subscriber, 2) == [("a", 1), ("b", 0)]

    @pytest.mark.statement("MQTT5-3.3.2-7")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_a_new_connection_learns_them_anew(self, client, qos):
        subscriber = self.subscriber(client, 2)
        publisher = publisher_of(client)
        publisher.publish("a", b"x", qos)
        publisher.publish("b", b"x", qos)
        assert self.seen(subscriber, 2) == [("a", 1), ("b", 2)]
        subscriber.disconnect()
        subscriber = self.subscriber(client, 1)
        publisher.publish("b", b"x", qos)
        publisher.publish("a", b"x", qos)
        assert self.seen(subscriber, 2) == [("b", 1), ("a", 0)]

    @pytest.mark.statement("MQTT5-3.3.2-7")
    def test_what_is_sent_again_has_its_topic_name(self, client):
        subscriber = self.subscriber(client, 2)
        publisher = publisher_of(client)
        publisher.publish("a", b"1", 1)
        publisher.publish("a", b"2", 1)
        assert [subscriber.receive(Publish).topic for _ in range(2)] == ["a", ""]
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        again = [subscriber.receive_message() for _ in range(2)]
        assert [(one.topic, one.payload, one.properties) for one in again] == [
            ("a", b"1", None),
            ("a", b"2", None),
        ]

    def test_a_packet_that_is_too_large_changes_nothing(self, client):
        subscriber = self.subscriber(client, 2, 50)
        publisher = publisher_of(client)
        publisher.publish("new", b"x" * 100)
        for topic in ("a", "b"):
            publisher.publish(topic, b"x")
            publisher.publish(topic, b"x" * 100, 1)
        for topic in ("a", "b", "c"):
            publisher.publish(topic, b"x")
        assert self.seen(subscriber, 5) == [("a", 1), ("b", 2), ("", 1), ("", 2), ("c", 0)]
        subscriber.nothing()

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_an_alias_never_makes_a_packet_too_large(self, client, qos):
        subscriber = self.subscriber(client, 2, 50)
        publisher = publisher_of(client)
        #             fixed header, topic "a", packet id, no properties
        most = 50 - (2 + 3 + (2 if qos else 0) + 1)
        publisher.publish("a", b"x" * most, qos)
        publisher.publish("a", b"x" * (most + 1), qos)
        publisher.publish("a", b"y", qos)
        assert self.seen(subscriber, 2) == [("a", 0), ("a", 1)]
        subscriber.nothing()
