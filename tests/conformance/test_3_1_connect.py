"""3.1 CONNECT: what the broker does with a client's first packet."""

import pytest

from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    MAXIMUM_PACKET_SIZE,
    RECEIVE_MAXIMUM,
    REQUEST_PROBLEM_INFORMATION,
    REQUEST_RESPONSE_INFORMATION,
    SESSION_EXPIRY_INTERVAL,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82
NAMES = {3: b"MQIsdp", 4: b"MQTT", 5: b"MQTT"}
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def field(value):
    """A string or binary field: two bytes of length, and the value."""
    return len(value).to_bytes(2, "big") + value


def properties_of(version, properties=b""):
    """A property list; none in 3.x."""
    return bytes([len(properties)]) + properties if version == 5 else b""


def raw_connect(
    version, flags=0x02, payload=None, properties=b"", name=None, level=None, byte1=0x10
):
    """The bytes of a CONNECT, right but for what the caller says."""
    body = field(NAMES[version] if name is None else name)
    body += bytes([version if level is None else level, flags])
    body += b"\0\0"  # Keep Alive
    body += properties_of(version, properties)
    body += field(b"client") if payload is None else payload
    return bytes([byte1, len(body)]) + body


class TestFirstPacket:
    """3.1: the first packet is a CONNECT, and there is only one."""

    @pytest.mark.statement("MQTT5-3.1.0-2", "MQTT3-3.1.0-2", "MQTT5-3.2.0-2")
    def test_second_connect_is_a_protocol_error(self, client, version):
        twice = client()
        twice.connect("client")
        twice.send(Connect(version, "client"))
        assert twice.closed_with() == (PROTOCOL_ERROR if version == 5 else None)

    @pytest.mark.statement("MQTT5-3.1.0-2", "MQTT3-3.1.0-2", "MQTT5-3.2.0-2")
    def test_second_connect_in_the_same_write_is_a_protocol_error(self, client, version):
        twice = client()
        twice.send(Connect(version, "client"), Connect(version, "client"))
        connack, *rest = twice.wait_closed()
        assert connack.reason == 0
        assert [type(packet) for packet in rest] == ([Disconnect] if version == 5 else [])

    @pytest.mark.statement("MQTT5-3.1.0-1", "MQTT3-3.1.0-1")
    @pytest.mark.parametrize(
        "packet",
        [
            "c000",  # PINGREQ
            "e000",  # DISCONNECT
            "30 04 0001 61 00",  # PUBLISH
            "82 07 0001 00 0001 61 00",  # SUBSCRIBE
            "20 03 00 00 00",  # CONNACK
            "f000",  # AUTH
            "0000",  # the reserved packet type
        ],
    )
    def test_any_other_packet_first_closes_without_an_answer(self, client, packet):
        early = client()
        early.send(packet)
        assert early.wait_closed() == []

    def test_what_follows_a_wrong_first_packet_is_not_handled(self, client, version):
        early = client()
        early.send(Pingreq(), Connect(version, "client"))
        assert early.wait_closed() == []
        assert "client" not in client.site().context.registry


class TestFixedHeader:
    """3.1.1 and 2.1"""

    @pytest.mark.versions(4, 5)
    @pytest.mark.statement("MQTT5-3.1.4-1", "MQTT3-3.1.4-1")
    def test_reserved_flags_must_be_0(self, client, version):
        wrong = client()
        wrong.send(raw_connect(version, byte1=0x11))
        assert wrong.refused_with() == (MALFORMED if version == 5 else None)

    @pytest.mark.versions(3)
    def test_flags_are_not_looked_at_in_3_1(self, client):
        bits = client()
        bits.send(raw_connect(3, byte1=0x1F))
        assert bits.receive(Connack).reason == 0

    @pytest.mark.statement("MQTT5-1.5.5-1")
    def test_only_5_0_demands_the_shortest_remaining_length(self, client, version):
        longer = client()
        packet = raw_connect(version)
        # The same Remaining Length in two bytes.
        longer.send(packet[:1] + bytes([packet[1] | 0x80, 0]) + packet[2:])
        if version == 5:
            assert longer.refused_with() == MALFORMED
        else:
            assert longer.receive(Connack).reason == 0

    def test_packet_may_arrive_byte_by_byte(self, client, version):
        slow = client()
        for byte in raw_connect(version):
            slow.send(bytes([byte]))
        assert slow.receive(Connack).reason == 0

    def test_remaining_length_of_five_bytes_closes(self, client):
        endless = client()
        endless.send("10 ff ff ff ff 01")
        assert endless.wait_closed() == []


