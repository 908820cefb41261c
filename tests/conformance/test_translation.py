"""Messages between clients of different protocol versions (5.0, 3.3.4, non-normative comment)."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Will
from formats.mqtt.publish import Publish

PROPERTIES = {
    1: 1,  # Payload Format Indicator
    2: 600,  # Message Expiry Interval, seconds
    3: "text/plain",  # Content Type
    8: "answers",  # Response Topic
    9: b"\0\1",  # Correlation Data
    0x26: [("a", "1"), ("a", "2")],  # User Property
}
VERSIONS = (3, 4, 5)

# Of the fixture `client`; the versions under test are those of `sender` and `receiver`.
pytestmark = pytest.mark.versions(5)


@pytest.fixture(params=VERSIONS, ids=["to 3.1", "to 3.1.1", "to 5.0"])
def receiver(request, client):
    """A connected client that has not subscribed yet."""
    one = client(version=request.param)
    one.connect("receiver")
    return one


@pytest.fixture(params=VERSIONS, ids=["from 3.1", "from 3.1.1", "from 5.0"])
def sender(request, client):
    one = client(version=request.param, listener=1)
    one.connect("sender")
    return one


def carried(sender, receiver):
    """What arrives of PROPERTIES."""
    return PROPERTIES if sender.version == receiver.version == 5 else None


def published(sender):
    return PROPERTIES if sender.version == 5 else None


class TestMessages:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_topic_payload_and_qos_are_the_same_for_all(self, sender, receiver, qos):
        receiver.subscribe("a/+", qos=2)
        sender.publish("a/ü", "\0ü".encode(), qos, properties=published(sender))
        message = receiver.receive_message()
        assert (message.topic, message.payload, message.qos) == ("a/ü", "\0ü".encode(), qos)
        assert message.properties == carried(sender, receiver)
        receiver.nothing()

    def test_a_retained_message(self, sender, receiver):
        sender.publish("a", b"x", 1, retain=True, properties=published(sender))
        receiver.subscribe("a", qos=2)
        message = receiver.receive_message()
        assert (message.payload, message.qos, message.retain) == (b"x", 1, True)
        assert message.properties == carried(sender, receiver)

    @pytest.mark.parametrize("qos", [0, 1])
    def test_one_message_to_subscribers_of_every_version(self, client, sender, qos):
        receivers = []
        for version in VERSIONS:
            receivers.append(client(version=version))
            receivers[-1].connect(f"receiver {version}")
            receivers[-1].subscribe("t", qos=1)
        for payload in (b"1", b"2"):
            sender.publish("t", payload, qos, properties=published(sender))
            for one in receivers:
                message = one.receive_message()
                assert (message.payload, message.properties) == (payload, carried(sender, one))

    def test_a_will(self, client, sender, receiver):
        receiver.subscribe("wills", qos=2)
        dying = client(version=sender.version, listener=1)
        dying.connect("dying", will=Will("wills", b"gone", 0, False, published(sender)))
        dying.drop()
        message = receiver.receive_message()
        assert (message.payload, message.properties) == (b"gone", carried(sender, receiver))

    def test_retain_as_published_is_5_0s_alone(self, sender, receiver):
        if receiver.version == 5:
            receiver.subscribe("t", retain_as_published=True)
        else:
            receiver.subscribe("t")
        sender.publish("t", b"x", retain=True)
        assert receiver.receive_message().retain is (receiver.version == 5)

    def test_message_expiry_binds_the_copy_of_a_3_x_client_too(self, client, receiver):
        sender = client(version=5)
        sender.connect("sender")
        sender.publish("t", b"x", 1, retain=True, properties={2: 10})
        client.site().advance(10)
        receiver.subscribe("t")
        receiver.nothing()

    def test_a_topic_alias_of_the_publisher_stays_with_it(self, client, receiver):
        receiver.subscribe("t")
        sender = client(version=5)
        sender.connect("sender")
        for topic in ("t", ""):
            sender.publish(topic, b"x", 0, properties={0x23: 1})
            message = receiver.receive_message()
            assert (message.topic, message.properties) == ("t", None)


class TestReasons:
    """Errors that only 5.0 can say: 3.x has a close, or nothing at all."""

    def test_no_matching_subscribers(self, sender):
        reason = 0x10 if sender.version == 5 else 0
        assert sender.publish("nobody", b"", 1).reason == reason
        assert sender.publish("nobody", b"", 2).reason == reason

    def test_a_refused_message_looks_like_any_other_to_3_x(self, sender, receiver):
        receiver.subscribe("#", "$x")
        reason = 0x90 if sender.version == 5 else 0
        assert sender.publish("$x", b"", 1).reason == reason
        assert sender.publish("$x", b"", 2).reason == reason
        receiver.nothing()

    def test_unknown_packet_identifiers(self, sender):
        reason = 0x92 if sender.version == 5 else 0
        sender.send(Pubrel(7))
        assert sender.receive() == Pubcomp(7, reason)
        sender.send(Pubrec(7))
        assert sender.receive() == Pubrel(7, reason)

    def test_a_reason_code_of_a_5_0_subscriber_is_nothing_to_the_publisher(self, client, sender):
        subscriber = client(version=5)
        subscriber.connect("subscriber")
        subscriber.subscribe("t", qos=1)
        assert sender.publish("t", b"x", 1).reason == 0
        subscriber.send(Puback(subscriber.receive(Publish).packet_id, 0x83))
        subscriber.nothing()
        sender.nothing()

    @pytest.mark.parametrize("qos", [1, 2])
    def test_acknowledgements_to_3_x_are_two_bytes_long(self, sender, qos):
        sender.send(Publish("$x", b"", qos, packet_id=1))
        packet = sender.wire.receive()
        if sender.version == 5:
            assert packet[1] > 2
        else:
            assert packet == bytes((0x30 + 0x10 * qos, 2, 0, 1))

    @pytest.mark.parametrize(
        "limit", ["receive_maximum 1", "maximum_packet_size 50", "maximum_qos 1"]
    )
    def test_a_broken_limit_is_told_to_5_0_and_closes_3_x(self, site, limit):
        for version in VERSIONS:
            one = site(limit).client(version)
            connack = one.connect()
            assert bool(connack.properties) is (version == 5)
            one.send(Publish("t", b"x" * 50, 2, packet_id=1))
            one.send(Publish("t", b"x", 2, packet_id=2))
            if limit.startswith("receive") and version != 5:
                continue  # 3.x has no such limit
            packets = one.wait_closed()
            reasons = [packet.reason for packet in packets if not isinstance(packet, Pubrec)]
            assert len(reasons) == (version == 5)
