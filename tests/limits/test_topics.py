"""Topics: how long, how many levels, how many subscriptions; and User Properties."""

import pytest

from formats.mqtt.properties import USER_PROPERTY
from formats.mqtt.publish import Publish
from tests.limits.support import connected, reached

LIMITS = "max_topic_levels 3\nmax_topic_length 20\nmax_user_properties 2"
TOO_MUCH = [("a/b/c/d", "max_topic_levels"), ("ä" * 11, "max_topic_length")]
DEEP = "/".join("x" * 201)
USER_PROPERTIES = {USER_PROPERTY: [("a", "b")] * 3}


def watcher(site, topic_filter="#"):
    client = connected(site, "watcher")
    client.subscribe(topic_filter, qos=2)
    return client


class TestPublish:
    @pytest.mark.parametrize(("topic", "limit"), TOO_MUCH)
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_a_topic(self, site, version, qos, topic, limit):
        broker = site(LIMITS)
        watching = watcher(broker)
        client = connected(broker, "a", version)
        for _ in range(2):  # what is refused is not remembered as good
            answer = client.publish(topic, b"x", qos)
            if qos:
                # [MQTT3-3.3.5-2] a 3.x client has a positive acknowledgement
                assert answer.reason == (0x90 if version == 5 else 0)
        client.publish("a/b/c", b"fits", qos)
        assert [message.payload for message in watching.receive_messages()] == [b"fits"]
        assert reached(broker) == {limit: 2}

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_user_properties(self, site, qos):
        broker = site(LIMITS)
        watching = watcher(broker)
        client = connected(broker, "a")
        answer = client.publish("t", b"x", qos, properties=USER_PROPERTIES)
        assert not qos or answer.reason == 0x97
        client.publish("t", b"y", qos, properties={USER_PROPERTY: [("a", "b")] * 2})
        assert [message.payload for message in watching.receive_messages()] == [b"y"]
        assert reached(broker) == {"max_user_properties": 1}

    def test_200_levels_by_default(self, site):
        broker = site()
        client = connected(broker, "a")
        assert client.publish(DEEP[2:], b"", 1).reason == 0x10
        assert client.publish(DEEP, b"", 1).reason == 0x90

    def test_an_alias_makes_no_topic_shorter(self, site):
        broker = site(LIMITS)
        client = connected(broker, "a")
        client.send(Publish("a/b/c/d", b"", 1, packet_id=1, properties={0x23: 1}))
        assert client.receive().reason == 0x90
        client.send(Publish("", b"", 1, packet_id=2, properties={0x23: 1}))
        assert client.receive().reason == 0x90


class TestSubscribe:
    @pytest.mark.parametrize(("topic_filter", "limit"), TOO_MUCH)
    def test_a_filter(self, site, version, topic_filter, limit):
        broker = site(LIMITS)
        client = connected(broker, "a", version)
        reasons = client.subscribe("a/+/#", topic_filter, "b")
        # 3.1 knows no failure: it is acknowledged as if granted
        assert reasons == [0, {3: 0, 4: 0x80, 5: 0x8F}[version], 0]
        assert broker.context.tree.count == 2
        assert reached(broker) == {limit: 1}

    def test_200_levels_by_default(self, site):
        assert connected(site(), "a").subscribe(DEEP[2:], DEEP) == [0, 0x8F]

    @pytest.mark.versions(5)
    def test_user_properties(self, site, version):
        broker = site(LIMITS)
        client = connected(broker, "a")
        assert client.subscribe("a", "b", properties=USER_PROPERTIES) == [0x97, 0x97]
        assert broker.context.tree.count == 0
        assert reached(broker) == {"max_user_properties": 1}

    def test_how_many(self, site, version):
        broker = site("max_subscriptions 2")
        client = connected(broker, "a", version)
        full = {3: 0, 4: 0x80, 5: 0x97}[version]
        assert client.subscribe("a", "b", "c") == [0, 0, full]
        assert client.subscribe("b", qos=1) == [1]  # it replaces one
        client.unsubscribe("a")
        assert client.subscribe("c", "a") == [0, full]
        assert connected(broker, "b", version).subscribe("c") == [0]  # for each client
        assert reached(broker) == {"max_subscriptions": 2}

    def test_how_many_are_shared(self, site):
        broker = site("max_shared_groups 2")
        one, two = connected(broker, "one"), connected(broker, "two")
        assert one.subscribe("$share/g/a", "$share/h/a", "$share/g/b", "a") == [0, 0, 0x97, 0]
        assert two.subscribe("$share/g/a", "$share/g/b") == [0, 0x97]
        one.unsubscribe("$share/h/a")
        assert two.subscribe("$share/g/b") == [0]
        assert reached(broker) == {"max_shared_groups": 2}
