"""paho-mqtt: what MQTT 5.0 adds."""

import pytest
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.interop.paho import properties

SUCCESS = 0x00
NO_MATCHING_SUBSCRIBERS = 0x10
NO_SUBSCRIPTION_EXISTED = 0x11
NOT_AUTHORIZED = 0x87
PACKET_ID_NOT_FOUND = 0x92


@pytest.fixture(params=["mqtt", "wss"])
def connected(paho, name, request):
    count = 0

    def make(client_id=None, **named_properties):
        nonlocal count
        count += 1
        client = paho(request.param, 5, client_id or f"{name}-{count}")
        client.connect(**named_properties)
        return client

    return make


def test_what_the_connack_says(paho):
    client = paho("mqtt", 5)
    _, properties = client.connect(keep_alive_s=300)
    said = properties.json()
    assert said.pop("AssignedClientIdentifier")
    assert said["ServerKeepAlive"] == 60
    assert said["ReceiveMaximum"] == 20
    assert said["MaximumPacketSize"] == 2_000_000
    assert said["TopicAliasMaximum"] == 10


def test_a_client_id_that_was_assigned_can_be_used_again(paho):
    client = paho("mqtt", 5)
    _, properties = client.connect(SessionExpiryInterval=3600)
    again = paho("mqtt", 5, properties.AssignedClientIdentifier, clean=False)
    flags, properties = again.connect()
    assert flags.session_present
    assert not hasattr(properties, "AssignedClientIdentifier")


def test_the_properties_of_a_message_arrive_as_they_were_sent(connected, name):
    client = connected()
    client.subscribe_with(f"{name}/#", SubscribeOptions(2), SubscriptionIdentifier=268_435_455)
    user_properties = [("b", "1"), ("a", "2"), ("b", "3"), ("", ""), ("ключ", "значение")]
    for qos in (0, 1, 2):
        client.publish(
            name,
            b"{}",
            qos,
            PayloadFormatIndicator=1,
            MessageExpiryInterval=1000,
            ContentType="application/json",
            ResponseTopic=f"{name}/answer",
            CorrelationData=b"\x00\xff",
            UserProperty=user_properties,
        )
        properties = client.receive().properties
        assert properties.PayloadFormatIndicator == 1
        assert 990 <= properties.MessageExpiryInterval <= 1000
        assert properties.ContentType == "application/json"
        assert properties.ResponseTopic == f"{name}/answer"
        assert properties.CorrelationData == b"\x00\xff"
        assert properties.UserProperty == user_properties
        assert properties.SubscriptionIdentifier == [268_435_455]


def test_request_and_response(connected, name):
    asking, answering = connected(), connected()
    answering.subscribe(f"{name}/ask")
    asking.subscribe(f"{name}/answer")
    asking.publish(
        f"{name}/ask", b"?", 1, ResponseTopic=f"{name}/answer", CorrelationData=b"\x01\x00"
    )
    request = answering.receive().properties
    answering.publish(request.ResponseTopic, b"!", 1, CorrelationData=request.CorrelationData)
    message = asking.receive()
    assert (message.payload, message.properties.CorrelationData) == (b"!", b"\x01\x00")


def test_overlapping_subscriptions_bring_all_their_identifiers(connected, name):
    client = connected()
    client.subscribe_with(f"{name}/#", SubscribeOptions(0), SubscriptionIdentifier=1)
    client.subscribe_with(f"{name}/+", SubscribeOptions(1), SubscriptionIdentifier=2)
    client.publish(f"{name}/a", b"", 1)
    message = client.receive()
    assert (message.qos, sorted(message.properties.SubscriptionIdentifier)) == (1, [1, 2])
    client.nothing_more()


def test_topic_aliases_towards_the_broker(connected, name):
    client = connected()
    client.subscribe(f"{name}/#")
    client.publish(f"{name}/a", b"set", 1, TopicAlias=10)
    client.publish("", b"used", 1, TopicAlias=10)
    client.publish(f"{name}/b", b"replaced", 1, TopicAlias=10)
    client.publish("", b"used again", 1, TopicAlias=10)
    got = [client.receive() for _ in range(4)]
    assert [(message.topic, message.payload) for message in got] == [
        (f"{name}/a", b"set"),
        (f"{name}/a", b"used"),
        (f"{name}/b", b"replaced"),
        (f"{name}/b", b"used again"),
    ]


