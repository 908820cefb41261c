"""3.1.2.5 to 3.1.2.7 and 3.1.3.2 to 3.1.3.4: the will."""

import pytest

from formats.mqtt.connect import Connect, Will
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import (
    CONTENT_TYPE,
    CORRELATION_DATA,
    MESSAGE_EXPIRY_INTERVAL,
    PAYLOAD_FORMAT_INDICATOR,
    RESPONSE_TOPIC,
    SESSION_EXPIRY_INTERVAL,
    USER_PROPERTY,
    WILL_DELAY_INTERVAL,
)
from formats.mqtt.publish import Publish
from tests.harness.site import Site

WILL = Will("will", b"bye")


@pytest.fixture
def watcher(client):
    """A client that sees every will."""
    one = client()
    one.connect("watcher")
    one.subscribe("will/#", qos=2)
    return one


def delayed(interval_s, payload=b"bye"):
    return Will("will", payload, properties={WILL_DELAY_INTERVAL: interval_s})


def expiry(interval_s):
    return {SESSION_EXPIRY_INTERVAL: interval_s}


def kept(version):
    return expiry(3600) if version == 5 else None


PUBLISHED = pytest.mark.statement(
    "MQTT5-3.1.2-7", "MQTT5-3.1.2-8", "MQTT3-3.1.2-8", "U5-3.1.2.5-1", "U311-3.1.2.5-1"
)
REMOVED = pytest.mark.statement("MQTT5-3.1.2-10", "MQTT3-3.1.2-10")


