"""What the next broker finds of what the last one held, after a stop and after a crash.

4.1 of 5.0 and 3.1.1 says what a session is; sessions and retained messages are what is kept.
"""

import pytest

from formats.mqtt.acks import Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Will
from formats.mqtt.publish import Publish
from persistence.database import Database, open_file
from persistence.records import MESSAGES, OUTGOING, RECEIVED, RETAINED, SESSIONS, SUBSCRIPTIONS
from persistence.rows import encode_row
from tests.durability.site import CRASHED, FILE, STOPPED

EXPIRY, SESSION_EXPIRY, WILL_DELAY, ALIAS = 0x02, 0x11, 0x18, 0x23


@pytest.fixture(params=(STOPPED, CRASHED))
def ending(request):
    return request.param


@pytest.fixture(params=(4, 5), ids=("3.1.1", "5.0"))
def version(request):
    return request.param


def kept(site, client_id, version=5, listener=0, **options):
    """A connected client with a session that outlives it; whether it was there in `present`."""
    client = site.client(version, listener)
    properties = {SESSION_EXPIRY: 3600, **options.pop("properties", {})} if version == 5 else None
    connack = client.connect(client_id, False, properties=properties, **options)
    assert connack.reason == 0
    client.present = connack.session_present
    return client


def publisher(site, version=5, listener=0):
    client = site.client(version, listener)
    client.connect(f"publisher {version}")
    return client


def payloads(client):
    return [message.payload for message in client.receive_messages()]


class TestRetained:
    def test_a_retained_message_is_there_with_its_properties(self, sites, ending):
        properties = {0x01: 1, 0x03: "text/plain", 0x09: b"\0\xff", 0x26: [("a", "1"), ("a", "2")]}
        publisher(sites()).publish("r/1", b"value", 1, True, properties)
        site = sites.next(ending)
        client = site.client()
        client.connect()
        client.subscribe("r/#")
        (message,) = client.receive_messages()
        assert (message.topic, message.payload, message.retain) == ("r/1", b"value", True)
        assert message.properties == properties

    @pytest.mark.statement("MQTT3-3.3.1-5", "MQTT5-3.3.1-5", "MQTT3-3.3.1-7")
    def test_the_last_one_counts_of_whatever_qos(self, sites, ending):
        site = sites()
        client = publisher(site)
        for qos in (2, 1, 0):
            client.publish("r", b"%d" % qos, qos, True)
        client.publish("gone", b"x", 1, True)
        client.publish("gone", b"", 1, True)
        site = sites.next(ending)
        reader = site.client()
        reader.connect()
        reader.subscribe("#")
        assert payloads(reader) == [b"0"]

    @pytest.mark.statement("MQTT5-3.3.2-5", "MQTT5-3.3.2-6")
    def test_its_expiry_counts_on_while_the_broker_is_down(self, sites, ending):
        client = publisher(sites())
        client.publish("r/short", b"x", 1, True, {EXPIRY: 30})
        client.publish("r/long", b"x", 1, True, {EXPIRY: 100})
        site = sites.next(ending, down_s=40)
        reader = site.client()
        reader.connect()
        reader.subscribe("r/#")
        (message,) = reader.receive_messages()
        assert message.topic == "r/long"
        assert message.properties == {EXPIRY: 60}

    def test_what_the_broker_says_of_itself_is_not_kept(self, sites):
        site = sites("sys_interval 10")
        publisher(site).publish("own", b"x", 1, True)
        assert list(site.rows(RETAINED)) == ["own"]


