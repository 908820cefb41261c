"""What clients may do and an oracle could mistake for a breach: it must not."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription, Unsubscribe
from tests.verdicts.deliveries import interrupted, publish, say, subscriber
from tests.verdicts.support import NAMES, Stage

TOPIC_ALIAS, MAXIMUM_PACKET_SIZE, RECEIVE_MAXIMUM = 0x23, 0x27, 0x21


@pytest.fixture(params=[3, 4, 5], ids=NAMES.get)
def stage(request):
    """A broker; the report has no violation at the end of the test."""
    mark = request.node.get_closest_marker("configuration")
    with Stage(request.param, "\n".join(mark.args) if mark else "") as one:
        yield one
        assert one.violations() == []


def a_round_that_reads_nothing(stage, seconds):
    """So much later: what clients have sent meanwhile is read in the next one."""
    stage.site.clock.advance(seconds)
    for worker in stage.site.workers:
        worker.silence()
        worker.run_due()


def only(*versions):
    return pytest.mark.parametrize("stage", versions, indirect=True, ids=NAMES.get)


def unaware(configuration, reason, *packets):
    """What a client is told not to send by the CONNACK that this configuration makes."""
    name = configuration.split()[0]
    return pytest.param(reason, packets, marks=pytest.mark.configuration(configuration), id=name)


UNAWARE = (
    unaware("maximum_qos 1", 0x9B, '34 .. "a" 0001 []'),
    unaware("retain_available false", 0x9A, '31 .. "a" []'),
    unaware("maximum_packet_size 101", 0x95, '30 .. "a" []' + "00" * 100),
    unaware("topic_alias_maximum 2", 0x94, '30 .. "a" [ 23 0003 ]'),
    unaware("topic_alias_maximum 0", 0x94, '30 .. "a" [ 23 0001 ]'),
    unaware("receive_maximum 1", 0x93, '32 .. "a" 0001 []', '32 .. "a" 0002 []'),
    unaware("wildcard_subscription_available false", 0xA2, '82 .. 0001 [] "a/#" 00'),
    unaware("subscription_identifier_available false", 0xA1, '82 .. 0001 [ 0b 01 ] "a" 00'),
    unaware("shared_subscription_available false", 0x9E, '82 .. 0001 [] "$share/g/a" 00'),
)


class TestGoingOnWithASession:
    def test_publish_and_pubrel_come_again_in_their_order(self, stage):
        one = stage.client("c", kept=True)
        one.send(*(publish(packet_id, 2) for packet_id in (5, 3, 9)))
        one.send(publish(4), publish(7))
        one.drop()
        one = stage.client("c", kept=True)
        # The PUBREC of 5 had arrived; of 4 and 7 the PUBACK had not.
        say(one, publish(3, 2, True), publish(9, 2, True), publish(4, 1, True), publish(7, 1, True))
        say(one, Pubrel(5), Pubrel(3), Pubrel(9), publish(8), Disconnect())

    def test_pubrel_comes_again_when_the_pubcomp_was_lost(self, stage):
        one = stage.client("c", kept=True)
        say(one, publish(1, 2), Pubrel(1))
        one.drop()
        say(stage.client("c", kept=True), Pubrel(1), publish(1, 2), Pubrel(1), Disconnect())

    def test_after_a_resumption_packet_ids_are_used_anew(self, stage):
        one = interrupted(stage, 1, 2)
        say(one, publish(1, 2, True), publish(2, 2, True), Pubrel(1), Pubrel(2))
        say(one, publish(2, 2), publish(1, 2), Pubrel(2), Pubrel(1), publish(1), Disconnect())

    @only(3, 4)
    def test_3_1_1_may_send_again_on_the_same_connection(self, stage):
        one = interrupted(stage, 1, 2)
        say(one, publish(1, 2, True), publish(2, 2, True))
        say(one, publish(1, 2, True), publish(2, 2, True), Pubrel(1), Pubrel(1), Pubrel(2))
        say(one, publish(1, 2), publish(2, 2), publish(1, 2, True), publish(2, 2, True))
        say(one, Pubrel(1), Pubrel(1), Pubrel(2), publish(3), publish(3, 1, True), Disconnect())

    @only(3, 4)
    def test_3_1_1_may_ask_again(self, stage):
        one = stage.client()
        packet = Subscribe(1, [Subscription("t")])
        one.send(packet, packet)
        one.send(Unsubscribe(2, ["t"]), Unsubscribe(2, ["t"]))

    @only(3, 4)
    def test_3_1_1_may_go_on_though_the_server_has_forgotten(self, stage):
        one = stage.client("c", kept=True)
        say(one, publish(1, 1, True), publish(2, 2, True), Pubrel(2), Pubrel(3))
        say(one, Puback(7), Pubrec(8), Pubcomp(8), Pubcomp(9))

    @only(5)
    def test_a_client_that_does_not_wait_for_connack_cannot_know_what_is_forgotten(self, stage):
        one = stage.raw()
        one.send(stage.bytes_of('10 .. {mqtt} 00 0000 [ 11 00000078 ] "c"'), publish(1, 1, True))

    @pytest.mark.parametrize("qos", [1, 2])
    def test_it_acknowledges_what_it_received_on_the_connection_before(self, stage, qos):
        one, ids = subscriber(stage, 3, qos, kept=True)
        one.drop()
        one = stage.client("subscriber", kept=True)
        answer = Puback if qos == 1 else Pubrec
        # Those of the first two were lost; its application is done with the third only now.
        say(one, answer(ids[2]), answer(ids[0]), answer(ids[1]))
        say(one, *map(answer, ids))
        if qos == 2:
            say(one, *map(Pubcomp, ids), *map(Pubcomp, ids))
        say(one, Disconnect())

    def test_a_session_that_moves_to_another_connection(self, stage):
        one, ids = subscriber(stage, 2, 1, kept=True)
        say(one, Puback(ids[0]))
        two = stage.client("subscriber", kept=True)
        assert two.receive(Publish).packet_id == ids[1]
        say(two, Puback(ids[1]), Disconnect())

    @only(5)
    def test_a_smaller_receive_maximum_than_before(self, stage):
        one, _ = subscriber(stage, 4, 1, kept=True)
        one.drop()
        one = stage.client("subscriber", kept=True, properties={RECEIVE_MAXIMUM: 1})
        stage.client("other").publish("t", b"", 1)
        for _ in range(5):
            one.receive_message()
        one.disconnect()


class TestPacketIds:
    def test_they_come_round_and_are_used_again(self, stage):
        one = stage.client()
        for packet_id in (65_533, 65_534, 65_535, 1, 2):
            say(one, publish(packet_id), Subscribe(packet_id, [Subscription("s")]))
            say(one, publish(packet_id, 2), Pubrel(packet_id), Unsubscribe(packet_id, ["s"]))

    def test_the_server_s_own_are_none_of_the_client_s(self, stage):
        one, ids = subscriber(stage, 1, 1)
        assert ids == [1]
        say(one, publish(1), publish(1, 2), Puback(1), Pubrel(1))

    def test_the_lowest_that_is_free_every_time(self, stage):
        one = stage.client()
        for _ in range(200):
            say(one, publish(1))
        say(one, *[publish(1, 2), Pubrel(1)] * 20)

    def test_many_at_qos_1_in_one_write_by_the_short_way_too(self, stage):
        one = stage.client()
        for _ in range(3):
            one.send(*(publish(packet_id) for packet_id in range(1, 301)))
        one.send(Pingreq(), Disconnect())

    def test_a_remaining_length_that_is_longer_than_it_need_be(self, stage):
        one = stage.client()
        if stage.version < 5:
            one.send("c0 8000", "32 878000 0001 74 0001 7878")


class TestAcknowledgements:
    def test_pubacks_and_pubrecs_in_their_own_orders(self, stage):
        one = stage.client("subscriber")
        one.subscribe("t", qos=2)
        other = stage.client("publisher")
        for qos in (1, 2, 1, 2, 1):
            other.publish("t", b"", qos)
        ids = [one.receive(Publish).packet_id for _ in range(5)]
        say(one, Pubrec(ids[1]), Pubrec(ids[3]), Puback(ids[0]), Pubcomp(ids[3]), Puback(ids[2]))
        say(one, Puback(ids[4]), Pubcomp(ids[1]), Disconnect())

    def test_many_pubacks_in_one_write(self, stage):
        one, ids = subscriber(stage, 150, 1)
        one.send(*map(Puback, ids), Disconnect())

    def test_a_disconnect_may_leave_messages_unacknowledged(self, stage):
        one, ids = subscriber(stage, 3, 2, kept=True)
        say(one, Pubrec(ids[0]), Pubrec(ids[1]), Pubcomp(ids[0]), Disconnect())

    @only(5)
    def test_a_pubrec_that_refuses(self, stage):
        one, ids = subscriber(stage, 3, 2)
        say(one, Pubrec(ids[0], 0x80), Pubrec(ids[1], 0x10), Pubrec(ids[2], 0x97), Pubcomp(ids[1]))

    @only(5)
    def test_a_message_over_its_maximum_packet_size_is_never_due(self, stage):
        one = stage.client("subscriber", properties={MAXIMUM_PACKET_SIZE: 40})
        one.subscribe("t", qos=2)
        other = stage.client("publisher")
        for size in (1, 100, 2):
            other.publish("t", bytes(size), 1)
        assert [len(one.receive_message().payload) for _ in range(2)] == [1, 2]
        one.disconnect()


class TestLimits:
    def test_no_keep_alive_at_all(self, stage):
        one = stage.client(keep_alive_s=0)
        stage.site.advance(1_000_000)
        one.send(Pingreq())

    @pytest.mark.parametrize("keep_alive_s", [1, 2, 3, 10, 65_535])
    def test_pingreq_in_time(self, stage, keep_alive_s):
        one = stage.client(keep_alive_s=keep_alive_s)
        for _ in range(5):
            stage.site.advance(keep_alive_s)
            one.send(Pingreq())

    def test_any_packet_keeps_the_connection_alive(self, stage):
        one = stage.client(keep_alive_s=10)
        for packet_id in range(1, 6):
            stage.site.advance(10)
            one.send(publish(packet_id))

    def test_a_packet_that_is_begun_within_the_keep_alive(self, stage):
        """3.1.2.10: from the end of one packet to the start of the next. The broker need not wait
        for all of it."""
        one = stage.client(keep_alive_s=10)
        stage.site.advance(9)
        one.send("c0")
        stage.site.advance(5)
        one.send("00")
        stage.site.advance(10)
        one.send("30")
        stage.site.advance(5)
        assert one.wire.connection.ended

    @pytest.mark.parametrize("held_up_s", [3, 100])
    def test_a_broker_that_was_held_up_has_not_read_what_came_in_time(self, stage, held_up_s):
        """The process was stopped, its machine suspended, or another thread had the interpreter."""
        one = stage.client(keep_alive_s=2)
        a_round_that_reads_nothing(stage, held_up_s)
        one.send(Pingreq())
        assert one.receive() == Pingresp()
        stage.site.advance(2)
        one.send(Pingreq())

    @pytest.mark.configuration("connect_timeout_s 2")
    def test_nor_has_it_read_the_connect(self, stage):
        one = stage.raw()
        a_round_that_reads_nothing(stage, 3)
        assert one.connect("c").reason == 0

    @only(5)
    @pytest.mark.configuration("server_keep_alive 10")
    def test_the_server_s_keep_alive(self, stage):
        one = stage.client(keep_alive_s=60)
        for _ in range(5):
            stage.site.advance(10)
            one.send(Pingreq())

    @only(5)
    @pytest.mark.parametrize(("reason", "packets"), UNAWARE)
    def test_who_does_not_wait_for_connack_cannot_know_the_limits(self, stage, reason, packets):
        """3.1.4: such clients "will be unaware of the Server constraints"."""
        one = stage.raw()
        one.send(stage.bytes_of('10 .. {mqtt} 02 0000 [] "c"'), *map(stage.bytes_of, packets))
        assert one.receive(Connack).reason == 0
        assert one.wait_closed()[-1].reason == reason

    @only(5)
    @pytest.mark.configuration("receive_maximum 3")
    def test_receive_maximum_is_reached_and_not_exceeded(self, stage):
        one = stage.client()
        for _ in range(3):
            one.send(publish(1), publish(2, 2), publish(3), Pingreq())
            one.send(publish(1), publish(3), Subscribe(4, [Subscription("t")]))
            one.send(Pubrel(2))
        one.disconnect()

    @only(5)
    @pytest.mark.configuration("receive_maximum 2")
    def test_what_is_resent_does_not_count_twice(self, stage):
        one = interrupted(stage, 1, 2)
        say(one, publish(1, 2, True), publish(2, 2, True), Pubrel(1), Pubrel(2))
        one.send(publish(3, 2), publish(4, 2))
        say(one, Pubrel(3), Pubrel(4), Disconnect())

    @only(5)
    @pytest.mark.configuration("topic_alias_maximum 2")
    def test_aliases_end_with_their_connection_and_can_be_set_again(self, stage):
        for _ in range(2):
            one = stage.client()
            for topic in ("a", "", "b", ""):
                one.send(Publish(topic, b"", 1, False, False, 1, {TOPIC_ALIAS: 2}))
            one.drop()


class TestEndings:
    def test_disconnect_and_close_at_once(self, stage):
        one = stage.client()
        one.send(publish(1), Disconnect())
        one.drop()

    def test_no_disconnect_at_all(self, stage):
        stage.client().drop()

    def test_takeover_of_a_client_that_has_acknowledgements_to_send(self, stage):
        one, ids = subscriber(stage, 2, 1)
        stage.client("subscriber")
        say(one, Puback(ids[0]), Puback(ids[1]))
