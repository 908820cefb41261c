"""PUBACK, PUBREC, PUBREL and PUBCOMP (5.0 and 3.1.1, sections 3.4 to 3.7)."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.properties import MAXIMUM_PACKET_SIZE, REASON_STRING, USER_PROPERTY
from formats.mqtt.publish import Publish
from tests.conformance.messages import assert_closed, kept, pair, publisher_of
from tests.wire.notation import wire_bytes

WORDS = {USER_PROPERTY: [("key", "x" * 100)]}
LONG = {REASON_STRING: "because", USER_PROPERTY: [("a", "b"), ("a", "b")]}


class TestForms:
    """3.4.2, 3.5.2, 3.6.2, 3.7.2: with and without reason code and properties"""

    @pytest.mark.versions(5)
    @pytest.mark.parametrize(
        "puback", ["40 02 ID", "40 03 ID 00", "40 04 ID 00 00", "40 .. ID 10 [ 1f 0001 78 ]"]
    )
    def test_puback_completes_a_message_in_every_form(self, client, puback):
        subscriber = kept(client, "t", qos=1, properties={0x21: 1})
        publisher = publisher_of(client)
        for payload in (b"1", b"2"):
            publisher.publish("t", payload, 1)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.send(wire_bytes(puback.replace("ID", f"{packet_id:04x}")))
        assert subscriber.receive_message().payload == b"2"

    @pytest.mark.versions(5)
    @pytest.mark.parametrize("properties", [None, LONG])
    @pytest.mark.parametrize("reason", [0x00, 0x10])
    def test_qos_2_with_reason_codes_and_properties_both_ways(self, client, reason, properties):
        subscriber, publisher = pair(client, "t")
        publisher.send(Publish("t", b"x", 2, packet_id=4))
        assert publisher.receive(Pubrec) == Pubrec(4)
        publisher.send(Pubrel(4, 0, properties))
        assert publisher.receive(Pubcomp) == Pubcomp(4)
        packet_id = subscriber.receive(Publish).packet_id
        subscriber.send(Pubrec(packet_id, reason, properties))
        assert subscriber.receive(Pubrel) == Pubrel(packet_id)
        subscriber.send(Pubcomp(packet_id, 0, properties))
        subscriber.nothing()

    @pytest.mark.parametrize("first", ["40", "50", "62", "70"])
    def test_packet_identifier_0_ends_the_connection(self, client, first):
        one = client()
        one.connect()
        one.send(f"{first} 02 0000")
        assert_closed(one, 0x82)

    @pytest.mark.parametrize("rest", ["00", "01 00"])
    @pytest.mark.parametrize("first", ["40", "50", "62", "70"])
    def test_a_packet_that_is_cut_ends_the_connection(self, client, first, rest):
        one = client()
        one.connect()
        one.send(f"{first} {rest}")
        assert_closed(one, 0x81)

    @pytest.mark.versions(3, 4)
    @pytest.mark.parametrize("first", ["40", "50", "62", "70"])
    def test_3_x_has_no_reason_code(self, client, first):
        one = client()
        one.connect()
        one.send(f"{first} 03 0001 00")
        assert_closed(one, None)

    @pytest.mark.statement("MQTT5-3.6.1-1", "MQTT3-3.6.1-1")
    @pytest.mark.versions(4, 5)
    @pytest.mark.parametrize("first", ["60", "61", "63", "66", "6a"])
    def test_flags_of_pubrel_are_0010(self, client, first):
        one = client()
        one.connect()
        one.send(Publish("t", b"", 2, packet_id=1))
        one.receive(Pubrec)
        one.send(f"{first} 02 0001")
        assert_closed(one, 0x81)

    @pytest.mark.versions(3)
    def test_3_1_may_set_dup_in_pubrel(self, client):
        one = client()
        one.connect()
        one.send(Publish("t", b"", 2, packet_id=1), "62 02 0001", "6a 02 0001")
        assert [type(one.receive()) for _ in range(3)] == [Pubrec, Pubcomp, Pubcomp]

    @pytest.mark.statement("MQTT5-2.1.3-1", "MQTT3-2.2.2-2")
    @pytest.mark.versions(4, 5)
    @pytest.mark.parametrize("first", ["41", "42", "48", "52", "72"])
    def test_flags_of_the_others_are_0000(self, client, first):
        one = client()
        one.connect()
        one.send(f"{first} 02 0001")
        assert_closed(one, 0x81)

    @pytest.mark.versions(5)
    @pytest.mark.parametrize(
        "packet",
        [
            pytest.param("40 03 0001 01", marks=pytest.mark.statement("MQTT5-3.4.2-1")),
            pytest.param("50 03 0001 92", marks=pytest.mark.statement("MQTT5-3.5.2-1")),
            pytest.param("62 03 0001 80", marks=pytest.mark.statement("MQTT5-3.6.2-1")),
            pytest.param("70 03 0001 10", marks=pytest.mark.statement("MQTT5-3.7.2-1")),
        ],
    )
    def test_a_reason_code_of_other_packets_ends_the_connection(self, client, packet):
        one = client()
        one.connect()
        one.send(packet)
        assert one.closed_with() == 0x82

    @pytest.mark.versions(5)
    @pytest.mark.parametrize(
        "first",
        [
            pytest.param("40", marks=pytest.mark.statement("U5-3.4.2.2.2-1")),
            pytest.param("50", marks=pytest.mark.statement("U5-3.5.2.2.2-2")),
            pytest.param("62", marks=pytest.mark.statement("U5-3.6.2.2.2-2")),
            pytest.param("70", marks=pytest.mark.statement("U5-3.7.2.2.2-2")),
        ],
    )
    def test_two_reason_strings_end_the_connection(self, client, first):
        one = client()
        one.connect()
        one.send(wire_bytes(f'{first} .. 0001 00 [ 1f "a" 1f "b" ]'))
        assert one.closed_with() == 0x82


class TestReasonCodes:
    """3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1"""

    @pytest.mark.statement("MQTT5-3.4.2-1", "MQTT5-3.5.2-1")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_no_matching_subscribers(self, client, version, qos):
        publisher = publisher_of(client)
        alone = publisher.publish("t", b"x", qos)
        assert alone.reason == (0x10 if version == 5 else 0)
        publisher.subscribe("t")
        assert publisher.publish("t", b"x", qos).reason == 0
        publisher.receive_message()
        publisher.unsubscribe("t")
        assert publisher.publish("t", b"x", qos).reason == alone.reason

    @pytest.mark.versions(5)
    def test_a_subscription_without_a_connection_matches(self, client):
        kept(client, "t").disconnect()
        publisher = publisher_of(client)
        assert publisher.publish("t", b"x", 1).reason == 0
        assert publisher.publish("t", b"x", 2).reason == 0

    @pytest.mark.versions(5)
    def test_a_no_local_subscription_of_the_publisher_does_not(self, client):
        one = client()
        one.connect()
        one.subscribe("t", no_local=True)
        assert one.publish("t", b"x", 1).reason == 0x10
        one.nothing()

    @pytest.mark.statement("MQTT5-3.7.2-1")
    def test_pubrel_with_an_unknown_identifier(self, client, version):
        one = client()
        one.connect()
        one.send(Pubrel(9))
        assert one.receive(Pubcomp) == Pubcomp(9, 0x92 if version == 5 else 0)
        one.nothing()

    @pytest.mark.statement("MQTT5-3.6.2-1")
    def test_pubrec_with_an_unknown_identifier(self, client, version):
        one = client()
        one.connect()
        one.send(Pubrec(9))
        assert one.receive(Pubrel) == Pubrel(9, 0x92 if version == 5 else 0)
        one.send(Pubcomp(9, 0x92 if version == 5 else 0))
        one.nothing()

    @pytest.mark.versions(5)
    @pytest.mark.parametrize("reason", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
    def test_pubrec_with_an_error_for_an_unknown_identifier_is_answered_by_nothing(
        self, client, reason
    ):
        one = client()
        one.connect()
        one.send(Pubrec(9, reason))
        one.nothing()


class TestUnexpected:
    """An acknowledgement of nothing harms nothing."""

    @pytest.mark.parametrize("packet", [Puback(9), Pubcomp(9)])
    def test_one_of_an_unknown_identifier_is_ignored(self, client, packet):
        subscriber, publisher = pair(client, "t")
        subscriber.send(packet)
        subscriber.nothing()
        publisher.publish("t", b"x", 2)
        assert subscriber.receive_message().payload == b"x"

    @pytest.mark.parametrize("qos", [1, 2])
    def test_one_of_the_other_qos_leaves_the_message_as_it_is(self, client, qos):
        subscriber = kept(client, "t")
        publisher_of(client).publish("t", b"x", qos)
        packet_id = subscriber.receive(Publish).packet_id
        if qos == 1:
            subscriber.send(Pubcomp(packet_id))
        else:
            subscriber.send(Puback(packet_id), Pubcomp(packet_id))
        subscriber.nothing()
        subscriber.drop()
        subscriber = client()
        subscriber.resume("subscriber")
        again = subscriber.receive_message()
        assert (again.packet_id, again.dup, again.qos) == (packet_id, True, qos)

    @pytest.mark.versions(5)
    def test_a_second_puback_gives_no_second_place_in_the_quota(self, client):
        subscriber = kept(client, "t", properties={0x21: 1})
        publisher = publisher_of(client)
        for payload in (b"1", b"2", b"3"):
            publisher.publish("t", payload, 1)
        first = subscriber.receive(Publish)
        subscriber.send(Puback(first.packet_id), Puback(first.packet_id))
        assert subscriber.receive(Publish).payload == b"2"
        subscriber.nothing()


class TestProperties:
    """3.4.2.2, 3.5.2.2, 3.7.2.2: sent only where they fit the Maximum Packet Size"""

    @pytest.mark.versions(5)
    @pytest.mark.parametrize(
        ("qos", "kind"),
        [
            pytest.param(1, Puback, marks=pytest.mark.statement("MQTT5-3.4.2-2")),
            pytest.param(2, Pubrec, marks=pytest.mark.statement("MQTT5-3.5.2-2")),
        ],
    )
    def test_reason_string(self, client, qos, kind):
        for maximum, expected in ((1000, True), (30, False)):
            one = client()
            one.connect(f"size {maximum}", properties={MAXIMUM_PACKET_SIZE: maximum})
            one.send(Publish("$x", b"", qos, packet_id=1))
            answer = one.receive(kind)
            assert (answer.packet_id, answer.reason) == (1, 0x90)
            assert (REASON_STRING in (answer.properties or {})) is expected

    @pytest.mark.versions(5)
    @pytest.mark.configuration("behaviour publish_error t 0x97")
    @pytest.mark.parametrize(
        ("qos", "kind"),
        [
            pytest.param(1, Puback, marks=pytest.mark.statement("MQTT5-3.4.2-3")),
            pytest.param(2, Pubrec, marks=pytest.mark.statement("MQTT5-3.5.2-3")),
        ],
    )
    def test_user_properties(self, client, qos, kind):
        for maximum, expected in ((1000, WORDS), (100, None)):
            one = client()
            one.connect(f"size {maximum}", properties={MAXIMUM_PACKET_SIZE: maximum})
            one.send(Publish("t", b"", qos, packet_id=1, properties=WORDS))
            assert one.receive(kind) == kind(1, 0x97, expected)

    @pytest.mark.statement("MQTT5-3.7.2-3")
    @pytest.mark.versions(5)
    @pytest.mark.configuration("behaviour pubcomp_error t 0x92")
    def test_user_properties_of_pubcomp(self, client):
        for maximum, expected in ((1000, WORDS), (100, None)):
            one = client()
            one.connect(f"size {maximum}", properties={MAXIMUM_PACKET_SIZE: maximum})
            one.send(Publish("t", b"", 2, packet_id=1))
            one.receive(Pubrec)
            one.send(Pubrel(1, 0, WORDS))
            assert one.receive(Pubcomp) == Pubcomp(1, 0x92, expected)

    @pytest.mark.versions(5)
    @pytest.mark.parametrize(("qos", "kind"), [(1, Puback), (2, Pubrec)])
    def test_problem_information_is_for_who_wants_it(self, client, qos, kind):
        one = client()
        one.connect(properties={0x17: 0})
        one.send(Publish("$x", b"", qos, packet_id=1))
        assert one.receive(kind) == kind(1, 0x90)
