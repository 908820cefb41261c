"""What encoders do for the version of the receiver, and that they never validate."""

import pytest

from formats.mqtt.acks import Puback, Pubrel
from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import PINGRESP_BYTES, Auth, Disconnect, Pingresp
from formats.mqtt.properties import REASON_STRING, TOPIC_ALIAS, USER_PROPERTY
from formats.mqtt.publish import Publish, encode_publish, encode_publish_parts
from formats.mqtt.reasons import ALLOWED, CONNACK_RETURN_CODES
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback
from tests.wire.notation import wire_bytes

USER = {USER_PROPERTY: [("a", "b")]}


class TestPublishParts:
    @pytest.mark.statement("MQTT5-2.2.1-2", "MQTT3-2.3.1-5")
    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_qos_0_is_whole_and_without_packet_identifier(self, version):
        head, tail = encode_publish_parts("a", b"hi", 0, True, version, None)
        assert head == wire_bytes('31 .. "a" ' + ("00" if version == 5 else "") + "6869")
        assert tail == b""

    @pytest.mark.parametrize("version", [3, 4, 5])
    @pytest.mark.parametrize("qos", [1, 2])
    @pytest.mark.parametrize("size", [0, 119, 120, 121, 122, 123, 124, 20_000])
    def test_packet_identifier_goes_between_the_parts(self, version, qos, size):
        payload = b"x" * size
        head, tail = encode_publish_parts("a", payload, qos, False, version, {TOPIC_ALIAS: 5})
        whole = Publish("a", payload, qos, packet_id=0x0102, properties={TOPIC_ALIAS: 5})
        assert head + b"\1\2" + tail == encode_publish(whole, version)
        again = Publish("a", payload, qos, False, True, 0x0102, {TOPIC_ALIAS: 5})
        assert bytes((head[0] | 8,)) + head[1:] + b"\1\2" + tail == encode_publish(again, version)


class TestReceiverOf3:
    """What 3.1 and 3.1.1 do not have stays behind."""

    @pytest.mark.statement("MQTT3-3.2.2-6")
    @pytest.mark.parametrize("version", [3, 4])
    @pytest.mark.parametrize(
        ("reason", "code"),
        [(0, 0), (0x84, 1), (0x85, 2), (0x88, 3), (0x97, 3), (0x86, 4), (0x87, 5)],
    )
    def test_connack_has_a_return_code(self, version, reason, code):
        assert encode(Connack(False, reason, USER), version) == bytes((0x20, 2, 0, code))

    def test_every_reason_of_connack_has_a_return_code(self):
        assert set(CONNACK_RETURN_CODES) == ALLOWED[2]
        assert set(CONNACK_RETURN_CODES.values()) == {0, 1, 2, 3, 4, 5}

    def test_connack_can_have_any_return_code(self):
        assert encode(Connack(False, 2), 4) == b"\x20\2\0\2"
        assert encode(Connack(False, 0x7F), 4) == b"\x20\2\0\x7f"
        assert encode(Connack(False, 0xFF), 4) == b"\x20\2\0\3"

    def test_session_present_is_not_for_3_1(self):
        assert encode(Connack(True), 3) == b"\x20\2\0\0"
        assert encode(Connack(True), 4) == b"\x20\2\1\0"

    @pytest.mark.statement("MQTT3-3.9.3-2")
    def test_suback_has_one_failure(self):
        suback = Suback(1, [0, 1, 2, 0x87, 0x80, 0xA2], USER)
        assert encode(suback, 4) == bytes.fromhex("90 08 0001 00 01 02 80 80 80")

    @pytest.mark.parametrize("version", [3, 4])
    def test_unsuback_has_no_payload(self, version):
        assert encode(Unsuback(1, [0, 0x11], USER), version) == b"\xb0\2\0\1"

    @pytest.mark.parametrize("version", [3, 4])
    def test_acknowledgement_has_no_reason(self, version):
        assert encode(Puback(1, 0x87, USER), version) == b"\x40\2\0\1"
        assert encode(Pubrel(1, 0x92), version) == b"\x62\2\0\1"

    @pytest.mark.parametrize("version", [3, 4])
    def test_disconnect_has_no_reason(self, version):
        assert encode(Disconnect(4, USER), version) == b"\xe0\0"

    @pytest.mark.parametrize("version", [3, 4])
    def test_subscription_has_only_its_qos(self, version):
        subscribe = Subscribe(1, [Subscription("a", 1, True, True, 2)], USER)
        assert encode(subscribe, version) == wire_bytes('82 .. 0001 "a" 01')


class TestFaults:
    """Whoever wants to send what is wrong can."""

    @pytest.mark.parametrize(
        ("packet", "notation"),
        [
            (Publish("a/#", b"", 3, True, True, 0), '3f .. "a/#" 0000 []'),
            (Publish("\0", b"", 0, False, True), "38 .. 0001 00 []"),
            (Puback(0, 0xFF), "40 03 0000 ff"),
            (Connack(True, 0x8E), "20 03 01 8e 00"),
            (Subscribe(0, []), "82 03 0000 00"),
            (Subscribe(1, [Subscription("", 3, True, False, 3)]), '82 .. 0001 [] "" 37'),
            (Suback(1, [0x03, 0xFF]), "90 05 0001 00 03 ff"),
            (Disconnect(0xFF, {0x21: 0}), "e0 .. ff [ 21 0000 ]"),
            (Auth(0xFF, {REASON_STRING: "x"}), 'f0 .. ff [ 1f "x" ]'),
            (Connect(6, "", will=Will("#", b"", 3)), '10 .. "MQTT" 06 1e 0000 "" "#" 0000'),
        ],
    )
    def test_encoder_does_not_mind(self, packet, notation):
        assert encode(packet, 5) == wire_bytes(notation)


def test_pingresp_is_a_constant():
    assert encode(Pingresp(), 5) == PINGRESP_BYTES == b"\xd0\0"
