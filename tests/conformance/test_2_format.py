"""2 MQTT Control Packet format (3.1.1: 2)."""

from collections import Counter

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import AUTHENTICATION_METHOD
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from tests.wire.notation import wire_bytes

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82


def closed(version, reason=MALFORMED):
    return reason if version == 5 else None


def conversation(version):
    """One packet of each kind that a client sends; the broker gives its own ids from 1."""
    packets = (
        Connect(version, "c"),
        Subscribe(1, [Subscription("a", 2)]),
        Publish("a", b"zero"),
        Publish("a", b"one", 1, packet_id=2),
        Puback(1),
        Publish("a", b"two" * 100, 2, packet_id=3),
        Pubrel(3),
        Pubrec(2),
        Pubcomp(2),
        Unsubscribe(4, ["a"]),
        Pingreq(),
        Disconnect(),
    )
    return [encode(packet, version) for packet in packets]


ANSWERS = Counter(
    {
        Connack: 1,
        Suback: 1,
        Publish: 3,
        Puback: 1,
        Pubrec: 1,
        Pubcomp: 1,
        Pubrel: 1,
        Unsuback: 1,
        Pingresp: 1,
    }
)


class TestStructure:
    """2.1 Structure of an MQTT Control Packet."""

    @pytest.mark.statement("MQTT5-6.0.0-2", "MQTT3-6.0.0-2")
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000], ids=lambda size: f"{size} bytes each")
    def test_packets_are_found_however_the_bytes_arrive(self, client, version, size):
        """In segments, TLS records or WebSocket frames: one packet in several, several in one."""
        one = client()
        data = b"".join(conversation(version))
        for pos in range(0, len(data), size):
            one.send(data[pos : pos + size])
        assert Counter(type(packet) for packet in one.wait_closed()) == ANSWERS

    def test_packet_by_packet(self, client, version):
        one = client()
        for packet in conversation(version):
            one.send(packet)
        assert Counter(type(packet) for packet in one.wait_closed()) == ANSWERS

    @pytest.mark.versions(5)
    @pytest.mark.configuration("auth_method CHALLENGE")
    def test_auth_byte_by_byte(self, client):
        one = client()
        method = {AUTHENTICATION_METHOD: "CHALLENGE"}
        packets = (Connect(5, "c", properties=method), Auth(0x19, method), Pingreq())
        for byte in b"".join(encode(packet, 5) for packet in packets):
            one.send(bytes((byte,)))
        assert [type(one.receive()) for _ in range(3)] == [Connack, Auth, Pingresp]

    def test_thousands_in_one_write_arrive_in_order(self, client):
        subscriber, publisher = client(), client(listener=1)
        subscriber.connect("subscriber")
        subscriber.subscribe("a", qos=1)
        publisher.connect("publisher")
        publisher.send(
            *(
                Publish("a", b"%d" % number, number % 2, packet_id=number % 2)
                for number in range(999)
            )
        )
        payloads = [int(subscriber.receive_message().payload) for _ in range(999)]
        assert payloads == list(range(999))


class TestPacketType:
    """2.1.2 MQTT Control Packet type (3.1.1: 2.2.1)."""

    @pytest.mark.statement("MQTT5-4.13.1-1", "MQTT3-4.8.0-1")
    @pytest.mark.parametrize("packet", ["00 00", "0f 02 0001"])
    def test_0_is_reserved(self, client, version, packet):
        one = client()
        one.connect("c")
        one.send(packet)
        assert one.closed_with() == closed(version)

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-4.8.0-1")
    def test_15_is_reserved_before_5_0(self, client):
        one = client()
        one.connect("c")
        one.send("f0 00")
        assert one.closed_with() is None

    @pytest.mark.parametrize(
        "packet",
        ["20 03 000000", "90 04 0001 00 00", "b0 04 0001 00 00", "d0 00"],
        ids=["CONNACK", "SUBACK", "UNSUBACK", "PINGRESP"],
    )
    def test_what_flows_from_server_to_client_is_not_taken_from_one(self, client, version, packet):
        one = client()
        one.connect("c")
        one.send(packet)
        assert one.closed_with() == closed(version, PROTOCOL_ERROR)