class TestProtocolNameAndLevel:
    """3.1.2.1, 3.1.2.2"""

    @pytest.mark.versions(4)
    @pytest.mark.statement("MQTT3-3.1.2-2", "MQTT5-3.1.2-2")
    @pytest.mark.parametrize("level", [0, 1, 2, 3, 6, 0x83, 0x84, 0xFF])
    def test_level_that_is_none_is_answered_with_return_code_1(self, client, level):
        stranger = client()
        stranger.send(raw_connect(4, level=level))
        assert stranger.refused_with() == 1

    @pytest.mark.versions(3)
    @pytest.mark.parametrize("level", [4, 5, 0x83])
    def test_name_of_3_1_goes_with_level_3_only(self, client, level):
        stranger = client(version=4)
        stranger.send(raw_connect(3, level=level))
        assert stranger.refused_with() == 1

    @pytest.mark.statement("MQTT5-3.1.2-1", "MQTT3-3.1.2-1")
    @pytest.mark.parametrize("name", [b"", b"MQT", b"mqtt", b"MQTTX", b"MQIsdP", b"HTTP"])
    def test_connect_with_another_name_is_not_served(self, client, version, name):
        stranger = client(version=4)
        stranger.send(raw_connect(version, name=name), Pingreq())
        assert stranger.refused_with() in (1, None)
        assert "client" not in client.site().context.registry

    @pytest.mark.statement("MQTT5-3.1.2-1", "MQTT3-3.1.2-1")
    def test_name_that_is_no_text_closes(self, client, version):
        stranger = client(version=4)
        stranger.send(raw_connect(version, name=b"MQ\xff\xfe"))
        assert stranger.refused_with() is None

    @pytest.mark.statement("MQTT5-3.1.2-2", "MQTT3-3.1.2-2")
    def test_version_that_the_listener_does_not_accept_is_refused(self, site, version):
        others = " ".join(str(one) for one in (3, 4, 5) if one != version)
        here = site(f"accept_protocol_versions {others.replace(' ', ',')}")
        refused = here.client(version)
        assert refused.connect("client").reason == (0x84 if version == 5 else 1)
        assert refused.wait_closed() == []

    def test_all_three_versions_are_served_on_one_port(self, client):
        clients = [client(version=one) for one in (3, 4, 5)]
        for place, one in enumerate(clients):
            assert one.connect(f"client{place}").reason == 0
            one.subscribe("t")
        clients[0].publish("t", b"to all")
        assert [one.receive(Publish).payload for one in clients] == [b"to all"] * 3


def will_of(version, topic=b"will", payload=b"bye", properties=b""):
    return field(b"client") + properties_of(version, properties) + field(topic) + field(payload)


