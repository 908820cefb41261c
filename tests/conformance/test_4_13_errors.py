"""4.13 Handling errors (3.1.1: 4.8): what a broken packet costs its sender, and nobody else."""

import logging
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.connection import Connection
from formats.errors import Rule
from formats.mqtt import rules
from formats.mqtt.connect import Connack, Will
from formats.mqtt.control import Disconnect, Pingresp
from formats.mqtt.properties import MAXIMUM_PACKET_SIZE, REASON_STRING
from formats.mqtt.publish import Publish
from formats.websocket import PING, encode_frame
from tests.formats.test_mqtt_wire import TABLES
from tests.harness.site import Site
from tests.harness.wires import WebSocketWire
from tests.wire.mqtt import cases
from tests.wire.mqtt_connect import CONNECT

TRANSIENT, QUOTA_EXCEEDED = 0x83, 0x97
BROKEN_CONNECTS = cases(CONNECT, Rule)
BROKEN = [case for table in TABLES if table is not CONNECT for case in cases(table, Rule)]
WELL = [case for table in TABLES for case in cases(table, object)]
ONLY_SERVERS_SEND = (2, 9, 11, 13)  # CONNACK, SUBACK, UNSUBACK, PINGRESP


class Bystander:
    """Another client of the same broker, to which nothing must happen."""

    def __init__(self, client):
        self.client = client
        client.connect("a bystander")
        client.subscribe("the bystander's", qos=1)

    def is_well(self):
        self.client.publish("the bystander's", b"still here", 1)
        assert self.client.receive_message().payload == b"still here"
        self.client.nothing()


@contextmanager
def a_site(configuration=""):
    """A broker in memory; what takes so many tests needs no network."""
    site = Site("memory", configuration)
    try:
        yield site
    finally:
        site.close()


def the_line(caplog):
    """The one line of the log that is more than information."""
    (record,) = (record for record in caplog.records if record.levelno > logging.INFO)
    return record.getMessage()


def statement_of(rule, version):
    if version == 5:
        return rule.v5.replace("MQTT-", "MQTT5-")
    return rule.v3.replace("MQTT-", "MQTT3-")


