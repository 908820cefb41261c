"""3.2 CONNACK: the broker's answer to a CONNECT."""

import pytest

from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth
from formats.mqtt.properties import (
    ASSIGNED_CLIENT_IDENTIFIER,
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    MAXIMUM_PACKET_SIZE,
    MAXIMUM_QOS,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    REQUEST_RESPONSE_INFORMATION,
    RESPONSE_INFORMATION,
    RETAIN_AVAILABLE,
    SERVER_KEEP_ALIVE,
    SESSION_EXPIRY_INTERVAL,
    SHARED_SUBSCRIPTION_AVAILABLE,
    SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    WILDCARD_SUBSCRIPTION_AVAILABLE,
)
from formats.mqtt.publish import Publish
from formats.mqtt.reasons import ALLOWED
from formats.mqtt.subscribe import Subscribe, Subscription

CONNACK = 2
configuration = pytest.mark.configuration
only_5_0 = pytest.mark.versions(5)


class TestPlace:
    """3.2: first, and once"""

    @pytest.mark.statement("MQTT5-3.2.0-1", "MQTT3-3.2.0-1")
    @pytest.mark.parametrize("listener", [0, 1])
    def test_it_comes_before_messages_that_wait_in_the_session(self, client, version, listener):
        kept = {SESSION_EXPIRY_INTERVAL: 60} if version == 5 else None
        first, publisher = client(), client()
        first.connect("client", False, properties=kept)
        first.subscribe("t", qos=2)
        publisher.connect("publisher")
        publisher.publish("t", b"unacknowledged", 2)
        first.receive(Publish)
        first.drop()
        publisher.publish("t", b"queued", 1)
        again = client(listener=listener)
        again.send(Connect(version, "client", False, properties=kept))
        assert isinstance(again.receive(), Connack)
        assert again.receive(Publish).payload == b"unacknowledged"
        assert again.receive(Publish).payload == b"queued"

    @pytest.mark.statement("MQTT5-3.2.0-2")
    def test_there_is_one(self, client):
        one = client()
        one.connect()
        one.subscribe("t")
        one.publish("t", b"x", 1)
        one.receive(Publish)
        one.nothing()


class TestFlagsAndSize:
    """3.2.1, 3.2.2.1"""

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-3.2.2-3", "U311-3.2.2.1-1", "MQTT3-3.1.4-4")
    def test_bytes_of_an_acceptance_in_3_x(self, client, version):
        one = client()
        one.send(Connect(version, "client"))
        assert one.wire.receive() == bytes.fromhex("20 02 00 00")

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-3.2.2-2", "U311-3.2.2.1-1")
    def test_bytes_with_session_present_in_3_x(self, client, version):
        first, again = client(), client()
        first.connect("client", False)
        first.disconnect()
        again.send(Connect(version, "client", False))
        present = "01" if version == 4 else "00"  # 3.1 has no such flag
        assert again.wire.receive() == bytes.fromhex(f"20 02 {present} 00")

    @only_5_0
    @configuration("topic_alias_maximum 0", "maximum_packet_size 0")
    @pytest.mark.statement("MQTT5-3.2.2-1", "MQTT5-3.2.2-3")
    def test_bytes_in_5_0(self, client):
        kept = {SESSION_EXPIRY_INTERVAL: 60}
        for present in ("00", "01"):
            one = client()
            one.send(Connect(5, "client", False, properties=kept))
            #                                     flags     reason, no properties
            assert one.wire.receive() == bytes.fromhex(f"20 03 {present} 00 00")
            one.drop()