class TestMalformed:
    """3.1.2, 3.1.3: a CONNECT that does not match section 3.1.

    5.0 may say why in a CONNACK; 3.1.1 closes without one.
    """

    @pytest.mark.versions(4, 5)
    @pytest.mark.statement("MQTT5-3.1.4-1", "MQTT3-3.1.4-1")
    @pytest.mark.parametrize(
        ("flags", "payload", "reason"),
        [
            pytest.param(
                0x03,
                lambda version: field(b"client"),
                MALFORMED,
                id="reserved flag",
                marks=pytest.mark.statement("MQTT5-3.1.2-3", "U5-3.1.2.3-1", "MQTT3-3.1.2-3"),
            ),
            pytest.param(
                0x0A,
                lambda version: field(b"client"),
                MALFORMED,
                id="Will QoS without a will",
                marks=pytest.mark.statement("MQTT5-3.1.2-11", "MQTT3-3.1.2-13"),
            ),
            pytest.param(
                0x22,
                lambda version: field(b"client"),
                MALFORMED,
                id="Will Retain without a will",
                marks=pytest.mark.statement("MQTT5-3.1.2-13", "MQTT3-3.1.2-15"),
            ),
            pytest.param(
                0x1E,
                will_of,
                MALFORMED,
                id="Will QoS 3",
                marks=pytest.mark.statement("U5-3.1.2.6-1", "MQTT5-3.1.2-12", "MQTT3-3.1.2-14"),
            ),
            pytest.param(
                0x06,
                lambda version: field(b"client"),
                MALFORMED,
                id="Will Flag without a will",
                marks=pytest.mark.statement("MQTT5-3.1.2-9", "MQTT3-3.1.2-9"),
            ),
            pytest.param(
                0x06,
                lambda version: field(b"client") + properties_of(version) + field(b"will"),
                MALFORMED,
                id="will without a payload",
                marks=pytest.mark.statement("MQTT5-3.1.2-9", "MQTT3-3.1.2-9"),
            ),
            pytest.param(
                0x06,
                lambda version: will_of(version, topic=b"will/#"),
                PROTOCOL_ERROR,
                id="Will Topic with a wildcard",
            ),
            pytest.param(
                0x06,
                lambda version: will_of(version, topic=b""),
                PROTOCOL_ERROR,
                id="Will Topic empty",
            ),
            pytest.param(
                0x06,
                lambda version: will_of(version, topic=b"\xc0\x80"),
                MALFORMED,
                id="Will Topic no UTF-8",
                marks=pytest.mark.statement("MQTT5-3.1.3-11", "MQTT3-3.1.3-10"),
            ),
            pytest.param(
                0x82,
                lambda version: field(b"client"),
                MALFORMED,
                id="User Name Flag without a user name",
                marks=pytest.mark.statement("MQTT5-3.1.2-17", "MQTT3-3.1.2-19"),
            ),
            pytest.param(
                0x02,
                lambda version: field(b"client") + field(b"user"),
                MALFORMED,
                id="user name without its flag",
                marks=pytest.mark.statement("MQTT5-3.1.2-16", "MQTT3-3.1.2-18"),
            ),
            pytest.param(
                0xC2,
                lambda version: field(b"client") + field(b"user"),
                MALFORMED,
                id="Password Flag without a password",
                marks=pytest.mark.statement("MQTT5-3.1.2-19", "MQTT3-3.1.2-21"),
            ),
            pytest.param(
                0x82,
                lambda version: field(b"client") + field(b"user") + field(b"secret"),
                MALFORMED,
                id="password without its flag",
                marks=pytest.mark.statement("MQTT5-3.1.2-18", "MQTT3-3.1.2-20"),
            ),
            pytest.param(
                0x82,
                lambda version: field(b"client") + field(b"\xed\xa0\x80"),
                MALFORMED,
                id="user name with a surrogate",
                marks=pytest.mark.statement("MQTT5-3.1.3-12", "MQTT3-3.1.3-11"),
            ),
            pytest.param(
                0x02,
                lambda version: b"",
                MALFORMED,
                id="no client id",
                marks=pytest.mark.statement("MQTT5-3.1.3-3", "MQTT3-3.1.3-3"),
            ),
            pytest.param(
                0x02,
                lambda version: field(b"\xff"),
                MALFORMED,
                id="client id no UTF-8",
                marks=pytest.mark.statement("MQTT5-3.1.3-4", "MQTT3-3.1.3-4"),
            ),
            pytest.param(
                0x02, lambda version: field(b"a\0b"), MALFORMED, id="client id with U+0000"
            ),
            pytest.param(
                0x02, lambda version: b"\0\x09client", MALFORMED, id="client id past the end"
            ),
        ],
    )
    def test_payload_must_be_what_the_flags_say(self, client, version, flags, payload, reason):
        wrong = client()
        wrong.send(raw_connect(version, flags, payload(version)))
        assert wrong.refused_with() == (reason if version == 5 else None)
        assert "client" not in client.site().context.registry

    @pytest.mark.statement("MQTT5-3.1.4-1", "MQTT3-3.1.4-1")
    def test_packet_may_end_nowhere_before_its_end(self, client, version):
        whole = raw_connect(version)[2:]
        if version == 5:
            client(version=5)
        for size in range(len(whole)):
            cut = client()
            cut.send(bytes([0x10, size]) + whole[:size])
            level_known = size > len(NAMES[version]) + 2
            expected = MALFORMED if version == 5 and level_known else None
            assert cut.refused_with() == expected, f"{size} bytes"

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-3.1.2-22")
    def test_password_without_user_name_closes_before_5_0(self, client, version):
        wrong = client()
        wrong.send(raw_connect(version, 0x42, field(b"client") + field(b"secret")))
        assert wrong.refused_with() is None

    @pytest.mark.versions(5)
    def test_password_without_user_name_is_allowed_in_5_0(self, client):
        assert client().connect("client", password=b"secret").reason == 0


class TestVersion31:
    """What 3.1 leaves open, or says otherwise (V3.1, 2.2 and 3.1)."""

    pytestmark = pytest.mark.versions(3)

    @pytest.mark.parametrize("flags", [0x03, 0x0A, 0x1A, 0x22])
    def test_reserved_bit_and_will_bits_without_a_will_are_not_looked_at(self, client, flags):
        odd = client()
        odd.send(raw_connect(3, flags))
        assert odd.receive(Connack).reason == 0
        odd.nothing()

    @pytest.mark.parametrize(("flags", "rest"), [(0x82, b""), (0xC2, b""), (0xC2, field(b"user"))])
    def test_remaining_length_outweighs_the_flags_of_user_name_and_password(
        self, client, flags, rest
    ):
        odd = client()
        odd.send(raw_connect(3, flags, field(b"client") + rest))
        assert odd.receive(Connack).reason == 0

    def test_client_id_has_1_to_23_characters(self, client):
        assert client().connect("x" * 23).reason == 0
        assert client().connect("ä" * 23).reason == 0  # characters, not bytes
        for wrong in ("", "x" * 24):
            refused = client()
            refused.send(Connect(3, wrong))
            assert refused.refused_with() == 2

    def test_client_id_may_not_be_empty_with_either_clean_session(self, client):
        for clean in (True, False):
            refused = client()
            refused.send(Connect(3, "", clean))
            assert refused.refused_with() == 2


