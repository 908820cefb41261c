"""Traces as message sequence charts for Mermaid."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.mqtt.codec import encode
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.publish import Publish
from oracle.trace.msc import BEGIN, LONGEST, SequenceChart, escaped
from oracle.trace.recorder import Trace

# The lines that our charts are made of, each as strict as Mermaid's own grammar: a text has no
# `#` or `;` but those of entities, and no colon.
TEXT = r"(?:[^#;:%&<>$\n]|#\d+;)*"
LINES = [
    r"sequenceDiagram",
    r"    participant broker",
    rf"    participant c\d+ as {TEXT}",
    rf"    (?:c\d+(?:->>|-x)broker|broker(?:->>|-x)c\d+): {TEXT}",
    rf"    Note over c\d+,broker: {TEXT}",
    r"    Note over broker: \d+ more packets were left out",
]
LINE = re.compile("|".join(f"(?:{line})" for line in LINES))


@pytest.fixture
def chart(tmp_path):
    """Make a chart of what a function does with a trace."""

    def make(record, **options):
        path = tmp_path / "chart.mmd"
        trace = Trace([SequenceChart(path, **options)], lambda: 0.0)
        record(trace)
        assert trace.close()
        return path.read_text("utf-8")

    return make


def connect(trace, number, client_id, port=5000):
    tap = trace.open_connection(number, 1883, f"127.0.0.1:{port}", "tcp", 0.0)
    tap.received(encode(Connect(4, client_id), 4))
    return tap


def test_a_chart(chart):
    def record(trace):
        one = connect(trace, 1, "x")
        one.sent([encode(Connack(), 4)])
        two = connect(trace, 2, "y", 5001)
        one.received(encode(Publish("a/b", b"hello", 1, packet_id=7), 4))
        two.received(b"\x30\x00")
        two.ended("protocol violation")
        one.ended("")
        connect(trace, 3, "x", 5002).ended("gone")

    hello = "client id 'x', clean session, keep alive 0 s, MQTT 3.1.1"
    assert chart(record) == (
        "sequenceDiagram\n"
        "    participant broker\n"
        "    participant c1 as x\n"
        "    Note over c1,broker: connection 1, tcp from 127.0.0.1#58;5000\n"
        f"    c1->>broker: CONNECT {hello}\n"
        "    broker->>c1: CONNACK Connection Accepted\n"
        "    participant c2 as y\n"
        "    Note over c2,broker: connection 2, tcp from 127.0.0.1#58;5001\n"
        f"    c2->>broker: CONNECT {hello.replace('x', 'y')}\n"
        "    c1->>broker: PUBLISH packet id 7, QoS 1, 'a/b', 5 bytes\n"
        "    c2-xbroker: PUBLISH packet ends inside a field#58; 0 of 2 length bytes at byte 2\n"
        "    Note over c2,broker: connection 2 ended#58; protocol violation\n"
        "    Note over c1,broker: connection 1 ended\n"
        "    Note over c1,broker: connection 3, tcp from 127.0.0.1#58;5002\n"
        f"    c1->>broker: CONNECT {hello}\n"
        "    Note over c1,broker: connection 3 ended#58; gone\n"
    )


def test_who_has_no_client_id_goes_by_the_address(chart):
    def record(trace):
        trace.open_connection(1, 1883, "127.0.0.1:5000", "ws", 0.0).ended("nothing was sent")

    text = chart(record)
    assert "participant c1 as 127.0.0.1#58;5000\n" in text
    assert "ws from 127.0.0.1" in text


def test_a_client_that_is_named_broker_is_another_participant(chart):
    text = chart(lambda trace: connect(trace, 1, "broker").ended(""))
    assert "participant c1 as broker\n" in text


NASTY = [
    "a;b", "a#b", "#35;", "%%{init: {}}%%", "%% c", "x: y", "$$x^2$$", "<b>&amp;</b>", "a\nb",
    "style:#a;", "classDef x:#y;", "wrap:hello", "end", "->>", "ﬂ°°35¶ß", "\\n", '"', "`", "\u202e",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_nothing_that_a_client_says_is_read_as_mermaid(chart, text):
    def record(trace):
        tap = connect(trace, 1, text)
        tap.received(encode(Publish("a", b"", properties={0x26: [(text, text)]}), 5))
        tap.ended(text)

    lines = chart(record).splitlines()
    assert len(lines) == 7
    assert all(LINE.fullmatch(line) for line in lines)


def test_escaped_text_means_the_same():
    for text in NASTY:
        if text.isprintable():
            shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), escaped(text))
            assert shown == text


@settings(max_examples=200, deadline=None, database=None)
@given(st.text())
def test_any_text_is_one_line_of_mermaid(text):
    assert re.fullmatch(TEXT, escaped(text))


def test_a_chart_that_gets_too_long_has_its_beginning_and_says_so(chart):
    def record(trace):
        tap = connect(trace, 1, "x")
        for _ in range(5000):
            tap.received(b"\xc0\0")
        tap.ended("")
        connect(trace, 2, "y").ended("")

    text = chart(record)
    lines = text.splitlines()
    assert LONGEST - 200 < len(text) <= LONGEST
    assert all(LINE.fullmatch(line) for line in lines)
    shown = sum("PINGREQ" in line for line in lines)
    assert lines[-1] == f"    Note over broker: {5001 - shown} more packets were left out"
    assert "participant c2" not in text


def test_what_is_left_out_is_said_while_the_trace_goes_on(tmp_path):
    path = tmp_path / "chart.mmd"
    trace = Trace([SequenceChart(path, longest=400)], lambda: 0.0)
    tap = connect(trace, 1, "x")
    for left_out in (1, 2, 50):
        while True:
            tap.received(b"\xc0\0")
            assert trace.flush()
            text = path.read_text("utf-8")
            if text.endswith(f": {left_out} more packets were left out\n"):
                break
        assert text.count("left out") == 1
        assert len(text) <= 400
    assert trace.close()
    assert path.read_text("utf-8") == text


def test_a_chart_of_nothing(chart):
    assert chart(lambda trace: None) == BEGIN