class TestSubscriptions:
    @pytest.mark.statement("MQTT3-3.2.2-2", "MQTT5-3.2.2-3", "MQTT5-3.1.2-5")
    def test_session_and_subscription_are_there(self, sites, ending, version):
        kept(sites(), "s", version).subscribe("a/+", qos=2)
        site = sites.next(ending)
        client = kept(site, "s", version)
        assert client.present
        publisher(site).publish("a/b", b"x", 2)
        (message,) = client.receive_messages()
        assert message.qos == 2

    def test_they_have_their_options_and_identifiers(self, sites, ending):
        client = kept(sites(), "s")
        client.subscribe("own", qos=1, no_local=True, identifier=3)
        client.subscribe("as/published", qos=1, retain_as_published=True, identifier=4)
        client.subscribe("as/+", qos=1, identifier=5)
        client.subscribe("unsubscribed")
        client.unsubscribe("unsubscribed")
        site = sites.next(ending)
        client = kept(site, "s")
        client.publish("own", b"x", 1)
        client.publish("unsubscribed", b"x", 1)
        client.nothing()
        other = publisher(site)
        other.publish("own", b"x", 2)
        other.publish("as/published", b"y", 1, retain=True)
        own, other = client.receive_messages()
        assert (own.qos, own.properties) == (1, {0x0B: [3]})
        assert sorted(other.properties[0x0B]) == [4, 5]
        assert other.retain

    def test_shared_ones_share_again(self, sites, ending):
        site = sites()
        for name in ("one", "two"):
            kept(site, name).subscribe("$share/group/x", qos=1)
        site = sites.next(ending)
        members = [kept(site, name, listener=place) for place, name in enumerate(("one", "two"))]
        client = publisher(site)
        for number in range(10):
            client.publish("x", b"%d" % number, 1)
        got = [payloads(member) for member in members]
        assert sorted(got[0] + got[1]) == [b"%d" % number for number in range(10)]
        assert got[0]
        assert got[1]

    @pytest.mark.statement("MQTT5-3.1.2-4", "MQTT3-3.1.2-6")
    def test_clean_start_leaves_nothing(self, sites, version):
        site = sites()
        client = kept(site, "s", version)
        client.subscribe("a", qos=2)
        client.send(Publish("b", b"x", 2, packet_id=9))
        client.receive(Pubrec)
        client.drop()
        publisher(site).publish("a", b"x", 1)
        fresh = site.client(version)
        fresh.connect("s", clean_start=True)
        site.settle()
        for client in site.clients:
            client.drop()
        folder = site.folder
        for table in (SUBSCRIPTIONS, OUTGOING, RECEIVED, MESSAGES):
            assert not site.rows(table)
            site = sites(folder=folder)
        assert not kept(site, "s", version).present


class TestMessages:
    @pytest.mark.statement("MQTT5-4.5.0-1", "MQTT3-4.5.0-1", "MQTT5-4.6.0-6", "MQTT3-4.6.0-6")
    def test_queued_messages_come_in_order(self, sites, ending, version):
        site = sites()
        kept(site, "s", version).subscribe("#", qos=2)
        site.clients[-1].drop()
        clients = [publisher(site, 4, 0), publisher(site, 5, 1)]
        for number in range(30):
            clients[number % 2].publish("t", b"%02d" % number, 1 + number % 3 % 2)
        site = sites.next(ending)
        messages = kept(site, "s", version).receive_messages()
        for qos in (1, 2):
            got = [int(message.payload) for message in messages if message.qos == qos]
            assert got == [number for number in range(30) if 1 + number % 3 % 2 == qos]
        site = sites.next(ending)
        kept(site, "s", version).nothing()

    def test_queued_messages_expire_while_the_broker_is_down(self, sites, ending):
        site = sites()
        kept(site, "s").subscribe("#", qos=1)
        site.clients[-1].drop()
        client = publisher(site)
        client.publish("t", b"short", 1, properties={EXPIRY: 30})
        client.publish("t", b"long", 1, properties={EXPIRY: 100})
        site = sites.next(ending, down_s=50)
        (message,) = kept(site, "s").receive_messages()
        assert message.payload == b"long"
        assert message.properties == {EXPIRY: 50}

    @pytest.mark.statement("MQTT5-4.4.0-1", "MQTT3-4.4.0-1", "MQTT5-3.3.1-1", "MQTT3-3.3.1-1")
    def test_what_is_in_flight_goes_out_again_under_its_packet_ids(self, sites, ending, version):
        site = sites()
        client = kept(site, "s", version)
        client.subscribe("#", qos=2)
        source = publisher(site, 5, 1)
        for number, qos in enumerate((1, 2, 2, 1)):
            source.publish("t", b"%d" % number, qos)
        site.settle()
        sent = [client.receive(Publish) for _ in range(4)]
        sent.sort(key=lambda packet: packet.payload)
        client.send(Pubrec(sent[2].packet_id))
        assert client.receive(Pubrel).packet_id == sent[2].packet_id
        site = sites.next(ending)
        client = kept(site, "s", version, 1)
        assert client.present
        again = [client.receive() for _ in range(4)]
        released = [packet for packet in again if isinstance(packet, Pubrel)]
        published = [packet for packet in again if isinstance(packet, Publish)]
        assert [packet.packet_id for packet in released] == [sent[2].packet_id]
        published.sort(key=lambda packet: packet.payload)
        for packet, before in zip(published, (sent[0], sent[1], sent[3]), strict=True):
            assert packet.dup
            assert packet.packet_id == before.packet_id
            assert (packet.payload, packet.qos) == (before.payload, before.qos)
        publisher(site).publish("t", b"new", 1)
        site.settle()
        taken = {packet.packet_id for packet in sent}
        assert client.receive(Publish).packet_id not in taken
        client.send(Pubcomp(sent[2].packet_id))
        client.nothing()

    @pytest.mark.statement("MQTT5-4.3.3-10", "MQTT3-4.3.3-2")
    def test_a_qos_2_message_from_a_client_is_passed_on_once(self, sites, ending, version):
        site = sites()
        kept(site, "s").subscribe("t", qos=2)
        client = kept(site, "p", version)
        client.send(Publish("t", b"x", 2, packet_id=77))
        assert client.receive(Pubrec).packet_id == 77
        site = sites.next(ending)
        client = kept(site, "p", version)
        client.send(Publish("t", b"x", 2, dup=True, packet_id=77))
        assert client.receive(Pubrec).packet_id == 77
        assert payloads(kept(site, "s")) == [b"x"]
        client.send(Pubrel(77))
        assert client.receive(Pubcomp).reason == 0
        site = sites.next(ending)
        client = kept(site, "p", version)
        client.send(Publish("t", b"another", 2, packet_id=77))
        client.receive(Pubrec)
        assert payloads(kept(site, "s")) == [b"another"]

    def test_qos_0_is_not_kept(self, sites, ending):
        site = sites("queue_qos0_messages true")
        kept(site, "s").subscribe("t", qos=1)
        site.clients[-1].drop()
        client = publisher(site)
        client.publish("t", b"0", 0)
        client.publish("t", b"1", 1)
        site = sites.next(ending)
        assert payloads(kept(site, "s")) == [b"1"]

    def test_a_body_is_kept_once_for_all_who_are_due_it(self, sites):
        site = sites()
        for number in range(20):
            kept(site, f"s{number}").subscribe("t", qos=1)
            site.clients[-1].drop()
        publisher(site).publish("t", b"x" * 100_000, 1, retain=True)
        site.settle()
        assert (site.folder / "touchstone.fs").stat().st_size < 150_000
        assert len(site.rows(MESSAGES)) == 1

    def test_some_of_a_group_of_messages_are_delivered_before(self, sites):
        """Messages are stored together, and those that are left are found again and again."""
        site = sites()
        kept(site, "s").subscribe("t", qos=1)
        site.clients[-1].drop()
        client = publisher(site)
        client.send(*(Publish("t", b"%d" % n, 1, packet_id=n) for n in range(1, 11)))
        site.settle()
        for number in range(1, 11):
            reader = kept(site, "s")
            if number < 10:
                reader.acknowledge(reader.receive(Publish))
                site = sites.next(CRASHED)
            else:
                assert payloads(reader) == [b"10"]


