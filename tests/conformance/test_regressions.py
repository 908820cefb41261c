"""Bugs that other brokers and clients keep having, a short test for each.

Most are tested at length beside the section they belong to; here the list is complete.
"""

import socket

import pytest

from formats.mqtt.acks import Puback, Pubrec, Pubrel
from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Will
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import (
    MAXIMUM_PACKET_SIZE,
    MESSAGE_EXPIRY_INTERVAL,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY_INTERVAL,
    SUBSCRIPTION_IDENTIFIER,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    WILL_DELAY_INTERVAL,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.harness.site import Site
from tests.wire.notation import wire_bytes

ONLY_5 = pytest.mark.versions(5)
PROTOCOL_ERROR = 0x82


def closed(version, reason):
    return reason if version == 5 else None


class TestMistakesOfTheOldBroker:
    """One test each, in the order in which they were found."""

    def test_half_a_packet_of_one_client_blocks_nobody(self, client, connected):
        half = client()
        half.send("10 20 00 04")
        one = connected("c")
        one.subscribe("a")
        one.publish("a", b"x")
        assert one.receive(Publish).payload == b"x"

    def test_an_idle_connection_does_not_block_a_tls_listener(self, pki):
        site = Site("tls", pki=pki)
        try:
            with socket.create_connection(("127.0.0.1", site.broker.ports[0]), 10):
                assert site.client().connect("c").reason == 0
        finally:
            site.close()

    def test_a_share_without_a_filter_does_not_kill_publishers(self, connected, version):
        sharer, publisher = connected("sharer"), connected("publisher")
        sharer.send(Subscribe(1, [Subscription("$share/g", 0)]))
        if version == 5:
            assert sharer.closed_with() == PROTOCOL_ERROR
        else:  # a filter like any other
            assert isinstance(sharer.receive(), Suback)
        publisher.subscribe("a", qos=1)
        publisher.publish("a", b"x", 1)
        assert publisher.receive_message().payload == b"x"

    @ONLY_5
    @pytest.mark.parametrize("qos", [1, 2])
    def test_delivery_does_not_stall_after_twice_the_receive_maximum(self, connected, qos):
        one = connected("c", properties={RECEIVE_MAXIMUM: 2})
        other = connected("other")
        one.subscribe("a", qos=2)
        for number in range(11):
            other.publish("a", bytes([number]), qos)
        assert [one.receive_message().payload[0] for _ in range(11)] == list(range(11))

    def test_after_a_protocol_error_the_client_is_gone_and_its_will_sent(self, client, connected):
        watcher = connected("watcher")
        watcher.subscribe("will")
        one = connected("c", will=Will("will", b"gone"))
        one.send("00 00")
        one.closed_with()
        assert watcher.receive(Publish).payload == b"gone"
        assert len(client.site().context.registry) == 1

    def test_topics_and_ids_that_are_not_ascii_stay_what_they_are(self, client, connected):
        one = connected("Zoë 屋")
        one.subscribe("é/+")
        one.publish("é/😀", b"x")
        assert one.receive(Publish).topic == "é/😀"
        assert "Zoë 屋" in client.site().context.registry

    def test_plus_matches_an_empty_level(self, connected):
        one = connected("c")
        one.subscribe("a/+/b", "+/x")
        one.publish("a//b", b"1")
        one.publish("/x", b"2")
        assert [one.receive(Publish).payload for _ in range(2)] == [b"1", b"2"]

    @ONLY_5
    def test_acknowledgements_may_have_properties(self, connected):
        one = connected("c")
        one.subscribe("a", qos=2)
        properties = {REASON_STRING: "why", USER_PROPERTY: [("a", "b")]}
        for qos, kind in ((1, Puback), (2, Pubrec)):
            one.publish("a", b"x", qos)
            message = one.receive(Publish)
            one.send(kind(message.packet_id, 0, properties))
        assert one.receive(Pubrel).packet_id == message.packet_id

    @ONLY_5
    def test_a_pubrec_with_an_error_gets_no_pubrel(self, connected):
        one = connected("c")
        one.subscribe("a", qos=2)
        one.publish("a", b"x", 2)
        one.send(Pubrec(one.receive(Publish).packet_id, 0x97))
        one.nothing()

    @ONLY_5
    def test_disconnect_with_0x04_sends_the_will(self, connected):
        watcher, one = connected("watcher"), connected("c", will=Will("will", b"x"))
        watcher.subscribe("will")
        one.disconnect(0x04)
        assert watcher.receive(Publish).payload == b"x"

    def test_auth_does_not_crash_anything(self, connected, version):
        watcher, one = connected("watcher"), connected("c")
        one.send("f0 00")
        assert one.closed_with() == (PROTOCOL_ERROR if version == 5 else None)
        watcher.nothing()

    @ONLY_5
    def test_retained_expiry_counts_time_and_not_deliveries(self, client, connected):
        one = connected("c")
        one.publish("a", b"x", 1, True, {MESSAGE_EXPIRY_INTERVAL: 100})
        for _ in range(3):
            one.subscribe("a")
            assert one.receive(Publish).properties == {MESSAGE_EXPIRY_INTERVAL: 100}
        client.site().advance(30)
        one.subscribe("a")
        assert one.receive(Publish).properties == {MESSAGE_EXPIRY_INTERVAL: 70}

    def test_a_large_suback_is_sent(self, connected):
        one = connected("c")
        assert one.subscribe(*(f"a/{number}" for number in range(2_000)), qos=1) == [1] * 2_000

    def test_several_packets_at_once_are_all_taken(self, connected):
        """In one segment, TLS record or WebSocket frame; for its ping see test_6_websocket."""
        one = connected("c")
        one.send(*[Pingreq()] * 100)
        assert [one.receive() for _ in range(100)] == [Pingresp()] * 100

    @pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
    def test_small_packets_leave_at_once(self, transport, pki):
        site = Site(transport, pki=pki)
        try:
            site.client().connect("c")
            (listener,) = site.broker._listeners
            (stream,) = listener._open
            assert stream._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            site.close()

    def test_descriptors_above_1024_work(self):
        """Clients are limited by the system, not by select()."""
        resource = pytest.importorskip("resource")
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1_600:
            pytest.skip("the system allows too few descriptors")
        site = Site("tcp")
        try:
            clients = [site.client() for _ in range(600)]
            clients[-1].connect("last")
            clients[-1].nothing()
            (listener,) = site.broker._listeners
            assert max(stream._sock.fileno() for stream in listener._open) > 1_024
        finally:
            site.close()

    @pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
    def test_packets_on_their_way_do_not_eat_the_reason_code(self, transport, pki):
        """Half-close, drain, close: an immediate close would turn them into a reset."""
        site = Site(transport, pki=pki)
        try:
            one = site.client()
            one.connect("c")
            one.send("00 00")
            for _ in range(20):
                one.send(Publish("a", bytes(50_000)))
            assert one.closed_with() == 0x81
        finally:
            site.close()


class TestArrival:
    def test_length_bytes_that_are_split(self, connected, version):
        one = connected("c")
        one.subscribe("a")
        packet = encode(Publish("a", bytes(20_000)), version)
        for place in range(4):
            one.send(packet[place : place + 1])
        one.send(packet[4:] + encode(Pingreq(), version))
        assert len(one.receive_skipping(Publish).payload) == 20_000
        assert one.receive() == Pingresp()

    @pytest.mark.versions(4, 5)
    @pytest.mark.parametrize("flags", ["82", "06", "c2"])
    def test_flags_that_are_set_with_the_field_missing(self, client, version, flags):
        one = client()
        properties = "[]" if version == 5 else ""
        one.send(wire_bytes(f'10 .. "MQTT" {version:02x} {flags} 0000 {properties} "c"'))
        assert [packet.reason for packet in one.wait_closed()] == ([0x81] if version == 5 else [])

    @pytest.mark.parametrize("name", ["MQTX", "mqtt", "MQIsdq"])
    def test_a_wrong_protocol_name_is_answered(self, client, name):
        one = client(version=4)
        one.send(wire_bytes(f'10 .. "{name}" 04 02 0000 "c"'))
        assert one.wait_closed() == [Connack(False, 1)]

    def test_keep_alive_while_a_large_packet_is_arriving(self, client, connected, version):
        one = connected("c", keep_alive_s=10)
        packet = encode(Publish("a", bytes(10_000)), version)
        for pos in range(0, len(packet), 1_000):
            one.send(packet[pos : pos + 1_000])
            client.site().advance(9)
        one.fence()

    @ONLY_5
    def test_maximum_packet_size_0(self, client):
        one = client()
        assert one.connect("c", properties={MAXIMUM_PACKET_SIZE: 0}).reason == PROTOCOL_ERROR
        assert one.wait_closed() == []

    @ONLY_5
    def test_a_reason_string_does_not_break_the_limit_of_its_receiver(self, connected):
        one = connected("c", properties={MAXIMUM_PACKET_SIZE: 20})
        one.send("30 06 0003 612f23 00")  # a topic name with a wildcard
        assert one.wait_closed() == [Disconnect(PROTOCOL_ERROR)]


class TestSessions:
    @ONLY_5
    def test_receive_maximum_after_a_reconnect(self, connected):
        publisher = connected("publisher")
        limits = {RECEIVE_MAXIMUM: 1}
        one = connected("c", kept=True, properties=limits)
        one.subscribe("a", qos=1)
        for number in range(3):
            publisher.publish("a", bytes([number]), 1)
        assert one.receive(Publish).payload == b"\0"
        one.drop()
        again = connected("c", kept=True, properties=limits)
        first = again.receive(Publish)
        assert (first.payload, first.dup) == (b"\0", True)
        again.nothing()
        again.acknowledge(first)
        assert [again.receive_message().payload for _ in range(2)] == [b"\1", b"\2"]

    def test_takeover_tells_the_old_connection(self, client, connected, version):
        first = connected("c")
        second = client(listener=1)
        assert second.connect("c").reason == 0
        assert first.closed_with() == closed(version, 0x8E)
        second.nothing()

    @ONLY_5
    def test_a_will_delay_ends_with_the_session(self, connected):
        watcher = connected("watcher")
        watcher.subscribe("will")
        one = connected("c", will=Will("will", b"x", properties={WILL_DELAY_INTERVAL: 1_000}))
        one.drop()
        assert watcher.receive(Publish).payload == b"x"

    @ONLY_5
    def test_a_will_delay_is_shortened_by_session_expiry(self, client, connected):
        watcher = connected("watcher")
        watcher.subscribe("will")
        one = connected(
            "c",
            properties={SESSION_EXPIRY_INTERVAL: 10},
            will=Will("will", b"x", properties={WILL_DELAY_INTERVAL: 1_000}),
        )
        one.drop()
        client.site().advance(9)
        watcher.nothing()
        client.site().advance(2)
        assert watcher.receive(Publish).payload == b"x"

    def test_a_will_may_be_retained(self, connected):
        connected("c", will=Will("will", b"x", 1, True)).drop()
        late = connected("late")
        late.subscribe("will")
        message = late.receive(Publish)
        assert (message.payload, message.retain) == (b"x", True)

    def test_a_takeover_publishes_the_will(self, client, connected):
        watcher = connected("watcher")
        watcher.subscribe("will")
        connected("c", will=Will("will", b"x"))
        client().connect("c")
        assert watcher.receive(Publish).payload == b"x"


class TestRetained:
    @pytest.mark.parametrize(
        ("topic_filter", "expected"),
        [
            ("a/+/b/#", {"a/1/b", "a/2/b", "a/2/b/c", "a//b"}),
            ("#", {"a/1/b", "a/2/b", "a/2/b/c", "a//b", "a/1/c", "b"}),
        ],
    )
    def test_every_match_is_sent(self, connected, topic_filter, expected):
        one = connected("c")
        for topic in ("a/1/b", "a/2/b", "a/2/b/c", "a//b", "a/1/c", "b"):
            one.publish(topic, b"x", 1, True)
        one.subscribe(topic_filter)
        assert {one.receive(Publish).topic for _ in expected} == expected
        one.nothing()

    @pytest.mark.configuration("max_queued_messages 10")
    @pytest.mark.parametrize("qos", [0, 1])
    def test_none_is_dropped_for_a_slow_reader(self, connected, version, qos):
        publisher = connected("publisher")
        for number in range(50):
            publisher.send(Publish(f"t/{number}", b"x", 1, True, packet_id=1))
            publisher.receive(Puback)
        limits = {RECEIVE_MAXIMUM: 1} if version == 5 else None
        slow = connected("slow", properties=limits)
        slow.subscribe("t/#", qos=qos)
        assert len({slow.receive_message().topic for _ in range(50)}) == 50

    @ONLY_5
    def test_they_have_the_subscription_identifier(self, connected):
        one = connected("c")
        one.publish("a", b"x", 1, True)
        one.subscribe("a", identifier=7)
        assert one.receive(Publish).properties == {SUBSCRIPTION_IDENTIFIER: [7]}


@ONLY_5
class TestAliases:
    @pytest.mark.configuration("topic_alias_maximum 5")
    def test_that_of_the_publisher_is_not_passed_on(self, connected):
        subscriber, publisher = connected("subscriber"), connected("publisher")
        subscriber.subscribe("#")
        publisher.publish("a", b"1", properties={TOPIC_ALIAS: 3})
        publisher.publish("", b"2", properties={TOPIC_ALIAS: 3})
        for payload in (b"1", b"2"):
            assert subscriber.receive(Publish) == Publish("a", payload)

    @pytest.mark.configuration("topic_alias_maximum 5")
    def test_that_of_an_older_connection_stands_for_nothing(self, connected):
        first = connected("c", kept=True)
        first.publish("a", b"1", properties={TOPIC_ALIAS: 3})
        first.drop()
        again = connected("c", kept=True)
        again.send(Publish("", b"2", properties={TOPIC_ALIAS: 3}))
        assert again.closed_with() == PROTOCOL_ERROR

    def test_the_broker_begins_again_after_a_reconnect(self, connected):
        limits = {TOPIC_ALIAS_MAXIMUM: 5}
        publisher = connected("publisher")
        one = connected("c", kept=True, properties=limits)
        one.subscribe("a")
        publisher.publish("a", b"1")
        assert one.receive(Publish).topic == "a"
        one.drop()
        again = connected("c", kept=True, properties=limits)
        publisher.publish("a", b"2")
        message = again.receive(Publish)
        assert (message.topic, message.properties) == ("a", {TOPIC_ALIAS: 1})


class TestSlowAndShared:
    def test_a_frozen_reader_does_not_grow_memory(self):
        site = Site("tcp", "max_connection_output_bytes 65536")
        try:
            frozen, sender = site.client(), site.client()
            frozen.connect("frozen")
            frozen.subscribe("t")
            sender.connect("sender")
            for _ in range(200):
                sender.publish("t", bytes(100_000))
            (session,) = (one for one in site.context.registry.all() if one.client_id == "frozen")
            assert session.connection.transport.unsent <= 65_536 + 200_000
        finally:
            site.close()

    @ONLY_5
    def test_no_local_does_not_go_with_a_shared_subscription(self, connected):
        one = connected("c")
        one.send(Subscribe(1, [Subscription("$share/g/a", 1, True)]))
        assert one.closed_with() == PROTOCOL_ERROR

    @ONLY_5
    def test_what_a_leaving_member_has_not_acknowledged_goes_to_another(self, connected):
        members = {name: connected(name) for name in ("one", "two")}
        publisher = connected("publisher")
        for member in members.values():
            member.subscribe("$share/g/a", qos=1)
        for number in range(4):
            publisher.publish("a", bytes([number]), 1)
        mine = [members["one"].receive(Publish).payload for _ in range(2)]
        members["one"].drop()
        others = [members["two"].receive_message().payload for _ in range(4)]
        assert set(mine) < set(others)
        assert sorted(others) == [b"\0", b"\1", b"\2", b"\3"]
        members["two"].nothing()
