"""3.3.4 PUBLISH Actions: overlapping subscriptions and Subscription Identifiers."""

import pytest

from formats.mqtt.properties import RECEIVE_MAXIMUM, SUBSCRIPTION_IDENTIFIER
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription

PROTOCOL_ERROR = 0x82


def identifiers(message):
    """The Subscription Identifiers of a PUBLISH, sorted: their order says nothing."""
    return sorted((message.properties or {}).get(SUBSCRIPTION_IDENTIFIER, []))


class TestOneCopy:
    """The default: one copy for a client, whatever the number of filters that match."""

    @pytest.mark.statement("MQTT5-3.3.4-2", "MQTT3-3.3.5-1")
    @pytest.mark.parametrize("order", [("a/b", "a/+", "#"), ("#", "a/+", "a/b")])
    @pytest.mark.parametrize("published", [0, 1, 2])
    def test_it_has_the_highest_qos_of_all_that_match(self, connected, order, published):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        for qos, topic_filter in enumerate(order):
            subscriber.subscribe(topic_filter, qos=qos)
        publisher.publish("a/b", b"x", published)
        assert subscriber.receive_message().qos == published
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.4-2", "MQTT3-3.3.5-1")
    def test_what_does_not_match_does_not_count(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe(Subscription("a/#", 1), Subscription("b/#", 2))
        publisher.publish("a/b", b"x", 2)
        assert subscriber.receive_message().qos == 1
        subscriber.nothing()

    def test_a_copy_for_each_client(self, connected):
        one, other, publisher = connected("one"), connected("other"), connected("publisher")
        one.subscribe("a/#", "a/b", qos=1)
        other.subscribe("a/b", "+/+", qos=2)
        publisher.publish("a/b", b"x", 2)
        assert (one.receive_message().qos, other.receive_message().qos) == (1, 2)
        one.nothing()
        other.nothing()

    @pytest.mark.statement("MQTT5-3.3.4-3", "MQTT5-3.3.4-4")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.versions(5)
    def test_it_has_the_identifiers_of_all_that_have_one(self, connected, qos):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/b", qos=2, identifier=1)
        subscriber.subscribe("a/+", qos=1)
        subscriber.subscribe("#", qos=0, identifier=300)
        subscriber.subscribe("c", identifier=4)
        publisher.publish("a/b", b"x", qos)
        message = subscriber.receive_message()
        assert (message.qos, identifiers(message)) == (qos, [1, 300])
        subscriber.nothing()

    @pytest.mark.versions(5)
    def test_the_same_identifier_may_come_more_than_once(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/b", "a/+", identifier=7)
        publisher.publish("a/b")
        assert identifiers(subscriber.receive_message()) == [7, 7]

    @pytest.mark.statement("MQTT5-3.3.1-13")
    @pytest.mark.versions(5)
    def test_retain_as_published_of_one_of_them_is_enough(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/b")
        subscriber.subscribe("#", retain_as_published=True, retain_handling=2)
        publisher.publish("a/b", b"x", retain=True)
        assert subscriber.receive_message().retain is True
        subscriber.nothing()


@pytest.mark.configuration("overlapping_single false")
class TestACopyForEach:
    """`overlapping_single false`: further copies, one for each subscription that matches."""

    @pytest.mark.statement("MQTT5-3.3.4-2", "MQTT3-3.3.5-1")
    @pytest.mark.parametrize("published", [0, 1, 2])
    def test_each_has_the_qos_of_its_subscription(self, connected, published):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        for qos, topic_filter in enumerate(("a/b", "a/+", "#")):
            subscriber.subscribe(topic_filter, qos=qos)
        publisher.publish("a/b", b"x", published)
        found = sorted(subscriber.receive_message().qos for _ in range(3))
        assert found == [min(qos, published) for qos in (0, 1, 2)]
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.3.4-3", "MQTT5-3.3.4-5")
    @pytest.mark.versions(5)
    def test_each_has_the_identifier_of_its_subscription(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/b", identifier=1)
        subscriber.subscribe("a/+")
        subscriber.subscribe("#", identifier=3)
        publisher.publish("a/b")
        found = [identifiers(subscriber.receive_message()) for _ in range(3)]
        assert sorted(found) == [[], [1], [3]]
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-3.8.3-3")
    @pytest.mark.versions(5)
    def test_no_local_counts_for_its_subscription_only(self, connected):
        one = connected("one")
        one.subscribe("a/+", no_local=True, identifier=1)
        one.subscribe("a/b", identifier=2)
        one.publish("a/b")
        assert identifiers(one.receive_message()) == [2]
        one.nothing()


@pytest.mark.versions(5)
class TestSubscriptionIdentifiers:
    """3.8.2.1.2, 3.8.4 and 3.3.4."""

    @pytest.mark.statement("MQTT5-3.3.4-3")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_a_message_has_the_one_of_its_subscription(self, connected, qos):
        subscriber, publisher = connected("subscriber"), connected("publisher", listener=1)
        subscriber.subscribe("a", qos=2, identifier=1)
        subscriber.subscribe("b", qos=2, identifier=2)
        subscriber.subscribe("c", qos=2)
        for topic, expected in (("a", [1]), ("b", [2]), ("c", [])):
            publisher.publish(topic, b"x", qos)
            assert identifiers(subscriber.receive_message()) == expected

    def test_all_filters_of_a_packet_have_it(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a", "b", identifier=9)
        for topic in ("a", "b"):
            publisher.publish(topic)
            assert identifiers(subscriber.receive_message()) == [9]

    @pytest.mark.statement("U5-3.3.4-3")
    def test_each_client_gets_its_own(self, connected):
        subscribers = [connected(f"subscriber {place}") for place in range(3)]
        for place, subscriber in enumerate(subscribers):
            subscriber.subscribe("a", identifier=place + 1)
        plain = connected("plain")
        plain.subscribe("a")
        connected("publisher").publish("a", b"x", 0)
        for place, subscriber in enumerate(subscribers):
            assert identifiers(subscriber.receive_message()) == [place + 1]
        assert plain.receive_message().properties is None

    @pytest.mark.statement("MQTT5-3.3.4-3")
    def test_a_retained_message_has_it_too(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        publisher.publish("a/b", b"x", 1, retain=True)
        subscriber.subscribe("a/+", qos=1, identifier=5)
        assert identifiers(subscriber.receive_message()) == [5]
        subscriber.subscribe("#", qos=0, identifier=6)
        assert identifiers(subscriber.receive_message()) == [6]
        subscriber.subscribe("a/b", qos=1)
        assert identifiers(subscriber.receive_message()) == []

    @pytest.mark.statement("U5-3.3.4-3")
    @pytest.mark.parametrize("new", [2, None])
    def test_another_subscribe_replaces_or_removes_it(self, connected, new):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("a/#", identifier=1)
        publisher.publish("a/b")
        assert identifiers(subscriber.receive_message()) == [1]
        subscriber.subscribe("a/#", identifier=new)
        publisher.publish("a/b")
        assert identifiers(subscriber.receive_message()) == ([new] if new else [])

    def test_what_was_sent_with_it_may_be_sent_again_with_it(self, connected):
        subscriber = connected("subscriber", kept=True)
        subscriber.subscribe("a", qos=1, identifier=1)
        connected("publisher").publish("a", b"x", 1)
        assert identifiers(subscriber.receive(Publish)) == [1]
        subscriber.drop()
        again = connected("subscriber", kept=True).receive(Publish)
        assert (again.dup, identifiers(again)) == (True, [1])

    @pytest.mark.statement("MQTT5-3.3.4-6")
    def test_a_client_that_sends_one_in_a_publish_is_disconnected(self, connected):
        publisher = connected("publisher")
        publisher.send(Publish("a", b"", properties={SUBSCRIPTION_IDENTIFIER: [1]}))
        assert publisher.closed_with() == PROTOCOL_ERROR

    def test_3_x_clients_get_none(self, connected):
        old, new = connected("old", version=4), connected("new")
        old.subscribe("a", qos=1)
        new.subscribe("a", qos=1, identifier=1)
        connected("publisher").publish("a", b"x", 1)
        assert old.receive_message().properties is None
        assert identifiers(new.receive_message()) == [1]


@pytest.mark.versions(5)
@pytest.mark.statement("MQTT5-3.3.4-10")
def test_answers_are_not_delayed_by_a_full_receive_maximum(connected):
    subscriber, publisher = connected("subscriber", properties={RECEIVE_MAXIMUM: 1}), connected("p")
    subscriber.subscribe("a", qos=1)
    for _ in range(3):
        publisher.publish("a", b"x", 1)
    first = subscriber.receive(Publish)
    subscriber.send(Subscribe(7, [Subscription("b")]))
    assert subscriber.receive(Suback).packet_id == 7
    assert subscriber.unsubscribe("b").reasons == [0]
    subscriber.nothing()
    subscriber.acknowledge(first)
    assert subscriber.receive(Publish).payload == b"x"
