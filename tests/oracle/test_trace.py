"""Traces as they are recorded: taps, threads, files that cannot be written, JSON lines."""

import json
import logging
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.properties import ASSIGNED_CLIENT_IDENTIFIER
from formats.mqtt.publish import Publish
from oracle.trace.files import open_trace
from oracle.trace.jsonl import JsonLines
from oracle.trace.msc import SequenceChart
from oracle.trace.output import Output
from oracle.trace.pcapng import Pcapng
from oracle.trace.recorder import Trace

AT = 1_700_000_000.25  # 2023-11-14T22:13:20.250000Z
CONNECT = encode(Connect(5, "x"), 5)
CONNACK = encode(Connack(), 5)
PUBLISH = encode(Publish("a/b", b"hello"), 5)
PING = b"\xc0\0"


class Record(Output):
    """Remembers what it is told."""

    def __init__(self, path):
        super().__init__(path)
        self.calls = []

    def opened(self, connection, at):
        self.calls.append(("opened", connection.number, at))

    def packet(self, connection, at, packet):
        self.calls.append((packet.direction, connection.number, packet.data))

    def ended(self, connection, at, words):
        self.calls.append(("ended", connection.number, words))


@pytest.fixture
def trace(tmp_path):
    """Make traces; close them in the end."""
    made = []

    def make(*outputs, **options):
        made.append(Trace(outputs, lambda: AT, **options))
        return made[-1]

    yield make
    for one in made:
        assert one.close()


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class TestJsonLines:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "trace.jsonl"

    def test_a_connection_from_beginning_to_end(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(3, 1883, "127.0.0.1:5000", "ws", AT - 1)
        tap.received(CONNECT)
        tap.sent([CONNACK, PUBLISH])
        tap.ended("the client went away")
        assert one.close()
        same = {"connection": 3, "address": "127.0.0.1:5000", "transport": "ws"}
        opened, connect, connack, publish, end = lines_of(path)
        assert opened == {
            "time": "2023-11-14T22:13:19.250000Z",
            "event": "open",
            "client_id": None,
            "listener": 1883,
            **same,
        }
        same |= {"client_id": "x", "time": "2023-11-14T22:13:20.250000Z"}
        assert connect["direction"] == "received"
        assert connect["packet"] == "CONNECT"
        assert connect["fields"]["clean_start"] is True
        assert connack["packet"] == "CONNACK"
        assert publish == {
            "event": "packet",
            "direction": "sent",
            "packet": "PUBLISH",
            "fields": {
                "topic": "a/b",
                "qos": 0,
                "retain": False,
                "dup": False,
                "payload": "hello",
                "payload_size": 5,
            },
            "bytes": PUBLISH.hex(),
            "size": len(PUBLISH),
            **same,
        }
        assert end == {"event": "end", "words": "the client went away", **same}

    def test_a_client_id_that_the_server_assigns(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.received(encode(Connect(5, ""), 5))
        tap.sent([encode(Connack(False, 0, {ASSIGNED_CLIENT_IDENTIFIER: "auto-1"}), 5)])
        assert one.flush()
        assert [line["client_id"] for line in lines_of(path)] == [None, None, "auto-1"]

    def test_packets_are_decoded_by_the_version_of_the_connect(self, trace, path):
        one = trace(JsonLines(path))
        for number, version in enumerate((3, 4, 5)):
            tap = one.open_connection(number, 1883, "127.0.0.1:5000", "tcp", AT)
            tap.received(encode(Connect(version, "x"), version))
            tap.received(encode(Publish("a", b"hello"), version))
        assert one.flush()
        fields = [line["fields"] for line in lines_of(path) if line.get("packet") == "PUBLISH"]
        assert [each["payload"] for each in fields] == ["hello"] * 3

    def test_bytes_are_bounded_and_the_size_is_said(self, trace, path):
        one = trace(JsonLines(path, shown=8))
        packet = encode(Publish("a", b"p" * 3_000_000), 4)
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.received(packet)
        assert one.flush()
        line = lines_of(path)[1]
        assert line["bytes"] == packet[:8].hex()
        assert line["size"] == len(packet)
        assert line["fields"]["payload_size"] == 3_000_000
        assert path.stat().st_size < 2000

    def test_passwords_are_in_no_line(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.received(encode(Connect(4, "x", True, 0, "u", b"sesame"), 4))
        assert one.flush()
        text = path.read_text("utf-8")
        assert "sesame" not in text
        assert b"sesame".hex() not in text
        assert b"******".hex() in text

    def test_what_is_broken_is_there_with_its_error(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.received(CONNECT + b"\x30\xff\xff\xff\xff")
        tap.received(b"more")
        assert one.flush()
        broken = lines_of(path)[2:]
        assert [line["bytes"] for line in broken] == ["30ffffffff", b"more".hex()]
        assert "ffffffff" in broken[0]["fields"]["error"]

    def test_the_beginning_of_a_packet_is_there_when_the_connection_ends(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.received(CONNECT[:5])
        tap.ended("gone")
        assert one.flush()
        _, part, end = lines_of(path)
        assert part["bytes"] == CONNECT[:5].hex()
        assert "5 of" in part["fields"]["error"]
        assert end["event"] == "end"

    def test_after_a_malformed_packet_was_sent_the_next_one_is_seen(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.sent([b"\x30\xff\xff\xff\xff", CONNACK])
        assert one.flush()
        assert [line["packet"] for line in lines_of(path)[1:]] == ["PUBLISH", "CONNACK"]

    def test_nothing_follows_the_end(self, trace, path):
        one = trace(JsonLines(path))
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        tap.ended("first")
        tap.ended("second")
        tap.received(PING)
        tap.sent([PING])
        assert one.flush()
        assert [line["event"] for line in lines_of(path)] == ["open", "end"]

    def test_lines_are_in_the_file_while_the_trace_goes_on(self, trace, path):
        output = Seen(path)
        trace(output).open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        assert output.flushed.wait(30)  # though nobody has asked for it
        assert [line["event"] for line in lines_of(path)] == ["open"]

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=30))
    def test_any_bytes_come_out_complete(self, tmp_path_factory, chunks):
        path = tmp_path_factory.mktemp("trace") / "trace.jsonl"
        one = Trace([JsonLines(path), SequenceChart(path.with_name("chart.mmd"))], lambda: AT)
        tap = one.open_connection(1, 1883, "127.0.0.1:5000", "tcp", AT)
        for sent, chunk in chunks:
            if sent:
                tap.sent([chunk])
            else:
                tap.received(chunk)
        tap.ended("")
        assert one.close()
        packets = [line for line in lines_of(path) if line["event"] == "packet"]
        for direction in ("received", "sent"):
            sizes = [line["size"] for line in packets if line["direction"] == direction]
            assert sum(sizes) == sum(
                len(chunk) for sent, chunk in chunks if sent == (direction == "sent")
            )


class Seen(JsonLines):
    """Tells when it was flushed."""

    def __init__(self, path):
        super().__init__(path)
        self.flushed = threading.Event()

    def flush(self):
        super().flush()
        self.flushed.set()


class TestThreads:
    def test_many_threads_and_none_of_their_packets_gets_lost(self, trace, tmp_path):
        output = Record(tmp_path / "record")
        one = trace(output, room=5000)
        interval = sys.getswitchinterval()

        def talk(number):
            tap = one.open_connection(number, 1883, f"127.0.0.1:{number}", "tcp", AT)
            for each in range(300):
                tap.received(encode(Publish("a", str(each).encode()), 4))
                if each % 3 == 0:
                    tap.sent([PING] * 2)
            tap.ended(str(number))

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(1, 9)]
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert one.close(60)
        for number in range(1, 9):
            mine = [(call[0], call[2]) for call in output.calls if call[1] == number]
            expected = [("opened", AT)]
            for each in range(300):
                expected.append(("received", encode(Publish("a", str(each).encode()), 4)))
                expected += [("sent", PING)] * (2 if each % 3 == 0 else 0)
            assert mine == [*expected, ("ended", str(number))]

    def test_taps_wait_for_room_rather_than_leave_packets_out(self, trace, tmp_path):
        output = Slow(tmp_path / "slow")
        one = trace(output, room=1000, patience_s=60)
        tap = one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT)
        thread = threading.Thread(target=lambda: [tap.received(PING) for _ in range(50)])
        thread.start()
        assert output.reached.wait(10)
        assert thread.is_alive()
        output.go_on.set()
        thread.join(30)
        assert one.flush()
        assert len(output.calls) == 51

    def test_a_trace_that_hangs_is_given_up(self, trace, tmp_path, caplog):
        output = Slow(tmp_path / "slow")
        one = trace(output, room=1000, patience_s=0.05)
        tap = one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT)
        for _ in range(50):
            tap.received(PING)
        assert one.stopped
        assert not one.close(0)
        output.go_on.set()
        assert [record.message for record in caplog.records] == [
            "trace: nothing could be written in time; the trace stops here"
        ]

    def test_a_closed_trace_takes_nothing(self, trace, tmp_path):
        output = Record(tmp_path / "record")
        one = trace(output)
        tap = one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT)
        assert one.close()
        assert one.close()
        tap.received(PING)
        one.open_connection(2, 1883, "127.0.0.1:2", "tcp", AT).ended("")
        assert one.flush()
        assert output.calls == [("opened", 1, AT)]
        assert output.file.closed


