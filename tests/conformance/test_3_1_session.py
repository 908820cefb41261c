"""3.1.2.4 Clean Start, 3.1.2.11.2 Session Expiry Interval, 3.1.4 takeover, 4.1 Session State."""

import pytest

from formats.mqtt.acks import Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import SESSION_EXPIRY_INTERVAL
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription

TAKEN_OVER = 0x8E
NEVER = 0xFFFFFFFF


def expiry(version, interval=3600):
    """CONNECT properties that keep a session; 3.x has its clean session flag alone."""
    return {SESSION_EXPIRY_INTERVAL: interval} if version == 5 else None


def keep(one, client_id="client", interval=3600, **options):
    """CONNECT for a session that outlives its connection."""
    return one.connect(
        client_id, clean_start=False, properties=expiry(one.version, interval), **options
    )


class TestCleanStart:
    """3.1.2.4: Clean Start, which is Clean Session in 3.x"""

    @pytest.mark.statement("MQTT5-3.1.2-6", "MQTT3-3.1.2-4", "MQTT3-3.2.2-3", "MQTT5-3.2.2-3")
    def test_clean_start_0_without_a_session_makes_one(self, client):
        first = client()
        connack = keep(first)
        assert (connack.reason, connack.session_present) == (0, False)

    @pytest.mark.statement(
        "MQTT5-3.1.2-5", "MQTT5-3.1.2-23", "MQTT5-3.2.2-3", "MQTT3-3.1.2-4", "MQTT3-3.2.2-2"
    )
    def test_clean_start_0_goes_on_with_the_session(self, client, version):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=1)
        first.disconnect()
        again = client()
        connack = keep(again)
        # Byte 1 of the CONNACK of 3.1 is reserved.
        assert (connack.reason, connack.session_present) == (0, version != 3)
        publisher.connect("publisher")
        publisher.publish("t", b"x", 1)
        assert again.receive_message().payload == b"x"

    @pytest.mark.statement(
        "MQTT5-3.1.2-4", "MQTT5-3.1.4-4", "MQTT5-3.2.2-2", "MQTT3-3.1.2-6", "MQTT3-3.1.4-3",
        "MQTT3-3.2.2-1",
    )  # fmt: skip
    def test_clean_start_1_discards_the_session(self, client, version):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=1)
        first.disconnect()
        publisher.connect("publisher")
        publisher.publish("t", b"of the old session", 1)
        fresh = client()
        connack = fresh.connect("client", clean_start=True, properties=expiry(version))
        assert (connack.reason, connack.session_present) == (0, False)
        publisher.publish("t", b"nobody subscribes now", 1)
        fresh.nothing()

    @pytest.mark.versions(3, 4)
    @pytest.mark.statement("MQTT3-3.1.2-6")
    def test_session_of_clean_session_1_ends_with_its_connection(self, client):
        first = client()
        first.connect("client", clean_start=True)
        first.subscribe("t", qos=1)
        first.disconnect()
        again = client()
        connack = keep(again)
        assert not connack.session_present
        again.publish("t", b"nobody subscribes now", 1)
        again.nothing()

    @pytest.mark.versions(5)
    def test_session_of_clean_start_1_may_be_kept(self, client):
        first = client()
        first.connect("client", clean_start=True, properties=expiry(5))
        first.disconnect()
        again = client()
        assert keep(again).session_present

    def test_every_version_goes_on_with_the_session_of_another(self, client):
        for place, version in enumerate((3, 4, 5, 4, 3, 5, 3)):
            one = client(version=version)
            connack = keep(one)
            assert connack.session_present == (place > 0 and version != 3)
            if not place:
                one.subscribe("t", qos=1)
            publisher = client()
            publisher.connect("publisher")
            publisher.publish("t", b"x", 1)
            assert one.receive_message().payload == b"x"
            one.disconnect()


