"""3.15 AUTH and 4.12 Enhanced authentication (5.0 only)."""

import logging

import pytest

from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth, Disconnect, Pingreq
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    MAXIMUM_PACKET_SIZE,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.broker.scram_client import ScramClient

CONTINUE, RE_AUTHENTICATE = 0x18, 0x19
MALFORMED, PROTOCOL_ERROR, NOT_AUTHORIZED, BAD_METHOD = 0x81, 0x82, 0x87, 0x8C

CONFIGURATION = (
    "auth_method SCRAM-SHA-1",
    "auth_method SCRAM-SHA-256",
    "auth_method CHALLENGE",
    "auth_user anna secret",
    "auth_user otto another",
    "auth_challenge first one",
    "auth_challenge second two",
)
SCRAM = pytest.mark.parametrize("method", ["SCRAM-SHA-1", "SCRAM-SHA-256"])

pytestmark = [pytest.mark.versions(5), pytest.mark.configuration(*CONFIGURATION)]


def of(method, data=None, **more):
    """The properties of one step; None leaves out the Authentication Data."""
    return {AUTHENTICATION_METHOD: method} | ({} if data is None else {AUTHENTICATION_DATA: data})


def begin(one, method, data=None, client_id="c", more=None, will=None):
    """CONNECT with a method; what answers it is the test's to receive."""
    properties = of(method, data) | (more or {})
    one.send(Connect(5, client_id, True, 0, None, None, will, properties))


def step(one, method, data=None, reason=CONTINUE):
    one.send(Auth(reason, of(method, data)))


def scram_connect(one, method="SCRAM-SHA-256", user="anna", password="secret", **more):
    """The whole exchange; returns the SCRAM client and the CONNACK."""
    scram = ScramClient(method, user, password)
    begin(one, method, scram.first(), **more)
    step(one, method, scram.final(one.receive(Auth).properties[AUTHENTICATION_DATA]))
    return scram, one.receive(Connack)


def challenge_connect(one, **more):
    begin(one, "CHALLENGE", **more)
    assert one.receive(Auth).properties == of("CHALLENGE", b"first")
    step(one, "CHALLENGE", b"one")
    assert one.receive(Auth).properties == of("CHALLENGE", b"second")
    step(one, "CHALLENGE", b"two")
    return one.receive(Connack)