class TestMalformedPacketsAndProtocolErrors:
    """4.13.1 Malformed Packet and Protocol Errors."""

    @pytest.mark.statement(
        "MQTT5-4.13.1-1",
        "MQTT5-4.13.2-1",
        "U5-4.13.1-6",
        "U5-4.13.1-7",
        "U5-2.2.2.2-1",
        "U5-2.2.2.2-2",
        "MQTT3-4.8.0-1",
    )
    @pytest.mark.parametrize(("level", "wire"), BROKEN)
    def test_the_sender_is_told_and_closed_and_nobody_else_notices(self, level, wire, caplog):
        rule = wire.means
        if wire.data[0] >> 4 in ONLY_SERVERS_SEND:
            rule = rules.SERVER_ONLY_PACKET
        with a_site() as site:
            bystander = Bystander(site.client(level))
            sender = site.client(level)
            sender.connect("the sender")
            caplog.clear()
            sender.send(wire.data)
            packets = sender.wait_closed()
            if level == 5:
                (disconnect,) = packets
                assert disconnect.reason == rule.reason
                assert rule.summary in disconnect.properties[REASON_STRING]
            else:
                assert packets == []
            bystander.is_well()
        line = the_line(caplog)
        assert line.startswith("'the sender' memory:")
        assert rule.summary in line
        assert statement_of(rule, level) in line

    @pytest.mark.statement("MQTT5-4.13.1-1", "MQTT5-3.1.4-1", "MQTT3-3.1.4-1", "MQTT3-4.8.0-1")
    @pytest.mark.parametrize(("level", "wire"), BROKEN_CONNECTS)
    def test_a_broken_connect_is_answered_at_most_by_a_connack(self, level, wire, caplog):
        rule = wire.means
        with a_site() as site:
            bystander = Bystander(site.client(level))
            sender = site.client(level)
            caplog.clear()
            if rule is rules.UNSUPPORTED_VERSION:
                sender.version = 4  # the form of the answer, whatever was asked for
            sender.send(wire.data)
            packets = sender.wait_closed()
            if rule is rules.UNSUPPORTED_VERSION:
                assert packets == [Connack(False, 1)]
            elif level == 5:
                (connack,) = packets
                assert (connack.session_present, connack.reason) == (False, rule.reason)
            else:
                assert packets == []
            bystander.is_well()
        assert rule.summary in the_line(caplog)

    @pytest.mark.statement("MQTT5-3.1.0-2", "MQTT3-3.1.0-2")
    @pytest.mark.parametrize(("level", "wire"), cases(CONNECT, object))
    def test_a_second_connect_is_a_protocol_error(self, level, wire):
        with a_site() as site:
            bystander, sender = Bystander(site.client(level)), site.client(level)
            sender.connect("the sender")
            sender.send(wire.data)
            assert sender.closed_with() == (0x82 if level == 5 else None)
            bystander.is_well()

    @pytest.mark.statement("MQTT5-3.1.0-1", "MQTT3-3.1.0-1")
    @pytest.mark.parametrize(
        ("level", "wire"), [case for case in WELL if case.values[1].data[0] >> 4 != 1]
    )
    def test_any_other_packet_before_connect_closes_without_a_word(self, level, wire, caplog):
        with a_site() as site:
            bystander, sender = Bystander(site.client(level)), site.client(level)
            caplog.clear()
            sender.send(wire.data)
            assert sender.wait_closed() == []
            bystander.is_well()
        the_line(caplog)

    @pytest.mark.statement("MQTT5-4.13.1-1", "MQTT3-4.8.0-1")
    def test_over_every_transport_the_reason_arrives_before_the_close(self, client, version):
        bystander, sender = Bystander(client()), client(listener=1)
        sender.connect("the sender")
        sender.send("00 00")  # packet type 0
        assert sender.closed_with() == (0x81 if version == 5 else None)
        bystander.is_well()

    def test_what_follows_the_error_is_not_processed(self, client):
        watcher, sender = client(), client()
        watcher.connect("watcher")
        watcher.subscribe("#")
        sender.connect("the sender")
        topic = "00 01 61"
        sender.send("30 05" + topic + "0078" if sender.version == 5 else "30 04" + topic + "78")
        sender.send("00 00", "c0 00", "30 05" + topic + "0079")
        packets = sender.wait_closed()
        assert not any(isinstance(packet, Pingresp) for packet in packets)
        assert watcher.receive(Publish).payload == b"x"
        watcher.nothing()

    @pytest.mark.statement("MQTT5-3.1.2-8", "MQTT3-3.1.2-8")
    def test_the_will_of_the_sender_is_published(self, client):
        watcher, sender = client(), client()
        watcher.connect("watcher")
        watcher.subscribe("will")
        sender.connect("the sender", will=Will("will", b"gone"))
        sender.send("00 00")
        sender.closed_with()
        assert watcher.receive(Publish).payload == b"gone"

    @pytest.mark.versions(5)
    def test_a_reason_string_stays_within_the_maximum_packet_size(self, client):
        sender = client()
        sender.connect("the sender", properties={MAXIMUM_PACKET_SIZE: 20})
        sender.send("00 00")
        assert sender.wait_closed() == [Disconnect(0x81)]

    @pytest.mark.versions(5)
    def test_what_a_client_sent_does_not_flood_or_forge_the_log(self, client, caplog):
        one = client()
        one.connect()
        one.send(Publish("a\nb" + "\x01" * 60_000 + "+", b""))
        words = one.receive(Disconnect).properties[REASON_STRING]
        assert words.isprintable()
        assert "a\\nb" in words
        assert all(record.getMessage().isprintable() for record in caplog.records)
        assert all(len(record.getMessage()) < 10_000 for record in caplog.records)

    @pytest.mark.parametrize(
        ("level", "options", "will", "words"),
        [
            (4, "accept_protocol_versions 5", None, " [MQTT3-3.1.2-2]"),
            (5, "allow_zero_length_clientid false", None, " [MQTT5-3.1.3-8]"),
            (5, "maximum_qos 1", Will("t", b"", 2), "QoS: 2, maximum 1 [MQTT5-3.2.2-12]"),
            (5, "retain_available false", Will("t", b"", 0, True), " [MQTT5-3.2.2-13]"),
            (5, "", Will("$t", b""), "the server's: '$t' [U5-4.7.2-1]"),
            (5, "", Will("t", b"\xff", properties={1: 1}), "Indicator is 1 [U5-3.1.3.2.3-1]"),
        ],
    )
    def test_the_log_names_the_rule_that_a_refused_connect_broke(
        self, site, caplog, level, options, will, words
    ):
        here = site(options)
        assert here.client(level).connect("" if "zero" in options else "c", will=will).reason
        (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
        assert record.getMessage().endswith(words)

    @pytest.mark.parametrize(
        ("refused", "reason"),
        [
            ({"user_name": "\x01" * 20_000}, 0x87),
            ({"will": Will("$" + "\x01" * 20_000, b"")}, 0x90),
        ],
        ids=["user name", "Will Topic"],
    )
    def test_what_is_refused_may_be_longer_than_a_reason_string(self, site, refused, reason):
        one = site("allow_anonymous false" if reason == 0x87 else "").client(5)
        connack = one.connect(**refused)
        assert connack.reason == reason
        assert len(connack.properties[REASON_STRING]) < 10_000

    @pytest.mark.versions(5)
    @pytest.mark.configuration("maximum_packet_size 1000")
    def test_a_packet_too_large_is_refused_before_it_is_whole(self, client, caplog):
        sender = client()
        sender.connect("the sender")
        sender.send("30 ff ff ff 7f 00 01 61")
        assert sender.closed_with() == 0x95
        assert "PUBLISH of 268435460 bytes, maximum 1000" in caplog.text


class TestOtherErrors:
    """4.13.2 Other errors; 3.1.1: Transient Errors."""

    @pytest.mark.statement("MQTT5-4.13.2-1", "MQTT3-4.8.0-2", "U311-4.8-1")
    def test_a_bug_of_the_broker_ends_the_connection_it_happens_on(
        self, client, version, caplog, monkeypatch
    ):
        bystander, sender = Bystander(client()), client()
        sender.connect("the sender")
        write = Connection.write

        def fail(connection, data):
            if connection.client_id == "the sender" and data == b"\xd0\x00":
                raise RuntimeError("a bug")
            write(connection, data)

        monkeypatch.setattr(Connection, "write", fail)
        sender.send("c0 00")
        assert sender.closed_with() == (TRANSIENT if version == 5 else None)
        bystander.is_well()
        (record,) = (one for one in caplog.records if one.levelno > logging.INFO)
        assert record.getMessage().startswith("'the sender' ")
        assert record.exc_info[1].args == ("a bug",)

    @pytest.mark.versions(5)
    def test_a_bug_before_the_connack_is_answered_by_one(self, client, caplog, monkeypatch):
        bystander, sender = Bystander(client()), client()
        site = client.site()
        monkeypatch.setattr(type(site.context.registry), "find_or_create", None)
        assert sender.connect("the sender").reason == TRANSIENT
        assert sender.wait_closed() == []
        monkeypatch.undo()
        bystander.is_well()
        assert "TypeError" in caplog.text

    @pytest.mark.parametrize("transport", ["memory", "tcp"])
    def test_a_bug_below_mqtt_ends_the_connection_it_happens_on(
        self, transport, caplog, monkeypatch
    ):
        site = Site(transport)
        try:
            bystander, sender = Bystander(site.client()), site.client()
            monkeypatch.setattr("broker.entrance.WebSocketLayer", None)
            sender.send(b"GET / HTTP/1.1\r\n\r\n")
            assert sender.wait_closed() == []
            bystander.is_well()
            assert "TypeError" in caplog.text
        finally:
            site.close()


class TestOutputBounds:
    """What waits for a client that does not read is bounded."""

    CONFIGURATION = "max_connection_output_bytes 65536"

    def test_qos_0_is_dropped_and_qos_1_is_kept(self):
        with a_site(self.CONFIGURATION) as site:
            reader, sender = site.client(), site.client()
            reader.connect("reader")
            reader.subscribe("t", qos=1)
            sender.connect("sender")
            transport = reader.wire.connection.transport
            transport.unsent = 65_537
            sender.publish("t", b"the last that goes out", 0)
            for number in range(10):
                sender.publish("t", b"dropped %d" % number, 0)
                sender.publish("t", b"kept %d" % number, 1)
            assert reader.receive_message().payload == b"the last that goes out"
            transport.unsent = 0
            reader.wire.connection.drained()
            kept = [reader.receive_message().payload for _ in range(10)]
            assert kept == [b"kept %d" % number for number in range(10)]
            sender.publish("t", b"flows again", 0)
            assert reader.receive_message().payload == b"flows again"
            reader.nothing()

    def test_who_sends_and_never_reads_is_disconnected(self, version):
        with a_site(self.CONFIGURATION) as site:
            bystander, greedy = Bystander(site.client(version)), site.client(version)
            greedy.connect("greedy")
            greedy.wire.connection.transport.unsent = 65_537
            greedy.send("c0 00" * 32_768)
            greedy.fence()
            greedy.send("c0 00" * 32_768)
            answers = greedy.wait_closed()
            if version == 5:
                assert answers.pop().reason == QUOTA_EXCEEDED
            assert answers == [Pingresp()] * 65_536
            bystander.is_well()

    def test_pongs_count_too(self):
        with a_site(self.CONFIGURATION) as site:
            greedy = site.client()
            greedy.wire = WebSocketWire(greedy.wire)
            greedy.connect("greedy")
            connection = greedy.wire._wire.connection
            connection.transport.unsent = 65_537
            ping = encode_frame(PING, bytes(125), mask=bytes(4))
            for _ in range(64):
                greedy.wire.send_raw(ping * 16)
            assert connection.ended

    @pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
    def test_over_a_network(self, transport, pki):
        site = Site(transport, self.CONFIGURATION, pki=pki)
        try:
            frozen, sender = site.client(), site.client()
            frozen.connect("frozen")
            frozen.subscribe("t", qos=1)
            sender.connect("sender")
            payload = bytes(1_000_000)
            for _ in range(20):  # more than the buffers of the systems take
                sender.publish("t", payload, 0)
            sender.publish("t", b"the last", 1)
            (connection,) = (
                one.connection for one in site.context.registry.all() if one.client_id == "frozen"
            )
            assert connection.transport.unsent <= 65_536 + 1_100_000
            messages = [frozen.receive_message()]
            while messages[-1].payload != b"the last":
                messages.append(frozen.receive_message())
            assert len(messages) < 21
        finally:
            site.close()


# Whatever bytes arrive.

packets = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([case.values[1].data for case in (*WELL, *BROKEN, *BROKEN_CONNECTS)]).filter(
        lambda data: len(data) < 1_000
    ),
    st.builds(  # a packet of the right length around anything
        lambda byte1, body: bytes((byte1, len(body))) + body,
        st.integers(0, 255),
        st.binary(max_size=120),
    ),
)