def test_topic_aliases_from_the_broker(connected, name):
    client = connected(TopicAliasMaximum=1)
    client.subscribe(f"{name}/#")
    for topic in ("a", "a", "b"):
        client.publish(f"{name}/{topic}", b"", 1)
    # paho hands an alias over as it came.
    got = [client.receive() for _ in range(3)]
    aliases = [getattr(message.properties, "TopicAlias", None) for message in got]
    assert [message.topic for message in got] == [f"{name}/a", "", f"{name}/b"]
    assert aliases == [1, 1, None]


def test_a_shared_subscription_gives_each_message_to_one_member(connected, name):
    members = [connected() for _ in range(3)]
    outside, publisher = connected(), connected()
    for member in members:
        assert member.subscribe(f"$share/{name}/{name}/#", 1) == 1
    outside.subscribe(f"{name}/#")
    for number in range(30):
        publisher.publish(f"{name}/{number}", str(number), 1)
    assert [int(outside.receive().payload) for _ in range(30)] == list(range(30))
    shares = []
    for member in members:
        share = []
        mark = f"{name}-mark/{len(shares)}"
        member.subscribe(mark)
        member.publish(mark, b"", 1)
        while (message := member.receive()).topic != mark:
            share.append(int(message.payload))
        shares.append(share)
    assert sorted(number for share in shares for number in share) == list(range(30))
    assert all(shares), shares
    assert all(share == sorted(share) for share in shares), shares


def test_no_local_retain_as_published_and_retain_handling(connected, name):
    client, other = connected(), connected()
    client.subscribe_with(name, SubscribeOptions(1, noLocal=True, retainAsPublished=True))
    client.publish(name, b"own", 1, retain=True)
    other.publish(name, b"other's", 1, retain=True)
    message = client.receive()
    assert (message.payload, message.retain) == (b"other's", True)
    for handling, arrives in ((0, True), (1, False), (2, False)):
        client.subscribe_with(name, SubscribeOptions(1, retainHandling=handling))
        if arrives:
            assert client.receive().payload == b"other's"
        client.nothing_more()


def test_the_will_has_properties_and_waits_for_its_delay(connected, paho, name):
    watcher = connected()
    watcher.subscribe(f"{name}/#")
    for delay_s in (0, 1):
        client = paho("mqtt", 5, name)
        will = properties(
            "WILLMESSAGE",
            WillDelayInterval=delay_s,
            ContentType="text/plain",
            UserProperty=[("k", "v")],
        )
        client.mqtt.will_set(f"{name}/will", b"gone", 1, properties=will)
        client.connect(SessionExpiryInterval=60)
        client.break_off()
        got = watcher.receive().properties
        assert got.json() == {"ContentType": "text/plain", "UserProperty": [("k", "v")]}


def test_disconnecting_with_the_will(connected, paho, name):
    watcher = connected()
    watcher.subscribe(name)
    client = paho("mqtt", 5, f"{name}-will")
    client.mqtt.will_set(name, b"gone", 1)
    client.connect()
    client.disconnect_with(0x04)
    assert watcher.receive().payload == b"gone"


def test_reason_codes_of_acknowledgements(connected, name):
    client = connected()
    # Of QoS 2, paho shows the PUBCOMP only.
    assert client.publish(name, b"", 1)[0].value == NO_MATCHING_SUBSCRIBERS
    assert client.publish(name, b"", 2)[0].value == SUCCESS
    assert [reason.value for reason in client.unsubscribe(name)] == [NO_SUBSCRIPTION_EXISTED]


def test_the_configured_error_for_a_topic(connected):
    client = connected()
    reason, answered = client.publish("test_qos_1_2_errors", b"", 1, UserProperty=[("a", "b")])
    assert reason.value == NOT_AUTHORIZED
    assert answered.UserProperty == [("a", "b")]
    # paho sends a PUBREL even after a PUBREC that refused, for a packet id that is free by then.
    assert client.publish("test_qos_1_2_errors", b"", 2)[0].value == PACKET_ID_NOT_FOUND


def test_a_disconnect_that_the_client_asked_for(connected):
    client = connected()
    client.mqtt.publish("cmd/disconnectWithRC", b"150")
    assert client.disconnected().value == 150


def test_a_packet_beyond_the_clients_maximum_is_not_sent(connected, name):
    client, publisher = connected(MaximumPacketSize=200), connected()
    client.subscribe(name)
    publisher.publish(name, b"x" * 300, 1)
    publisher.publish(name, b"small", 1)
    assert client.receive().payload == b"small"
