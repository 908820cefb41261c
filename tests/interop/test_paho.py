"""paho-mqtt: what every version can do, over every transport."""

import pytest

from tests.interop.endpoints import SCHEMES

every_version = pytest.mark.parametrize("version", [3, 4, 5], ids=["3.1", "3.1.1", "5.0"])
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)
LARGE = bytes(range(256)) * 1954  # 500,224 bytes


@pytest.fixture
def connected(paho, name):
    """Makes clients that are connected; the place in the test makes the client id."""
    count = 0

    def make(scheme, version, **more):
        nonlocal count
        count += 1
        client = paho(scheme, version, f"{name}-{count}")
        client.connect(**more)
        return client

    return make


@every_version
@every_scheme
def test_every_qos_arrives_with_the_lower_of_what_was_sent_and_what_was_granted(
    connected, name, scheme, version
):
    publisher, subscriber = connected(scheme, version), connected(scheme, version)
    for granted in (0, 1, 2):
        assert subscriber.subscribe(f"{name}/{granted}", granted) == granted
    for granted in (0, 1, 2):
        for sent in (0, 1, 2):
            payload = f"{sent} on {granted}".encode()
            publisher.publish(f"{name}/{granted}", payload, sent)
            message = subscriber.receive()
            assert (message.topic, message.payload) == (f"{name}/{granted}", payload)
            assert (message.qos, message.retain) == (min(sent, granted), False)
    subscriber.nothing_more()


@every_version
@every_scheme
def test_a_payload_of_half_a_megabyte_goes_both_ways(connected, name, scheme, version):
    client = connected(scheme, version)
    client.subscribe(name)
    for qos in (0, 1, 2):
        client.publish(name, LARGE, qos)
        assert client.receive().payload == LARGE


@every_version
@every_scheme
def test_many_messages_keep_their_order(connected, name, scheme, version):
    publisher, subscriber = connected(scheme, version), connected(scheme, version)
    subscriber.subscribe(name, 2)
    for qos in (0, 1, 2):
        for number in range(200):
            publisher.mqtt.publish(name, str(number), qos)
        assert [int(subscriber.receive().payload) for _ in range(200)] == list(range(200))


@every_version
def test_a_retained_message_is_set_replaced_and_cleared(connected, name, version):
    publisher = connected("mqtt", version)
    for payload in (b"first", b"second"):
        publisher.publish(name, payload, 1, retain=True)
    late = connected("mqtt", version)
    late.subscribe(f"{name}/#", 0)
    message = late.receive()
    assert (message.payload, message.qos, message.retain) == (b"second", 0, True)

    publisher.publish(name, b"", 1, retain=True)
    message = late.receive()
    assert (message.payload, message.retain) == (b"", False)
    too_late = connected("mqtt", version)
    too_late.subscribe(f"{name}/#")
    too_late.nothing_more()


@every_version
@every_scheme
def test_the_will_follows_a_connection_that_breaks_and_not_one_that_ends(
    connected, paho, name, scheme, version
):
    watcher = connected("mqtt", version)
    watcher.subscribe(f"{name}/+")
    for end, arrives in (("close", False), ("break_off", True)):
        client = paho(scheme, version, name)
        client.mqtt.will_set(f"{name}/{end}", b"gone", 2, False)
        client.connect()
        getattr(client, end)()
        if arrives:
            message = watcher.receive()
            assert (message.topic, message.payload, message.qos) == (f"{name}/{end}", b"gone", 2)
    watcher.nothing_more()


@every_version
def test_a_session_keeps_subscriptions_and_messages_while_its_client_is_away(
    connected, paho, name, version
):
    kept = {"SessionExpiryInterval": 3600} if version == 5 else {}
    first = paho("mqtt", version, name, clean=False)
    flags, _ = first.connect(**kept)
    assert not flags.session_present
    first.subscribe(f"{name}/#", 2)
    first.close()

    publisher = connected("mqtt", version)
    for qos in (1, 2):
        publisher.publish(f"{name}/{qos}", b"while away", qos)

    again = paho("mqtt", version, name, clean=False)
    flags, _ = again.connect(**kept)
    # 3.1 has no such flag, and paho reads what stands there.
    assert flags.session_present is (version > 3)
    got = [again.receive() for _ in range(2)]
    assert [(message.topic, message.qos) for message in got] == [(f"{name}/1", 1), (f"{name}/2", 2)]
    again.nothing_more()
    again.close()

    fresh = paho("mqtt", version, name, clean=True)
    flags, _ = fresh.connect()
    assert not flags.session_present
    publisher.publish(f"{name}/1", b"to nobody", 1)
    fresh.nothing_more()


@every_version
@every_scheme
def test_a_second_connection_takes_the_client_id_over(connected, paho, name, scheme, version):
    watcher = connected("mqtt", version)
    watcher.subscribe(name)
    first = paho(scheme, version, name)
    first.mqtt.will_set(name, b"taken over", 1)
    first.connect()
    second = paho("mqtt", version, name)
    second.connect()
    reason = first.disconnected()
    if version == 5:
        assert reason.value == 0x8E
    assert watcher.receive().payload == b"taken over"
    second.nothing_more()


@every_version
def test_unsubscribing_ends_it(connected, name, version):
    client = connected("mqtt", version)
    client.subscribe(f"{name}/a")
    client.subscribe(f"{name}/b")
    client.unsubscribe(f"{name}/a")
    client.publish(f"{name}/a", b"no", 1)
    client.publish(f"{name}/b", b"yes", 1)
    assert client.receive().payload == b"yes"
    client.nothing_more()


@every_version
def test_overlapping_filters_give_one_copy_with_the_highest_qos(connected, name, version):
    client = connected("mqtt", version)
    client.subscribe(f"{name}/#", 1)
    client.subscribe(f"{name}/+", 2)
    client.publish(f"{name}/a", b"once", 2)
    assert client.receive().qos == 2
    client.nothing_more()


@every_version
def test_the_configuration_refuses_a_filter_and_caps_two(connected, version):
    client = connected("mqtt", version)
    assert client.subscribe("test/nosubscribe", 2) == 0x80
    assert client.subscribe("test/QoS 1 only", 2) == 1
    assert client.subscribe("test/QoS 0 only", 2) == 0
    for topic in ("test/nosubscribe", "test/QoS 1 only", "test/QoS 0 only"):
        client.publish(topic, topic, 2)
    got = [client.receive() for _ in range(2)]
    assert [(message.topic, message.qos) for message in got] == [
        ("test/QoS 1 only", 1),
        ("test/QoS 0 only", 0),
    ]
    client.nothing_more()


@pytest.mark.parametrize("publishing", [3, 4, 5])
@pytest.mark.parametrize("scheme", ["mqtt", "wss"])
def test_a_topic_joins_the_versions(connected, name, scheme, publishing):
    publisher = connected(scheme, publishing)
    subscribers = [connected(other, version) for version in (3, 4, 5) for other in SCHEMES]
    for subscriber in subscribers:
        subscriber.subscribe(f"{name}/#", 2)
    more = {"ContentType": "text/plain", "TopicAlias": 1} if publishing == 5 else {}
    publisher.publish(name, "grüße", 2, **more)
    for subscriber in subscribers:
        message = subscriber.receive()
        assert (message.topic, message.payload.decode(), message.qos) == (name, "grüße", 2)
        if publishing == 5 == subscriber.version:
            assert message.properties.json() == {"ContentType": "text/plain"}


@every_version
def test_sys_topics_are_there(connected, version):
    client = connected("mqtt", version)
    client.subscribe("$SYS/broker/version")
    assert b"touchstone" in client.receive().payload.lower()
