"""`$SYS` topics: what the broker tells about itself, under the names that Mosquitto uses."""

import re

import pytest

from broker.statistics import LIMITS
from broker.sys_topics import LOADS, PERIODS_S, TOPICS, memory
from formats.mqtt.properties import SESSION_EXPIRY_INTERVAL
from tests.harness.site import Site

NAMES = {
    "version",
    "uptime",
    *(f"clients/{name}" for name in ("total", "active", "inactive", "connected", "disconnected")),
    *(f"clients/{name}" for name in ("maximum", "expired")),
    *(f"messages/{name}" for name in ("received", "sent", "stored")),
    *(f"publish/messages/{name}" for name in ("received", "sent", "dropped")),
    *(f"publish/bytes/{name}" for name in ("received", "sent")),
    *(f"bytes/{name}" for name in ("received", "sent")),
    *(f"store/messages/{name}" for name in ("count", "bytes")),
    "subscriptions/count",
    "retained messages/count",  # with a space
    *(f"limits/{name}" for name in LIMITS),
}
COUNTED = {
    *(f"messages/{name}" for name in ("received", "sent")),
    *(f"publish/{name}" for name in ("received", "sent", "dropped")),
    *(f"bytes/{name}" for name in ("received", "sent")),
    "sockets",
    "connections",
}


def values(client, topic_filter="$SYS/#"):
    """What is retained now, by the name below `$SYS/broker/`."""
    client.subscribe(topic_filter)
    messages = client.receive_messages()
    assert all(message.retain and message.qos == 0 for message in messages)
    client.unsubscribe(topic_filter)
    return {
        message.topic.removeprefix("$SYS/broker/"): message.payload.decode() for message in messages
    }


def after(client, seconds):
    """What is retained after some seconds."""
    client.site.advance(seconds)
    return values(client)


@pytest.mark.configuration("sys_interval 10")
class TestNames:
    """Which there are."""

    def test_all_are_there_after_the_first_interval(self, connected):
        client = connected("client")
        found = after(client, 10)
        loads = {f"load/{name}/{period}" for name in COUNTED for period in PERIODS_S}
        assert NAMES | loads <= set(found)

    def test_they_are_there_at_the_start_but_for_the_averages(self, connected):
        found = values(connected("client"))
        assert set(found) >= NAMES
        assert found["uptime"] == "0 seconds"

    def test_the_table_says_so_too(self):
        table = [topic.name for topic in TOPICS]
        assert set(table) == NAMES | {"heap/current", "heap/maximum"}
        assert len(table) == len(set(table))
        assert set(LOADS) == COUNTED

    def test_memory_is_told_where_the_system_tells_it(self, connected):
        found = values(connected("client"))
        for name, known in zip(("heap/current", "heap/maximum"), memory(), strict=True):
            assert (name in found) == (known is not None)


@pytest.mark.configuration("sys_interval 10")
class TestValues:
    """What they say."""

    def test_version_is_sent_once(self, connected):
        client = connected("client")
        assert re.fullmatch(r"touchstone version \S+", values(client)["version"])
        client.subscribe("$SYS/broker/version")
        assert len(client.receive_messages()) == 1
        client.site.advance(100)
        client.nothing()

    def test_uptime_counts_seconds(self, connected):
        client = connected("client")
        assert values(client)["uptime"] == "0 seconds"
        assert after(client, 10)["uptime"] == "10 seconds"
        assert after(client, 25)["uptime"] == "35 seconds"

    def test_a_subscriber_gets_what_changes_each_interval(self, connected):
        client = connected("client")
        client.subscribe("$SYS/broker/uptime")
        client.receive_messages()
        for seconds, due in ((9, []), (1, ["10 seconds"]), (9, []), (1, ["20 seconds"])):
            client.site.advance(seconds)
            found = client.receive_messages()
            assert [message.payload.decode() for message in found] == due
            assert not any(message.retain for message in found)

    def test_clients_are_those_with_a_session(self, connected):
        one, other = connected("one"), connected("other", kept=True)
        assert after(one, 10)["clients/connected"] == "2"
        other.drop()
        found = after(one, 10)
        names = ("total", "active", "inactive", "connected", "disconnected", "maximum")
        assert [found[f"clients/{name}"] for name in names] == ["2", "1", "1", "1", "1", "2"]

    @pytest.mark.versions(5)
    def test_sessions_that_expire_are_counted(self, connected):
        one = connected("one")
        connected("other", properties={SESSION_EXPIRY_INTERVAL: 5}).drop()
        found = after(one, 10)
        found = after(one, 10)
        assert (found["clients/expired"], found["clients/total"]) == ("1", "1")

    def test_subscriptions_and_retained_messages(self, connected):
        one = connected("one")
        after(one, 10)  # the averages come with the first interval, retained themselves
        before = int(after(one, 10)["retained messages/count"])
        one.subscribe("b", "c/#")
        one.publish("a", b"12345", retain=True)
        found = after(one, 10)
        assert found["subscriptions/count"] == "2"
        assert int(found["retained messages/count"]) == before + 1

    def test_published_messages_and_their_bytes(self, connected):
        one = connected("one")
        first = after(one, 10)
        for payload in (b"12345", b"1234567"):
            one.publish("a", payload, 1)
        second = after(one, 10)
        received = "publish/messages/received", "publish/bytes/received"
        assert [int(second[name]) - int(first[name]) for name in received] == [2, 12]

    def test_what_waits_for_a_client_is_stored(self, connected):
        one, other = connected("one"), connected("other", kept=True)
        other.subscribe("a", qos=1)
        other.drop()
        after(one, 10)  # the averages come with the first interval, retained themselves
        before = after(one, 10)
        for _ in range(3):
            one.publish("a", b"12345", 1)
        found = after(one, 10)
        assert int(found["store/messages/count"]) - int(before["store/messages/count"]) == 3
        assert found["messages/stored"] == found["store/messages/count"]

    def test_the_averages_approach_the_rate_per_minute(self, connected):
        one = connected("one")
        for _ in range(40):
            one.publish("a", b"x", 1)
            one.site.advance(10)
        found = values(one, "$SYS/broker/load/publish/received/+")
        minute, five, fifteen = (
            float(found[f"load/publish/received/{period}"]) for period in PERIODS_S
        )
        assert 5.9 < minute <= 6.0
        assert minute > five > fifteen > 1


@pytest.mark.configuration("sys_interval 0")
def test_there_are_none_with_an_interval_of_0(connected):
    client = connected("client")
    client.site.advance(100)
    client.subscribe("$SYS/#")
    client.nothing()


def test_access_from_another_listener():
    site = Site("memory", "sys_interval 10", 2)
    clients = [site.client(listener=place) for place in range(2)]
    for place, client in enumerate(clients):
        client.connect(f"client {place}")
        client.subscribe("$SYS/broker/uptime")
        client.receive_messages()
    site.advance(10)
    assert [[m.payload for m in client.receive_messages()] for client in clients] == [
        [b"10 seconds"]
    ] * 2
    site.close()