class TestEnhancedAuthentication:
    """4.12 Enhanced authentication."""

    @SCRAM
    @pytest.mark.statement("MQTT5-4.12.0-2", "MQTT5-4.12.0-5", "MQTT5-3.15.2-1")
    @pytest.mark.configuration("allow_anonymous false", *CONFIGURATION)
    def test_scram_lets_in_who_knows_the_password(self, client, method):
        one = client()
        scram = ScramClient(method, "anna", "secret")
        begin(one, method, scram.first())
        challenge = one.receive(Auth)
        assert challenge.reason == CONTINUE
        assert challenge.properties[AUTHENTICATION_METHOD] == method
        step(one, method, scram.final(challenge.properties[AUTHENTICATION_DATA]))
        connack = one.receive(Connack)
        assert connack.reason == 0
        assert connack.properties[AUTHENTICATION_METHOD] == method
        assert scram.is_server(connack.properties[AUTHENTICATION_DATA])
        one.nothing()

    @SCRAM
    @pytest.mark.statement("MQTT5-4.12.0-4", "MQTT5-4.13.2-1")
    def test_scram_refuses_who_does_not(self, client, method):
        one = client()
        _, connack = scram_connect(one, method, "anna", "guessed")
        assert connack.reason == NOT_AUTHORIZED
        assert one.wait_closed() == []

    @SCRAM
    def test_scram_treats_an_unknown_user_the_same_way(self, client, method):
        one = client()
        _, connack = scram_connect(one, method, "nobody", "secret")
        assert connack.reason == NOT_AUTHORIZED
        assert one.wait_closed() == []

    def test_scram_refuses_what_is_no_scram(self, client):
        one = client()
        begin(one, "SCRAM-SHA-1", b"\xff\xfe")
        assert one.receive(Connack).reason == NOT_AUTHORIZED
        assert one.wait_closed() == []

    def test_data_that_connect_should_have_had_may_follow(self, client):
        one = client()
        begin(one, "SCRAM-SHA-256")
        assert one.receive(Auth).properties == of("SCRAM-SHA-256")
        scram = ScramClient("SCRAM-SHA-256", "anna", "secret")
        step(one, "SCRAM-SHA-256", scram.first())
        challenge = one.receive(Auth).properties[AUTHENTICATION_DATA]
        step(one, "SCRAM-SHA-256", scram.final(challenge))
        assert one.receive(Connack).reason == 0

    @pytest.mark.statement("MQTT5-4.12.0-2", "MQTT5-4.12.0-5")
    def test_a_script_runs_step_by_step(self, client):
        one = client()
        connack = challenge_connect(one)
        assert connack.reason == 0
        assert connack.properties[AUTHENTICATION_METHOD] == "CHALLENGE"
        assert AUTHENTICATION_DATA not in connack.properties

    @pytest.mark.statement("MQTT5-4.12.0-4")
    @pytest.mark.parametrize("answers", [[b"wrong"], [b"one", b"wrong"], [b"one", None]])
    def test_a_wrong_answer_at_any_step_ends_it(self, client, answers):
        one = client()
        begin(one, "CHALLENGE")
        for answer in answers:
            one.receive(Auth)
            step(one, "CHALLENGE", answer)
        assert one.receive(Connack).reason == NOT_AUTHORIZED
        assert one.wait_closed() == []

    @pytest.mark.statement("MQTT5-4.12.0-1")
    @pytest.mark.parametrize("method", ["GS2-KRB5", "scram-sha-1"])
    def test_an_unknown_method_is_refused(self, client, method):
        one = client()
        begin(one, method, b"data")
        assert one.receive(Connack).reason == BAD_METHOD
        assert one.wait_closed() == []

    @pytest.mark.configuration("allow_anonymous true")
    def test_no_method_is_known_where_none_is_configured(self, client):
        one = client()
        begin(one, "SCRAM-SHA-1", b"n,,n=anna,r=x")
        assert one.receive(Connack).reason == BAD_METHOD
        assert one.wait_closed() == []

    @pytest.mark.statement("MQTT5-3.1.2-30")
    @pytest.mark.parametrize(
        "packet",
        [
            Publish("a", b"x"),
            Subscribe(1, [Subscription("a", 0)]),
            Pingreq(),
            "40 02 0001",  # PUBACK
            "50 02 0001",  # PUBREC
            "62 02 0001",  # PUBREL
            "70 02 0001",  # PUBCOMP
            "a2 06 0001 00 0001 61",  # UNSUBSCRIBE
            "20 03 00 00 00",  # CONNACK, which only a server sends
            Connect(5, "again"),
        ],
        ids=lambda packet: packet if isinstance(packet, str) else type(packet).__name__,
    )
    def test_other_packets_during_it_are_protocol_errors(self, client, packet):
        one = client()
        begin(one, "CHALLENGE")
        one.receive(Auth)
        one.send(packet)
        assert one.receive(Connack).reason == PROTOCOL_ERROR
        assert one.wait_closed() == []

    def test_disconnect_during_it_is_allowed(self, client):
        watcher, one = client(), client()
        watcher.connect("watcher")
        watcher.subscribe("will")
        begin(one, "CHALLENGE", will=Will("will", b"x"))
        one.receive(Auth)
        one.send(Disconnect())
        assert one.wait_closed() == []
        watcher.nothing()

    @pytest.mark.statement("MQTT5-3.1.4-6", "MQTT5-3.1.2-8")
    def test_who_is_refused_leaves_no_session_and_no_will(self, client):
        watcher, one, two = client(), client(), client()
        watcher.connect("watcher")
        watcher.subscribe("will")
        begin(one, "CHALLENGE", will=Will("will", b"x"), more={0x11: 60})
        one.receive(Auth)
        step(one, "CHALLENGE", b"wrong")
        assert one.receive(Connack).reason == NOT_AUTHORIZED
        one.wait_closed()
        watcher.nothing()
        assert not two.connect("c", clean_start=False).session_present

    def test_a_session_is_not_taken_over_before_it_succeeds(self, client):
        first, second = client(), client()
        first.connect("c")
        begin(second, "CHALLENGE")
        second.receive(Auth)
        first.nothing()
        step(second, "CHALLENGE", b"wrong")
        assert second.receive(Connack).reason == NOT_AUTHORIZED
        first.nothing()

    @pytest.mark.statement("U5-3.15-1", "MQTT5-4.12.0-5", "MQTT5-4.13.1-1")
    def test_another_method_during_it_is_a_protocol_error(self, client):
        one = client()
        begin(one, "CHALLENGE")
        one.receive(Auth)
        step(one, "SCRAM-SHA-1", b"one")
        assert one.receive(Connack).reason == PROTOCOL_ERROR
        assert one.wait_closed() == []

    @pytest.mark.statement("MQTT5-4.12.0-3")
    @pytest.mark.parametrize("reason", [0x00, RE_AUTHENTICATE])
    def test_the_client_answers_with_continue_only(self, client, reason):
        one = client()
        begin(one, "CHALLENGE")
        one.receive(Auth)
        step(one, "CHALLENGE", b"one", reason)
        assert one.receive(Connack).reason == PROTOCOL_ERROR
        assert one.wait_closed() == []

    @pytest.mark.statement("MQTT5-4.12.0-6")
    def test_without_a_method_nothing_of_it_is_sent(self, client):
        one = client()
        connack = one.connect("c")
        assert connack.reason == 0
        assert AUTHENTICATION_METHOD not in (connack.properties or {})
        assert AUTHENTICATION_DATA not in (connack.properties or {})
        one.nothing()

    @pytest.mark.statement("MQTT5-4.12.0-7", "U5-3.15-1")
    @pytest.mark.parametrize("reason", [0x00, CONTINUE, RE_AUTHENTICATE])
    def test_auth_from_a_client_without_a_method_is_a_protocol_error(self, client, reason):
        one = client()
        one.connect("c")
        step(one, "CHALLENGE", b"one", reason)
        assert one.closed_with() == PROTOCOL_ERROR

    @pytest.mark.statement("U5-4.12-3")
    @pytest.mark.configuration("allow_anonymous false", *CONFIGURATION)
    def test_without_a_method_connect_itself_decides(self, client):
        one = client()
        assert one.connect("c").reason == NOT_AUTHORIZED
        assert one.wait_closed() == []

    def test_the_user_is_the_one_that_was_authenticated(self, client):
        one = client()
        scram_connect(one, user="otto", password="another")
        (session,) = client.site().context.registry.all()
        assert session.connection.client.user_name == "otto"
        assert session.connection.client.authenticated_by == "SCRAM-SHA-256"

    def test_an_exchange_that_stops_half_way_is_closed_in_time(self, client):
        one = client()
        begin(one, "CHALLENGE")
        one.receive(Auth)
        client.site().advance(31)
        assert one.receive(Connack).reason == PROTOCOL_ERROR
        assert one.wait_closed() == []


