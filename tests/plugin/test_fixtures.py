"""The fixtures, used as a client library's tests use them."""

import socket

import pytest

from tests.plugin.raw import DISCONNECT, connect, connect_packet, connect_twice


class TestBroker:
    def test_it_says_where_it_is(self, mqtt_broker):
        assert mqtt_broker.host == "127.0.0.1"
        assert mqtt_broker.url == f"mqtt://127.0.0.1:{mqtt_broker.port}"
        assert mqtt_broker.ws_url == f"ws://127.0.0.1:{mqtt_broker.port}/mqtt"
        assert mqtt_broker.environment["MQTT_PORT"] == str(mqtt_broker.port)

    def test_without_being_asked_it_has_no_tls(self, mqtt_broker):
        assert len(mqtt_broker.ports) == 1
        with pytest.raises(Exception, match="mqtt_tls"):
            _ = mqtt_broker.tls

    def test_a_socket_that_stays_open_does_not_delay_its_end(self, mqtt_broker):
        with connect(mqtt_broker, "stays", 5) as peer:
            clock = mqtt_broker.running.clock
            before = clock.now()
            mqtt_broker.stop()
            assert clock.now() - before < 1
            assert peer.recv(100)[0] == 0xE0  # and it is told


@pytest.mark.mqtt_broker("receive_maximum 3", "maximum_qos 1")
class TestMark:
    def test_it_configures_the_broker(self, mqtt_broker):
        configuration = mqtt_broker.running.configuration
        assert (configuration["receive_maximum"], configuration["maximum_qos"]) == (3, 1)

    @pytest.mark.mqtt_broker("receive_maximum 2")
    def test_the_closest_counts(self, mqtt_broker):
        configuration = mqtt_broker.running.configuration
        assert (configuration["receive_maximum"], configuration["maximum_qos"]) == (2, 1)

    @pytest.mark.mqtt_broker("listener 0 127.0.0.1", "maximum_qos 0", "listener 0 ::1")
    def test_it_may_have_listeners_of_its_own(self, mqtt_broker):
        assert len(mqtt_broker.ports) == 2

    @pytest.mark.mqtt_broker("persistence true")
    def test_a_database_is_the_test_s_own(self, mqtt_broker, tmp_path):
        with connect(mqtt_broker, "one") as peer:
            peer.sendall(bytes.fromhex("3104 0001 74 78") + DISCONNECT)
        assert mqtt_broker.report()["clients"]
        mqtt_broker.reset()
        assert mqtt_broker.running.context.retained.count == 0


class TestReset:
    def test_connections_end_and_the_port_stays(self, mqtt_broker):
        port = mqtt_broker.port
        with connect(mqtt_broker, "before") as peer:
            mqtt_broker.reset()
            assert peer.recv(100) == b""
        assert mqtt_broker.port == port
        connect(mqtt_broker, "after").close()

    def test_retained_messages_and_sessions_are_forgotten(self, mqtt_broker):
        with connect(mqtt_broker, "one") as peer:
            peer.sendall(bytes.fromhex("3104 0001 74 78") + DISCONNECT)
        assert mqtt_broker.report()["clients"]
        assert mqtt_broker.running.context.retained.count == 1
        mqtt_broker.reset()
        assert mqtt_broker.report()["clients"] == []
        assert mqtt_broker.running.context.retained.count == 0

    def test_what_was_broken_before_stands_no_more(self, mqtt_broker, mqtt_verdict):
        connect_twice(mqtt_broker)
        assert not mqtt_verdict
        mqtt_broker.reset()
        assert mqtt_verdict
        connect_twice(mqtt_broker)
        mqtt_verdict.expect("MQTT3-3.1.0-2")

    def test_many_clients_at_once_do_not_disturb_it(self, mqtt_broker):
        peers = [connect(mqtt_broker, f"client-{n}", 5) for n in range(20)]
        for peer in peers:
            peer.sendall(bytes.fromhex("3004 0001 74 00") * 100)
        mqtt_broker.reset()
        for peer in peers:
            peer.close()
        assert mqtt_broker.report()["clients"] == []