class TestRefusal:
    """3.2.2.2; 3.1.1: 3.2.2.3"""

    @pytest.mark.statement(
        "MQTT5-3.2.2-6", "MQTT5-3.2.2-7", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5", "U311-3.2.2.3-1"
    )
    def test_session_present_is_0_and_the_connection_is_closed(self, site, version):
        here = site("max_session_expiry_interval 100")
        kept = {SESSION_EXPIRY_INTERVAL: 60} if version == 5 else None
        first = here.client(version)
        first.connect("client", False, properties=kept)
        first.drop()
        wrong = here.client(version)
        # There is a session of this client id; its CONNECT is refused all the same.
        wrong.send(Connect(version, "client", False, will=Will("$SYS/x", b""), properties=kept))
        assert wrong.refused_with() == (0x90 if version == 5 else None)
        again = here.client(version)
        again.connect("client", False, properties=kept)
        assert again.connack.session_present == (version != 3)

    @pytest.mark.statement("MQTT5-3.2.2-7", "MQTT3-3.2.2-5")
    def test_takeover_by_a_refused_connect_does_not_happen(self, client, version):
        rightful, wrong = client(), client()
        rightful.connect("client")
        wrong.send(Connect(version, "client", will=Will("$SYS/x", b"")))
        wrong.wait_closed()
        rightful.nothing()

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-3.2.2-6")
    @pytest.mark.parametrize(
        ("option", "will"),
        [
            ("maximum_qos 0", Will("will", b"", 1)),
            ("retain_available false", Will("will", b"", 0, True)),
            ("", Will("$SYS/x", b"")),
        ],
    )
    def test_what_no_return_code_says_closes_without_a_connack(self, site, version, option, will):
        wrong = site(option).client(version)
        wrong.send(Connect(version, "client", will=will))
        assert wrong.wait_closed() == []

    @only_5_0
    @pytest.mark.statement("MQTT5-3.2.2-8")
    def test_reason_code_is_one_of_table_3_1(self, site):
        reasons = []
        for options, connect in (
            ("", Connect(5, "c", will=Will("$x", b""))),
            ("", Connect(5, "c", will=Will("x", b"\xff", properties={1: 1}))),
            ("", Connect(5, "c", properties={AUTHENTICATION_METHOD: "none"})),
            ("", Connect(5, "c", properties={RECEIVE_MAXIMUM: 0})),
            ("maximum_qos 1", Connect(5, "c", will=Will("x", b"", 2))),
            ("retain_available false", Connect(5, "c", will=Will("x", b"", 0, True))),
            ("allow_anonymous false", Connect(5, "c")),
            ("allow_zero_length_clientid false", Connect(5, "")),
            ("accept_protocol_versions 4", Connect(5, "c")),
        ):
            refused = site(options).client(5)
            refused.send(connect)
            reasons.append(refused.refused_with())
        assert reasons == [0x90, 0x99, 0x8C, 0x82, 0x9B, 0x9A, 0x87, 0x85, 0x84]
        assert set(reasons) <= ALLOWED[CONNACK]

    @only_5_0
    @configuration("maximum_qos 1")
    @pytest.mark.statement("MQTT5-3.2.2-12")
    def test_will_qos_above_the_maximum_is_refused(self, client):
        refused, right = client(), client()
        refused.send(Connect(5, "c", will=Will("will", b"", 2)))
        assert refused.refused_with() == 0x9B
        assert right.connect("c", will=Will("will", b"", 1)).reason == 0

    @only_5_0
    @configuration("retain_available false")
    @pytest.mark.statement("MQTT5-3.2.2-13")
    def test_will_retain_is_refused_where_nothing_is_retained(self, client):
        refused, right = client(), client()
        refused.send(Connect(5, "c", will=Will("will", b"", 0, True)))
        assert refused.refused_with() == 0x9A
        assert right.connect("c", will=Will("will", b"")).reason == 0


