"""`--trace` and `--msc`, on a broker that is stopped by a signal."""

import json
import os

import pytest

from tests.ci.processes import stopped

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


@posix
def test_every_packet_is_in_each_form(serving, tmp_path):
    names = ["t.jsonl", "t.pcapng", "t.mmd"]
    process, visit = serving("--trace", names[0], "--trace", names[1], "--msc", names[2])
    visit("breaks_a_rule.py")
    assert stopped(process)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text("utf-8").splitlines()]
    assert [line["event"] for line in lines][:: len(lines) - 1] == ["open", "end"]
    packets = [(one["direction"], one["packet"]) for one in lines if one["event"] == "packet"]
    # Both were sent at once, before the answer.
    assert packets == [("received", "CONNECT"), ("received", "CONNECT"), ("sent", "CONNACK")]
    chart = (tmp_path / "t.mmd").read_text("utf-8")
    assert chart.startswith("sequenceDiagram")
    assert chart.count("CONNECT ") == 2
    capture = (tmp_path / "t.pcapng").read_bytes()
    assert capture.startswith(bytes.fromhex("0a0d0d0a"))  # a Section Header Block
    for packet in (one for one in lines if one["event"] == "packet"):
        assert bytes.fromhex(packet["bytes"]) in capture


@posix
def test_without_them_no_file_is_written(serving, tmp_path):
    process, visit = serving()
    visit("breaks_a_rule.py")
    assert stopped(process)[0] == 0
    assert not list(tmp_path.iterdir())


def test_an_ending_that_promises_another_form_is_one_line(run_broker):
    done = run_broker("-p", 0, "--trace", "t.pcap")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("--trace: t.pcap: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("option", "name"), [("--trace", "t.jsonl"), ("--msc", "t.mmd")])
def test_a_file_that_cannot_be_opened_is_one_line(run_broker, option, name):
    done = run_broker("-p", 0, option, f"gone/{name}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{option} gone/{name}: No such file or directory\n"