class TestKeepAlive:
    """3.1.2.10"""

    pytestmark = pytest.mark.statement("MQTT5-3.1.2-22", "MQTT3-3.1.2-24", "MQTT5-3.2.2-22")

    def test_silence_for_one_and_a_half_times_the_keep_alive_ends_it(self, client, version):
        silent = client()
        silent.connect(keep_alive_s=10)
        client.site().advance(14.9)
        assert client.site().context.registry.all()[0].connection is not None
        client.site().advance(0.1)
        assert silent.closed_with() == (0x8D if version == 5 else None)

    @pytest.mark.parametrize(
        "packet", [Pingreq(), Publish("t", b"x", 0), Subscribe(1, [Subscription("a", 0)])]
    )
    def test_each_packet_starts_the_wait_again(self, client, packet):
        talking = client()
        talking.connect(keep_alive_s=10)
        for _ in range(3):
            client.site().advance(14)
            talking.send(packet)
        client.site().advance(14)
        talking.fence()
        client.site().advance(15)
        talking.wait_closed()

    def test_packets_of_the_broker_do_not_count(self, client):
        silent, talking = client(), client()
        silent.connect("silent", keep_alive_s=10)
        silent.subscribe("t")
        talking.connect("talking")
        client.site().advance(10)
        talking.publish("t", b"news")
        client.site().advance(5)
        message, *_ = silent.wait_closed()
        assert message.payload == b"news"

    def test_packet_still_arriving_is_no_silence(self, client):
        slow = client()
        slow.connect(keep_alive_s=10)
        # PUBLISH of 100,003 bytes: Remaining Length a0 8d 06, topic "t".
        publish = slow._encode(Publish("t", bytes(100_000)))
        for start in range(0, len(publish), 25_000):
            slow.send(publish[start : start + 25_000])
            client.site().advance(10)
        slow.fence()

    @pytest.mark.parametrize("each", [1, 60])
    def test_less_than_1000_bytes_of_a_packet_are_no_packet(self, client, version, each):
        slow, site = client(), client.site()
        slow.connect(keep_alive_s=10)
        publish = slow._encode(Publish("t", bytes(2_000)))
        for place in range(15):
            slow.send(publish[each * place : each * (place + 1)])
            site.advance(1)
        assert slow.closed_with() == (0x8D if version == 5 else None)

    def test_a_packet_that_becomes_whole_in_time_counts(self, client):
        slow = client()
        slow.connect(keep_alive_s=10)
        for _ in range(3):
            client.site().advance(7)
            slow.send("c0")
            client.site().advance(7)
            slow.send("00")
        assert [slow.receive() for _ in range(3)] == [Pingresp()] * 3
        client.site().advance(15)
        slow.wait_closed()

    def test_keep_alive_0_waits_for_ever(self, client):
        silent = client()
        silent.connect(keep_alive_s=0)
        client.site().advance(1e9)
        silent.fence()

    def test_longest_keep_alive_is_65535_s(self, client):
        silent = client()
        silent.connect(keep_alive_s=65_535)
        client.site().advance(1.5 * 65_535 - 1)
        assert client.site().context.registry.all()[0].connection is not None
        client.site().advance(1)
        silent.wait_closed()