class TestFlags:
    """2.1.3 Flags (3.1.1: 2.2.2)."""

    @pytest.mark.versions(4, 5)
    @pytest.mark.statement("U5-2.1.3-1", "MQTT3-2.2.2-2", "MQTT5-4.13.1-1", "MQTT3-4.8.0-1")
    @pytest.mark.parametrize(
        ("byte1", "rest"),
        [
            (0x40, "02 0001"),  # PUBACK
            (0x50, "02 0001"),  # PUBREC
            (0x62, "02 0001"),  # PUBREL
            (0x70, "02 0001"),  # PUBCOMP
            (0x82, "06 0001 0001 61 00"),  # SUBSCRIBE
            (0xA2, "05 0001 0001 61"),  # UNSUBSCRIBE
            (0xC0, "00"),  # PINGREQ
            (0xE0, "00"),  # DISCONNECT
        ],
        ids=[
            "PUBACK",
            "PUBREC",
            "PUBREL",
            "PUBCOMP",
            "SUBSCRIBE",
            "UNSUBSCRIBE",
            "PINGREQ",
            "DISCONNECT",
        ],
    )
    @pytest.mark.parametrize("bit", [1, 2, 4, 8])
    def test_any_other_than_those_listed_are_malformed(self, client, version, byte1, rest, bit):
        one = client()
        one.connect("c")
        one.send(bytes((byte1 ^ bit,)) + bytes.fromhex(rest))
        assert one.closed_with() == closed(version)

    @pytest.mark.versions(3)
    def test_3_1_has_no_reserved_values(self, client):
        one = client()
        one.connect("c")
        one.send("cf 00")
        assert one.receive() == Pingresp()

    @pytest.mark.statement("MQTT5-2.1.3-1", "MQTT3-2.2.2-1")
    def test_those_of_the_broker_are_as_listed(self, client, version):
        one = client()
        one.send(b"".join(conversation(version)))
        firsts = []
        seen = b""
        while True:
            data = one.wire.receive()
            if not data:
                break
            seen += data
        while seen:
            length, place, shift = 0, 1, 0
            while True:
                byte = seen[place]
                length |= (byte & 0x7F) << shift
                place, shift = place + 1, shift + 7
                if byte < 0x80:
                    break
            firsts.append(seen[0])
            seen = seen[place + length :]
        assert sorted(firsts) == [0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0]


class TestPacketIdentifier:
    """2.2.1 Packet Identifier (3.1.1: 2.3.1)."""

    @pytest.mark.statement("MQTT5-2.2.1-2", "MQTT3-2.3.1-5")
    def test_a_publish_at_qos_0_has_none(self, client, version):
        one = client()
        one.connect("c")
        one.subscribe("a", qos=2)
        one.send(Publish("a", b"xy"))
        expected = '30 .. "a" [] 7879' if version == 5 else '30 .. "a" 7879'
        assert one.wire.receive() == wire_bytes(expected)

    @pytest.mark.statement("MQTT5-2.2.1-4", "MQTT3-2.3.1-4")
    def test_those_of_the_broker_are_not_0_and_not_in_use(self, client):
        subscriber, publisher = client(), client()
        subscriber.connect("subscriber")
        subscriber.subscribe("a", qos=2)
        publisher.connect("publisher")
        for qos in (1, 2) * 10:
            publisher.publish("a", b"", qos)
        ids = [subscriber.receive(Publish).packet_id for _ in range(20)]
        assert 0 not in ids
        assert len(set(ids)) == 20

    @pytest.mark.statement("MQTT5-2.2.1-4", "MQTT3-2.3.1-4")
    def test_after_65_535_they_begin_again_and_pass_over_those_in_use(self, client):
        one = client()
        one.connect("c")
        one.subscribe("a", qos=2)
        (session,) = client.site().context.registry.all()
        for last, qos in ((65_535, 1), (1, 2), (65_533, 1), (65_534, 1), (65_535, 1)):
            one.fence()  # nothing but this thread looks at the session now
            session.last_packet_id = last
            one.send(Publish("a", b"", qos, packet_id=7), *[Pubrel(7)] * (qos == 2))
        ids = [one.receive_skipping(Publish).packet_id for _ in range(5)]
        assert ids == [1, 2, 65_534, 65_535, 3]  # 1 and 2 still await their acknowledgements

    def test_one_is_free_again_after_its_acknowledgement(self, client):
        one = client()
        one.connect("c")
        one.subscribe("a", qos=2)
        (session,) = client.site().context.registry.all()
        for qos in (1, 2):
            for _ in range(2):
                session.last_packet_id = 41
                one.publish("a", b"x", qos)
                message = one.receive_message()
                assert message.packet_id == 42
                one.fence()

    @pytest.mark.statement("MQTT5-2.2.1-5", "MQTT3-2.3.1-6")
    @pytest.mark.parametrize("packet_id", [1, 0x1234, 65_535])
    def test_acknowledgements_have_that_of_the_publish(self, client, packet_id):
        one = client()
        one.connect("c")
        one.send(Publish("a", b"", 1, packet_id=packet_id))
        assert one.receive(Puback).packet_id == packet_id
        one.send(Publish("a", b"", 2, packet_id=packet_id))
        assert one.receive(Pubrec).packet_id == packet_id
        one.send(Pubrel(packet_id))
        assert one.receive(Pubcomp).packet_id == packet_id

    @pytest.mark.statement("MQTT5-2.2.1-5", "MQTT3-2.3.1-6")
    def test_pubrel_has_that_of_the_publish(self, client):
        one = client()
        one.connect("c")
        one.subscribe("a", qos=2)
        one.publish("a", b"x", 2)
        message = one.receive(Publish)
        one.send(Pubrec(message.packet_id))
        assert one.receive(Pubrel).packet_id == message.packet_id

    @pytest.mark.statement("MQTT5-2.2.1-6", "MQTT3-2.3.1-7")
    @pytest.mark.parametrize("packet_id", [1, 0x1234, 65_535])
    def test_suback_and_unsuback_have_that_of_their_request(self, client, packet_id):
        one = client()
        one.connect("c")
        one.send(Subscribe(packet_id, [Subscription("a", 0)]))
        assert one.receive(Suback).packet_id == packet_id
        one.send(Unsubscribe(packet_id, ["a"]))
        assert one.receive(Unsuback).packet_id == packet_id

    @pytest.mark.statement("MQTT5-2.2.1-3", "MQTT3-2.3.1-1")
    @pytest.mark.parametrize(
        "packet",
        [
            Publish("a", b"", 1),
            Publish("a", b"", 2),
            Subscribe(0, [Subscription("a", 0)]),
            Unsubscribe(0, ["a"]),
        ],
        ids=lambda packet: type(packet).__name__,
    )
    def test_0_is_a_protocol_error(self, client, version, packet):
        one = client()
        one.connect("c")
        one.send(packet)
        assert one.closed_with() == closed(version, PROTOCOL_ERROR)

    def test_client_and_server_assign_theirs_independently(self, client):
        """Both use 0x1234 at the same time (the non-normative example of 2.2.1)."""
        one = client()
        one.connect("c")
        one.subscribe("a", qos=1)
        (session,) = client.site().context.registry.all()
        session.last_packet_id = 0x1233
        one.send(Publish("a", b"x", 1, packet_id=0x1234))
        packets = {type(packet): packet.packet_id for packet in (one.receive(), one.receive())}
        assert packets == {Publish: 0x1234, Puback: 0x1234}
        one.send(Puback(0x1234))
        one.nothing()