@st.composite
def streams(draw):
    """Packets, some with a byte changed, in chunks."""
    data = bytearray(b"".join(draw(st.lists(packets, min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 3))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    return [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


class Bugs(logging.Handler):
    """Collects what the broker logs with a traceback."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.found = []

    def emit(self, record):
        self.found.append(record)

    def __enter__(self):
        logging.getLogger("touchstone").addHandler(self)
        return self.found

    def __exit__(self, *_):
        logging.getLogger("touchstone").removeHandler(self)


def survive(chunks, version):
    """Send chunks over a connection of this version, 0 for one without a CONNECT."""
    with Bugs() as bugs, a_site() as site:
        bystander = Bystander(site.client())
        sender = site.client(version or 5)
        if version:
            sender.connect("the sender")
        for chunk in chunks:
            if chunk:
                sender.wire.send(chunk)
        bystander.is_well()
        sender.drop()
        bystander.is_well()
        assert bugs == []


@pytest.mark.parametrize("level", [0, 3, 4, 5], ids=["fresh", "3.1", "3.1.1", "5.0"])
@settings(max_examples=100, deadline=None, database=None)
@given(chunks=streams())
def test_whatever_bytes_arrive_a_bystander_is_not_disturbed(level, chunks):
    survive(chunks, level)