class TestReAuthentication:
    """4.12.1 Re-authentication."""

    @SCRAM
    @pytest.mark.statement("MQTT5-4.12.0-5", "MQTT5-3.15.2-1")
    def test_it_succeeds_with_auth_0(self, client, method):
        one = client()
        scram_connect(one, method)
        again = ScramClient(method, "anna", "secret")
        step(one, method, again.first(), RE_AUTHENTICATE)
        challenge = one.receive(Auth)
        assert challenge.reason == CONTINUE
        step(one, method, again.final(challenge.properties[AUTHENTICATION_DATA]))
        done = one.receive(Auth)
        assert done.reason == 0
        assert done.properties[AUTHENTICATION_METHOD] == method
        assert again.is_server(done.properties[AUTHENTICATION_DATA])
        one.nothing()

    def test_it_may_be_done_again_and_again(self, client):
        one = client()
        challenge_connect(one)
        for _ in range(3):
            step(one, "CHALLENGE", None, RE_AUTHENTICATE)
            for answer in (b"one", b"two"):
                assert one.receive(Auth).reason == CONTINUE
                step(one, "CHALLENGE", answer)
            assert one.receive(Auth).reason == 0

    @pytest.mark.statement("MQTT5-4.12.1-2", "MQTT5-4.13.2-1")
    def test_when_it_fails_the_connection_ends(self, client):
        one = client()
        challenge_connect(one)
        step(one, "CHALLENGE", None, RE_AUTHENTICATE)
        one.receive(Auth)
        step(one, "CHALLENGE", b"wrong")
        assert one.closed_with() == NOT_AUTHORIZED

    @pytest.mark.statement("MQTT5-3.1.2-8")
    def test_when_it_fails_the_will_is_published(self, client):
        watcher, one = client(), client()
        watcher.connect("watcher")
        watcher.subscribe("will")
        challenge_connect(one, will=Will("will", b"x"))
        step(one, "CHALLENGE", None, RE_AUTHENTICATE)
        one.receive(Auth)
        step(one, "CHALLENGE", b"wrong")
        assert one.closed_with() == NOT_AUTHORIZED
        assert watcher.receive(Publish).payload == b"x"

    def test_other_packets_flow_meanwhile(self, client):
        one, other = client(), client()
        other.connect("other")
        challenge_connect(one)
        one.subscribe("a", qos=2)
        step(one, "CHALLENGE", None, RE_AUTHENTICATE)
        assert one.receive(Auth).reason == CONTINUE
        other.publish("a", b"to", 2)
        assert one.receive_message().payload == b"to"
        one.publish("a", b"from", 1)
        assert one.receive_message().payload == b"from"
        step(one, "CHALLENGE", b"one")
        assert one.receive(Auth).reason == CONTINUE
        one.fence()
        step(one, "CHALLENGE", b"two")
        assert one.receive(Auth).reason == 0

    @pytest.mark.statement("MQTT5-4.12.1-1", "U5-3.15-1")
    def test_it_keeps_the_method_of_connect(self, client):
        one = client()
        challenge_connect(one)
        step(one, "SCRAM-SHA-1", b"n,,n=anna,r=x", RE_AUTHENTICATE)
        assert one.closed_with() == PROTOCOL_ERROR

    @pytest.mark.statement("MQTT5-4.12.1-1")
    def test_it_keeps_the_method_in_every_step(self, client):
        one = client()
        challenge_connect(one)
        step(one, "CHALLENGE", None, RE_AUTHENTICATE)
        one.receive(Auth)
        step(one, "SCRAM-SHA-1", b"one")
        assert one.closed_with() == PROTOCOL_ERROR

    @pytest.mark.parametrize("reason", [0x00, CONTINUE])
    def test_it_begins_with_re_authenticate_only(self, client, reason):
        one = client()
        challenge_connect(one)
        step(one, "CHALLENGE", b"one", reason)
        assert one.closed_with() == PROTOCOL_ERROR

    def test_it_is_over_after_success(self, client):
        one = client()
        challenge_connect(one)
        step(one, "CHALLENGE", None, RE_AUTHENTICATE)
        for answer in (b"one", b"two"):
            one.receive(Auth)
            step(one, "CHALLENGE", answer)
        assert one.receive(Auth).reason == 0
        step(one, "CHALLENGE", b"two")
        assert one.closed_with() == PROTOCOL_ERROR

    def test_it_may_not_change_the_user(self, client):
        """Non-normative comment of 4.12.1: the server can fail such an attempt."""
        one = client()
        scram_connect(one, user="anna", password="secret")
        other = ScramClient("SCRAM-SHA-256", "otto", "another")
        step(one, "SCRAM-SHA-256", other.first(), RE_AUTHENTICATE)
        step(one, "SCRAM-SHA-256", other.final(one.receive(Auth).properties[AUTHENTICATION_DATA]))
        assert one.closed_with() == NOT_AUTHORIZED


