"""What a CONNECT may hold, and how many sessions there may be."""

import pytest

from formats.mqtt.connect import Will
from formats.mqtt.properties import USER_PROPERTY
from tests.limits.support import connected, reached

REASON_STRING = 0x1F


def properties(count):
    return {USER_PROPERTY: [("name", "value")] * count}


@pytest.mark.versions(4, 5)
@pytest.mark.statement("MQTT5-3.1.3-5", "MQTT3-3.1.3-5", "MQTT5-3.1.3-8", "MQTT3-3.1.3-9")
def test_client_id_length(site, version):
    broker = site("max_client_id_length 30")
    connected(broker, "ä" * 15, version)
    client = broker.client(version)
    connack = client.connect("ä" * 16)
    assert connack.reason == (0x85 if version == 5 else 2)
    assert client.wait_closed() == []
    if version == 5:
        assert connack.properties[REASON_STRING] == "a client id of 32 bytes, maximum 30"
    assert reached(broker) == {"max_client_id_length": 1}


def test_the_longest_client_id_is_taken_by_default(site):
    connected(site(), "x" * 65_535)


@pytest.mark.versions(4, 5)
@pytest.mark.parametrize(
    ("topic", "limit"), [("a/b/c/d", "max_topic_levels"), ("x" * 21, "max_topic_length")]
)
def test_will_topic(site, version, topic, limit):
    broker = site("max_topic_levels 3\nmax_topic_length 20")
    connected(broker, "good", version, will=Will("a/b/c", b""))
    client = broker.client(version)
    if version == 5:
        assert client.connect("a", will=Will(topic, b"")).reason == 0x90
    else:  # no return code says it [MQTT3-3.2.2-6]
        with pytest.raises(AssertionError, match="closed by the broker"):
            client.connect("a", will=Will(topic, b""))
    assert reached(broker) == {limit: 1}


class TestUserProperties:
    def test_of_connect(self, site):
        broker = site("max_user_properties 2")
        connected(broker, "good", properties=properties(2))
        assert broker.client(5).connect("a", properties=properties(3)).reason == 0x97
        assert reached(broker) == {"max_user_properties": 1}

    def test_of_the_will(self, site):
        broker = site("max_user_properties 2")
        will = Will("t", b"", 0, False, properties(3))
        assert broker.client(5).connect("a", will=will).reason == 0x97
        assert reached(broker) == {"max_user_properties": 1}


class TestSessions:
    def test_one_too_many(self, site, version):
        broker = site("global_max_clients 2")
        for client_id in "ab":
            connected(broker, client_id, version)
        connack = broker.client(version).connect("c")
        assert connack.reason == (0x97 if version == 5 else 3)
        assert reached(broker) == {"global_max_clients": 1}

    def test_one_that_is_there_is_none_more(self, site):
        broker = site("global_max_clients 1")
        client = broker.client(5)
        client.resume("a")
        client.drop()
        assert broker.client(5).connect("b").reason == 0x97
        assert broker.client(5).resume("a").session_present

    def test_an_end_makes_room(self, site):
        broker = site("global_max_clients 1")
        connected(broker, "a").disconnect()
        connected(broker, "b")


@pytest.mark.versions(4, 5)
def test_packet_size(site, version):
    broker = site("maximum_packet_size 100")
    client = connected(broker, "a", version)
    client.send(b"\x30\x7f\x00\x01t" + bytes(124))
    assert client.closed_with() == (0x95 if version == 5 else None)
    assert reached(broker) == {"maximum_packet_size": 1}
