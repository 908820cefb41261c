"""Facts are bits in their order, and packets show those that are in them."""

import pytest

from formats.mqtt import properties as named
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connect, Will
from formats.mqtt.control import Auth, Disconnect
from formats.mqtt.packet_types import CONNECT, PUBLISH, WILL
from formats.mqtt.properties import PROPERTIES
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription, Unsubscribe
from oracle import facts
from oracle.facts import (
    FACTS,
    of_auth,
    of_connect,
    of_disconnect,
    of_puback,
    of_pubcomp,
    of_publish,
    of_pubrec,
    of_pubrel,
    of_subscribe,
    of_unsubscribe,
)


def names(shown):
    return {fact.name for fact in FACTS if fact.bit & shown}


def value_of(row):
    """One that is allowed, as a decoder would give it."""
    if row.identifier == named.USER_PROPERTY:
        return [("name", "value")]
    if row.identifier == named.SUBSCRIPTION_IDENTIFIER:
        return [1]
    return {named.TEXT: "text", named.BINARY: b"data"}.get(row.type, 1)


def test_each_fact_is_a_bit_of_its_own_under_its_name():
    assert [fact.bit for fact in FACTS] == [1 << place for place in range(len(FACTS))]
    for fact in FACTS:
        assert getattr(facts, fact.name) == fact.bit
        assert fact.words
    assert len({fact.words for fact in FACTS}) == len(FACTS)


class TestConnect:
    def test_that_has_next_to_nothing(self):
        assert names(of_connect(Connect(4, "a"))) == {
            *("CONNECT", "NAMED_MQTT", "CLEAN_START", "NO_WILL", "NO_USER_NAME", "NO_PASSWORD")
        }

    def test_that_goes_on_with_a_session(self):
        shown = names(of_connect(Connect(4, "a", clean_start=False)))
        assert {"OLD_SESSION_ASKED", "SESSION_TO_BE_KEPT"} <= shown
        assert "CLEAN_START" not in shown

    def test_in_5_0_keeps_its_session_by_the_expiry_interval(self):
        def of(interval):
            properties = {named.SESSION_EXPIRY_INTERVAL: interval}
            return names(of_connect(Connect(5, "a", False, properties=properties)))

        assert "SESSION_TO_BE_KEPT" in of(1)
        assert "SESSION_TO_BE_KEPT" not in of(0)
        assert "SESSION_TO_BE_KEPT" not in names(of_connect(Connect(5, "a", False)))

    def test_with_all_it_can_have(self):
        every = {row.identifier: value_of(row) for row in PROPERTIES if CONNECT in row.packets}
        of_will = {row.identifier: value_of(row) for row in PROPERTIES if WILL in row.packets}
        will = Will("t", b"", properties=of_will)
        shown = names(of_connect(Connect(5, "", False, 60, "user", b"secret", will, every)))
        start = ("CONNECT", "WILL")
        wanted = {fact.name for fact in FACTS if fact.shown and fact.name.startswith(start)}
        assert wanted <= shown
        assert {"USER_NAME", "PASSWORD", "KEEP_ALIVE", "EMPTY_CLIENT_ID"} <= shown
        assert not any(name.startswith("NO_") for name in shown)

    def test_of_3_1_does_not_name_mqtt(self):
        assert "NAMED_MQTT" not in names(of_connect(Connect(3, "a")))

    def test_without_properties(self):
        assert {"NO_PROPERTIES", "NO_AUTHENTICATION_METHOD"} <= names(of_connect(Connect(5, "a")))
        assert "NO_PROPERTIES" not in names(of_connect(Connect(4, "a")))


