"""What waits for the database, on a disk that takes and refuses when the test says so."""

import pytest

from broker import durable_output
from broker.broker import make_context
from broker.journal import Journal
from broker.keeping import Keeping
from formats.mqtt.acks import Puback, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Pingreq, Pingresp
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from persistence.records import Call
from tests.harness.site import Site

SESSION_EXPIRY = 0x11
KEPT = {SESSION_EXPIRY: 3600}
QUOTA_EXCEEDED = 0x97
SERVER_UNAVAILABLE_3 = 3


class Disk:
    """The writer, as workers know it: `commit` is its next try."""

    def __init__(self):
        self.failing = False
        self._calls = []

    def submit(self, changes):
        self._calls += [change for change in changes if isinstance(change, Call)]

    def commit(self):
        self.failing = False
        calls, self._calls = self._calls, []
        for one in calls:
            one.post(one.call)

    def refuse(self):
        self.failing = True
        calls, self._calls = self._calls, []
        for one in calls:
            if one.failed is None:
                self._calls.append(one)
            else:
                one.post(one.failed)


class PledgingSite(Site):
    """In memory, with two workers and that disk."""

    def __init__(self, more=""):
        super().__init__("memory", more, listeners=2)
        keeping = Keeping(self.clock)
        self.context = make_context(self.configuration, keeping)
        self.disk = Disk()
        for worker in self._all_workers:
            worker.journal = Journal(self.disk, worker.post, keeping.next_place)

    def kept(self, client_id, *filters, version=5, listener=0, qos=2):
        """A client that is connected to a session that is kept, and subscribed."""
        client = self.client(version, listener)
        client.send(connect(client_id, version))
        self.disk.commit()
        assert client.receive(Connack).reason == 0
        for topic_filter in filters:
            client.send(Subscribe(client.next_packet_id(), [Subscription(topic_filter, qos)]))
            self.disk.commit()
            client.receive(Suback)
        return client

    def offline(self, client_id, *filters, qos=2):
        self.kept(client_id, *filters, qos=qos).disconnect()
        self.disk.commit()

    def clean(self, client_id, version=5, listener=0, **options):
        client = self.client(version, listener)
        assert client.connect(client_id, **options).reason == 0
        return client


def connect(client_id, version=5, clean_start=False):
    return Connect(version, client_id, clean_start, 0, properties=KEPT if version == 5 else None)


def publish(packet_id, qos, topic="t", dup=False):
    return Publish(topic, b"%d" % packet_id, qos, False, dup, packet_id)


def arrived(client):
    """Every packet that has come, as type and packet id, and the reason where it is an error."""
    client.site.settle()
    packets = []
    client.send(Pingreq())
    while True:
        packet = client.receive()
        if not hasattr(packet, "packet_id"):
            return packets
        reason = getattr(packet, "reason", 0)
        words = (type(packet).__name__, packet.packet_id)
        packets.append((*words, reason) if reason >= 0x80 else words)


