"""Facts lead to the statements that a client with them has exercised, and to no other."""

import pytest

from formats.mqtt.connect import Connect
from formats.mqtt.properties import TOPIC_ALIAS
from formats.mqtt.publish import Publish
from oracle import facts
from oracle.exercises import EXERCISES, exercised
from oracle.facts import FACTS, of_connect, of_publish
from oracle.statements import DOCUMENTS, MQTT_3_1_1, MQTT_5_0, by_key, load

EVERYTHING = sum(fact.bit for fact in FACTS)
# 3.1.4 allows it, and no sentence is about those who do: it is for who reads the examples.
BY_THE_WAY = {facts.SENT_BEFORE_CONNACK}


def sets_of(condition):
    return condition if isinstance(condition, tuple) else (condition,)


def keys(shown, document):
    return [statement.key for statement in exercised(shown, document)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_all_that_can_be_observed_is_exercised_by_some_facts_and_nothing_else(document):
    wanted = [s.key for s in load(document) if s.binds_client and s.observable]
    assert keys(EVERYTHING, document) == wanted


def test_every_key_exists_and_stands_in_one_row():
    all_keys = [key for _, of_row in EXERCISES for key in of_row.split()]
    assert all(key in by_key() for key in all_keys)
    assert len(set(all_keys)) == len(all_keys)


def test_every_fact_is_used():
    used = 0
    for condition, _ in EXERCISES:
        for needed in sets_of(condition):
            assert needed
            used |= needed
    unused = {fact.bit for fact in FACTS if not fact.bit & used}
    assert unused == BY_THE_WAY


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_always_observed_every_connection_exercises(document):
    version = 5 if document == MQTT_5_0 else 4
    shown = of_connect(Connect(version, "a")) | facts.CONNECTED
    always = [s.key for s in load(document) if s.observed == "always"]
    assert set(always) <= set(keys(shown, document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_else_is_exercised_by_every_connection(document):
    shown = facts.CONNECT | facts.NAMED_MQTT | facts.CONNECTED
    assert [by_key()[key].observed for key in keys(shown, document) if key] == [
        "always" for _ in keys(shown, document)
    ]


def test_nothing_seen_is_nothing_exercised():
    assert exercised(0, MQTT_5_0) == exercised(0, MQTT_3_1_1) == ()


def test_all_facts_of_a_condition_are_needed():
    alone = keys(facts.TOPIC_ALIAS_ALLOWED, MQTT_5_0)
    assert alone == []
    shown = of_publish(Publish("a", b"", properties={TOPIC_ALIAS: 1}))
    assert "MQTT5-3.3.2-9" not in keys(shown, MQTT_5_0)
    assert "MQTT5-3.3.2-9" in keys(shown | facts.TOPIC_ALIAS_ALLOWED, MQTT_5_0)


def test_one_of_several_conditions_is_enough():
    for fact in (facts.PUBLISHED_QOS_1, facts.SUBSCRIBE, facts.UNSUBSCRIBE):
        assert "MQTT5-2.2.1-3" in keys(fact, MQTT_5_0)
        assert "MQTT3-2.3.1-2" in keys(fact, MQTT_3_1_1)
    assert "MQTT3-2.3.1-2" not in keys(facts.PUBLISHED_QOS_0, MQTT_3_1_1)


@pytest.mark.parametrize(
    ("shown", "key"),
    [
        (facts.SEVERAL_IN_FLIGHT_TO_IT | facts.ACKNOWLEDGED_QOS_1, "4.6.0-2"),
        (facts.SEVERAL_QOS_2_IN_FLIGHT_TO_IT | facts.RECORDED_QOS_2, "4.6.0-3"),
        (facts.SEVERAL_IN_FLIGHT_FROM_IT | facts.RELEASED_QOS_2, "4.6.0-4"),
        (facts.RESENT_SEVERAL, "4.6.0-1"),
        (facts.OLD_SESSION_ASKED | facts.RESUMED | facts.RESENT_PUBREL, "4.4.0-1"),
        (facts.RESENT_PUBLISH | facts.PUBLISHED_DUP, "3.3.1-1"),
        (facts.OVER_WEBSOCKET, "6.0.0-3"),
    ],
)
def test_what_needs_the_memory_of_the_broker(shown, key):
    assert f"MQTT5-{key}" in keys(shown, MQTT_5_0)
    assert f"MQTT3-{key}" in keys(shown, MQTT_3_1_1)


def test_a_client_of_3_1_exercises_nothing_that_3_1_does_not_demand():
    lenient = {"MQTT3-2.2.2-1", "MQTT3-3.1.2-3", "MQTT3-3.1.2-13", "MQTT3-3.1.2-15"}
    assert lenient <= set(keys(of_connect(Connect(4, "a")), MQTT_3_1_1))
    assert not lenient & set(keys(of_connect(Connect(3, "a")), MQTT_3_1_1))