class TestPublish:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_shows_its_qos(self, qos):
        assert names(of_publish(Publish("a", b"", qos))) == {f"PUBLISHED_QOS_{qos}"}

    def test_shows_dup(self):
        assert "PUBLISHED_DUP" in names(of_publish(Publish("a", b"", 1, dup=True, packet_id=1)))

    def test_with_all_it_can_have(self):
        every = {row.identifier: value_of(row) for row in PROPERTIES if PUBLISH in row.packets}
        shown = names(of_publish(Publish("", b"", properties=every)))
        assert {
            *("PROPERTIES_SENT", "USER_PROPERTY_SENT", "PUBLISH_PAYLOAD_UTF_8"),
            *("PUBLISH_MESSAGE_EXPIRY", "USED_TOPIC_ALIAS", "TOPIC_ALIAS_ALONE"),
            *("PUBLISH_RESPONSE_TOPIC", "PUBLISH_CORRELATION_DATA", "PUBLISH_CONTENT_TYPE"),
        } <= shown

    def test_of_bytes_says_nothing_of_utf_8(self):
        properties = {named.PAYLOAD_FORMAT_INDICATOR: 0}
        assert names(of_publish(Publish("a", b"", properties=properties))) == {
            *("PUBLISHED_QOS_0", "PROPERTIES_SENT")
        }


@pytest.mark.parametrize(
    ("of", "packet", "name"),
    [
        (of_puback, Puback, "PUBACK"),
        (of_pubrec, Pubrec, "PUBREC"),
        (of_pubrel, Pubrel, "PUBREL"),
        (of_pubcomp, Pubcomp, "PUBCOMP"),
        (of_disconnect, lambda _id, *rest: Disconnect(*rest), "DISCONNECT"),
        (of_auth, lambda _id, *rest: Auth(*rest), "AUTH"),
    ],
)
class TestAnswers:
    def test_alone(self, of, packet, name):
        assert names(of(packet(1))) == {name}

    def test_with_reason_string(self, of, packet, name):
        shown = names(of(packet(1, 0, {named.REASON_STRING: "why"})))
        assert shown == {name, f"{name}_REASON_STRING", "PROPERTIES_SENT"}

    def test_with_user_property(self, of, packet, name):
        shown = names(of(packet(1, 0, {named.USER_PROPERTY: [("a", "b")]})))
        sent = {"PROPERTIES_SENT", "USER_PROPERTY_SENT"}
        assert shown == {name, f"{name}_USER_PROPERTY", *sent}


def test_disconnect_with_an_error_and_an_expiry_interval():
    disconnect = Disconnect(0x83, {named.SESSION_EXPIRY_INTERVAL: 0})
    assert {"DISCONNECT_ERROR", "DISCONNECT_SESSION_EXPIRY"} <= names(of_disconnect(disconnect))
    assert "DISCONNECT_ERROR" not in names(of_disconnect(Disconnect(4)))


def test_auth_with_data():
    assert "AUTH_DATA" in names(of_auth(Auth(0x18, {named.AUTHENTICATION_DATA: b""})))


@pytest.mark.parametrize(
    ("topic_filter", "shown"),
    [
        ("a/b", set()),
        ("a/#", {"MULTI_LEVEL_WILDCARD"}),
        ("+/b", {"SINGLE_LEVEL_WILDCARD"}),
        ("$share/g/+/#", {"MULTI_LEVEL_WILDCARD", "SINGLE_LEVEL_WILDCARD", "SHARED_SUBSCRIPTION"}),
    ],
)
def test_topic_filters(topic_filter, shown):
    subscribe = Subscribe(1, [Subscription("x"), Subscription(topic_filter)])
    assert names(of_subscribe(subscribe)) == {"SUBSCRIBE", *shown}
    assert names(of_unsubscribe(Unsubscribe(1, ["x", topic_filter]))) == {"UNSUBSCRIBE", *shown}


def test_subscribe_with_properties():
    properties = {named.SUBSCRIPTION_IDENTIFIER: [3], named.USER_PROPERTY: [("a", "b")]}
    assert names(of_subscribe(Subscribe(1, [], properties))) == {
        *("SUBSCRIBE", "SUBSCRIBE_IDENTIFIER", "PROPERTIES_SENT", "USER_PROPERTY_SENT")
    }