class TestProperties:
    """3.2.2.3 (5.0): which there are"""

    pytestmark = only_5_0

    @configuration("topic_alias_maximum 0", "maximum_packet_size 0")
    def test_none_where_all_is_as_the_document_has_it(self, client):
        assert not client().connect(properties={SESSION_EXPIRY_INTERVAL: 60}).properties

    @configuration(
        "receive_maximum 10",
        "maximum_qos 1",
        "retain_available false",
        "maximum_packet_size 1000",
        "topic_alias_maximum 7",
        "wildcard_subscription_available false",
        "subscription_identifier_available false",
        "shared_subscription_available false",
        "server_keep_alive 60",
        "max_session_expiry_interval 100",
        "response_information response/%c/",
        "auth_method CHALLENGE",
        "auth_challenge question answer",
    )
    @pytest.mark.statement(
        "U5-3.2.2.3.2-1", "U5-3.2.2.3.3-1", "U5-3.2.2.3.4-1", "U5-3.2.2.3.5-1", "U5-3.2.2.3.6-1",
        "U5-3.2.2.3.7-1", "U5-3.2.2.3.8-1", "U5-3.2.2.3.11-1", "U5-3.2.2.3.12-1",
        "U5-3.2.2.3.13-1", "U5-3.2.2.3.14-1", "U5-3.2.2.3.15-1", "U5-3.2.2.3.17-1",
        "U5-3.2.2.3.18-1", "MQTT5-3.2.2-9",
    )  # fmt: skip
    def test_each_that_is_due_once_and_within_its_range(self, client):
        one = client()
        wanted = {
            SESSION_EXPIRY_INTERVAL: 1000,
            REQUEST_RESPONSE_INFORMATION: 1,
            AUTHENTICATION_METHOD: "CHALLENGE",
        }
        one.send(Connect(5, "", True, 100, properties=wanted))
        one.receive(Auth)
        one.send(Auth(0x18, {AUTHENTICATION_METHOD: "CHALLENGE", AUTHENTICATION_DATA: b"answer"}))
        # The decoder refuses a property that comes twice, and values out of range.
        properties = one.receive(Connack).properties
        client_id = properties.pop(ASSIGNED_CLIENT_IDENTIFIER)
        properties.pop(AUTHENTICATION_DATA, None)
        assert properties == {
            SESSION_EXPIRY_INTERVAL: 100,
            RECEIVE_MAXIMUM: 10,
            MAXIMUM_QOS: 1,
            RETAIN_AVAILABLE: 0,
            MAXIMUM_PACKET_SIZE: 1000,
            TOPIC_ALIAS_MAXIMUM: 7,
            WILDCARD_SUBSCRIPTION_AVAILABLE: 0,
            SUBSCRIPTION_IDENTIFIER_AVAILABLE: 0,
            SHARED_SUBSCRIPTION_AVAILABLE: 0,
            SERVER_KEEP_ALIVE: 60,
            RESPONSE_INFORMATION: f"response/{client_id}/",
            AUTHENTICATION_METHOD: "CHALLENGE",
        }

    @configuration("maximum_qos 0", "receive_maximum 10", "server_keep_alive 60")
    @pytest.mark.parametrize("older", [3, 4])
    def test_older_versions_have_none(self, client, older):
        one = client(version=older)
        one.send(Connect(older, "client", True, 100))
        assert one.wire.receive() == bytes.fromhex("20 02 00 00")

    @pytest.mark.statement("U5-3.2.2.3.9-2")
    def test_refusal_says_why_in_words_once(self, client):
        refused = client()
        refused.send(Connect(5, "c", will=Will("$x", b"")))
        [connack] = refused.wait_closed()
        assert connack.properties[REASON_STRING]

    @pytest.mark.statement("MQTT5-3.2.2-19", "MQTT5-3.2.2-20")
    @pytest.mark.parametrize("maximum", [5, 10, 20])
    def test_words_that_are_too_many_are_left_out(self, client, maximum):
        refused = client()
        properties = {MAXIMUM_PACKET_SIZE: maximum}
        refused.send(Connect(5, "c", will=Will("$x", b""), properties=properties))
        [connack] = refused.wait_closed()
        assert connack.reason == 0x90
        assert USER_PROPERTY not in (connack.properties or {})
        assert REASON_STRING not in (connack.properties or {})


@only_5_0
@configuration("receive_maximum 2")
class TestReceiveMaximum:
    """3.2.2.3.3 (5.0)"""

    def test_client_may_use_all_of_it(self, client):
        one = client()
        assert one.connect().properties[RECEIVE_MAXIMUM] == 2
        one.send(*(Publish("t", b"x", 2, packet_id=place) for place in (1, 2)))
        one.receive()
        one.receive()
        one.nothing()

    def test_client_may_not_use_more(self, client):
        one = client()
        one.connect()
        one.send(*(Publish("t", b"x", 2, packet_id=place) for place in (1, 2, 3)))
        assert one.wait_closed()[-1].reason == 0x93


