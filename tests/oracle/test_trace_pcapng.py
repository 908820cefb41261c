"""Traces as captures: the blocks, headers and checksums, and what Wireshark makes of them."""

import json
import subprocess
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Disconnect, Pingreq
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from oracle.trace.pcapng import Pcapng
from oracle.trace.recorder import Trace
from oracle.trace.segments import SEGMENT, checksum, parse_address
from tests.interop.needs import program

AT = 1_700_000_000.25
FIN, SYN, PSH, ACK = 1, 2, 8, 16


@pytest.fixture
def capture(tmp_path):
    """Make a capture of what a function does with a trace."""

    def make(record):
        path = tmp_path / "trace.pcapng"
        trace = Trace([Pcapng(path)], lambda: AT)
        record(trace)
        assert trace.close()
        return path

    return make


def open_tap(trace, number=1, address="127.0.0.1:5000", listener=1883):
    return trace.open_connection(number, listener, address, "tcp", AT - 1)


# A reader of its own, strict about everything that our files should have.


def blocks(path):
    data = path.read_bytes()
    pos = 0
    while pos < len(data):
        kind, length = (int.from_bytes(data[at : at + 4], "little") for at in (pos, pos + 4))
        stop = pos + length
        assert length % 4 == 0
        assert 12 <= length <= len(data) - pos
        assert data[stop - 4 : stop] == data[pos + 4 : pos + 8]
        yield kind, data[pos + 8 : stop - 4]
        pos = stop