@pytest.fixture
def sites():
    made = []

    def make(more=""):
        made.append(PledgingSite(more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def site(sites):
    return sites()


class TestOrder:
    @pytest.mark.parametrize("version", [4, 5])
    def test_a_round_leaves_in_its_order(self, site, version):
        site.offline("s", "t")
        client = site.clean("p", version)
        client.send(publish(1, 1), publish(2, 2), publish(3, 1))
        assert arrived(client) == []
        site.disk.commit()
        assert arrived(client) == [("Puback", 1), ("Pubrec", 2), ("Puback", 3)]

    def test_what_waited_for_room_leaves_before_what_came_later(self, site):
        site.offline("s", "t")
        client = site.clean("p", 4)
        client.send(publish(1, 2), publish(2, 1))
        site.disk.refuse()
        client.send(publish(3, 1), publish(4, 2))
        site.disk.refuse()
        client.send(publish(5, 1))
        site.disk.commit()
        assert arrived(client) == [
            ("Pubrec", 1),
            ("Puback", 2),
            ("Puback", 3),
            ("Pubrec", 4),
            ("Puback", 5),
        ]

    def test_a_refusal_does_not_take_the_rest_out_of_its_place(self, site):
        site.offline("s", "t")
        client = site.clean("p")
        client.send(publish(1, 2), publish(2, 1), publish(3, 2))
        site.disk.refuse()
        assert arrived(client) == [("Puback", 2, QUOTA_EXCEEDED)]
        client.send(Pubrel(1))  # before its PUBREC: 4.3.3 has it answered, in its turn
        site.disk.commit()
        # What the PUBREL freed is another matter for the disk than what came before.
        assert arrived(client)[:2] == [("Pubrec", 1), ("Pubrec", 3)]

    def test_what_needs_no_disk_does_not_wait_for_one_that_does(self, site):
        site.offline("s", "t")
        client = site.clean("p")
        client.send(publish(1, 2))
        site.disk.refuse()
        client.send(publish(2, 1, "nobody"))
        assert arrived(client) == [("Puback", 2)]


class TestQos2:
    """4.3.3: a message that was passed on is never refused, and never passed on again."""

    @pytest.mark.statement("MQTT5-4.3.3-10")
    def test_a_message_that_was_passed_on_is_not_refused(self, site):
        site.offline("s", "t")
        reader = site.clean("reader")
        reader.subscribe("t")
        client = site.clean("p")
        client.send(publish(1, 2))
        site.disk.refuse()
        assert arrived(client) == []
        client.send(publish(1, 2, dup=True))
        site.disk.refuse()
        assert arrived(client) == []
        site.disk.commit()
        assert arrived(client) == [("Pubrec", 1), ("Pubrec", 1)]
        assert len(reader.receive_messages()) == 1

    @pytest.mark.statement("MQTT5-4.3.3-9")
    def test_one_that_was_not_is_refused_at_once(self, site):
        site.offline("s", "t")
        reader = site.clean("reader")
        reader.subscribe("t")
        client = site.clean("p")
        site.disk.refuse()
        client.send(publish(1, 2))
        assert arrived(client) == [("Pubrec", 1, QUOTA_EXCEEDED)]
        site.disk.commit()
        client.send(publish(1, 2))
        site.disk.commit()
        assert arrived(client) == [("Pubrec", 1)]
        assert len(reader.receive_messages()) == 1

    @pytest.mark.statement("MQTT5-4.3.3-10")
    def test_the_packet_id_of_a_durable_message_is_not_forgotten(self, site):
        site.offline("s", "t")
        reader = site.clean("reader")
        reader.subscribe("t")
        client = site.clean("p")
        client.send(publish(1, 2))
        site.disk.commit()
        assert arrived(client) == [("Pubrec", 1)]
        client.send(publish(2, 1), publish(1, 2, dup=True))
        site.disk.refuse()
        client.send(publish(1, 2, dup=True))
        site.disk.commit()
        client.send(publish(1, 2, dup=True))
        site.disk.commit()
        arrived(client)
        assert [message.payload for message in reader.receive_messages()] == [b"1", b"2"]


class TestBehindConnack:
    """A CONNACK waits for the disk (3.1.4): what is due to the session meanwhile."""

    def resuming(self, site, version=5):
        client = site.client(version)
        client.send(connect("s", version))
        return client

    def test_qos_0_comes_behind_it(self, site):
        site.offline("s", "t")
        client = self.resuming(site)
        other = site.clean("p")
        for number in range(3):
            other.publish("t", b"%d" % number)
        site.disk.commit()
        assert client.receive(Connack).session_present
        assert [message.payload for message in client.receive_messages()] == [b"0", b"1", b"2"]
        assert site.workers[0].statistics.publish_dropped == 0

    @pytest.mark.statement("MQTT5-3.3.2-5")
    def test_unless_it_has_expired(self, site):
        site.offline("s", "t")
        client = self.resuming(site)
        site.clean("p").publish("t", b"x", properties={0x02: 5})
        site.advance(6)
        site.disk.commit()
        client.receive(Connack)
        client.nothing()

    def test_as_far_as_output_may_wait(self, sites):
        site = sites("max_connection_output_bytes 65536")
        site.offline("s", "t")
        client = self.resuming(site)
        other = site.clean("p")
        for _ in range(4):
            other.publish("t", b"x" * 30_000)
        site.disk.commit()
        client.receive(Connack)
        assert len(client.receive_messages()) == 2
        assert site.workers[0].statistics.publish_dropped == 2

    @pytest.mark.parametrize("queued", [False, True])
    def test_without_a_connack_it_is_as_if_there_had_been_no_connection(self, sites, queued):
        site = sites(f"queue_qos0_messages {str(queued).lower()}")
        site.offline("s", "t")
        refused = self.resuming(site)
        site.clean("p").publish("t", b"x")
        site.disk.refuse()
        site.settle()
        assert refused.refused_with() == QUOTA_EXCEEDED
        site.disk.commit()
        client = self.resuming(site)
        site.disk.commit()
        client.receive(Connack)
        assert len(client.receive_messages()) == queued


class TestConnectWhileFailing:
    @pytest.mark.parametrize("listener", [0, 1], ids=("same thread", "another"))
    @pytest.mark.parametrize("clean_start", [False, True])
    @pytest.mark.parametrize(("version", "reason"), [(4, SERVER_UNAVAILABLE_3), (5, 0x97)])
    def test_the_old_connection_goes_on(self, site, version, reason, clean_start, listener):
        old = site.kept("s", "t", version=version)
        site.disk.refuse()
        new = site.client(version, listener)
        new.send(connect("s", version, clean_start))
        assert new.refused_with() == reason
        site.clean("p").publish("t", b"x")
        assert old.receive_message().payload == b"x"

    def test_a_session_that_was_not_promised_is_not_there(self, site):
        site.disk.refuse()
        client = site.client()
        client.send(connect("new"))
        assert client.refused_with() == QUOTA_EXCEEDED
        assert "new" not in site.context.registry

    @pytest.mark.statement("MQTT5-3.1.4-3", "MQTT3-3.1.4-2")
    @pytest.mark.parametrize("version", [4, 5])
    def test_a_session_that_is_not_kept_needs_no_disk(self, site, version):
        site.offline("s", "wills")
        old = site.clean("c", version, will=Will("wills", b"w", 1, True))
        site.disk.refuse()
        site.clean("c", version)
        assert old.closed_with() == {4: None, 5: 0x8E}[version]


class TestBounds:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        monkeypatch.setattr(durable_output, "PLEDGED_MAXIMUM", 10)

    def test_no_more_is_read_from_a_publisher_with_so_much_pledged(self, site):
        site.offline("s", "t")
        client = site.clean("p", 4)
        site.disk.refuse()
        for packet_id in range(1, 12):
            assert not client.wire._paused
            client.send(publish(packet_id, 1))
            site.disk.refuse()
        assert client.wire._paused
        site.disk.commit()
        assert arrived(client) == [("Puback", packet_id) for packet_id in range(1, 12)]
        assert not client.wire._paused

    def test_what_had_arrived_by_then_is_handled_when_it_is_read_again(self, site):
        site.offline("s", "t")
        client = site.clean("p", 4)
        site.disk.refuse()
        client.send(*(publish(packet_id, 1) for packet_id in range(1, 12)))
        client.wire._entrance.received(b"\xc0\x00\x32")  # TLS may have had it
        client.wire._entrance.received(b"\x05\0\1t\0\x0c")
        site.disk.commit()
        site.settle()
        site.disk.commit()
        answers = [client.receive() for _ in range(13)]
        assert [getattr(answer, "packet_id", "PINGRESP") for answer in answers] == [
            *range(1, 12),
            "PINGRESP",
            12,
        ]

    def test_answers_to_subscribe_count(self, site):
        client = site.kept("s", version=4)
        site.disk.refuse()
        for packet_id in range(101, 112):
            assert not client.wire._paused
            client.send(Subscribe(packet_id, [Subscription(f"t/{packet_id}", 1)]))
            site.disk.refuse()
        assert client.wire._paused
        site.disk.commit()
        assert arrived(client) == [("Suback", packet_id) for packet_id in range(101, 112)]
        assert not client.wire._paused

    @pytest.mark.statement("MQTT5-3.1.2-22", "MQTT3-3.1.2-24")
    def test_the_keep_alive_counts_from_when_it_is_read_again(self, site):
        site.offline("s", "t")
        client = site.clean("p", 4, keep_alive_s=10)
        site.disk.refuse()
        client.send(*(publish(packet_id, 1) for packet_id in range(1, 12)))
        site.advance(100)
        site.disk.commit()
        site.settle()
        site.advance(14)
        assert len([client.receive(Puback) for _ in range(11)]) == 11
        site.advance(2)
        assert client.closed_with() is None

    @pytest.mark.statement("MQTT5-3.1.2-22", "MQTT3-3.1.2-24")
    def test_so_it_does_where_the_beginning_of_a_packet_had_come(self, site):
        site.offline("s", "t")
        client = site.clean("p", 4, keep_alive_s=10)
        site.disk.refuse()
        client.send(*(publish(packet_id, 1) for packet_id in range(1, 12)), "c0")
        site.advance(12)
        site.disk.commit()
        site.settle()
        site.advance(10)
        client.send("00")
        assert [client.receive().packet_id for _ in range(11)] == [*range(1, 12)]
        assert client.receive() == Pingresp()

    def test_a_client_that_leaves_is_not_waited_for(self, site):
        site.offline("s", "t")
        client = site.clean("p", 4)
        site.disk.refuse()
        client.send(*(publish(packet_id, 1) for packet_id in range(1, 12)))
        client.drop()
        site.disk.commit()
        site.settle()
        assert site.clean("p", 4).connack.reason == 0

    def test_answers_of_5_0_are_refused_and_do_not_hold_it_back(self, site):
        site.offline("s", "t")
        client = site.clean("p")
        client.send(*(publish(packet_id, 1) for packet_id in range(1, 12)))
        assert client.wire._paused
        site.disk.refuse()
        assert len(arrived(client)) == 11
        assert not client.wire._paused
        client.send(publish(12, 2))
        assert isinstance(client.receive(), Pubrec)