def test_of_two_sessions_of_a_client_the_later_one_counts(sites):
    """A crash can leave both, when the end of the first had not been handed over."""
    site = sites()
    path = str(site.folder / FILE)
    site.close()
    database = Database(open_file(path), path)
    for number in (1, 2):
        row = ("s", 5, 3600, None, None, None)
        database.tables[SESSIONS][number] = encode_row(row)
        row = (1, False, False, 0, False)
        database.tables[SUBSCRIPTIONS][number, f"of {number}"] = encode_row(row)
    database.commit()
    database.close()
    site = sites()
    (session,) = site.context.registry.all()
    assert session.number == 2
    assert list(session.subscriptions) == ["of 2"]
    assert list(site.rows(SUBSCRIPTIONS)) == [(2, "of 2")]


class TestWills:
    def test_the_delay_counts_on_while_the_broker_is_down(self, sites, ending):
        site = sites()
        kept(site, "s").subscribe("will", qos=1)
        will = Will("will", b"x", 1, False, {WILL_DELAY: 60})
        kept(site, "w", will=will)
        site.clients[-1].drop()
        site = sites.next(ending, down_s=20)
        client = kept(site, "s")
        site.advance(39)
        client.nothing()
        site.advance(2)
        assert payloads(client) == [b"x"]
        site = sites.next(ending)
        site.advance(100)
        kept(site, "s").nothing()

    @pytest.mark.statement("MQTT5-3.1.2-8", "MQTT3-3.1.2-8")
    def test_a_client_that_was_connected_has_its_will_published_once(self, sites, ending, version):
        site = sites()
        kept(site, "s").subscribe("will", qos=1)
        kept(site, "w", version, will=Will("will", b"x", 1, True))
        site = sites.next(ending)
        client = kept(site, "s")
        assert payloads(client) == [b"x"]
        site = sites.next(ending)
        kept(site, "s").nothing()

    def test_it_comes_back_before_the_delay_is_over(self, sites, ending):
        site = sites()
        kept(site, "s").subscribe("will", qos=1)
        kept(site, "w", will=Will("will", b"x", 1, False, {WILL_DELAY: 60}))
        site = sites.next(ending)
        kept(site, "w")
        site.advance(100)
        kept(site, "s").nothing()


