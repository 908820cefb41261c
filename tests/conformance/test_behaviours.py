"""What existing client suites rely on beyond the documents, with the lines of the shipped
configuration, and the choices that the documents leave open."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import (
    REASON_STRING,
    RECEIVE_MAXIMUM,
    SERVER_KEEP_ALIVE,
    SERVER_REFERENCE,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

pytestmark = pytest.mark.configuration(
    "receive_maximum 20",
    "server_keep_alive 60",
    "behaviour refuse_subscription test/nosubscribe",
    'behaviour maximum_granted_qos "test/QoS 1 only" 1',
    'behaviour maximum_granted_qos "test/QoS 0 only" 0',
    "behaviour publish_error test_qos_1_2_errors 0x87",
    "behaviour pubcomp_error test_qos_1_2_errors_pubcomp 0x92",
    "behaviour disconnect_with_reason cmd/disconnectWithRC",
    "behaviour echo_user_properties",
)
PAIRS = {USER_PROPERTY: [("a", "1"), ("a", "2")]}
NOT_AUTHORIZED, NOT_FOUND = 0x87, 0x92


class TestSubscriptions:
    def test_nosubscribe_is_refused(self, connected):
        one = connected("c")
        # 3.1 knows no failure; existing suites expect this one in every version all the same.
        assert one.subscribe("test/nosubscribe", "other", qos=2) == [0x80, 2]
        one.publish("test/nosubscribe", b"x")
        one.nothing()

    def test_granted_qos_is_capped(self, connected):
        one = connected("c")
        assert one.subscribe("test/QoS 1 only", "test/QoS 0 only", "other", qos=2) == [1, 0, 2]
        assert one.subscribe("test/QoS 1 only", qos=0) == [0]

    @pytest.mark.versions(5)
    def test_user_properties_come_back(self, connected):
        one = connected("c")
        one.send(Subscribe(1, [Subscription("a", 0)], PAIRS))
        assert one.receive() == Suback(1, [0], PAIRS)
        one.send(Unsubscribe(2, ["a"], PAIRS))
        assert one.receive() == Unsuback(2, [0], PAIRS)

    @pytest.mark.versions(5)
    @pytest.mark.configuration("")
    def test_user_properties_do_not_come_back_unless_asked_for(self, connected):
        one = connected("c")
        one.send(Subscribe(1, [Subscription("a", 0)], PAIRS))
        assert one.receive() == Suback(1, [0])

    @pytest.mark.versions(5)
    def test_unsubscribe_of_an_unknown_filter(self, connected):
        assert connected("c").unsubscribe("never").reasons == [0x11]

    @pytest.mark.versions(5)
    def test_overlapping_subscriptions_give_one_copy(self, connected):
        one = connected("c")
        one.subscribe("a/#", qos=1, identifier=1)
        one.subscribe("a/+", qos=2, identifier=2)
        one.publish("a/b", b"x", 2)
        message = one.receive_message()
        assert message.qos == 2
        assert sorted(message.properties[0x0B]) == [1, 2]
        one.nothing()


@pytest.mark.versions(5)
class TestPublishErrors:
    def test_qos_1_is_refused_with_its_user_properties(self, connected):
        one = connected("c")
        one.subscribe("#")
        one.send(Publish("test_qos_1_2_errors", b"x", 1, packet_id=7, properties=PAIRS))
        assert one.receive() == Puback(7, NOT_AUTHORIZED, PAIRS)
        one.nothing()

    def test_qos_2_is_refused_and_its_id_free_at_once(self, connected):
        one = connected("c")
        one.subscribe("#")
        for _ in range(2):
            one.send(Publish("test_qos_1_2_errors", b"x", 2, packet_id=7, properties=PAIRS))
            assert one.receive() == Pubrec(7, NOT_AUTHORIZED, PAIRS)
        one.send(Pubrel(7))
        assert one.receive() == Pubcomp(7, NOT_FOUND)
        one.nothing()

    def test_any_number_of_refused_ones_stays_within_the_receive_maximum(self, connected):
        one = connected("c")
        for _ in range(50):
            assert one.publish("test_qos_1_2_errors", b"", 2).reason == NOT_AUTHORIZED

    def test_qos_0_is_passed_on(self, connected):
        one = connected("c")
        one.subscribe("#")
        one.publish("test_qos_1_2_errors", b"x")
        assert one.receive(Publish).payload == b"x"

    def test_pubcomp_is_an_error_with_the_user_properties_of_pubrel(self, connected):
        one = connected("c")
        one.send(Publish("test_qos_1_2_errors_pubcomp", b"x", 2, packet_id=7))
        assert one.receive(Pubrec).reason in (0, 0x10)
        one.send(Pubrel(7, 0, PAIRS))
        assert one.receive() == Pubcomp(7, NOT_FOUND, PAIRS)

    def test_nobody_matching_is_said(self, connected):
        one = connected("c")
        assert one.publish("nobody", b"", 1).reason == 0x10
        assert one.publish("nobody", b"", 2).reason == 0x10

    def test_pubrel_with_an_unknown_id(self, connected):
        one = connected("c")
        one.send(Pubrel(9))
        assert one.receive() == Pubcomp(9, NOT_FOUND)


@pytest.mark.versions(3, 4)
def test_errors_are_for_5_0_only(connected):
    one = connected("c")
    one.subscribe("#", qos=2)
    for qos in (1, 2):
        one.publish("test_qos_1_2_errors", b"x", qos)
        assert one.receive_message().qos == qos


class TestDisconnectOnRequest:
    @pytest.mark.versions(5)
    @pytest.mark.parametrize("reason", [0x80, 0x8E, 0x9C])
    def test_the_payload_is_the_reason_code(self, connected, reason):
        one, other = connected("c"), connected("other")
        one.send(Publish("cmd/disconnectWithRC", b"%d" % reason))
        (disconnect,) = one.wait_closed()
        assert disconnect == Disconnect(
            reason,
            {
                REASON_STRING: "This is a custom Reason String",
                SERVER_REFERENCE: "tcp://localhost:1883",
                USER_PROPERTY: [("key", "value")],
            },
        )
        other.nothing()

    @pytest.mark.parametrize("payload", [b"", b"x", b"256", b"-1"])
    def test_what_is_no_reason_code_is_a_message(self, connected, payload):
        one = connected("c")
        one.subscribe("#")
        one.publish("cmd/disconnectWithRC", payload)
        assert one.receive(Publish).payload == payload


@pytest.mark.versions(5)
class TestChoices:
    def test_aliases_are_assigned_at_once_first_come(self, connected):
        one = connected("c", properties={TOPIC_ALIAS_MAXIMUM: 2})
        one.subscribe("#")
        aliases = []
        for topic in ("a", "b", "a", "c"):
            one.publish(topic)
            message = one.receive(Publish)
            aliases.append((message.topic, (message.properties or {}).get(TOPIC_ALIAS)))
        assert aliases == [("a", 1), ("b", 2), ("", 1), ("c", None)]

    def test_keep_alive_above_the_cap_gets_the_cap(self, client):
        one = client()
        assert one.connect("c", keep_alive_s=61).properties[SERVER_KEEP_ALIVE] == 60

    @pytest.mark.parametrize("keep_alive_s", [1, 60])
    def test_keep_alive_within_the_cap_stays(self, client, keep_alive_s):
        connack = client().connect("c", keep_alive_s=keep_alive_s)
        assert SERVER_KEEP_ALIVE not in connack.properties

    def test_receive_maximum_is_told(self, client):
        connack = client().connect("c")
        assert isinstance(connack, Connack)
        assert connack.properties[RECEIVE_MAXIMUM] == 20