class TestMaximumQos:
    """3.2.2.3.4 (5.0)"""

    pytestmark = only_5_0

    @pytest.mark.statement("MQTT5-3.2.2-9", "U5-3.2.2.3.4-2", "U5-3.2.2.3.4-3", "MQTT5-3.2.2-11")
    @pytest.mark.parametrize(("maximum", "qos"), [(0, 1), (0, 2), (1, 2)])
    @pytest.mark.parametrize("known", [False, True])
    def test_publish_above_it_is_a_protocol_error(self, site, maximum, qos, known):
        one = site(f"maximum_qos {maximum}").client(5)
        assert one.connect().properties[MAXIMUM_QOS] == maximum
        if known:  # a topic that the broker has seen already is no exception
            one.publish("t", b"x", 0)
        one.send(Publish("t", b"x", qos, packet_id=1))
        assert one.closed_with() == 0x9B

    @pytest.mark.parametrize(("maximum", "qos"), [(0, 0), (1, 0), (1, 1), (2, 2)])
    def test_publish_up_to_it_is_right(self, site, maximum, qos):
        one = site(f"maximum_qos {maximum}").client(5)
        one.connect()
        one.publish("t", b"x", qos)
        one.nothing()

    @configuration("maximum_qos 0")
    @pytest.mark.statement("MQTT5-3.2.2-10")
    def test_subscribe_may_ask_for_any(self, client):
        one = client()
        one.connect()
        for qos in (0, 1, 2):
            assert one.subscribe(f"t{qos}", qos=qos)[0] <= qos

    @configuration("maximum_qos 2")
    def test_it_is_not_sent_where_it_is_2(self, client):
        assert MAXIMUM_QOS not in (client().connect().properties or {})


@only_5_0
@configuration("retain_available false")
class TestRetainAvailable:
    """3.2.2.3.5 (5.0)"""

    @pytest.mark.statement("U5-3.2.2.3.5-2", "U5-3.2.2.3.5-3", "MQTT5-3.2.2-14")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_retained_publish_is_a_protocol_error(self, client, qos):
        one = client()
        assert one.connect().properties[RETAIN_AVAILABLE] == 0
        one.send(Publish("t", b"x", qos, True, packet_id=1 if qos else 0))
        assert one.closed_with() == 0x9A


class TestMaximumPacketSize:
    """3.2.2.3.6 (5.0)"""

    def publish_of(self, version, size):
        """A PUBLISH of so many bytes in all, 132 or more."""
        return Publish("t", bytes(size - 3 - 3 - (version == 5)))

    @configuration("maximum_packet_size 200")
    @pytest.mark.statement("U5-3.2.2.3.6-2", "MQTT5-3.2.2-15")
    def test_larger_packet_is_a_protocol_error(self, client, version):
        one = client()
        connack = one.connect()
        if version == 5:
            assert connack.properties[MAXIMUM_PACKET_SIZE] == 200
        one.send(self.publish_of(version, 200))
        one.nothing()
        one.send(self.publish_of(version, 201))
        assert one.closed_with() == (0x95 if version == 5 else None)

    @configuration("maximum_packet_size 200")
    def test_header_is_enough_to_know(self, client, version):
        one = client()
        one.connect()
        one.send("30 ff ff ff 7f")  # a PUBLISH of 268,435,455 bytes begins
        assert one.closed_with() == (0x95 if version == 5 else None)

    @configuration("maximum_packet_size 200")
    def test_connect_may_not_be_larger_either(self, client, version):
        one = client()
        one.send(Connect(version, "x", user_name="u" * 300))
        assert one.wait_closed() == []


class TestTopicAliasMaximum:
    """3.2.2.3.8 (5.0)"""

    pytestmark = only_5_0

    @configuration("topic_alias_maximum 3")
    @pytest.mark.statement("MQTT5-3.2.2-17")
    def test_aliases_up_to_it_are_right(self, client):
        one = client()
        assert one.connect().properties[TOPIC_ALIAS_MAXIMUM] == 3
        one.publish("t", b"x", properties={TOPIC_ALIAS: 3})
        one.send(Publish("t", b"x", properties={TOPIC_ALIAS: 4}))
        assert one.closed_with() == 0x94

    @configuration("topic_alias_maximum 0")
    @pytest.mark.statement("MQTT5-3.2.2-18")
    def test_without_it_there_are_none(self, client):
        one = client()
        assert TOPIC_ALIAS_MAXIMUM not in (one.connect().properties or {})
        one.send(Publish("t", b"x", properties={TOPIC_ALIAS: 1}))
        assert one.closed_with() == 0x94