class TestEnds:
    """3.1.2.5: each way in which a connection can end"""

    @PUBLISHED
    def test_network_failure_publishes_it(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=WILL)
        watcher.nothing()
        mortal.drop()
        assert watcher.receive_message().payload == b"bye"

    @PUBLISHED
    @pytest.mark.statement("MQTT5-3.1.2-22", "MQTT3-3.1.2-24")
    def test_silence_beyond_the_keep_alive_publishes_it(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", keep_alive_s=10, will=WILL)
        client.site().advance(15)
        mortal.wait_closed()
        assert watcher.receive_message().payload == b"bye"

    @PUBLISHED
    @pytest.mark.parametrize(
        "wrong",
        [
            "20 02 00 00",  # CONNACK: a packet of servers
            "36 04 0001 61 00",  # PUBLISH with QoS 3
            "82 02 0001",  # SUBSCRIBE without a filter
            "10 00",  # a second CONNECT
            "c1 00 c0 01 00",  # PINGREQ with flags, and with a body for 3.1
        ],
    )
    def test_protocol_error_publishes_it(self, client, watcher, wrong):
        mortal = client()
        mortal.connect("mortal", will=WILL)
        mortal.send(wrong)
        mortal.wait_closed()
        assert watcher.receive_message().payload == b"bye"

    @PUBLISHED
    @pytest.mark.parametrize("listener", [0, 1])
    def test_takeover_publishes_it(self, client, watcher, listener):
        mortal, heir = client(), client(listener=listener)
        mortal.connect("mortal", will=WILL)
        heir.connect("mortal")
        assert watcher.receive_message().payload == b"bye"
        mortal.wait_closed()
        heir.disconnect()
        watcher.nothing()

    @pytest.mark.statement("MQTT5-3.14.4-3", "MQTT3-3.14.4-3", "MQTT5-3.1.2-10", "MQTT3-3.1.2-10")
    def test_disconnect_discards_it(self, client, version, watcher):
        mortal = client()
        mortal.connect("mortal", clean_start=False, will=WILL, properties=kept(version))
        mortal.disconnect()
        watcher.nothing()
        client.site().advance(1e6)
        watcher.nothing()

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-3.14.4-3")
    @pytest.mark.parametrize("packet", ["e0 00", "e0 01 00", "e0 02 00 00"])
    def test_disconnect_of_every_length_discards_it(self, client, watcher, packet):
        mortal = client()
        mortal.connect("mortal", will=WILL)
        mortal.send(packet)
        mortal.wait_closed()
        watcher.nothing()

    @PUBLISHED
    @pytest.mark.versions(5)
    @pytest.mark.parametrize(
        "reason",
        [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
    )
    def test_disconnect_with_another_reason_publishes_it(self, client, watcher, reason):
        mortal = client()
        mortal.connect("mortal", will=WILL)
        mortal.disconnect(reason)
        assert watcher.receive_message().payload == b"bye"

    @PUBLISHED
    @pytest.mark.versions(5)
    def test_disconnect_that_is_not_valid_publishes_it(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=WILL)
        mortal.send(Disconnect(0, expiry(60)))  # not allowed after 0 in CONNECT
        assert mortal.closed_with() == 0x82
        assert watcher.receive_message().payload == b"bye"

    @pytest.mark.statement("MQTT3-3.1.2-12")
    def test_without_a_will_nothing_is_published(self, client, version, watcher):
        for clean_start in (True, False):
            mortal = client()
            mortal.connect("mortal", clean_start, properties=kept(version))
            mortal.drop()
        watcher.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-8", "MQTT3-3.1.2-8")
    def test_will_of_a_refused_connect_is_not_published(self, client, version, watcher):
        refused = client()
        refused.send(Connect(version, "refused", will=Will("$will", b"x")))
        refused.wait_closed()
        watcher.nothing()

    @REMOVED
    def test_it_is_published_once(self, client, version, watcher):
        mortal = client()
        mortal.connect("mortal", clean_start=False, will=WILL, properties=kept(version))
        mortal.drop()
        assert watcher.receive_message().payload == b"bye"
        again = client()
        again.connect("mortal", clean_start=False, properties=kept(version))
        again.drop()
        client.site().advance(1e6)
        watcher.nothing()

    @REMOVED
    def test_each_connection_brings_its_own(self, client, version, watcher):
        for payload in (b"1", b"2", None):
            mortal = client()
            will = None if payload is None else Will("will", payload)
            mortal.connect("mortal", clean_start=False, will=will, properties=kept(version))
            mortal.drop()
            if payload is not None:
                assert watcher.receive_message().payload == payload
        watcher.nothing()

    def test_it_reaches_a_client_at_another_listener(self, client):
        far, mortal = client(listener=1), client()
        far.connect("far")
        far.subscribe("will", qos=1)
        mortal.connect("mortal", will=WILL)
        mortal.drop()
        assert far.receive_message().payload == b"bye"

    def test_it_reaches_the_kept_session_of_its_own_client(self, client, version):
        mortal, again = client(), client()
        will = Will("will", b"bye", 1)
        mortal.connect("mortal", clean_start=False, will=will, properties=kept(version))
        mortal.subscribe("will", qos=1)
        mortal.drop()
        again.connect("mortal", clean_start=False, properties=kept(version))
        assert again.receive_message().payload == b"bye"


class TestMessage:
    """3.1.2.6, 3.1.2.7, 3.1.3.3, 3.1.3.4: the message that it becomes"""

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_it_has_the_will_qos(self, client, watcher, qos):
        mortal = client()
        mortal.connect("mortal", will=Will("will", b"bye", qos))
        mortal.drop()
        assert watcher.receive_message().qos == qos

    @pytest.mark.statement("MQTT5-3.1.2-14", "MQTT3-3.1.2-16")
    def test_it_is_not_retained_without_will_retain(self, client, watcher):
        mortal, later = client(), client()
        mortal.connect("mortal", will=Will("will", b"bye"))
        mortal.drop()
        watcher.receive_message()
        later.connect("later")
        later.subscribe("will")
        later.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-15", "MQTT3-3.1.2-17")
    def test_it_is_retained_with_will_retain(self, client, watcher):
        mortal, later = client(), client()
        mortal.connect("mortal", will=Will("will", b"bye", 0, True))
        mortal.drop()
        assert not watcher.receive_message().retain
        later.connect("later")
        later.subscribe("will")
        message = later.receive(Publish)
        assert (message.payload, message.retain) == (b"bye", True)

    @pytest.mark.statement("MQTT5-3.1.2-15", "MQTT3-3.1.2-17")
    def test_empty_one_with_will_retain_clears_the_retained_message(self, client, watcher):
        mortal, later = client(), client()
        mortal.connect("mortal", will=Will("will", b"", 0, True))
        mortal.publish("will", b"retained", retain=True)
        assert watcher.receive_message().payload == b"retained"
        mortal.drop()
        assert watcher.receive_message().payload == b""
        later.connect("later")
        later.subscribe("will")
        later.nothing()

    @pytest.mark.parametrize("payload", [b"", b"\x00\xff\xfe", bytes(65_535)])
    def test_its_payload_is_any_bytes(self, client, watcher, payload):
        mortal = client()
        mortal.connect("mortal", will=Will("will", payload))
        mortal.drop()
        assert watcher.receive_message().payload == payload

    def test_no_local_keeps_it_from_its_own_session(self, client, watcher):
        mortal, again = client(version=5), client(version=5)
        mortal.connect("mortal", False, will=WILL, properties=expiry(60))
        mortal.subscribe("will", qos=1, no_local=True)
        mortal.drop()
        watcher.receive_message()
        again.connect("mortal", False, properties=expiry(60))
        again.nothing()


class TestProperties:
    """3.1.3.2 (5.0)"""

    pytestmark = pytest.mark.versions(5)

    def test_they_go_out_with_the_message(self, client, watcher):
        properties = {
            PAYLOAD_FORMAT_INDICATOR: 1,
            CONTENT_TYPE: "text/plain",
            RESPONSE_TOPIC: "answers",
            CORRELATION_DATA: b"\x01\x02",
        }
        mortal = client()
        mortal.connect("mortal", will=Will("will", b"bye", properties=properties))
        mortal.drop()
        assert watcher.receive_message().properties == properties

    @pytest.mark.statement("MQTT5-3.1.3-10")
    def test_user_properties_keep_their_order(self, client, watcher):
        pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("", ""), ("a", "2")]
        mortal = client()
        mortal.connect("mortal", will=Will("will", b"bye", properties={USER_PROPERTY: pairs}))
        mortal.drop()
        assert watcher.receive_message().properties == {USER_PROPERTY: pairs}

    def test_will_delay_interval_is_not_among_them(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=delayed(10))
        mortal.drop()
        assert not watcher.receive_message().properties

    def test_message_expiry_interval_counts_from_the_publication(self, client):
        mortal, watcher = client(), client()
        properties = {WILL_DELAY_INTERVAL: 50, MESSAGE_EXPIRY_INTERVAL: 20}
        watcher.connect("watcher", False, properties=expiry(1000))
        watcher.subscribe("will", qos=1)
        mortal.connect(
            "mortal", will=Will("will", b"bye", 1, properties=properties), properties=expiry(60)
        )
        mortal.drop()
        watcher.drop()
        client.site().advance(50)
        client.site().advance(15)
        again = client()
        again.connect("watcher", False, properties=expiry(1000))
        assert again.receive_message().properties == {MESSAGE_EXPIRY_INTERVAL: 5}

    @pytest.mark.statement("U5-3.1.3.2.3-3")
    def test_payload_that_is_not_utf_8_as_it_says_is_refused(self, client):
        wrong = client()
        will = Will("will", b"\xff", properties={PAYLOAD_FORMAT_INDICATOR: 1})
        wrong.send(Connect(5, "wrong", will=will))
        assert wrong.refused_with() == 0x99

    @pytest.mark.parametrize("indicator", [None, {PAYLOAD_FORMAT_INDICATOR: 0}])
    def test_payload_that_says_nothing_may_be_any_bytes(self, client, indicator):
        will = Will("will", b"\xff", properties=indicator)
        assert client().connect("client", will=will).reason == 0

    def test_receivers_of_3_1_1_get_the_message_alone(self, client):
        old, mortal = client(version=4), client()
        old.connect("old")
        old.subscribe("will")
        properties = {CONTENT_TYPE: "x", MESSAGE_EXPIRY_INTERVAL: 9}
        mortal.connect("mortal", will=Will("will", b"bye", properties=properties))
        mortal.drop()
        assert old.receive(Publish) == Publish("will", b"bye")


class TestDelay:
    """3.1.3.2.2 Will Delay Interval (5.0)"""

    pytestmark = pytest.mark.versions(5)

    @PUBLISHED
    def test_it_is_published_when_the_delay_has_passed(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=delayed(10), properties=expiry(60))
        mortal.drop()
        client.site().advance(9.9)
        watcher.nothing()
        client.site().advance(0.1)
        assert watcher.receive_message().payload == b"bye"
        client.site().advance(1000)
        watcher.nothing()

    @PUBLISHED
    def test_it_is_published_when_the_session_ends_before(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=delayed(60), properties=expiry(10))
        mortal.drop()
        client.site().advance(9.9)
        watcher.nothing()
        client.site().advance(0.1)
        assert watcher.receive_message().payload == b"bye"
        client.site().advance(1000)
        watcher.nothing()

    @PUBLISHED
    def test_session_that_ends_with_its_connection_leaves_no_delay(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=delayed(60))  # Session Expiry Interval 0
        mortal.drop()
        assert watcher.receive_message().payload == b"bye"

    @pytest.mark.parametrize("reason", [0x04, 0x80])
    def test_it_holds_after_a_disconnect_with_will_too(self, client, watcher, reason):
        mortal = client()
        mortal.connect("mortal", will=delayed(10), properties=expiry(60))
        mortal.disconnect(reason)
        client.site().advance(9.9)
        watcher.nothing()
        client.site().advance(0.1)
        assert watcher.receive_message().payload == b"bye"

    def test_will_can_tell_that_the_session_has_expired(self, client, watcher):
        # The non-normative comment of 3.1.2.5.
        mortal = client()
        mortal.connect("mortal", will=delayed(0xFFFFFFFF), properties=expiry(10))
        mortal.disconnect(0x04)
        client.site().advance(10)
        assert watcher.receive_message().payload == b"bye"

    def test_disconnect_that_ends_the_session_ends_the_delay(self, client, watcher):
        mortal = client()
        mortal.connect("mortal", will=delayed(60), properties=expiry(60))
        mortal.disconnect(0x04, expiry(0))
        assert watcher.receive_message().payload == b"bye"

    @pytest.mark.statement("MQTT5-3.1.3-9")
    @pytest.mark.parametrize("listener", [0, 1])
    def test_client_that_is_back_in_time_leaves_no_will(self, client, watcher, listener):
        mortal, back = client(), client(listener=listener)
        mortal.connect("mortal", will=delayed(10), properties=expiry(60))
        mortal.drop()
        client.site().advance(9)
        assert back.connect("mortal", False, properties=expiry(60)).session_present
        client.site().advance(100)
        watcher.nothing()
        back.drop()
        client.site().advance(100)
        watcher.nothing()

    @pytest.mark.statement("MQTT5-3.1.3-9")
    @pytest.mark.parametrize("listener", [0, 1])
    def test_takeover_in_time_leaves_no_will(self, client, watcher, listener):
        mortal, back = client(), client(listener=listener)
        mortal.connect("mortal", will=delayed(10), properties=expiry(60))
        assert back.connect("mortal", False, properties=expiry(60)).session_present
        client.site().advance(100)
        watcher.nothing()

    @pytest.mark.parametrize("listener", [0, 1])
    def test_clean_start_ends_the_session_and_so_the_delay(self, client, watcher, listener):
        mortal, fresh = client(), client(listener=listener)
        mortal.connect("mortal", will=delayed(60), properties=expiry(60))
        mortal.drop()
        watcher.nothing()
        fresh.connect("mortal", clean_start=True, properties=expiry(60))
        assert watcher.receive_message().payload == b"bye"
        client.site().advance(1000)
        watcher.nothing()

    @pytest.mark.parametrize("listener", [0, 1])
    def test_takeover_with_clean_start_publishes_it(self, client, watcher, listener):
        mortal, fresh = client(), client(listener=listener)
        mortal.connect("mortal", will=delayed(60), properties=expiry(60))
        fresh.connect("mortal", clean_start=True, will=delayed(60, b"second"))
        assert watcher.receive_message().payload == b"bye"
        watcher.nothing()

    @pytest.mark.parametrize("listener", [0, 1])
    def test_takeover_of_a_session_that_ends_with_its_connection_publishes_it(
        self, client, watcher, listener
    ):
        mortal, heir = client(), client(listener=listener)
        mortal.connect("mortal", will=delayed(60))
        heir.connect("mortal", clean_start=False)
        assert watcher.receive_message().payload == b"bye"

    @pytest.mark.parametrize("older", [3, 4])
    def test_older_version_that_takes_over_in_time_leaves_no_will(self, client, watcher, older):
        mortal, heir = client(), client(version=older)
        mortal.connect("mortal", will=delayed(10), properties=expiry(60))
        heir.connect("mortal", clean_start=False)
        client.site().advance(100)
        watcher.nothing()

    def test_delay_goes_on_at_the_listener_that_has_the_session_now(self, client, watcher):
        mortal, back = client(), client(listener=1)
        mortal.connect("mortal", properties=expiry(60))
        back.connect("mortal", False, will=delayed(10), properties=expiry(60))
        back.drop()
        client.site().advance(9)
        watcher.nothing()
        client.site().advance(1)
        assert watcher.receive_message().payload == b"bye"

    def test_delay_of_an_earlier_connection_does_not_count(self, client, watcher):
        for _ in range(3):
            mortal = client()
            mortal.connect("mortal", False, will=delayed(10), properties=expiry(60))
            mortal.drop()
            client.site().advance(6)
        watcher.nothing()
        client.site().advance(4)
        assert watcher.receive_message().payload == b"bye"
        watcher.nothing()


class TestShutdown:
    """3.1.2.5: a server that stops may publish wills then or later"""

    @pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
    def test_retained_will_is_there_when_the_broker_stops(self, transport, pki):
        site = Site(transport, pki=pki)
        mortal = site.client()
        mortal.connect("mortal", will=Will("will", b"bye", 0, True))
        site.stop()
        mortal.wait_closed()
        [message] = site.context.retained.match("will", site.clock.now())
        assert message.payload == b"bye"
        site.close()