class TestSessionExpiry:
    """3.1.2.11.2, and 3.14.2.2.2"""

    pytestmark = pytest.mark.versions(5)

    @pytest.mark.statement("MQTT5-4.1.0-2")
    @pytest.mark.parametrize("properties", [None, {SESSION_EXPIRY_INTERVAL: 0}])
    def test_0_ends_the_session_with_its_connection(self, client, properties):
        first = client()
        first.connect("client", clean_start=False, properties=properties)
        first.drop()
        assert "client" not in client.site().context.registry
        again = client()
        assert not keep(again).session_present

    @pytest.mark.statement("MQTT5-3.1.2-23")
    def test_session_is_there_until_the_interval_has_passed(self, client):
        first = client()
        keep(first, interval=60)
        first.drop()
        client.site().advance(59.9)
        again = client()
        assert keep(again).session_present

    @pytest.mark.statement("MQTT5-4.1.0-2")
    def test_session_is_gone_once_the_interval_has_passed(self, client):
        first = client()
        keep(first, interval=60)
        first.subscribe("t", qos=1)
        first.drop()
        client.site().advance(60)
        assert "client" not in client.site().context.registry
        again = client()
        assert not keep(again).session_present
        again.publish("t", b"nobody subscribes now", 1)
        again.nothing()

    def test_interval_starts_anew_with_each_end_of_a_connection(self, client):
        for _ in range(3):
            one = client()
            keep(one, interval=60)
            one.drop()
            client.site().advance(40)
        again = client()
        assert keep(again).session_present

    @pytest.mark.statement("MQTT5-4.1.0-1", "MQTT3-4.1.0-2")
    def test_session_does_not_expire_while_it_is_connected(self, client):
        first = client()
        keep(first, interval=60)
        first.drop()
        client.site().advance(30)
        again = client()
        keep(again, interval=60)
        again.subscribe("t")
        client.site().advance(1_000)
        again.publish("t", b"x")
        assert again.receive(Publish).payload == b"x"

    def test_interval_of_the_latest_connection_counts(self, client):
        first, second = client(), client()
        keep(first, interval=3600)
        first.drop()
        keep(second, interval=10)
        second.drop()
        client.site().advance(10)
        assert "client" not in client.site().context.registry

    def test_greatest_interval_never_passes(self, client):
        first = client()
        keep(first, interval=NEVER)
        first.drop()
        client.site().advance(NEVER + 1.0)
        again = client()
        assert keep(again).session_present

    def test_greatest_but_one_does(self, client):
        first = client()
        keep(first, interval=NEVER - 1)
        first.drop()
        client.site().advance(NEVER - 1.0)
        assert "client" not in client.site().context.registry

    @pytest.mark.parametrize(("before", "after"), [(60, 10), (10, 60), (60, 0), (10, NEVER)])
    def test_disconnect_may_change_it(self, client, before, after):
        one = client()
        keep(one, interval=before)
        one.disconnect(0, {SESSION_EXPIRY_INTERVAL: after})
        if after:
            client.site().advance(min(after, 1e6) - 1)
            assert "client" in client.site().context.registry
        client.site().advance(1)
        assert ("client" in client.site().context.registry) == (after == NEVER)

    def test_disconnect_without_it_leaves_it_as_it_was(self, client):
        one = client()
        keep(one, interval=60)
        one.disconnect()
        client.site().advance(59)
        assert "client" in client.site().context.registry

    @pytest.mark.statement("U5-3.14.2.2.2-2", "U5-3.14.2.2.2-3")
    def test_disconnect_may_not_change_it_from_0(self, client):
        one = client()
        one.connect("client")
        one.send(Disconnect(0, {SESSION_EXPIRY_INTERVAL: 60}))
        assert one.closed_with() == 0x82
        assert "client" not in client.site().context.registry

    def test_disconnect_may_say_0_after_0(self, client):
        one = client()
        one.connect("client")
        one.send(Disconnect(0, {SESSION_EXPIRY_INTERVAL: 0}))
        assert one.closed_with() is None

    @pytest.mark.configuration("max_session_expiry_interval 100")
    @pytest.mark.parametrize(
        ("wanted", "granted"), [(99, None), (100, None), (101, 100), (NEVER, 100)]
    )
    def test_connack_says_what_the_interval_is_capped_to(self, client, wanted, granted):
        one = client()
        properties = keep(one, interval=wanted).properties or {}
        assert properties.get(SESSION_EXPIRY_INTERVAL) == granted
        one.drop()
        client.site().advance((granted or wanted) - 1)
        assert "client" in client.site().context.registry
        client.site().advance(1)
        assert "client" not in client.site().context.registry

    @pytest.mark.configuration("max_session_expiry_interval 100")
    def test_cap_holds_for_disconnect_too(self, client):
        one = client()
        keep(one, interval=10)
        one.disconnect(0, {SESSION_EXPIRY_INTERVAL: NEVER})
        client.site().advance(99)
        assert "client" in client.site().context.registry
        client.site().advance(1)
        assert "client" not in client.site().context.registry

    @pytest.mark.configuration("max_session_expiry_interval 0")
    def test_cap_of_0_does_not_make_a_change_illegal(self, client):
        one, wrong = client(), client()
        assert keep(one, interval=10).properties[SESSION_EXPIRY_INTERVAL] == 0
        one.send(Disconnect(0, {SESSION_EXPIRY_INTERVAL: 60}))
        assert one.closed_with() is None
        assert "client" not in client.site().context.registry
        wrong.connect("wrong")
        wrong.send(Disconnect(0, {SESSION_EXPIRY_INTERVAL: 60}))
        assert wrong.closed_with() == 0x82


