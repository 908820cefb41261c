"""Topics: how long, how many levels, how many subscriptions; and User Properties."""

import tracemalloc
from dataclasses import replace

import pytest

from broker.clock import Clock
from broker.limits import LEVEL_BYTES, QueueLimits, SubscriptionBytes, subscription_cost
from broker.session.session import Session, Subscription
from broker.topics.tree import SubscriptionTree
from broker.worker import Worker
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import USER_PROPERTY
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Unsuback, Unsubscribe
from tests.limits.support import connected, reached

LIMITS = "max_topic_levels 3\nmax_topic_length 20\nmax_user_properties 2"
TOO_MUCH = [("a/b/c/d", "max_topic_levels"), ("ä" * 11, "max_topic_length")]
DEEP = "/".join("x" * 201)
AUTHENTICATION = "auth_method CHALLENGE\nauth_challenge ping pong\n"
ANSWER = {0x15: "CHALLENGE", 0x16: b"pong"}
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


class TestUserPropertiesOfOthers:
    """Of packets that are answered by none with a reason code for it."""

    @pytest.fixture
    def broker(self, site):
        return site(AUTHENTICATION + LIMITS)

    def authenticating(self, broker, will=None):
        client = broker.client(5)
        client.send(Connect(5, "a", True, 0, None, None, will, {0x15: "CHALLENGE"}))
        assert client.receive(Auth).reason == 0x18
        return client

    def authenticated(self, broker):
        client = self.authenticating(broker, Will("gone", b"", 0, False))
        client.send(Auth(0x18, ANSWER))
        assert client.receive(Connack).reason == 0
        return client

    PACKETS = pytest.mark.parametrize(
        ("packet", "answer"),
        [
            (Unsubscribe(1, ["a"], {}), Unsuback),
            (Auth(0x19, {0x15: "CHALLENGE"}), Auth),
            (Puback(1, 0, {}), Pingresp),
            (Pubrec(1, 0, {}), Pubrel),
            (Pubrel(1, 0, {}), Pubcomp),
            (Pubcomp(1, 0, {}), Pingresp),
        ],
        ids=["UNSUBSCRIBE", "AUTH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP"],
    )

    @PACKETS
    def test_as_many_as_allowed(self, broker, packet, answer):
        client = self.authenticated(broker)
        two = {**packet.properties, USER_PROPERTY: [("a", "b")] * 2}
        client.send(replace(packet, properties=two), *[Pingreq()] * (answer is Pingresp))
        client.receive(answer)
        assert not reached(broker)

    @PACKETS
    def test_too_many_end_the_connection(self, broker, packet, answer):
        watching = watcher(broker, "gone")
        client = self.authenticated(broker)
        client.send(replace(packet, properties={**packet.properties, **USER_PROPERTIES}))
        assert client.closed_with() == 0x97
        assert watching.receive_message().topic == "gone"
        assert reached(broker) == {"max_user_properties": 1}

    @pytest.mark.statement("MQTT5-3.14.4-3")
    def test_a_disconnect_discards_the_will_whatever_it_has(self, broker):
        """It ends the connection by itself; the limit would only do so in another way."""
        watching = watcher(broker, "gone")
        client = self.authenticated(broker)
        client.send(Disconnect(0, USER_PROPERTIES))
        assert client.closed_with() is None
        watching.nothing()
        assert not reached(broker)

    def test_before_the_connack(self, broker):
        client = self.authenticating(broker)
        client.send(Auth(0x18, {**ANSWER, **USER_PROPERTIES}))
        assert client.refused_with() == 0x97
        assert reached(broker) == {"max_user_properties": 1}


class TestMemoryOfSubscriptions:
    """`global_max_subscription_bytes`: what the filters of all clients take, about."""

    ROOM = 2 * subscription_cost("$share/g/a/b")  # for two filters of three levels, no third

    def test_one_too_many(self, site, version):
        broker = site(f"global_max_subscription_bytes {self.ROOM}")
        full = {3: 0, 4: 0x80, 5: 0x97}[version]
        one, two = connected(broker, "one", version), connected(broker, "two", version)
        assert one.subscribe("a/b/c", "a/b/+") == [0, 0]
        assert two.subscribe("a/b/c") == [full]  # of all clients together
        assert one.subscribe("a/b/c", qos=1) == [1]  # it replaces one
        assert broker.context.tree.count == 2
        assert reached(broker) == {"global_max_subscription_bytes": 1}

    @pytest.mark.parametrize("way", ["unsubscribe", "disconnect", "take over"])
    def test_what_ends_makes_room(self, site, way):
        broker = site(f"global_max_subscription_bytes {self.ROOM}")
        one, two = connected(broker, "one"), connected(broker, "two")
        assert one.subscribe("a/b/c", "$share/g/a/b") == [0, 0]
        assert two.subscribe("a/b/c") == [0x97]
        if way == "unsubscribe":
            one.unsubscribe("$share/g/a/b", "a/b/c", "not/there")
        elif way == "disconnect":
            one.disconnect()
        else:
            connected(broker, "one")
        assert broker.context.subscribed.taken == 0
        assert two.subscribe("a/b/c", "x/+/#") == [0, 0]

    def test_levels_and_length_count(self, site):
        broker = site(f"global_max_subscription_bytes {10 * LEVEL_BYTES}")
        client = connected(broker, "a")
        deep, long = "/".join("x" * 10), "x" * 10 * LEVEL_BYTES
        assert client.subscribe(deep, long, "x/y") == [0x97, 0x97, 0]

    def test_a_filter_that_a_behaviour_refuses_takes_nothing(self, site):
        broker = site("behaviour refuse_subscription a/b")
        assert connected(broker, "a").subscribe("a/b") == [0x80]
        assert broker.context.subscribed.taken == 0

    def test_a_shared_filter_that_was_none_counts_once(self, site):
        """`$share/...` of a 3.1.1 client is an ordinary filter, until it comes with 5.0."""
        broker = site()
        for version in (4, 5):
            client = broker.client(version)
            client.resume("a")
            assert client.subscribe("$share/g/a") == [0]
            taken = broker.context.subscribed.taken
            client.drop()
        client = broker.client(5)
        client.resume("a")
        client.unsubscribe("$share/g/a")
        assert taken > 0
        assert broker.context.subscribed.taken == 0

    def test_it_is_about_what_they_take(self):
        """Subscriptions of no two clients that have a level in common."""
        worker, tree, subscribed = Worker("w", Clock()), SubscriptionTree(), SubscriptionBytes()
        sessions = [Session(str(place), worker, QueueLimits()) for place in range(20)]
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for session in sessions:
                for levels in (1, 3, 200):
                    for place in range(10):
                        name = f"{session.client_id}-{place}-{levels}"
                        topic_filter = "/".join([name, *(f"{n:x}" for n in range(levels - 1))])
                        one = Subscription(session, topic_filter, 0)
                        session.subscriptions[topic_filter] = one
                        tree.subscribe(one)
                        subscribed.add(topic_filter)
            taken = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert taken / 2 < subscribed.taken < taken * 2