def options(data):
    found = {}
    while data:
        code, length = (int.from_bytes(data[at : at + 2], "little") for at in (0, 2))
        if code == 0:
            assert (length, data[4:]) == (0, b"")
            return found
        found[code] = data[4 : 4 + length]
        data = data[4 + (length + 3) // 4 * 4 :]
    return found


def segments_of(path):
    (kind, section), *rest = blocks(path)
    assert kind == 0x0A0D0D0A
    assert section[:16] == bytes.fromhex("4d3c2b1a 0100 0000 ffffffffffffffff")
    assert options(section[16:]) == {4: b"Touchstone"}
    interfaces, segments = [], []
    for kind, body in rest:
        if kind == 1:
            assert body[:8] == bytes.fromhex("6500 0000 00000000")
            about = options(body[8:])
            assert about[9] == b"\x06"
            interfaces.append(about[2].decode())
            continue
        assert kind == 6
        interface, high, low, held, size = (
            int.from_bytes(body[at : at + 4], "little") for at in range(0, 20, 4)
        )
        assert held == size
        about = options(body[20 + (held + 3) // 4 * 4 :])
        segment = dissect(body[20 : 20 + held])
        segment["interface"] = interfaces[interface]
        segment["at"] = (high << 32 | low) / 1e6
        segment["comment"] = about.get(1, b"").decode()
        segment["inbound"] = about[2] == b"\1\0\0\0"
        segments.append(segment)
    return segments


def dissect(packet):
    if packet[0] >> 4 == 4:
        assert packet[0] == 0x45
        assert int.from_bytes(packet[2:4], "big") == len(packet)
        assert packet[9] == 6
        assert adds_up(packet[:20])
        source, target, tcp = packet[12:16], packet[16:20], packet[20:]
    else:
        assert packet[0] >> 4 == 6
        assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
        assert packet[6] == 6
        source, target, tcp = packet[8:24], packet[24:40], packet[40:]
    assert adds_up(source + target + len(tcp).to_bytes(4, "big") + b"\0\0\0\6" + tcp)
    head = (tcp[12] >> 4) * 4
    return {
        "source": (str(ip_address(source)), int.from_bytes(tcp[0:2], "big")),
        "target": (str(ip_address(target)), int.from_bytes(tcp[2:4], "big")),
        "seq": int.from_bytes(tcp[4:8], "big"),
        "ack": int.from_bytes(tcp[8:12], "big"),
        "flags": tcp[13],
        "data": tcp[head:],
    }


def adds_up(data):
    """Whether 16-bit words, a checksum among them, have the sum that they must (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def streams_of(segments):
    """Put the bytes of each connection together, looking at every sequence number."""
    streams = {}
    for segment in segments:
        ends = (segment["source"], segment["target"])
        if segment["flags"] == SYN:
            streams[ends] = {"data": b"", "next": segment["seq"]}
            streams[ends[::-1]] = {"data": b"", "next": None}
        mine, other = streams[ends], streams[ends[::-1]]
        if segment["flags"] == SYN | ACK:
            mine["next"] = segment["seq"]
        assert segment["seq"] == mine["next"]
        if segment["flags"] & ACK:
            assert segment["ack"] == other["next"]
        used = len(segment["data"]) + bool(segment["flags"] & (SYN | FIN))
        mine["next"] = (mine["next"] + used) % 2**32
        mine["data"] += segment["data"]
    return {ends: stream["data"] for ends, stream in streams.items()}


CLIENT, SERVER = ("127.0.0.1", 5000), ("127.0.0.1", 1883)


def test_a_connection_from_handshake_to_end(capture):
    def record(trace):
        tap = open_tap(trace, 7, listener=8883)
        tap.received(b"in")
        tap.sent([b"out", b"more"])
        tap.ended("the client went away")

    segments = segments_of(capture(record))
    assert [(one["source"], one["flags"], one["data"]) for one in segments] == [
        (CLIENT, SYN, b""),
        (SERVER, SYN | ACK, b""),
        (CLIENT, ACK, b""),
        (CLIENT, PSH | ACK, b"in"),
        (SERVER, PSH | ACK, b"out"),
        (SERVER, PSH | ACK, b"more"),
        (SERVER, FIN | ACK, b""),
        (CLIENT, FIN | ACK, b""),
        (SERVER, ACK, b""),
    ]
    assert [one["at"] for one in segments] == [AT - 1] * 3 + [AT] * 6
    assert all(one["inbound"] == (one["source"] == CLIENT) for one in segments)
    assert {one["interface"] for one in segments} == {"listener 8883"}
    assert segments[0]["comment"] == "connection 7, tcp, listener 8883"
    assert segments[6]["comment"] == "the client went away"
    assert streams_of(segments) == {(CLIENT, SERVER): b"in", (SERVER, CLIENT): b"outmore"}


def test_large_packets_are_cut_into_segments(capture):
    data = bytes(range(256)) * 1000

    def record(trace):
        open_tap(trace).sent([data])

    segments = segments_of(capture(record))
    assert [len(one["data"]) for one in segments[3:]] == [SEGMENT] * 7 + [len(data) % SEGMENT]
    assert streams_of(segments)[SERVER, CLIENT] == data


def test_sequence_numbers_wrap_around(capture):
    # The number of a connection whose client begins 5 bytes below 2**32.
    number = pow(0x9E3779B1, -1, 2**32) * (2**32 - 5) % 2**32

    def record(trace):
        tap = open_tap(trace, number)
        tap.received(b"four")
        tap.received(b"five!")
        tap.sent([b"odd"])
        tap.ended("")

    segments = segments_of(capture(record))
    assert [one["seq"] for one in segments if one["source"] == CLIENT] == [
        2**32 - 5,
        2**32 - 4,
        2**32 - 4,
        0,
        5,
    ]
    assert streams_of(segments)[CLIENT, SERVER] == b"fourfive!"


@pytest.mark.parametrize(
    ("address", "client", "server"),
    [
        ("[::1]:5000", "::1", "::1"),
        ("::1:5000", "::1", "::1"),
        ("[fe80::1%eth0]:5000", "fe80::1", "2001:db8::1"),
        ("[::ffff:10.0.0.1]:5000", "10.0.0.1", "192.0.2.1"),
        ("10.1.2.3:5000", "10.1.2.3", "192.0.2.1"),
        ("localhost:5000", "192.0.2.2", "192.0.2.1"),
        ("", "192.0.2.2", "192.0.2.1"),
    ],
)
def test_addresses(capture, address, client, server):
    segments = segments_of(capture(lambda trace: open_tap(trace, 1, address).received(b"odd")))
    assert segments[0]["source"][0] == client
    assert segments[0]["target"] == (server, 1883)
    assert segments[0]["source"][1] in (5000, 2)


def test_a_client_port_that_is_connected_to_two_listeners(capture):
    def record(trace):
        one, two = open_tap(trace, 1, listener=1884), open_tap(trace, 2, listener=1885)
        one.received(b"to 1884")
        two.received(b"to 1885")
        one.ended("")
        open_tap(trace, 3, listener=1886).received(b"to 1886")

    segments = segments_of(capture(record))
    assert streams_of(segments)[CLIENT, ("127.0.0.1", 1885)] == b"to 1885"
    assert {(one["target"][1], one["interface"]) for one in segments if one["flags"] == SYN} == {
        (1883, "listener 1884"),
        (1885, "listener 1885"),
        (1883, "listener 1886"),
    }


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(max_size=100))
def test_the_checksum_adds_up(data):
    even = data + bytes(len(data) % 2)
    assert adds_up(even + checksum(data))


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(max_size=30))
def test_any_address_is_some_address(text):
    _, port = parse_address(text)
    assert 0 <= port <= 0xFFFF


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=40)), max_size=30))
def test_any_bytes_come_out_complete(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("trace") / "trace.pcapng"
    trace = Trace([Pcapng(path)], lambda: AT)
    tap = open_tap(trace)
    for sent, chunk in chunks:
        if sent:
            tap.sent([chunk])
        else:
            tap.received(chunk)
    tap.ended("")
    assert trace.close()
    streams = streams_of(segments_of(path))
    for sent, ends in ((False, (CLIENT, SERVER)), (True, (SERVER, CLIENT))):
        assert streams[ends] == b"".join(chunk for side, chunk in chunks if side == sent)


@pytest.mark.interop
class TestWireshark:
    @pytest.fixture
    def read(self, capture):
        def run(record, *arguments):
            command = [program("tshark", "tshark"), "-r", capture(record), *arguments]
            done = subprocess.run(command, capture_output=True, timeout=120, check=True)
            return done.stdout.decode()

        return run

    @pytest.mark.parametrize(("version", "address"), [(4, "127.0.0.1:5000"), (5, "[::1]:5000")])
    def test_it_dissects_the_packets(self, read, version, address):
        big = Publish("big", b"p" * 100_000, 2, packet_id=9)

        def record(trace):
            tap = open_tap(trace, 1, address, listener=18884)
            connect = encode(Connect(version, "x", True, 60, "u", b"p"), version)
            tap.received(connect[:4])
            tap.received(connect[4:])
            tap.sent([encode(Connack(), version)])
            tap.received(encode(Subscribe(5, [Subscription("a/#", 1)]), version))
            tap.sent([encode(Suback(5, [1]), version)])
            tap.received(encode(Publish("a/b", b"hello", 1, packet_id=6), version))
            tap.received(encode(big, version) + encode(Pingreq(), version))
            tap.received(encode(Disconnect(), version))
            tap.ended("DISCONNECT")

        frames = json.loads(read(record, "-Y", "mqtt", "-T", "json", "--no-duplicate-keys"))
        layers = [frame["_source"]["layers"]["mqtt"] for frame in frames]
        packets = [one for each in layers for one in (each if isinstance(each, list) else [each])]
        types = [int(one["mqtt.hdrflags_tree"]["mqtt.msgtype"]) for one in packets]
        assert types == [1, 2, 8, 9, 3, 3, 12, 14]
        connect, _, subscribe, _, publish, large = packets[:6]
        assert connect["mqtt.ver"] == str(version)
        assert connect["mqtt.clientid"] == "x"
        assert subscribe["mqtt.topic"] == "a/#"
        assert publish["mqtt.topic"] == "a/b"
        assert publish["mqtt.msg"] == b"hello".hex(":") or publish["mqtt.msg"] == "hello"
        assert large["mqtt.msgid"] == "9"

    def test_it_has_no_complaints(self, read):
        """Neither malformed packets, nor wrong checksums, nor gaps, nor segments out of order."""

        def record(trace):
            for number in range(1, 4):  # the same port again and again
                tap = open_tap(trace, number)
                tap.received(encode(Connect(4, "x"), 4))
                tap.sent([encode(Connack(), 4)])
                tap.received(encode(Publish("a", b"p" * 300_000), 4))
                tap.sent([encode(Publish("a", b"odd"), 4)] * 3)
                tap.ended("")

        check = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
        complaints = (
            "_ws.malformed || ip.checksum.status != 1 || tcp.checksum.status != 1 || "
            "(tcp.analysis.flags && !tcp.analysis.reused_ports)"
        )
        assert read(record, *check, "-Y", complaints) == ""
        streams = read(record, "-Y", "mqtt", "-T", "fields", "-e", "tcp.stream").split()
        assert set(streams) == {"0", "1", "2"}

    def test_listeners_and_comments_can_be_looked_for(self, read):
        def record(trace):
            open_tap(trace, 1, listener=18884).ended("")
            open_tap(trace, 2, listener=18885).ended("kept too quiet")

        looked_for = 'frame.interface_name == "listener 18885" && frame.comment'
        comments = read(record, "-Y", looked_for, "-T", "fields", "-e", "frame.comment")
        assert comments.splitlines() == ["connection 2, tcp, listener 18885", "kept too quiet"]