class TestProperties:
    """3.1.2.11 and 3.1.3.2 (5.0): values that are a Protocol Error."""

    pytestmark = pytest.mark.versions(5)

    @pytest.mark.parametrize(
        "properties",
        [
            pytest.param(
                "11 00000001 11 00000001",
                id="Session Expiry Interval twice",
                marks=pytest.mark.statement("U5-3.1.2.11.2-1"),
            ),
            pytest.param(
                "21 0001 21 0001",
                id="Receive Maximum twice",
                marks=pytest.mark.statement("U5-3.1.2.11.3-1"),
            ),
            pytest.param(
                "21 0000",
                id="Receive Maximum 0",
                marks=pytest.mark.statement("U5-3.1.2.11.3-1"),
            ),
            pytest.param(
                "27 00000100 27 00000100",
                id="Maximum Packet Size twice",
                marks=pytest.mark.statement("U5-3.1.2.11.4-1"),
            ),
            pytest.param(
                "27 00000000",
                id="Maximum Packet Size 0",
                marks=pytest.mark.statement("U5-3.1.2.11.4-1"),
            ),
            pytest.param(
                "22 0001 22 0001",
                id="Topic Alias Maximum twice",
                marks=pytest.mark.statement("U5-3.1.2.11.5-1"),
            ),
            pytest.param(
                "19 01 19 01",
                id="Request Response Information twice",
                marks=pytest.mark.statement("U5-3.1.2.11.6-1"),
            ),
            pytest.param(
                "19 02",
                id="Request Response Information 2",
                marks=pytest.mark.statement("U5-3.1.2.11.6-1"),
            ),
            pytest.param(
                "17 01 17 01",
                id="Request Problem Information twice",
                marks=pytest.mark.statement("U5-3.1.2.11.7-1"),
            ),
            pytest.param(
                "17 02",
                id="Request Problem Information 2",
                marks=pytest.mark.statement("U5-3.1.2.11.7-1"),
            ),
            pytest.param(
                "15 0001 61 15 0001 61",
                id="Authentication Method twice",
                marks=pytest.mark.statement("U5-3.1.2.11.9-1"),
            ),
            pytest.param(
                "16 0001 61",
                id="Authentication Data without method",
                marks=pytest.mark.statement("U5-3.1.2.11.10-1"),
            ),
            pytest.param(
                "15 0001 61 16 0001 61 16 0001 61",
                id="Authentication Data twice",
                marks=pytest.mark.statement("U5-3.1.2.11.10-2"),
            ),
        ],
    )
    def test_connect_property_out_of_order_is_a_protocol_error(self, client, properties):
        wrong = client()
        wrong.send(raw_connect(5, properties=bytes.fromhex(properties)))
        assert wrong.refused_with() == PROTOCOL_ERROR

    @pytest.mark.parametrize(
        "properties",
        [
            pytest.param(
                "18 00000001 18 00000001",
                id="Will Delay Interval twice",
                marks=pytest.mark.statement("U5-3.1.3.2.2-1"),
            ),
            pytest.param(
                "01 01 01 01",
                id="Payload Format Indicator twice",
                marks=pytest.mark.statement("U5-3.1.3.2.3-2"),
            ),
            pytest.param(
                "02 00000001 02 00000001",
                id="Message Expiry Interval twice",
                marks=pytest.mark.statement("U5-3.1.3.2.4-1"),
            ),
            pytest.param(
                "03 0001 61 03 0001 61",
                id="Content Type twice",
                marks=pytest.mark.statement("U5-3.1.3.2.5-1"),
            ),
            pytest.param(
                "08 0001 61 08 0001 61",
                id="Response Topic twice",
                marks=pytest.mark.statement("U5-3.1.3.2.6-1"),
            ),
            pytest.param(
                "09 0001 61 09 0001 61",
                id="Correlation Data twice",
                marks=pytest.mark.statement("U5-3.1.3.2.7-1"),
            ),
        ],
    )
    def test_will_property_twice_is_a_protocol_error(self, client, properties):
        wrong = client()
        wrong.send(raw_connect(5, 0x06, will_of(5, properties=bytes.fromhex(properties))))
        assert wrong.refused_with() == PROTOCOL_ERROR

    @pytest.mark.parametrize("properties", ["23 0001", "1f 0001 61", "00 00", "7f 00"])
    def test_property_of_another_packet_or_of_none_is_malformed(self, client, properties):
        wrong = client()
        wrong.send(raw_connect(5, properties=bytes.fromhex(properties)))
        assert wrong.refused_with() == MALFORMED

    def test_all_properties_at_once(self, client):
        properties = {
            SESSION_EXPIRY_INTERVAL: 60,
            RECEIVE_MAXIMUM: 10,
            MAXIMUM_PACKET_SIZE: 1000,
            TOPIC_ALIAS_MAXIMUM: 5,
            REQUEST_RESPONSE_INFORMATION: 1,
            REQUEST_PROBLEM_INFORMATION: 0,
            USER_PROPERTY: [("a", "1"), ("a", "2")],
        }
        assert client().connect(properties=properties).reason == 0


class TestReceiveMaximum:
    """3.1.2.11.3: see also 4.9"""

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-3.3.4-9")
    def test_only_so_many_qos_1_and_2_messages_wait_for_acknowledgement(self, client):
        receiver, publisher = client(), client()
        receiver.connect("receiver", properties={RECEIVE_MAXIMUM: 2})
        receiver.subscribe("t", qos=2)
        publisher.connect("publisher")
        for place, qos in enumerate((1, 2, 1, 2)):
            publisher.publish("t", bytes([place]), qos)
        first, second = receiver.receive(Publish), receiver.receive(Publish)
        receiver.nothing()
        publisher.publish("t", b"not counted", 0)
        assert receiver.receive(Publish).qos == 0
        receiver.acknowledge(first)
        third = receiver.receive(Publish)
        assert [first.payload, second.payload, third.payload] == [b"\0", b"\1", b"\2"]
        receiver.nothing()

    @pytest.mark.versions(5)
    def test_it_holds_for_one_connection_only(self, client):
        receiver, publisher = client(), client()
        kept = {SESSION_EXPIRY_INTERVAL: 60}
        receiver.connect("receiver", properties={RECEIVE_MAXIMUM: 1, **kept})
        receiver.subscribe("t", qos=1)
        receiver.disconnect()
        publisher.connect("publisher")
        for _ in range(3):
            publisher.publish("t", b"x", 1)
        again = client()
        again.connect("receiver", clean_start=False, properties=kept)
        for _ in range(3):
            again.receive(Publish)


