"""3.3.1.3 RETAIN and retained messages; Retain Handling and Retain As Published of 3.8.3.1."""

import pytest

from formats.mqtt.connect import Will
from formats.mqtt.properties import (
    CONTENT_TYPE,
    MESSAGE_EXPIRY_INTERVAL,
    RECEIVE_MAXIMUM,
    SUBSCRIPTION_IDENTIFIER,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.harness.site import Site

RETAIN_NOT_SUPPORTED = 0x9A


def retained(connected, topic_filter, **options):
    """What a new subscriber gets at once: topic and payload of each message, sorted by topic."""
    subscriber = connected("reader")
    subscriber.subscribe(topic_filter, **options)
    messages = subscriber.receive_messages()
    assert all(message.retain for message in messages)
    return sorted((message.topic, message.payload) for message in messages)


class TestStoring:
    """3.3.1.3: what a PUBLISH with RETAIN does."""

    @pytest.mark.statement("MQTT5-3.3.1-5", "MQTT3-3.3.1-5", "MQTT3-3.3.1-6", "MQTT3-3.3.1-8")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_it_is_kept_for_future_subscribers_with_its_qos(self, connected, qos):
        publisher = connected("publisher")
        publisher.publish("a", b"kept", qos, retain=True)
        publisher.disconnect()
        for name in ("one", "other"):
            subscriber = connected(name)
            subscriber.subscribe("a", qos=2)
            message = subscriber.receive_message()
            assert (message.topic, message.payload) == ("a", b"kept")
            assert (message.qos, message.retain, message.dup) == (qos, True, False)
            subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.1-5", "MQTT3-3.3.1-5", "MQTT3-3.3.1-7", "U5-3.3.1.3-2")
    @pytest.mark.parametrize("first", [0, 1, 2])
    @pytest.mark.parametrize("second", [0, 1, 2])
    def test_it_replaces_what_the_topic_had(self, connected, first, second):
        publisher = connected("publisher")
        publisher.publish("a", b"old", first, retain=True)
        publisher.publish("a", b"new", second, retain=True)
        assert retained(connected, "a") == [("a", b"new")]

    @pytest.mark.statement("MQTT5-3.3.1-6", "MQTT5-3.3.1-7", "MQTT3-3.3.1-10", "MQTT3-3.3.1-11")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_an_empty_payload_removes_it(self, connected, client, qos):
        publisher = connected("publisher")
        publisher.publish("a", b"kept", retain=True)
        publisher.publish("a/b", b"kept", retain=True)
        publisher.publish("a", b"", qos, retain=True)
        assert retained(connected, "#") == [("a/b", b"kept")]
        assert client.site().context.retained.count == 1

    @pytest.mark.statement("MQTT5-3.3.1-6", "MQTT3-3.3.1-10")
    def test_an_empty_payload_goes_to_those_who_are_subscribed(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a")
        publisher.publish("a", b"", retain=True)
        message = subscriber.receive_message()
        assert (message.payload, message.retain) == (b"", False)

    @pytest.mark.statement("MQTT5-3.3.1-7", "MQTT3-3.3.1-11")
    def test_an_empty_payload_is_not_kept(self, connected):
        connected("publisher").publish("a", b"", retain=True)
        assert retained(connected, "#") == []

    @pytest.mark.statement("MQTT5-3.3.1-8", "MQTT3-3.3.1-12")
    @pytest.mark.parametrize("payload", [b"", b"new"])
    def test_without_retain_nothing_is_stored_replaced_or_removed(self, connected, payload):
        publisher = connected("publisher")
        publisher.publish("a", b"kept", retain=True)
        for qos in (0, 1, 2):
            publisher.publish("a", payload, qos)
            publisher.publish("b", payload, qos)
        assert retained(connected, "#") == [("a", b"kept")]

    def test_a_will_is_retained_if_it_says_so(self, connected, client):
        will = Will("a", b"gone", 1, True)
        connected("publisher", will=will).drop()
        client.site().settle()
        assert retained(connected, "a") == [("a", b"gone")]

    def test_it_outlives_the_session_that_published_it(self, connected):
        connected("publisher").publish("a", b"kept", retain=True)
        connected("publisher").disconnect()
        assert retained(connected, "a") == [("a", b"kept")]

    @pytest.mark.statement("U5-3.3.1.3-1")
    @pytest.mark.configuration("retain_available false")
    @pytest.mark.versions(5)
    def test_where_it_is_not_available_it_ends_the_connection(self, connected):
        publisher = connected("publisher")
        publisher.send(Publish("a", b"x", 0, True))
        assert publisher.closed_with() == RETAIN_NOT_SUPPORTED


class TestMatching:
    """Which retained messages a new subscription gets."""

    topics = ("a", "a/b", "a/b/c", "a/x/b", "a/x/b/c", "a/y/b", "/a", "a/", "b")

    @pytest.mark.statement("MQTT5-3.3.1-9", "MQTT3-3.3.1-6")
    @pytest.mark.parametrize(
        ("topic_filter", "expected"),
        [
            ("a", ["a"]),
            ("+", ["a", "b"]),
            ("a/+", ["a/", "a/b"]),
            ("+/+", ["/a", "a/", "a/b"]),
            ("/+", ["/a"]),
            ("a/b/#", ["a/b", "a/b/c"]),
            ("a/+/b/#", ["a/x/b", "a/x/b/c", "a/y/b"]),
            ("a/+/b", ["a/x/b", "a/y/b"]),
            ("+/+/b/+", ["a/x/b/c"]),
            ("a/#", ["a", "a/", "a/b", "a/b/c", "a/x/b", "a/x/b/c", "a/y/b"]),
            ("#", sorted(topics)),
            ("c/#", []),
            ("A", []),
        ],
    )
    def test_all_that_match_and_no_others(self, connected, topic_filter, expected):
        publisher = connected("publisher")
        for topic in self.topics:
            publisher.send(Publish(topic, topic.encode(), 0, True))
        publisher.fence()
        found = retained(connected, topic_filter, qos=1)
        assert found == [(topic, topic.encode()) for topic in expected]

    @pytest.mark.statement("MQTT5-4.7.2-1", "MQTT3-4.7.2-1")
    @pytest.mark.configuration("sys_interval 10")
    def test_never_sys_for_a_leading_wildcard(self, connected):
        connected("publisher").publish("a", b"x", retain=True)
        assert retained(connected, "#") == [("a", b"x")]
        assert retained(connected, "+/broker/uptime") == []
        assert len(retained(connected, "$SYS/broker/uptime")) == 1

    @pytest.mark.statement("MQTT5-3.8.4-8", "MQTT3-3.8.4-6")
    @pytest.mark.parametrize("granted", [0, 1, 2])
    def test_with_the_lower_of_the_two_qos(self, connected, granted):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        for qos in (0, 1, 2):
            publisher.publish(f"a/{qos}", b"x", qos, retain=True)
        subscriber.subscribe("a/#", qos=granted)
        found = {
            message.topic: message.qos
            for message in (subscriber.receive_message() for _ in range(3))
        }
        assert found == {f"a/{qos}": min(qos, granted) for qos in (0, 1, 2)}

    def test_after_the_suback_and_before_what_is_published_next(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        publisher.publish("a", b"kept", 1, retain=True)
        subscriber.send(Subscribe(1, [Subscription("a", 1)]))
        subscriber.receive(Suback)
        publisher.publish("a", b"new", 1, retain=True)
        assert [subscriber.receive_message().payload for _ in range(2)] == [b"kept", b"new"]

    def test_overlapping_filters_get_one_each(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        publisher.publish("a/b", b"kept", 2, retain=True)
        subscriber.subscribe(Subscription("a/#", 1), Subscription("+/b", 2))
        assert [subscriber.receive_message().qos for _ in range(2)] == [1, 2]
        subscriber.nothing()

    def test_of_another_listener(self, connected):
        connected("publisher", listener=1).publish("a", b"kept", retain=True)
        assert retained(connected, "a") == [("a", b"kept")]

    def test_a_session_that_is_resumed_gets_none_without_a_subscribe(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a")
        subscriber.drop()
        connected("publisher").publish("a", b"kept", retain=True)
        connected("subscriber", kept=True).nothing()

    @pytest.mark.versions(5)
    @pytest.mark.configuration("max_queued_messages 10")
    @pytest.mark.statement("MQTT5-3.3.1-9", "MQTT5-3.3.4-9")
    def test_all_of_them_however_small_the_receive_maximum(self, connected):
        publisher = connected("publisher")
        for place in range(50):
            publisher.send(Publish(f"a/{place}", b"x", 1, True, False, 1))
        publisher.fence()
        subscriber = connected("subscriber", properties={RECEIVE_MAXIMUM: 2})
        subscriber.subscribe("a/+", qos=1)
        found = [subscriber.receive_message().topic for _ in range(50)]
        assert sorted(found) == sorted(f"a/{place}" for place in range(50))
        subscriber.nothing()

    @pytest.mark.versions(5)
    def test_with_the_properties_they_were_published_with(self, connected):
        properties = {CONTENT_TYPE: "text", USER_PROPERTY: [("b", "1"), ("a", "2")]}
        connected("publisher").publish("a", b"x", retain=True, properties=properties)
        subscriber = connected("subscriber")
        subscriber.subscribe("a", identifier=9)
        found = subscriber.receive_message().properties
        assert found == {**properties, SUBSCRIPTION_IDENTIFIER: [9]}


class TestRetainHandling:
    """3.8.3.1: the Retain Handling option."""

    @pytest.fixture
    def subscriber(self, connected):
        publisher = connected("publisher")
        publisher.publish("a/b", b"1", 1, retain=True)
        publisher.publish("a/c", b"2", 1, retain=True)
        return connected("subscriber", kept=True)

    @pytest.mark.statement("MQTT5-3.3.1-9", "MQTT5-3.8.4-4")
    @pytest.mark.versions(5)
    def test_0_sends_them_at_each_subscribe(self, subscriber):
        for _ in range(3):
            subscriber.subscribe("a/#", retain_handling=0)
            assert len(subscriber.receive_messages()) == 2

    @pytest.mark.statement("MQTT5-3.3.1-10")
    @pytest.mark.versions(5)
    def test_1_sends_them_only_if_the_subscription_is_new(self, subscriber):
        subscriber.subscribe("a/#", retain_handling=1)
        assert len(subscriber.receive_messages()) == 2
        subscriber.subscribe("a/#", retain_handling=1)
        assert len(subscriber.receive_messages()) == 0
        subscriber.subscribe("a/b", retain_handling=1)  # another filter
        assert len(subscriber.receive_messages()) == 1
        subscriber.unsubscribe("a/#")
        subscriber.subscribe("a/#", retain_handling=1)
        assert len(subscriber.receive_messages()) == 2

    @pytest.mark.statement("MQTT5-3.3.1-10")
    @pytest.mark.versions(5)
    def test_1_knows_the_subscriptions_of_a_resumed_session(self, subscriber, connected):
        subscriber.subscribe("a/#", retain_handling=2)
        subscriber.drop()
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a/#", retain_handling=1)
        assert len(subscriber.receive_messages()) == 0
        subscriber.drop()
        subscriber = connected("subscriber", clean_start=True)
        subscriber.subscribe("a/#", retain_handling=1)
        assert len(subscriber.receive_messages()) == 2

    @pytest.mark.statement("MQTT5-3.3.1-11")
    @pytest.mark.versions(5)
    def test_2_sends_none(self, subscriber):
        for _ in range(2):
            subscriber.subscribe("a/#", retain_handling=2)
            assert len(subscriber.receive_messages()) == 0

    @pytest.mark.versions(5)
    def test_it_says_nothing_of_what_is_published_later(self, subscriber, connected):
        subscriber.subscribe("a/#", retain_handling=2)
        connected("publisher").publish("a/b", b"3", retain=True)
        assert subscriber.receive_message().payload == b"3"

    @pytest.mark.versions(5)
    def test_each_filter_of_a_packet_has_its_own(self, subscriber):
        subscriber.subscribe(
            Subscription("a/b", retain_handling=2), Subscription("a/c", retain_handling=0)
        )
        assert subscriber.receive_message().topic == "a/c"
        subscriber.nothing()


class TestForwarding:
    """3.3.1.3: the RETAIN flag of a message that is forwarded."""

    @pytest.mark.statement("MQTT5-3.3.1-12", "MQTT3-3.3.1-9")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.parametrize("listener", [0, 1])
    def test_it_is_0_to_an_established_subscription(self, connected, qos, listener):
        subscriber, publisher = connected("subscriber"), connected("publisher", listener=listener)
        subscriber.subscribe("a", qos=2)
        for retain in (True, False):
            publisher.publish("a", b"x", qos, retain=retain)
            assert subscriber.receive_message().retain is False

    @pytest.mark.statement("MQTT5-3.3.1-13")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.versions(5)
    def test_with_retain_as_published_it_is_what_the_publisher_set(self, connected, qos):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a", qos=2, retain_as_published=True)
        for retain in (True, False, True):
            publisher.publish("a", b"x", qos, retain=retain)
            assert subscriber.receive_message().retain is retain

    @pytest.mark.statement("MQTT5-3.3.1-13")
    @pytest.mark.versions(5)
    def test_that_holds_for_what_waits_in_a_session_and_for_wills(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", qos=1, retain_as_published=True)
        subscriber.drop()
        connected("publisher", will=Will("a", b"will", 1, True)).publish("a", b"x", 1, retain=True)
        connected("publisher").publish("a", b"y", 1)
        subscriber = connected("subscriber", kept=True)
        found = [subscriber.receive_message() for _ in range(3)]
        assert [(one.payload, one.retain) for one in found] == [
            (b"x", True),
            (b"will", True),
            (b"y", False),
        ]

    @pytest.mark.versions(5)
    def test_retain_as_published_says_nothing_of_what_is_sent_at_the_subscribe(self, connected):
        connected("publisher").publish("a", b"kept", retain=True)
        subscriber = connected("subscriber")
        for retain_as_published in (False, True):
            subscriber.subscribe("a", retain_as_published=retain_as_published)
            assert subscriber.receive_message().retain is True

    @pytest.mark.statement("MQTT3-3.3.1-8")
    def test_a_retained_message_is_still_one_when_it_is_sent_again(self, connected):
        connected("publisher").publish("a", b"kept", 1, retain=True)
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", qos=1)
        assert subscriber.receive(Publish).retain is True
        subscriber.drop()
        subscriber = connected("subscriber", kept=True)
        message = subscriber.receive_message()
        assert (message.retain, message.dup) == (True, True)


class TestExpiry:
    """3.3.2.3.3: a retained message that expires is discarded."""

    @pytest.mark.statement("MQTT5-3.3.2-5", "MQTT5-3.3.2-6")
    @pytest.mark.versions(5)
    def test_it_counts_down_once_and_not_at_each_delivery(self, connected, client):
        publisher, subscriber = connected("publisher"), connected("subscriber")
        publisher.publish("a", b"x", retain=True, properties={MESSAGE_EXPIRY_INTERVAL: 10})
        for elapsed in (0, 0, 4, 8):
            client.site().advance(elapsed - (client.site().clock.now() - 1000))
            subscriber.subscribe("a")
            left = subscriber.receive_message().properties[MESSAGE_EXPIRY_INTERVAL]
            assert left == 10 - elapsed
        client.site().advance(2)
        subscriber.subscribe("a")
        subscriber.nothing()
        assert client.site().context.retained.count == 0

    def test_it_holds_for_3_x_subscribers_too(self, connected, client):
        publisher = connected("publisher", version=5)
        publisher.publish("a", b"x", retain=True, properties={MESSAGE_EXPIRY_INTERVAL: 10})
        client.site().advance(9)
        assert retained(connected, "a") == [("a", b"x")]
        client.site().advance(1)
        assert retained(connected, "a") == []

    @pytest.mark.versions(5)
    def test_a_message_that_replaces_it_has_its_own(self, connected, client):
        publisher = connected("publisher")
        publisher.publish("a", b"x", retain=True, properties={MESSAGE_EXPIRY_INTERVAL: 10})
        publisher.publish("a", b"y", retain=True)
        client.site().advance(100)
        assert retained(connected, "a") == [("a", b"y")]

    @pytest.mark.configuration("retain_expiry_interval 1")
    def test_one_for_all_can_be_configured(self, connected, client):
        publisher = connected("publisher")
        publisher.publish("a", b"x", retain=True)
        client.site().advance(59)
        publisher.publish("b", b"x", retain=True)
        assert retained(connected, "#") == [("a", b"x"), ("b", b"x")]
        client.site().advance(1)
        assert retained(connected, "#") == [("b", b"x")]

    @pytest.mark.configuration("retain_expiry_interval 1", "sys_interval 10")
    def test_that_one_spares_what_the_broker_says_of_itself(self, connected, client):
        connected("publisher")
        client.site().advance(3600)
        assert [topic for topic, _ in retained(connected, "$SYS/broker/version")] != []


def test_who_does_not_read_gets_what_is_retained_later():
    """The queue takes all that one subscription matches; the socket's buffer is not the limit."""
    site = Site("memory", "max_queued_messages 5")
    publisher, subscriber = site.client(), site.client()
    publisher.connect("publisher")
    for place in range(20):
        publisher.publish(f"a/{place}", b"x", place % 2, retain=True)
    subscriber.connect("subscriber")
    connection = subscriber.wire.connection
    connection.congested = True
    subscriber.subscribe("a/+", qos=1)
    subscriber.subscribe("a/+", qos=1)  # the queue is over its maximum: no more of it
    subscriber.nothing()
    connection.drained()
    found = {subscriber.receive_message().topic for _ in range(20)}
    assert len(found) == 20
    subscriber.nothing()
    site.close()