class TestAuthPacket:
    """3.15 AUTH - Authentication exchange."""

    @pytest.mark.statement("MQTT5-3.15.1-1")
    @pytest.mark.parametrize("flags", [1, 2, 4, 8])
    def test_reserved_flags_are_malformed(self, client, flags):
        one = client()
        challenge_connect(one)
        one.send(bytes((0xF0 | flags,)) + bytes.fromhex("0e 19 0c 15 0009") + b"CHALLENGE")
        assert one.closed_with() == MALFORMED

    @pytest.mark.parametrize("reason", [0x01, 0x1A, 0x87])
    @pytest.mark.statement("MQTT5-3.15.2-1")
    def test_reason_codes_it_does_not_have_are_refused(self, client, reason):
        one = client()
        challenge_connect(one)
        step(one, "CHALLENGE", b"", reason)
        assert one.closed_with() == PROTOCOL_ERROR

    @pytest.mark.statement("U5-3.15.2.2.2-1", "U5-3.15.2.2.3-1", "U5-3.15.2.2.4-2")
    @pytest.mark.parametrize(
        "packet",
        [
            "f0 02 19 00",  # no properties
            "f0 06 19 04 16 0001 61",  # data without a method
            # twice the method, the data, the Reason String
            "f0 1a 19 18 15 0009 4348414c4c454e4745 15 0009 4348414c4c454e4745",
            "f0 16 19 14 15 0009 4348414c4c454e4745 16 0001 61 16 0001 61",
            "f0 16 19 14 15 0009 4348414c4c454e4745 1f 0001 61 1f 0001 61",
        ],
    )
    def test_properties_missing_or_twice_are_protocol_errors(self, client, packet):
        one = client()
        challenge_connect(one)
        one.send(packet)
        assert one.closed_with() == PROTOCOL_ERROR

    def test_the_shortest_auth_names_no_method_and_is_refused(self, client):
        """3.15.2.1 allows the form, for Success; a client has no use for it."""
        one = client()
        challenge_connect(one)
        one.send("f0 00")
        assert one.closed_with() == PROTOCOL_ERROR

    @pytest.mark.statement("MQTT5-3.15.2-2", "MQTT5-3.15.2-3")
    def test_diagnostics_never_make_it_too_large(self, client):
        one = client()
        size = len(bytes.fromhex("f0 16 18 14 15 0009 4348414c4c454e4745 16 0005 6669727374"))
        begin(one, "CHALLENGE", more={MAXIMUM_PACKET_SIZE: size})
        assert one.receive(Auth).properties == of("CHALLENGE", b"first")

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-4.8.0-1")
    @pytest.mark.parametrize("packet", ["f0 00", "f0 0e 19 0c 15 0009 4348414c4c454e4745"])
    def test_3_x_has_no_such_packet(self, client, packet):
        one = client()
        one.connect("c")
        one.send(packet)
        assert one.closed_with() is None

    def test_it_is_not_the_first_packet(self, client):
        one = client()
        step(one, "CHALLENGE", b"one", RE_AUTHENTICATE)
        assert one.wait_closed() == []


def test_a_failure_names_its_reason_in_the_log_and_no_password(client, caplog):
    caplog.set_level(logging.INFO)
    one = client()
    scram_connect(one, password="not the right one")
    one.wait_closed()
    (line,) = (record.getMessage() for record in caplog.records if "refused" in record.getMessage())
    assert "invalid-proof" in line
    assert "not the right one" not in caplog.text