class TestMaximumPacketSize:
    """3.1.2.11.4 (5.0)"""

    pytestmark = pytest.mark.versions(5)

    @pytest.mark.statement("MQTT5-3.1.2-24", "MQTT5-3.1.2-25")
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_larger_message_is_as_good_as_sent(self, client, qos):
        small, publisher = client(), client()
        small.connect("small", properties={MAXIMUM_PACKET_SIZE: 30, RECEIVE_MAXIMUM: 1})
        small.subscribe("t", qos=2)
        publisher.connect("publisher")
        # 2 of fixed header, 3 of topic, 2 of packet id at QoS 1 and 2, 1 of property length.
        fits = 30 - 6 - (2 if qos else 0)
        publisher.publish("t", bytes(fits + 1), qos)
        publisher.publish("t", bytes(fits), qos)
        assert len(small.receive_message().payload) == fits
        small.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-24", "MQTT5-3.1.2-25")
    def test_larger_message_does_not_come_back_with_the_session(self, client):
        large, publisher = client(), client()
        kept = {SESSION_EXPIRY_INTERVAL: 60}
        large.connect("receiver", properties=kept)
        large.subscribe("t", qos=1)
        publisher.connect("publisher")
        publisher.publish("t", bytes(100), 1)
        large.receive(Publish)  # not acknowledged
        publisher.publish("t", b"small", 1)
        large.receive(Publish)
        large.drop()
        small = client()
        small.connect("receiver", False, properties={**kept, MAXIMUM_PACKET_SIZE: 50})
        assert small.receive_message().payload == b"small"
        small.nothing()

    def test_other_clients_get_the_message(self, client):
        small, large, publisher = client(), client(), client()
        small.connect("small", properties={MAXIMUM_PACKET_SIZE: 30})
        small.subscribe("t")
        large.connect("large")
        large.subscribe("t")
        publisher.connect("publisher")
        publisher.publish("t", bytes(100))
        assert len(large.receive(Publish).payload) == 100
        small.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-24")
    @pytest.mark.parametrize("maximum", [1, 4, 5, 20])
    def test_connack_that_is_too_large_is_not_sent(self, client, maximum):
        tiny = client()
        # With an Assigned Client Identifier and other properties, well over 20 bytes.
        tiny.send(Connect(5, "", properties={MAXIMUM_PACKET_SIZE: maximum}))
        assert tiny.wait_closed() == []

    def test_client_that_gets_no_connack_has_no_session_and_no_will(self, client):
        other, tiny = client(), client()
        other.connect("other")
        other.subscribe("will")
        tiny.send(Connect(5, "tiny", will=Will("will", b"x"), properties={MAXIMUM_PACKET_SIZE: 1}))
        assert tiny.wait_closed() == []
        other.nothing()
        assert "tiny" not in client.site().context.registry


class TestTopicAliasMaximum:
    """3.1.2.11.5 (5.0)"""

    pytestmark = pytest.mark.versions(5)
    TOPIC_ALIAS = 0x23

    def received(self, client, properties):
        receiver, publisher = client(), client()
        receiver.connect("receiver", properties=properties)
        receiver.subscribe("#", qos=1)
        publisher.connect("publisher")
        for topic in ("a", "b", "c", "a", "b", "c"):
            publisher.publish(topic, b"x", 1)
        return [receiver.receive_message() for _ in range(6)]

    @pytest.mark.statement("MQTT5-3.1.2-26")
    def test_no_alias_is_above_it(self, client):
        messages = self.received(client, {TOPIC_ALIAS_MAXIMUM: 2})
        known = {}
        topics = []
        for message in messages:
            alias = (message.properties or {}).get(self.TOPIC_ALIAS)
            assert alias is None or 1 <= alias <= 2
            if alias is not None and message.topic:
                known[alias] = message.topic
            topics.append(message.topic or known[alias])
        assert topics == ["a", "b", "c", "a", "b", "c"]
        assert known

    @pytest.mark.statement("MQTT5-3.1.2-27")
    @pytest.mark.parametrize("properties", [None, {TOPIC_ALIAS_MAXIMUM: 0}])
    def test_without_it_there_are_no_aliases(self, client, properties):
        for message in self.received(client, properties):
            assert message.topic
            assert self.TOPIC_ALIAS not in (message.properties or {})