class TestPersistentClientExpiration:
    """4.1 (3.1.1): how long a session of clean session 0 is kept is up to the server."""

    pytestmark = pytest.mark.versions(3, 4)

    @pytest.mark.statement("MQTT3-4.1.0-1")
    def test_session_is_kept_without_end(self, client, version):
        first = client()
        keep(first)
        first.drop()
        client.site().advance(1e9)
        again = client()
        assert keep(again).session_present == (version == 4)
        assert len(client.site().context.registry) == 1

    @pytest.mark.configuration("persistent_client_expiration 1d")
    def test_configuration_may_end_it(self, client):
        first = client()
        keep(first)
        first.drop()
        client.site().advance(86_399)
        assert "client" in client.site().context.registry
        client.site().advance(1)
        assert "client" not in client.site().context.registry


class TestTakeover:
    """3.1.4: a client id that is connected already"""

    @pytest.mark.statement("MQTT5-3.1.4-3", "MQTT3-3.1.4-2")
    @pytest.mark.parametrize("listener", [0, 1])
    @pytest.mark.parametrize("clean_start", [True, False])
    def test_older_connection_is_closed(self, client, version, listener, clean_start):
        old, new = client(), client(listener=listener)
        old.connect("client", clean_start=clean_start)
        assert new.connect("client", clean_start=clean_start).reason == 0
        assert old.closed_with() == (TAKEN_OVER if version == 5 else None)
        new.nothing()

    @pytest.mark.statement("MQTT5-3.1.4-3", "MQTT3-3.1.4-2")
    @pytest.mark.parametrize("listener", [0, 1])
    @pytest.mark.parametrize("newer", [3, 4, 5])
    def test_versions_do_not_matter(self, client, version, newer, listener):
        old, new = client(), client(newer, listener)
        keep(old)
        old.subscribe("t", qos=1)
        connack = keep(new)
        assert connack.session_present == (newer != 3)
        assert old.closed_with() == (TAKEN_OVER if version == 5 else None)
        new.publish("t", b"x", 1)
        assert new.receive_message().payload == b"x"

    @pytest.mark.parametrize("listener", [0, 1])
    def test_session_that_ends_with_the_old_connection_is_not_present(self, client, listener):
        old, new = client(), client(listener=listener)
        old.connect("client", clean_start=True)  # 5.0: Session Expiry Interval 0
        old.subscribe("t", qos=1)
        assert not keep(new).session_present
        new.publish("t", b"nobody subscribes now", 1)
        new.nothing()

    @pytest.mark.parametrize("listener", [0, 1])
    def test_clean_start_discards_the_session_that_is_connected(self, client, version, listener):
        old, new = client(), client(listener=listener)
        keep(old)
        old.subscribe("t", qos=1)
        connack = new.connect("client", clean_start=True, properties=expiry(version))
        assert not connack.session_present
        assert old.closed_with() == (TAKEN_OVER if version == 5 else None)
        new.publish("t", b"nobody subscribes now", 1)
        new.nothing()

    @pytest.mark.parametrize("listener", [0, 1])
    def test_unacknowledged_message_goes_out_again_on_the_new_connection(self, client, listener):
        old, new, publisher = client(), client(listener=listener), client()
        keep(old)
        old.subscribe("t", qos=1)
        publisher.connect("publisher")
        publisher.publish("t", b"x", 1)
        first = old.receive(Publish)
        keep(new)
        second = new.receive_message()
        assert (second.payload, second.packet_id, second.dup) == (b"x", first.packet_id, True)

    def test_sessions_wander_between_listeners(self, client):
        publisher = client()
        publisher.connect("publisher")
        one = client()
        keep(one)
        one.subscribe("t", qos=1)
        for place in range(6):
            following = client(listener=place % 2)
            keep(following)
            publisher.publish("t", b"%d" % place, 1)
            assert following.receive_message().payload == b"%d" % place
            one.wait_closed()
            one = following
        one.nothing()

    def test_many_connections_at_once_leave_one(self, client, version):
        rivals = [client(listener=place % 2) for place in range(8)]
        for one in rivals:
            one.send(Connect(version, "client", False, properties=expiry(version)))
        client.site().settle()
        assert all(one.receive(Connack).reason == 0 for one in rivals)
        [session] = client.site().context.registry.all()
        publisher = client()
        publisher.connect("publisher")
        assert session.connection is not None
        client.site().settle()
        ended = [one for one in rivals if self.is_closed(one)]
        assert len(ended) == 7

    def is_closed(self, one):
        """Whether a connection answers no more."""
        try:
            one.fence()
        except AssertionError:
            return True
        return False

    def test_expired_elsewhere_is_new_here(self, client):
        old, new = client(version=5), client(version=5, listener=1)
        keep(old, interval=10)
        old.drop()
        client.site().advance(10)
        assert not keep(new).session_present

    def test_session_that_moved_still_expires(self, client):
        old, new = client(version=5), client(version=5, listener=1)
        keep(old, interval=1_000)
        old.drop()
        keep(new, interval=10)
        new.drop()
        client.site().advance(9)
        assert "client" in client.site().context.registry
        client.site().advance(1)
        assert "client" not in client.site().context.registry