class TestVerdict:
    def test_what_was_sent_just_now_is_known(self, mqtt_broker, mqtt_verdict):
        with connect(mqtt_broker, "quick") as peer:
            for count in range(1, 20):
                peer.sendall(bytes.fromhex("c000"))
                assert mqtt_verdict.client("quick").seen["packets_received"] == 1 + count
        assert mqtt_verdict

    def test_much_that_was_sent_just_now_is_known(self, mqtt_broker, mqtt_verdict):
        with connect(mqtt_broker, "much") as peer:
            peer.sendall(bytes.fromhex("3004 0001 74 78") * 200_000)
            assert mqtt_verdict.client("much").seen["packets_received"] == 200_001

    def test_a_connection_that_was_made_just_now_is_known(self, mqtt_broker, mqtt_verdict):
        with socket.create_connection((mqtt_broker.host, mqtt_broker.port)) as peer:
            peer.sendall(connect_packet("new"))
            assert mqtt_verdict.client("new").connections == 1

    def test_a_violation_says_what_was_done(self, mqtt_broker, mqtt_verdict):
        connect_twice(mqtt_broker, "twice")
        (violation,) = mqtt_verdict.violations
        assert violation.statement == "MQTT3-3.1.0-2"
        assert violation.client_id == "twice"
        assert violation.packet == connect_packet("twice")
        assert violation.count == 1
        assert not mqtt_verdict
        assert mqtt_verdict.expect("mqtt-3.1.1:MQTT-3.1.0-2").summary == violation.summary
        assert mqtt_verdict
        assert mqtt_verdict.violations == []

    def test_the_text_shows_statement_packet_and_what_led_to_it(self, mqtt_broker, mqtt_verdict):
        connect_twice(mqtt_broker, "twice", 5)
        with pytest.raises(AssertionError) as caught:
            mqtt_verdict.assert_clean()
        mqtt_verdict.assert_clean(allow="MQTT5-3.1.0-2")
        text = str(caught.value)
        packet = connect_packet("twice", 5)
        for expected in (
            "1 violation stands",
            "MQTT5-3.1.0-2 ",
            "client    'twice' at 127.0.0.1:",
            "(5.0, tcp), connection 1",
            "expected  The Server MUST process a second CONNECT packet sent from a Client as a",
            f"packet    CONNECT, {len(packet)} bytes",
            packet.hex(" ").lstrip(),
            "received  CONNECT",
            "sent      CONNACK",
            "<-- here",
        ):
            assert expected in text, text

    @pytest.mark.mqtt_broker("conformance_ignore mqtt-3.1.1:MQTT-3.1.0-2 known")
    def test_what_the_configuration_silences_does_not_stand(self, mqtt_broker, mqtt_verdict):
        connect_twice(mqtt_broker)
        assert mqtt_verdict
        (violation,) = mqtt_verdict.client("twice").violations
        assert violation.silenced == "known"

    def test_a_client_is_known_by_its_id(self, mqtt_broker, mqtt_verdict):
        connect(mqtt_broker, "a", 5).close()
        client = mqtt_verdict.client("a")
        assert (client.protocols, client.transports) == (["5.0"], ["tcp"])
        assert "MQTT5-3.1.0-1" in client.exercised
        assert client.exercised == mqtt_verdict.exercised
        with pytest.raises(AssertionError, match="no client 'b' was seen; seen: 'a'"):
            mqtt_verdict.client("b")

    def test_to_expect_what_was_not_broken_fails(self, mqtt_verdict):
        with pytest.raises(
            AssertionError, match=r"MQTT5-3\.1\.0-2 was not broken; broken: nothing"
        ):
            mqtt_verdict.expect("MQTT5-3.1.0-2")

    def test_a_name_that_no_statement_has_is_an_error(self, mqtt_verdict):
        with pytest.raises(ValueError, match=r"there is no statement 'MQTT-3\.1\.0-2'"):
            mqtt_verdict.assert_clean(allow=["MQTT-3.1.0-2"])

    @pytest.mark.mqtt_fail_on("never")
    def test_with_never_a_violation_can_be_looked_at_still(self, mqtt_broker, mqtt_verdict):
        connect_twice(mqtt_broker)
        assert mqtt_verdict.violations