class TestRequestProblemInformation:
    """3.1.2.11.7 (5.0)"""

    pytestmark = pytest.mark.versions(5)

    @pytest.mark.statement("MQTT5-3.1.2-29")
    def test_0_leaves_reason_strings_out_of_acknowledgements(self, client):
        silent = client()
        silent.connect(properties={REQUEST_PROBLEM_INFORMATION: 0})
        refused = silent.publish("$mine", b"x", 1)
        assert refused.reason >= 0x80
        assert not refused.properties

    @pytest.mark.parametrize("properties", [None, {REQUEST_PROBLEM_INFORMATION: 1}])
    def test_1_and_nothing_ask_for_them(self, client, properties):
        curious = client()
        curious.connect(properties=properties)
        assert curious.publish("$mine", b"x", 1).properties

    @pytest.mark.statement("MQTT5-3.1.2-29")
    def test_user_properties_of_a_publish_come_all_the_same(self, client):
        silent = client()
        silent.connect(properties={REQUEST_PROBLEM_INFORMATION: 0})
        silent.subscribe("t")
        silent.publish("t", b"x", properties={USER_PROPERTY: [("a", "1")]})
        assert silent.receive(Publish).properties[USER_PROPERTY] == [("a", "1")]


class TestClientIdentifier:
    """3.1.3.1"""

    @pytest.mark.statement("MQTT5-3.1.3-5", "MQTT3-3.1.3-5")
    def test_letters_and_digits_up_to_23_are_allowed(self, client):
        for start in range(0, len(LETTERS), 23):
            client_id = LETTERS[start : start + 23]
            assert client().connect(client_id).reason == 0
            assert client_id in client.site().context.registry
        assert client().connect("x").reason == 0

    @pytest.mark.versions(4, 5)
    def test_longer_ones_and_other_characters_are_allowed(self, client):
        for client_id in ("x" * 24, "x" * 65_535, "a/b #+$ %u", "ünïcödé ✓ 𝄞"):
            assert client().connect(client_id).reason == 0
            assert client_id in client.site().context.registry

    @pytest.mark.statement("MQTT5-3.1.3-2", "MQTT3-3.1.3-2")
    def test_it_identifies_the_session(self, client, version):
        kept = {SESSION_EXPIRY_INTERVAL: 60} if version == 5 else None
        first, second = client(), client()
        first.connect("first", clean_start=False, properties=kept)
        first.subscribe("only/first")
        second.connect("second", clean_start=False, properties=kept)
        first.disconnect()
        second.publish("only/first", b"x")
        second.nothing()
        again = client()
        again.connect("first", clean_start=False, properties=kept)
        second.publish("only/first", b"y")
        assert again.receive(Publish).payload == b"y"

    @pytest.mark.versions(4, 5)
    @pytest.mark.statement("MQTT5-3.1.3-6", "MQTT5-3.1.3-7", "MQTT5-3.2.2-16", "MQTT3-3.1.3-6")
    def test_empty_one_is_replaced_by_a_unique_one(self, client, version):
        clients = [client() for _ in range(3)]
        connacks = [one.connect("") for one in clients]
        assert [connack.reason for connack in connacks] == [0, 0, 0]
        for one in clients:
            one.fence()  # none has taken over another
        sessions = {session.client_id for session in client.site().context.registry.all()}
        assert len(sessions) == 3
        if version == 5:
            assert {connack.properties[0x12] for connack in connacks} == sessions

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-3.1.3-7")
    def test_assigned_one_works_as_if_the_client_had_sent_it(self, client):
        kept = {SESSION_EXPIRY_INTERVAL: 60}
        first = client()
        # 5.0 lets an empty one come with Clean Start 0, too.
        connack = first.connect("", clean_start=False, properties=kept)
        first.disconnect()
        again = client()
        client_id = connack.properties[0x12]
        connack = again.connect(client_id, clean_start=False, properties=kept)
        assert connack.session_present
        assert 0x12 not in (connack.properties or {})

    @pytest.mark.versions(4)
    @pytest.mark.statement("MQTT3-3.1.3-8", "MQTT3-3.1.3-7")
    def test_empty_one_with_clean_session_0_is_rejected(self, client):
        wrong = client()
        wrong.send(Connect(4, "", clean_start=False))
        assert wrong.refused_with() == 2

    @pytest.mark.versions(4, 5)
    @pytest.mark.configuration("allow_zero_length_clientid false")
    @pytest.mark.statement("MQTT5-3.1.3-8", "MQTT3-3.1.3-9")
    def test_empty_one_is_rejected_where_the_configuration_says_so(self, client, version):
        wrong = client()
        wrong.send(Connect(version, ""))
        assert wrong.refused_with() == (0x85 if version == 5 else 2)
        assert client().connect("x").reason == 0

    @pytest.mark.versions(5)
    @pytest.mark.configuration("auto_id_prefix mine-")
    def test_assigned_one_has_the_configured_prefix(self, client):
        assert client().connect("").properties[0x12].startswith("mine-")


