"""What clients call themselves and their topics never becomes a file name, nor forges the log.

Reports are held to the same by tests/oracle/test_reports.py.
"""

import logging

import pytest

from formats.mqtt.connect import Will
from formats.mqtt.publish import Publish

NAMES = {
    "line ends": "a\r\n2026-01-01T00:00:00 ERROR: forged",
    "an escape sequence": "a\x1b[2J\x1b]0;owned\x07",
    "a path": "../../etc/passwd",
    "an absolute path": "/tmp/owned",
    "a Windows path": "..\\..\\owned:stream",
    "right to left": "a\u202etxt.exe",
    "a line of Unicode": "a\u2028forged\x85forged",
    "a format": "%s%(levelname)s{0}",
    "very long": "a" * 60_000,
}
LONGEST_LINE = 10_000  # characters


@pytest.fixture
def said(site, request, caplog, tmp_path):
    """All lines that the log has after a client with such a name did what gets logged."""
    name = NAMES[request.param]
    caplog.set_level(logging.DEBUG, "touchstone")
    acl = tmp_path / "acl"
    acl.write_text("pattern readwrite %c/#\ntopic readwrite ok\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    broker = site(f"acl_file {acl}\nresponse_information for %c\nmax_retained_messages 1")
    first = broker.client()
    first.connect(name, user_name=name, will=Will(f"no/{name}", b""))
    first = broker.client()
    assert first.connect(name, user_name=name).reason == 0
    second = broker.client()  # takes the session over
    second.connect(name, user_name=name, clean_start=False, properties={0x11: 100})
    second.subscribe(f"{name}/#"[-65_000:])
    second.publish(f"no/{name}"[:65_000], b"1", 1)
    for topic in ("ok", name.replace("+", ""), f"{name}/x"):
        second.publish(topic[:65_000], b"1", 1, retain=True)
    second.send(Publish("#" + name[:100], b""))  # a topic that is none
    second.wait_closed()
    third = broker.client(4)
    third.connect(name[:20], user_name=name)
    third.send("40 02 00 09")  # an acknowledgement of nothing
    third.fence()
    third.drop()
    broker.settle()
    assert sorted(tmp_path.iterdir()) == before
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("said", NAMES, indirect=True)
def test_every_line_of_the_log_is_printable_and_short(said):
    assert len(said) > 5
    for line in said:
        assert line.isprintable(), repr(line)
        assert len(line) < LONGEST_LINE, line[:200]