class Slow(Record):
    """Waits in its first packet."""

    def __init__(self, path):
        super().__init__(path)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def packet(self, connection, at, packet):
        self.reached.set()
        assert self.go_on.wait(60)
        super().packet(connection, at, packet)


class Failing(Record):
    """Cannot write packets."""

    def __init__(self, path, error):
        super().__init__(path)
        self.error = error

    def packet(self, connection, at, packet):
        raise self.error


class TestFailures:
    def test_a_file_that_cannot_be_written_is_given_up_and_the_others_are_not(
        self, trace, tmp_path, caplog
    ):
        bad = Failing(tmp_path / "bad", OSError(28, "No space left on device"))
        good = Record(tmp_path / "good")
        one = trace(bad, good)
        tap = one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT)
        tap.received(PING * 3)
        assert one.close()
        assert [call[0] for call in good.calls] == ["opened", *["received"] * 3]
        (record,) = caplog.records
        assert record.message == f"{bad.path}: the trace stops here: No space left on device"
        assert bad.file.closed

    def test_a_mistake_of_ours_is_logged_with_its_traceback(self, trace, tmp_path, caplog):
        one = trace(Failing(tmp_path / "bad", ZeroDivisionError()))
        one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT).received(PING)
        assert one.close()
        (record,) = caplog.records
        assert record.exc_info[0] is ZeroDivisionError
        assert one.stopped

    def test_without_any_file_left_taps_cost_nothing(self, trace, tmp_path, caplog):
        caplog.set_level(logging.CRITICAL)
        one = trace(Failing(tmp_path / "bad", OSError("full")))
        tap = one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT)
        tap.received(PING)
        assert one.flush()
        assert one.stopped
        tap.received(PING)
        assert one.flush(0)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    @pytest.mark.parametrize("form", [JsonLines, Pcapng, SequenceChart])
    def test_a_full_disk(self, trace, form, caplog):
        one = trace(form(Path("/dev/full")))
        tap = one.open_connection(1, 1883, "127.0.0.1:1", "tcp", AT)
        for _ in range(3):
            tap.received(PING * 100)
            one.flush()
        assert one.close()
        (record,) = caplog.records
        assert record.message == "/dev/full: the trace stops here: No space left on device"


def test_the_ending_of_a_file_says_its_form(tmp_path):
    for name, form in (("t.pcapng", Pcapng), ("t.PCAPNG", Pcapng), ("t.jsonl", JsonLines),
                       ("t", JsonLines)):  # fmt: skip
        output = open_trace(tmp_path / name)
        assert type(output) is form
        output.close()
    with pytest.raises(ValueError, match=r"t\.pcap: captures are written as \.pcapng"):
        open_trace(tmp_path / "t.pcap")
    with pytest.raises(FileNotFoundError):
        open_trace(tmp_path / "missing" / "t.jsonl")