class TestActions:
    """3.1.4"""

    @pytest.mark.configuration("connect_timeout_s 5")
    @pytest.mark.statement("U5-3.1.4-2", "U311-3.1.4-2")
    @pytest.mark.parametrize("said", ["", "10", "10 20 0004"])
    def test_connection_without_a_whole_connect_is_closed_in_time(self, client, said):
        silent = client()
        silent.send(said)
        client.site().advance(4.9)
        client.site().advance(0.1)
        assert silent.wait_closed() == []

    @pytest.mark.configuration("connect_timeout_s 5")
    def test_connect_in_time_ends_that_wait(self, client):
        late = client()
        client.site().advance(4.9)
        assert late.connect().reason == 0
        client.site().advance(1000)
        late.fence()

    @pytest.mark.versions(5)
    @pytest.mark.configuration(
        "connect_timeout_s 5", "auth_method CHALLENGE", "auth_challenge question answer"
    )
    def test_authentication_has_to_end_in_that_time_too(self, client):
        slow = client()
        slow.send(Connect(5, "slow", properties={AUTHENTICATION_METHOD: "CHALLENGE"}))
        slow.receive(Auth)
        client.site().advance(5)
        assert slow.refused_with() == PROTOCOL_ERROR

    @pytest.mark.configuration("allow_anonymous false")
    @pytest.mark.statement("MQTT5-3.1.4-2", "U311-3.1.4-4")
    def test_client_that_fails_the_checks_is_refused_and_closed(self, site, version):
        closed = site("allow_anonymous false").client(version)
        closed.send(Connect(version, "client"))
        assert closed.refused_with() == (0x87 if version == 5 else 5)

    @pytest.mark.statement("MQTT5-3.1.4-5", "MQTT3-3.1.4-4")
    def test_connack_answers_a_connect_that_is_right(self, client):
        assert client().connect().reason == 0

    @pytest.mark.statement("MQTT5-3.1.4-6", "MQTT3-3.1.4-5")
    def test_nothing_after_a_refused_connect_is_processed(self, site, version):
        here = site("allow_anonymous false\nlistener_allow_anonymous false\n", 1)
        refused = here.client(version)
        refused.send(
            Connect(version, "client"),
            Publish("t", b"retained", 0, True),
            Subscribe(1, [Subscription("t", 0)]),
        )
        assert refused.refused_with() == (0x87 if version == 5 else 5)
        assert here.context.retained.match("t", here.clock.now()) == []
        assert "client" not in here.context.registry

    def test_packets_need_not_wait_for_the_connack(self, client, version):
        hasty = client()
        hasty.send(
            Connect(version, "client"),
            Subscribe(1, [Subscription("t", 0)]),
            Publish("t", b"at once"),
            Pingreq(),
        )
        assert hasty.receive(Connack).reason == 0
        assert hasty.receive(Suback).packet_id == 1
        assert hasty.receive(Publish).payload == b"at once"
        hasty.receive(Pingresp)

    def test_packets_wait_while_the_session_comes_from_another_listener(self, client, version):
        kept = {SESSION_EXPIRY_INTERVAL: 60} if version == 5 else None
        old = client()
        old.connect("client", clean_start=False, properties=kept)
        hasty = client(listener=1)
        hasty.send(
            Connect(version, "client", False, properties=kept),
            Subscribe(1, [Subscription("t", 0)]),
            Publish("t", b"at once"),
        )
        hasty.send(Pingreq())
        connack = hasty.receive(Connack)
        assert connack.reason == 0
        assert connack.session_present == (version != 3)
        assert hasty.receive(Suback).packet_id == 1
        assert hasty.receive(Publish).payload == b"at once"
        hasty.receive(Pingresp)
        old.wait_closed()

    def test_client_that_goes_away_meanwhile_leaves_the_session_as_it_was(self, client, version):
        kept = {SESSION_EXPIRY_INTERVAL: 60} if version == 5 else None
        old, hasty = client(), client(listener=1)
        old.connect("client", clean_start=False, properties=kept)
        old.subscribe("t", qos=1)
        hasty.send(Connect(version, "client", False, properties=kept), Disconnect())
        hasty.wait_closed()
        again, publisher = client(), client()
        publisher.connect("publisher")
        publisher.publish("t", b"kept", 1)
        again.connect("client", clean_start=False, properties=kept)
        assert again.receive_message().payload == b"kept"

    @pytest.mark.versions(5)
    @pytest.mark.configuration("auth_method CHALLENGE", "auth_challenge question answer")
    @pytest.mark.statement("MQTT5-3.1.2-30", "MQTT5-3.1.4-6")
    def test_packets_other_than_auth_wait_until_authentication_is_over(self, client):
        hasty = client()
        hasty.send(
            Connect(5, "hasty", properties={AUTHENTICATION_METHOD: "CHALLENGE"}),
            Publish("t", b"x"),
        )
        auth, connack = hasty.wait_closed()
        assert auth.properties[AUTHENTICATION_DATA] == b"question"
        assert connack.reason == PROTOCOL_ERROR