class TestSessionState:
    """4.1: what outlives a connection"""

    @pytest.mark.statement("MQTT3-3.1.2-5", "MQTT3-4.1.0-1", "MQTT5-3.1.2-23")
    def test_messages_of_qos_1_and_2_are_kept_meanwhile(self, client):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=2)
        first.drop()
        publisher.connect("publisher")
        for qos in (0, 1, 2):
            publisher.publish("t", b"%d" % qos, qos)
        again = client()
        keep(again)
        assert [again.receive_message().payload for _ in range(2)] == [b"1", b"2"]
        again.nothing()

    @pytest.mark.configuration("queue_qos0_messages true")
    @pytest.mark.statement("U311-3.1.2.4-1")
    def test_messages_of_qos_0_are_kept_where_the_configuration_says_so(self, client):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=2)
        first.drop()
        publisher.connect("publisher")
        publisher.publish("t", b"0", 0)
        again = client()
        keep(again)
        assert again.receive_message().payload == b"0"

    @pytest.mark.statement("MQTT3-4.1.0-1", "MQTT5-3.1.2-23")
    @pytest.mark.parametrize("qos", [1, 2])
    def test_message_that_is_not_acknowledged_is_kept(self, client, qos):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=2)
        publisher.connect("publisher")
        publisher.publish("t", b"x", qos)
        sent = first.receive(Publish)
        first.drop()
        again = client()
        keep(again)
        resent = again.receive_message()
        assert (resent.packet_id, resent.dup) == (sent.packet_id, True)
        again.nothing()

    @pytest.mark.statement("MQTT3-4.1.0-1", "MQTT5-3.1.2-23")
    def test_pubrel_that_is_not_answered_is_kept(self, client):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=2)
        publisher.connect("publisher")
        publisher.publish("t", b"x", 2)
        packet_id = first.receive(Publish).packet_id
        first.send(Pubrec(packet_id))
        first.receive(Pubrel)
        first.drop()
        again = client()
        keep(again)
        assert again.receive(Pubrel).packet_id == packet_id
        again.send(Pubcomp(packet_id))
        again.nothing()

    @pytest.mark.statement("MQTT3-4.1.0-1", "MQTT5-3.1.2-23")
    def test_qos_2_message_from_the_client_is_not_passed_on_twice(self, client):
        sender, receiver = client(), client()
        receiver.connect("receiver")
        receiver.subscribe("t", qos=2)
        keep(sender)
        sender.send(Publish("t", b"x", 2, packet_id=7))
        sender.receive(Pubrec)
        assert receiver.receive_message().payload == b"x"
        sender.drop()
        again = client()
        keep(again)
        again.send(Publish("t", b"x", 2, dup=True, packet_id=7))
        assert again.receive(Pubrec).packet_id == 7
        again.send(Pubrel(7))
        assert again.receive(Pubcomp).packet_id == 7
        receiver.nothing()

    @pytest.mark.versions(5)
    @pytest.mark.statement("MQTT5-3.1.2-23")
    def test_subscriptions_are_kept_with_all_their_options(self, client):
        first, publisher = client(), client()
        keep(first)
        first.send(
            Subscribe(
                1, [Subscription("t", 1, True, True, 0)], {0x0B: [7]}
            )  # No Local, as published
        )
        first.receive()
        first.drop()
        again = client()
        keep(again)
        again.publish("t", b"mine", 1)
        again.nothing()
        publisher.connect("publisher")
        publisher.publish("t", b"x", 1, retain=True)
        message = again.receive_message()
        assert message.retain
        assert message.properties[0x0B] == [7]

    @pytest.mark.statement("MQTT5-4.1.0-1", "MQTT3-4.1.0-2")
    def test_session_lasts_as_long_as_its_connection(self, client):
        one = client()
        one.connect("client")
        one.subscribe("t", qos=1)
        client.site().advance(1e8)
        one.publish("t", b"x", 1)
        assert one.receive_message().payload == b"x"

    @pytest.mark.statement("MQTT3-3.1.2-7", "U311-4.1-1")
    def test_retained_messages_do_not_end_with_the_session(self, client):
        publisher, reader = client(), client()
        publisher.connect("publisher", clean_start=True)
        publisher.publish("t", b"retained", 1, retain=True)
        publisher.disconnect()
        again = client()
        again.connect("publisher", clean_start=True)
        reader.connect("reader")
        reader.subscribe("t")
        assert reader.receive(Publish).payload == b"retained"

    @pytest.mark.statement("MQTT5-3.1.2-4", "MQTT3-3.1.2-6")
    def test_nothing_of_a_discarded_session_is_used_again(self, client, version):
        first, publisher = client(), client()
        keep(first)
        first.subscribe("t", qos=2)
        publisher.connect("publisher")
        publisher.publish("t", b"x", 1)
        first.receive(Publish)  # not acknowledged
        first.send(Publish("u", b"y", 2, packet_id=9))
        first.receive(Pubrec)
        first.drop()
        fresh = client()
        fresh.connect("client", clean_start=True, properties=expiry(version))
        fresh.nothing()
        fresh.subscribe("u", qos=0)
        fresh.send(Publish("u", b"z", 2, packet_id=9))  # another message with the same packet id
        fresh.receive_skipping(Pubrec)
        assert fresh.receive_skipping(Publish).payload == b"z"


class TestTransports:
    """4.2"""

    @pytest.mark.statement("MQTT5-4.2.0-1")
    def test_bytes_arrive_in_order_and_whole(self, client):
        one = client()
        one.connect("client")
        one.subscribe("t", qos=0)
        payloads = [bytes([place]) * (place * 997) for place in range(1, 40)]
        one.send(*(Publish("t", payload) for payload in payloads))
        assert [one.receive(Publish).payload for _ in payloads] == payloads