class TestSubscriptions:
    """3.2.2.3.11 to 3.2.2.3.13 (5.0): kinds of subscription that are not available"""

    pytestmark = only_5_0

    @pytest.mark.parametrize(
        ("option", "announced", "topic_filter", "properties", "reason"),
        [
            pytest.param(
                "wildcard_subscription_available",
                WILDCARD_SUBSCRIPTION_AVAILABLE,
                "a/#",
                None,
                0xA2,
                marks=pytest.mark.statement("U5-3.2.2.3.11-2", "U5-3.2.2.3.11-3"),
            ),
            pytest.param(
                "wildcard_subscription_available",
                WILDCARD_SUBSCRIPTION_AVAILABLE,
                "+/a",
                None,
                0xA2,
                marks=pytest.mark.statement("U5-3.2.2.3.11-2", "U5-3.2.2.3.11-3"),
            ),
            pytest.param(
                "subscription_identifier_available",
                SUBSCRIPTION_IDENTIFIER_AVAILABLE,
                "a",
                {0x0B: [1]},
                0xA1,
                marks=pytest.mark.statement("U5-3.2.2.3.12-2", "U5-3.2.2.3.12-3"),
            ),
            pytest.param(
                "shared_subscription_available",
                SHARED_SUBSCRIPTION_AVAILABLE,
                "$share/group/a",
                None,
                0x9E,
                marks=pytest.mark.statement("U5-3.2.2.3.13-2", "U5-3.2.2.3.13-3"),
            ),
        ],
    )
    def test_subscribe_that_needs_it_is_a_protocol_error(
        self, site, option, announced, topic_filter, properties, reason
    ):
        one = site(f"{option} false").client(5)
        assert one.connect().properties[announced] == 0
        assert one.subscribe("plain") == [0]
        one.send(Subscribe(2, [Subscription(topic_filter, 0)], properties))
        assert one.closed_with() == reason


@only_5_0
@configuration("server_keep_alive 60")
class TestServerKeepAlive:
    """3.2.2.3.14 (5.0)"""

    @pytest.mark.statement("MQTT5-3.2.2-21")
    @pytest.mark.parametrize("wanted", [61, 100, 65_535])
    def test_keep_alive_above_it_becomes_it(self, client, wanted):
        one = client()
        assert one.connect(keep_alive_s=wanted).properties[SERVER_KEEP_ALIVE] == 60
        client.site().advance(89.9)
        one.fence()
        client.site().advance(90)
        assert one.closed_with() == 0x8D

    @pytest.mark.statement("MQTT5-3.2.2-22")
    @pytest.mark.parametrize("wanted", [1, 59, 60])
    def test_keep_alive_up_to_it_stays(self, client, wanted):
        one = client()
        assert SERVER_KEEP_ALIVE not in (one.connect(keep_alive_s=wanted).properties or {})
        client.site().advance(1.5 * wanted - 0.1)
        one.fence()
        client.site().advance(1.5 * wanted)
        assert one.closed_with() == 0x8D

    @pytest.mark.statement("MQTT5-3.2.2-22")
    def test_no_keep_alive_stays_none(self, client):
        one = client()
        assert SERVER_KEEP_ALIVE not in (one.connect(keep_alive_s=0).properties or {})
        client.site().advance(1e6)
        one.fence()

    @pytest.mark.parametrize("older", [3, 4])
    def test_older_versions_keep_their_own(self, client, older):
        one = client(version=older)
        one.connect(keep_alive_s=100)
        client.site().advance(149)
        one.fence()


class TestResponseInformation:
    """3.2.2.3.15 (5.0)"""

    pytestmark = only_5_0

    @configuration("response_information replies/%c")
    def test_client_that_asks_gets_it(self, client):
        asked = client().connect("one", properties={REQUEST_RESPONSE_INFORMATION: 1})
        assert asked.properties[RESPONSE_INFORMATION] == "replies/one"

    @configuration("response_information replies/%c")
    @pytest.mark.statement("MQTT5-3.1.2-28")
    @pytest.mark.parametrize("properties", [None, {REQUEST_RESPONSE_INFORMATION: 0}])
    def test_client_that_does_not_ask_does_not_get_it(self, client, properties):
        connack = client().connect("one", properties=properties)
        assert RESPONSE_INFORMATION not in (connack.properties or {})

    def test_there_is_none_where_none_is_configured(self, client):
        connack = client().connect("one", properties={REQUEST_RESPONSE_INFORMATION: 1})
        assert RESPONSE_INFORMATION not in (connack.properties or {})