@pytest.mark.versions(5)
class TestProperties:
    """2.2.2 Properties."""

    @pytest.mark.statement("MQTT5-2.2.2-1")
    def test_no_properties_are_a_property_length_of_0(self, client):
        one = client()
        one.connect("c")
        one.send(Subscribe(1, [Subscription("a", 0)]))
        assert one.wire.receive() == wire_bytes("90 .. 0001 [] 00")
        one.send(Publish("a", b"x"))
        assert one.wire.receive() == wire_bytes('30 .. "a" [] 78')
        one.send(Unsubscribe(2, ["a"]))
        assert one.wire.receive() == wire_bytes("b0 .. 0002 [] 00")

    def test_their_order_is_of_no_significance(self, client):
        for place, order in enumerate(("11 00000078 21 0005", "21 0005 11 00000078")):
            one = client()
            one.send(wire_bytes(f'10 .. "MQTT" 05 02 0000 [ {order} ] "c{place}"'))
            assert one.receive(Connack).reason == 0

    @pytest.mark.statement("U5-2.2.2.2-1", "U5-2.2.2.2-2", "MQTT5-4.13.1-1")
    @pytest.mark.parametrize(
        "packet",
        [
            '30 .. "a" [ 11 00000001 ]',  # Session Expiry Interval in PUBLISH
            '30 .. "a" [ 7f 00 ]',  # an identifier that does not exist
            '30 .. "a" [ 80 01 00 ]',  # one of two bytes
            '30 .. "a" [ 02 0001 ]',  # half a Message Expiry Interval
            '82 .. 0001 [ 1f "r" ] "a" 00',  # Reason String in SUBSCRIBE
            'a2 .. 0001 [ 0b 01 ] "a"',  # Subscription Identifier in UNSUBSCRIBE
            "40 .. 0001 00 [ 21 0001 ]",  # Receive Maximum in PUBACK
            "e0 .. 00 [ 13 0001 ]",  # Server Keep Alive in DISCONNECT
        ],
    )
    def test_one_that_is_not_valid_is_malformed(self, client, packet):
        one = client()
        one.connect("c")
        one.send(wire_bytes(packet))
        assert one.closed_with() == MALFORMED

    @pytest.mark.statement("U5-2.2.2.2-1", "U5-2.2.2.2-2")
    @pytest.mark.parametrize(
        "connect",
        [
            '10 .. "MQTT" 05 02 0000 [ 12 "id" ] "c"',  # Assigned Client Identifier
            '10 .. "MQTT" 05 02 0000 [ 18 00000001 ] "c"',  # Will Delay Interval outside a will
            '10 .. "MQTT" 05 06 0000 [] "c" [ 11 00000001 ] "w" 0000',  # in the will's
        ],
    )
    def test_one_that_is_not_valid_in_connect_is_malformed(self, client, connect):
        one = client()
        one.send(wire_bytes(connect))
        assert one.receive(Connack).reason == MALFORMED
        assert one.wait_closed() == []


@pytest.mark.versions(5)
class TestReasonCode:
    """2.4 Reason Code."""

    def test_success_and_failure_stand_apart_at_0x80(self, client):
        one = client()
        one.connect("c")
        assert one.publish("nobody", b"", 1).reason == 0x10
        assert one.unsubscribe("nothing").reasons == [0x11]
        assert one.subscribe("a", qos=2) == [2]
        assert one.publish("$reserved", b"", 1).reason >= 0x80
        one.nothing()
