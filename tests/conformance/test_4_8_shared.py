"""4.8.2 Shared Subscriptions."""

from itertools import chain

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.properties import (
    MESSAGE_EXPIRY_INTERVAL,
    RECEIVE_MAXIMUM,
    SUBSCRIPTION_IDENTIFIER,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription, Unsubscribe

MALFORMED, PROTOCOL_ERROR, TOPIC_FILTER_INVALID = 0x81, 0x82, 0x8F
BAD_FILTER = (MALFORMED, PROTOCOL_ERROR, TOPIC_FILTER_INVALID)
NO_SUBSCRIPTION_EXISTED = 0x11

SHARED = "$share/group/a/+"
five = pytest.mark.versions(5)


def members(connected, count, topic_filter=SHARED, listeners=1, **options):
    """So many clients that share a subscription, each with a session that is kept."""
    clients = []
    for place in range(count):
        one = connected(f"member {place}", kept=True, listener=place % listeners)
        assert one.subscribe(topic_filter, **{"qos": 2, **options}) == [options.get("qos", 2)]
        clients.append(one)
    return clients


def publish_all(publisher, count, qos=1, topic="a/b"):
    """Publish the numbers below `count`."""
    for place in range(count):
        publisher.publish(topic, bytes([place]), qos)


def payloads(clients):
    """What has come to each of them, as numbers."""
    return [[message.payload[0] for message in one.receive_messages()] for one in clients]


@five
class TestFilter:
    """What `$share/{ShareName}/{filter}` looks like."""

    @pytest.mark.statement("MQTT5-4.8.2-1", "MQTT5-4.8.2-2")
    @pytest.mark.parametrize(
        "topic_filter",
        [
            "$share/",
            "$share//",
            "$share//a",
            "$share/group",
            "$share/group/",
            "$share/+/a",
            "$share/#/a",
            "$share/gr+oup/a",
            "$share/gr#oup/a",
            "$share/#",
            "$share/+",
            "$share/group/a#",
            "$share/group/a/#/b",
            "$share/group/+a",
        ],
    )
    def test_a_bad_one_ends_the_connection_and_harms_nobody(self, connected, topic_filter):
        other, publisher = connected("other"), connected("publisher")
        other.subscribe("#", "$share/group/a/#", qos=1)
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription(topic_filter)]))
        assert subscriber.closed_with() in BAD_FILTER
        for topic in ("a", "group", "/"):
            assert publisher.publish(topic, b"x", 1).reason == 0
        assert len(other.receive_messages()) == 4  # `a` twice

    @pytest.mark.statement("MQTT5-4.8.2-2")
    def test_the_same_holds_for_unsubscribe(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(Unsubscribe(1, ["$share/group"]))
        assert subscriber.closed_with() in BAD_FILTER

    @pytest.mark.statement("MQTT5-3.8.3-4")
    def test_no_local_is_a_protocol_error(self, connected):
        subscriber = connected("subscriber")
        subscriber.send(Subscribe(1, [Subscription(SHARED, no_local=True)]))
        assert subscriber.closed_with() == PROTOCOL_ERROR

    @pytest.mark.parametrize(
        ("topic_filter", "topic"),
        [
            ("$share/g/a", "a"),
            ("$share/g/a/+", "a/b"),
            ("$share/g/#", "a/b/c"),
            ("$share/g//finance", "/finance"),
            ("$share/g//", "/"),
            ("$share/ /a", "a"),
            ("$share/\u6e29/a", "a"),
            ("$share/g/a/#", "a"),
            ("$share/$share/a", "a"),
        ],
    )
    def test_only_the_part_after_the_name_is_matched(self, connected, topic_filter, topic):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe(topic_filter, qos=1)
        publisher.publish(topic, b"x", 1)
        assert subscriber.receive_message().topic == topic
        subscriber.nothing()

    @pytest.mark.statement("MQTT5-4.7.2-1")
    @pytest.mark.configuration("sys_interval 10")
    def test_a_leading_wildcard_after_the_name_does_not_match_sys(self, connected, client):
        subscriber = connected("subscriber")
        subscriber.subscribe("$share/g/#", "$share/g/+/broker/uptime")
        client.site().advance(30)
        subscriber.nothing()

    def test_to_a_3_1_1_client_it_is_a_filter_like_others(self, connected, client):
        old = connected("old", version=4)
        new, publisher = connected("new"), connected("publisher")
        assert old.subscribe("$share/g/a", "$share/g", "$share//a", qos=1) == [1, 1, 1]
        new.subscribe("$share/g/a", qos=1)
        for _ in range(3):
            publisher.publish("a", b"x", 1)
        assert len(new.receive_messages()) == 3
        old.nothing()
        assert client.site().context.tree.count == 4

    def test_a_session_may_go_from_one_meaning_to_the_other(self, connected, client):
        connected("one", kept=True, version=4).subscribe("$share/g/a")
        one = connected("one", kept=True)
        one.subscribe("$share/g/a")
        connected("publisher").publish("a", b"x")
        assert one.receive_message().payload == b"x"
        assert client.site().context.tree.count == 1
        assert one.unsubscribe("$share/g/a").reasons == [0]
        assert client.site().context.tree._root.empty


@five
class TestWhoGetsWhat:
    """Each message that matches goes to one session of each Shared Subscription."""

    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.parametrize("listeners", [1, 2])
    def test_each_message_to_one_and_all_in_turn(self, connected, qos, listeners):
        clients = members(connected, 3, listeners=listeners)
        publish_all(connected("publisher"), 9, qos)
        received = payloads(clients)
        assert sorted(chain(*received)) == list(range(9))
        assert [len(one) for one in received] == [3, 3, 3]
        assert all(one == sorted(one) for one in received)

    def test_one_of_each_group_and_everyone_who_does_not_share(self, connected):
        one = members(connected, 2, "$share/one/a/+")
        other, plain = connected("other"), connected("plain")
        other.subscribe("$share/other/a/+", qos=1)
        plain.subscribe("a/+", qos=1)
        publish_all(connected("publisher"), 4)
        assert sorted(chain(*payloads(one))) == [0, 1, 2, 3]
        assert payloads([other, plain]) == [[0, 1, 2, 3]] * 2

    def test_groups_of_the_same_name_with_other_filters_are_others(self, connected):
        one, other = connected("one"), connected("other")
        one.subscribe("$share/group/a/+", qos=1)
        other.subscribe("$share/group/a/b", qos=1)
        publish_all(connected("publisher"), 3)
        assert payloads([one, other]) == [[0, 1, 2]] * 2

    def test_a_client_with_a_shared_and_a_plain_one_gets_two_copies(self, connected):
        one = connected("one")
        one.subscribe("a/b", qos=1, identifier=1)
        one.subscribe(SHARED, qos=2, identifier=2)
        connected("publisher").publish("a/b", b"x", 2)
        found = [one.receive_message() for _ in range(2)]
        assert sorted(
            (message.qos, message.properties[SUBSCRIPTION_IDENTIFIER]) for message in found
        ) == [(1, [1]), (2, [2])]
        one.nothing()

    def test_the_publisher_may_be_a_member(self, connected):
        (one,) = members(connected, 1)
        one.publish("a/b", b"x", 1)
        assert one.receive_message().payload == b"x"

    @pytest.mark.statement("MQTT5-4.8.2-3")
    def test_the_granted_qos_of_each_member_is_respected(self, connected):
        clients = []
        for qos in (0, 1, 2):
            clients.append(connected(f"member {qos}"))
            clients[-1].subscribe(SHARED, qos=qos)
        publish_all(connected("publisher"), 9, 2)
        for qos, one in enumerate(clients):
            assert [message.qos for message in one.receive_messages()] == [qos] * 3

    def test_only_the_identifier_of_the_receiver_is_sent(self, connected):
        clients = [connected(f"member {place}") for place in range(3)]
        clients[0].subscribe(SHARED, identifier=1)
        clients[1].subscribe(SHARED, identifier=2)
        clients[2].subscribe(SHARED)
        publish_all(connected("publisher"), 6)
        for one, expected in zip(clients, ([1], [2], None), strict=True):
            for message in one.receive_messages():
                assert (message.properties or {}).get(SUBSCRIPTION_IDENTIFIER) == expected

    @pytest.mark.statement("MQTT5-3.3.1-12", "MQTT5-3.3.1-13")
    @pytest.mark.parametrize("retain_as_published", [False, True])
    def test_retain_as_published_counts_here_too(self, connected, retain_as_published):
        (one,) = members(connected, 1, retain_as_published=retain_as_published)
        connected("publisher").publish("a/b", b"x", retain=True)
        assert one.receive_message().retain is retain_as_published

    @pytest.mark.parametrize("retain_handling", [0, 1, 2])
    def test_retained_messages_are_never_sent(self, connected, retain_handling):
        connected("publisher").publish("a/b", b"kept", 1, retain=True)
        for one in members(connected, 2, retain_handling=retain_handling):
            one.subscribe(SHARED, retain_handling=retain_handling)
            one.nothing()

    def test_members_with_a_connection_come_first(self, connected):
        clients = members(connected, 3)
        clients[1].drop()
        publish_all(connected("publisher"), 6)
        assert sorted(chain(*payloads([clients[0], clients[2]]))) == list(range(6))
        connected("member 1", kept=True).nothing()

    def test_without_any_they_wait_in_a_session(self, connected):
        for one in members(connected, 2):
            one.drop()
        publish_all(connected("publisher"), 4)
        back = [connected(f"member {place}", kept=True) for place in range(2)]
        assert sorted(chain(*payloads(back))) == [0, 1, 2, 3]


@five
class TestJoiningAndLeaving:
    """A Shared Subscription lasts as long as a session is subscribed to it."""

    def test_a_second_subscribe_replaces_and_does_not_count_twice(self, connected):
        one, other = members(connected, 2)
        assert one.subscribe(SHARED, qos=1, identifier=5) == [1]
        publish_all(connected("publisher"), 6, 2)
        found = one.receive_messages()
        assert [(each.qos, each.properties) for each in found] == [
            (1, {SUBSCRIPTION_IDENTIFIER: [5]})
        ] * 3
        assert len(other.receive_messages()) == 3

    @pytest.mark.statement("MQTT5-3.10.4-1", "MQTT5-3.10.4-2")
    def test_it_leaves_with_its_first_unsubscribe(self, connected):
        one, other = members(connected, 2)
        one.subscribe(SHARED)
        assert one.unsubscribe("a/+").reasons == [NO_SUBSCRIPTION_EXISTED]
        assert one.unsubscribe("$share/another/a/+").reasons == [NO_SUBSCRIPTION_EXISTED]
        assert one.unsubscribe(SHARED).reasons == [0]
        assert one.unsubscribe(SHARED).reasons == [NO_SUBSCRIPTION_EXISTED]
        publish_all(connected("publisher"), 4)
        assert payloads([one, other]) == [[], [0, 1, 2, 3]]

    def test_it_survives_the_session_that_made_it(self, connected):
        one, other = members(connected, 2)
        one.unsubscribe(SHARED)
        one.disconnect()
        publish_all(connected("publisher"), 2)
        assert payloads([other]) == [[0, 1]]

    def test_it_ends_with_the_last_member(self, connected, client):
        for one in members(connected, 2):
            one.unsubscribe(SHARED)
        publisher = connected("publisher")
        assert publisher.publish("a/b", b"x", 1).reason == 0x10  # no matching subscribers
        assert client.site().context.tree._root.empty

    def test_what_a_client_has_not_acknowledged_when_it_unsubscribes_stays_its_own(self, connected):
        one, other = members(connected, 2)
        publish_all(connected("publisher"), 2, 1)
        sent = one.receive(Publish)
        one.unsubscribe(SHARED)
        one.drop()
        one = connected("member 0", kept=True)
        again = one.receive_message()
        assert (again.packet_id, again.payload, again.dup) == (sent.packet_id, sent.payload, True)
        assert len(other.receive_messages()) == 1


@five
class TestUndelivered:
    """What becomes of a message that its member has not acknowledged."""

    def in_flight(self, connected, qos, properties=None):
        """Two members; both have one message each that is not acknowledged."""
        one, other = members(connected, 2, qos=qos)
        publisher = connected("publisher")
        for _ in range(2):
            publisher.publish("a/b", b"x", qos, properties=properties)
        return one, other, one.receive(Publish), other.receive(Publish)

    @pytest.mark.statement("MQTT5-4.8.2-4")
    def test_qos_2_is_completed_when_the_member_reconnects(self, connected):
        one, other, sent, _ = self.in_flight(connected, 2)
        one.drop()
        one = connected("member 0", kept=True)
        again = one.receive(Publish)
        assert (again.packet_id, again.dup) == (sent.packet_id, True)
        one.send(Pubrec(again.packet_id))
        assert one.receive(Pubrel).packet_id == sent.packet_id
        one.drop()
        one = connected("member 0", kept=True)
        assert one.receive(Pubrel).packet_id == sent.packet_id
        one.send(Pubcomp(sent.packet_id))
        one.nothing()
        other.nothing()

    @pytest.mark.statement("MQTT5-4.8.2-5")
    @pytest.mark.parametrize("received", [False, True])
    def test_qos_2_goes_to_no_other_member_when_the_session_ends(self, connected, client, received):
        one, other, sent, _ = self.in_flight(connected, 2)
        if received:
            one.send(Pubrec(sent.packet_id))
            one.receive(Pubrel)
        one.drop()
        client.site().advance(1000)
        other.nothing()

    def test_qos_1_waits_for_the_member_while_its_session_lasts(self, connected, client):
        one, other, sent, _ = self.in_flight(connected, 1)
        one.drop()
        client.site().advance(999)
        other.nothing()
        assert connected("member 0", kept=True).receive(Publish).packet_id == sent.packet_id

    @pytest.mark.statement("U5-4.8.2-2")
    def test_qos_1_goes_to_another_member_when_the_session_ends(self, connected, client):
        one, other, _, other_sent = self.in_flight(connected, 1)
        one.drop()
        client.site().advance(1000)
        passed_on = other.receive(Publish)
        assert (passed_on.payload, passed_on.qos, passed_on.dup) == (b"x", 1, False)
        assert passed_on.packet_id != other_sent.packet_id
        other.acknowledge(passed_on)
        other.nothing()

    @pytest.mark.statement("U5-4.8.2-2")
    def test_so_it_does_when_a_clean_start_ends_the_session(self, connected):
        one, other, _, _ = self.in_flight(connected, 1)
        one.drop()
        connected("member 0").nothing()
        assert other.receive(Publish).payload == b"x"

    @pytest.mark.statement("U5-4.8.2-2")
    def test_so_it_does_to_a_member_on_another_listener(self, connected, client):
        one, other = members(connected, 2, listeners=2)
        publish_all(connected("publisher"), 2)
        one.receive(Publish)
        other.receive_message()
        one.drop()
        client.site().advance(1000)
        assert len(other.receive_messages()) == 1

    @pytest.mark.parametrize("qos", [1, 2])
    def test_what_was_not_sent_yet_goes_to_another_member(self, connected, client, qos):
        one = connected("one", kept=True, properties={RECEIVE_MAXIMUM: 1})
        one.subscribe(SHARED, qos=qos)
        publish_all(connected("publisher"), 3, qos)
        assert one.receive(Publish).payload == b"\x00"
        (other,) = members(connected, 1)
        one.drop()
        client.site().advance(1000)
        assert payloads([other]) == [[0, 1, 2] if qos == 1 else [1, 2]]

    def test_with_the_qos_that_was_granted_to_that_member(self, connected, client):
        one, other, _, _ = self.in_flight(connected, 1)
        other.subscribe(SHARED, qos=0)
        one.drop()
        client.site().advance(1000)
        assert other.receive(Publish).qos == 0

    @pytest.mark.statement("MQTT5-3.3.2-5")
    def test_not_once_it_has_expired(self, connected, client):
        properties = {MESSAGE_EXPIRY_INTERVAL: 999}
        one, other, _, _ = self.in_flight(connected, 1, properties=properties)
        one.drop()
        client.site().advance(1000)
        other.nothing()

    def test_nowhere_when_no_member_is_left(self, connected, client):
        (one,) = members(connected, 1)
        publish_all(connected("publisher"), 2)
        one.drop()
        client.site().advance(1000)
        (other,) = members(connected, 1)
        other.nothing()

    @pytest.mark.statement("MQTT5-4.8.2-6")
    @pytest.mark.parametrize(("qos", "answer"), [(1, Puback), (2, Pubrec)])
    def test_what_a_member_refuses_goes_to_no_other(self, connected, client, qos, answer):
        one, other, sent, _ = self.in_flight(connected, qos)
        one.send(answer(sent.packet_id, 0x83))
        one.nothing()
        other.nothing()
        one.drop()
        client.site().advance(1000)
        other.nothing()
