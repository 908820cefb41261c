"""How much is retained."""

import pytest

from broker.message import NEVER, Message
from broker.topics.retained import LEVEL_BYTES, RetainedStore
from formats.mqtt.connect import Will
from tests.limits.support import connected, reached


def retained(site):
    return sorted(message.topic for message in site.context.retained.match("#", 0.0))


def full(site):
    broker = site("max_retained_messages 2")
    publisher = connected(broker, "publisher")
    publisher.publish("a", b"1", 1, retain=True)
    publisher.publish("b", b"1", 1, retain=True)
    return broker


class TestMessages:
    @pytest.mark.parametrize("qos", [1, 2])
    def test_one_too_many(self, site, version, qos):
        broker = full(site)
        watcher = connected(broker, "watcher")
        watcher.subscribe("c", qos=2)
        client = connected(broker, "client", version)
        answer = client.publish("c", b"1", qos, retain=True)
        assert answer.reason == (0x97 if version == 5 else 0)
        watcher.nothing()
        assert retained(broker) == ["a", "b"]
        assert reached(broker) == {"max_retained_messages": 1}

    def test_at_qos_0_it_is_passed_on_and_not_retained(self, site, version):
        broker = full(site)
        watcher = connected(broker, "watcher")
        watcher.subscribe("c")
        connected(broker, "client", version).publish("c", b"1", 0, retain=True)
        assert watcher.receive_message().payload == b"1"
        assert retained(broker) == ["a", "b"]
        assert reached(broker) == {"max_retained_messages": 1}

    def test_a_will_as_well(self, site):
        broker = full(site)
        watcher = connected(broker, "watcher")
        watcher.subscribe("c", qos=1)
        connected(broker, "client", will=Will("c", b"gone", 1, True)).drop()
        assert watcher.receive_message().payload == b"gone"
        assert retained(broker) == ["a", "b"]

    def test_what_is_there_can_be_replaced_and_removed(self, site):
        broker = full(site)
        client = connected(broker, "client")
        assert client.publish("a", b"2", 1, retain=True).reason == 0x10
        assert client.publish("b", b"", 1, retain=True).reason == 0x10
        assert client.publish("c", b"2", 1, retain=True).reason == 0x10
        assert retained(broker) == ["a", "c"]
        assert not reached(broker)

    def test_what_is_not_retained_is_not_refused(self, site):
        broker = full(site)
        assert connected(broker, "client").publish("c", b"1", 1).reason == 0x10

    def test_the_brokers_own_find_room(self, site):
        broker = site("max_retained_messages 1\nsys_interval 10")
        client = connected(broker, "client")
        client.subscribe("$SYS/broker/limits/max_retained_messages")
        assert client.receive_message().payload == b"0"
        client.publish("c", b"1", 0, retain=True)
        broker.advance(10)
        assert client.receive_message().payload == b"1"


class TestBytes:
    def test_one_too_many(self, site, version):
        broker = site(f"max_retained_bytes {100 + 2 * LEVEL_BYTES}")
        client = connected(broker, "client", version)
        no = 0x97 if version == 5 else 0
        assert client.publish("a", bytes(101), 1, retain=True).reason in (0, 0x10)
        assert client.publish("b", bytes(100), 1, retain=True).reason == no
        assert retained(broker) == ["a"]
        assert reached(broker) == {"max_retained_bytes": 1}

    def test_what_is_replaced_does_not_count(self, site):
        broker = site(f"max_retained_bytes {100 + LEVEL_BYTES}")
        client = connected(broker, "client")
        for size in (100, 60, 100):
            assert client.publish("a", bytes(size), 1, retain=True).reason == 0x10
        assert client.publish("a", bytes(101), 1, retain=True).reason == 0x97
        # At QoS 0 the topic has no message then (3.3.1.3).
        client.publish("a", bytes(101), 0, retain=True)
        assert retained(broker) == []

    def test_levels_and_properties_count(self, site):
        broker = site(f"max_retained_bytes {10 * LEVEL_BYTES}")
        client = connected(broker, "client")
        assert client.publish("/".join("x" * 12), b"1", 1, retain=True).reason == 0x97
        much = {0x03: "x" * 10 * LEVEL_BYTES}
        assert client.publish("a", b"1", 1, retain=True, properties=much).reason == 0x97
        assert reached(broker) == {"max_retained_bytes": 2}


def test_the_cost_is_that_of_what_is_there():
    store = RetainedStore()
    for topic, payload in (("a/b", b"123"), ("a", b"1"), ("a/b/c/d", b"12"), ("a/b", b"1")):
        store.keep(Message(topic, payload, 0, True, None, "client", NEVER), 0.0)
    assert store.cost == 4 + 4 * LEVEL_BYTES
    for topic in ("a/b/c/d", "a/b", "a"):
        store.keep(Message(topic, b"", 0, True, None, "client", NEVER), 0.0)
    assert (store.cost, store.count) == (0, 0)