class TestExpiry:
    @pytest.mark.parametrize(("down_s", "present"), [(99, True), (101, False)])
    @pytest.mark.statement("MQTT5-4.1.0-2")
    def test_a_session_expires_while_the_broker_is_down(self, sites, ending, down_s, present):
        site = sites()
        client = kept(site, "s", properties={SESSION_EXPIRY: 100})
        client.subscribe("t", qos=1)
        client.drop()
        publisher(site).publish("t", b"x", 1)
        site = sites.next(ending, down_s)
        client = kept(site, "s")
        assert client.present == present
        assert payloads(client) == ([b"x"] if present else [])

    def test_the_time_of_a_connected_one_begins_with_the_next_broker(self, sites):
        site = sites()
        kept(site, "s", properties={SESSION_EXPIRY: 100})
        site.advance(1000)
        site = sites.next(CRASHED, 1000)
        site.advance(99)
        assert kept(site, "s").present

    def test_the_time_of_a_connected_one_begins_once(self, sites):
        site = sites()
        will = Will("will", b"x", 1, True, {WILL_DELAY: 80})
        kept(site, "s", properties={SESSION_EXPIRY: 100}, will=will)
        for _ in range(3):
            site = sites.next(CRASHED, 60)
        assert not kept(site, "s").present
        reader = site.client()
        reader.connect("r")
        reader.subscribe("will")
        assert payloads(reader) == [b"x"]

    def test_it_expires_later_too(self, sites, ending):
        site = sites()
        kept(site, "s", properties={SESSION_EXPIRY: 100})
        site.clients[-1].drop()
        site = sites.next(ending, 60)
        site.advance(50)
        assert not site.rows(SESSIONS)

    def test_its_will_is_published_and_displaces_nothing(self, sites, ending):
        """The session is gone before anybody connects; what others are due stays."""
        site = sites()
        kept(site, "s").subscribe("#", qos=1)
        site.clients[-1].drop()
        client = publisher(site)
        for number in range(5):
            client.publish("t", b"%d" % number, 1)
        will = Will("will", b"last", 1, True, {WILL_DELAY: 1000})
        kept(site, "w", properties={SESSION_EXPIRY: 10}, will=will)
        site.clients[-1].drop()
        site = sites.next(ending, 20)
        site = sites.next(ending)
        assert payloads(kept(site, "s")) == [b"0", b"1", b"2", b"3", b"4", b"last"]
        reader = site.client()
        reader.connect("r")
        reader.subscribe("will")
        assert payloads(reader) == [b"last"]


class TestConfiguration:
    def test_topic_aliases_end_with_the_connection(self, sites, ending):
        site = sites("max_topic_alias 10")
        client = kept(site, "p")
        client.publish("t", b"x", 1, properties={ALIAS: 1})
        site = sites.next(ending)
        client = kept(site, "p")
        client.send(Publish("", b"x", 1, packet_id=5, properties={ALIAS: 1}))
        assert client.closed_with() in (0x82, 0x94)

    def test_at_intervals_a_stop_still_keeps_everything(self, sites):
        site = sites("persistence_sync interval\nautosave_interval 1000")
        kept(site, "s").subscribe("t", qos=1)
        site.clients[-1].drop()
        publisher(site).publish("t", b"x", 1, retain=True)
        site = sites.next(STOPPED)
        assert payloads(kept(site, "s")) == [b"x"]

    def test_many_messages_are_there_at_once(self, sites, ending):
        site = sites()
        kept(site, "s").subscribe("q", qos=1)
        site.clients[-1].drop()
        client = publisher(site, 4)
        count = 2_000
        client.send(*(Publish("q", b"%d" % n, 1, packet_id=n) for n in range(1, count + 1)))
        client.send(
            *(Publish(f"r/{n}", b"x", 1, True, packet_id=n) for n in range(count, 2 * count))
        )
        client.fence()
        site = sites.next(ending)
        assert site.context.retained.count == count
        assert payloads(kept(site, "s")) == [b"%d" % number for number in range(1, count + 1)]
