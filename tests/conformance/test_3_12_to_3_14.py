"""3.12 PINGREQ, 3.13 PINGRESP, 3.14 DISCONNECT."""

import pytest

from formats.mqtt.connect import Connect, Will
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import (
    MAXIMUM_PACKET_SIZE,
    REASON_STRING,
    SERVER_REFERENCE,
    SESSION_EXPIRY_INTERVAL,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.reasons import ALLOWED
from tests.harness.site import Site

DISCONNECT = 14
TAKEN_OVER, SHUTTING_DOWN = 0x8E, 0x8B
only_5_0 = pytest.mark.versions(5)


class TestPing:
    """3.12, 3.13"""

    @pytest.mark.statement("MQTT5-3.12.4-1", "MQTT3-3.12.4-1")
    def test_pingreq_is_answered_with_a_pingresp(self, client):
        one = client()
        one.connect()
        one.send("c0 00")
        assert one.wire.receive() == bytes.fromhex("d0 00")

    @pytest.mark.statement("MQTT5-3.12.4-1", "MQTT3-3.12.4-1")
    def test_each_pingreq_has_its_pingresp(self, client):
        one = client()
        one.connect()
        one.send(*[Pingreq()] * 100)
        for _ in range(100):
            one.receive(Pingresp)
        one.nothing()

    @pytest.mark.parametrize("packet", ["c0 01 00", "d0 00"])
    def test_pingreq_with_a_body_and_pingresp_are_errors(self, client, version, packet):
        one = client()
        one.connect()
        one.send(packet)
        expected = 0x81 if packet.startswith("c0") else 0x82
        assert one.closed_with() == (expected if version == 5 else None)

    @pytest.mark.versions(4, 5)
    def test_flags_of_pingreq_are_reserved(self, client, version):
        one = client()
        one.connect()
        one.send("c1 00")
        assert one.closed_with() == (0x81 if version == 5 else None)


class TestDisconnectOfTheClient:
    """3.14"""

    @pytest.mark.statement("U5-3.14.4-1", "U311-3.14.4-1")
    def test_broker_closes_without_a_word(self, client):
        one = client()
        one.connect()
        one.send(Disconnect())
        assert one.wait_closed() == []

    @pytest.mark.statement("MQTT5-3.14.4-1", "MQTT3-3.14.4-2")
    def test_what_comes_after_it_is_not_handled(self, client):
        one, other = client(), client()
        other.connect("other")
        other.subscribe("t")
        one.connect()
        one.send(Publish("t", b"before"), Disconnect(), Publish("t", b"after"))
        one.wait_closed()
        assert other.receive(Publish).payload == b"before"
        other.nothing()

    @pytest.mark.versions(4, 5)
    @pytest.mark.statement("MQTT5-3.14.1-1", "MQTT3-3.14.1-1")
    @pytest.mark.parametrize("byte1", ["e1", "e2", "e4", "e8"])
    def test_reserved_flags_must_be_0(self, client, version, byte1):
        one, watcher = client(), client()
        watcher.connect("watcher")
        watcher.subscribe("will")
        one.connect(will=Will("will", b"bye"))
        one.send(byte1 + "00")
        assert one.closed_with() == (0x81 if version == 5 else None)
        assert watcher.receive(Publish).payload == b"bye"  # it was no DISCONNECT

    @pytest.mark.versions(3, 4)
    def test_it_has_no_body_before_5_0(self, client):
        one = client()
        one.connect()
        one.send("e0 01 00")
        assert one.closed_with() is None

    @only_5_0
    @pytest.mark.statement("MQTT5-3.14.2-1")
    @pytest.mark.parametrize("reason", sorted(set(range(256)) - ALLOWED[DISCONNECT])[::16])
    def test_reason_code_that_is_none_is_a_protocol_error(self, client, reason):
        one = client()
        one.connect()
        one.send(bytes([0xE0, 1, reason]))
        assert one.closed_with() == 0x82

    @only_5_0
    @pytest.mark.parametrize("reason", [0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, *range(0x9A, 0xA3)])
    def test_reason_code_of_servers_is_a_protocol_error(self, client, reason):
        one = client()
        one.connect()
        one.send(Disconnect(reason))
        assert one.closed_with() == 0x82

    @only_5_0
    @pytest.mark.parametrize(
        "properties",
        [
            pytest.param(
                "11 00000000 11 00000000",
                id="Session Expiry Interval twice",
                marks=pytest.mark.statement("U5-3.14.2.2.2-1"),
            ),
            pytest.param(
                "1f 0001 61 1f 0001 61",
                id="Reason String twice",
                marks=pytest.mark.statement("U5-3.14.2.2.3-2"),
            ),
            pytest.param(
                "1c 0001 61 1c 0001 61",
                id="Server Reference twice",
                marks=pytest.mark.statement("U5-3.14.2.2.5-1"),
            ),
        ],
    )
    def test_property_twice_is_a_protocol_error(self, client, properties):
        one = client()
        one.connect()
        data = bytes.fromhex(properties)
        one.send(bytes([0xE0, len(data) + 2, 0, len(data)]) + data)
        assert one.closed_with() == 0x82

    @only_5_0
    def test_properties_are_taken(self, client):
        one = client()
        one.connect()
        one.send(Disconnect(0, {REASON_STRING: "done", USER_PROPERTY: [("a", "1"), ("a", "2")]}))
        assert one.closed_with() is None


class TestDisconnectOfTheBroker:
    """3.14: in 5.0 only"""

    @pytest.mark.statement("MQTT5-3.14.0-1")
    def test_there_is_none_before_the_connack(self, client, version):
        early, refused = client(), client()
        early.send(Pingreq())
        assert early.wait_closed() == []
        refused.send(Connect(version, "c", will=Will("$x", b"")))
        assert not any(isinstance(packet, Disconnect) for packet in refused.wait_closed())

    @pytest.mark.versions(3, 4)
    def test_there_is_none_before_5_0(self, client):
        one, other = client(), client()
        one.connect()
        other.connect()
        assert one.wait_closed() == []

    @only_5_0
    @pytest.mark.statement("MQTT5-3.14.4-1", "MQTT5-3.14.4-2")
    def test_it_is_the_last_packet_and_the_connection_is_closed(self, client):
        one = client()
        one.connect()
        one.subscribe("t")
        one.send("20 03 00 00 00", Publish("t", b"x"), Pingreq())
        [last] = one.wait_closed()
        assert isinstance(last, Disconnect)

    @only_5_0
    @pytest.mark.statement("MQTT5-3.14.2-2", "MQTT5-3.14.2-1")
    def test_it_has_words_and_no_session_expiry_interval(self, client):
        one, other = client(), client()
        one.connect(properties={SESSION_EXPIRY_INTERVAL: 60})
        other.connect()
        [last] = one.wait_closed()
        assert last.reason == TAKEN_OVER
        assert last.reason in ALLOWED[DISCONNECT]
        assert SESSION_EXPIRY_INTERVAL not in last.properties
        assert SERVER_REFERENCE not in last.properties
        assert last.properties[REASON_STRING]

    @only_5_0
    @pytest.mark.statement("MQTT5-3.14.2-3", "MQTT5-3.14.2-4")
    def test_words_that_are_too_many_are_left_out(self, client):
        one, other = client(), client()
        one.connect(properties={MAXIMUM_PACKET_SIZE: 20})
        other.connect()
        [last] = one.wait_closed()
        assert last == Disconnect(TAKEN_OVER)


class TestShutdown:
    """3.14.2.1: 0x8B, Server shutting down"""

    pytestmark = pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])

    def test_clients_are_told(self, transport, pki):
        site = Site(transport, listeners=2, pki=pki)
        clients = [site.client(version, version % 2) for version in (3, 4, 5)]
        for place, one in enumerate(clients):
            one.connect(f"client{place}")
        site.stop()
        assert [one.closed_with() for one in clients] == [None, None, SHUTTING_DOWN]
        site.close()

    def test_what_is_due_goes_out_before(self, transport, pki):
        site = Site(transport, pki=pki)
        one = site.client()
        one.connect()
        one.subscribe("t")
        one.publish("t", b"x", 1)
        site.stop()
        message, last = one.wait_closed()
        assert (message.payload, last.reason) == (b"x", SHUTTING_DOWN)
        site.close()

    def test_connection_without_a_connect_is_closed(self, transport, pki):
        site = Site(transport, pki=pki)
        one = site.client()
        one.send("10")
        site.settle()
        site.stop()
        assert one.wait_closed() == []
        site.close()
