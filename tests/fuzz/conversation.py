"""One hostile connection beside clients that do everything right, in memory.

The bytes come as a listener would read them, through the entrance: MQTT, WebSocket or anything.
What must be true afterwards is in `check`.
"""

import logging
from collections import Counter
from contextlib import contextmanager

from jsonschema import Draft202012Validator

from broker import timers
from formats.mqtt.connect import Connect
from oracle.reports import html, junit, markdown, summary
from oracle.reports.standing import FAIL_ON
from oracle.verdict import build
from tests.fuzz.peer import Peer
from tests.harness.site import Site
from tests.oracle.reports_sample import SCHEMA

VALIDATOR = Draft202012Validator(SCHEMA)
OPTIONS = """
persistent_client_expiration 1h
max_session_expiry_interval 3600
retain_expiry_interval 60
topic_alias_maximum 3
maximum_packet_size 2000
auth_method SCRAM-SHA-256
auth_method CHALLENGE
auth_challenge question answer
"""
LONG_S = 100_000  # after which nothing of anybody is left


class Complaints(logging.Handler):
    """Collects what the broker says of its own mistakes."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.records = []

    def emit(self, record):
        self.records.append(self.format(record))


@contextmanager
def complaints():
    """What the broker complains of meanwhile. Nothing else is logged."""
    log = logging.getLogger("touchstone")
    handler = Complaints()
    before = log.propagate, log.level
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield handler.records
    finally:
        log.removeHandler(handler)
        log.propagate = before[0]
        log.setLevel(before[1])
    assert not handler.records, "\n".join(handler.records)


def report_of(site):
    """What the broker would say of its clients, if it fits the schema and every form of it."""
    about = {
        "name": "touchstone",
        "version": "1",
        "started": "2026-01-02T03:04:05.000000+00:00",
        "written": "2026-01-02T03:04:05.000000+00:00",
        "complete": True,
        "listeners": [{"port": 1883, "tls": False, "mode": "report"}],
    }
    clients, dropped = site.context.ledger.clients()
    report = build(about, clients, dropped, [], lambda at: at)
    VALIDATOR.validate(report)
    for form in (html.render, markdown.render, summary.render):
        form(report, FAIL_ON[0]).encode()
    junit.render(report).encode()
    return report


def violations_of(report):
    """How often each client broke a rule, by its client id, or its address if it has none."""
    return {
        client["client_id"] or client["address"]: Counter(
            (one["statement"], one["first"]["seen"]) for one in client["violations"]
        )
        for client in report["clients"]
    }


def end_connection(wire):
    """What a listener does once the network connection is gone."""
    wire.close()
    wire.connection.gone(True)


def assert_nothing_left(site):
    """Everybody has gone: once their time is over, so has all that they had."""
    site.advance(LONG_S)
    site.advance(LONG_S)  # of wills that were published just then
    context = site.context
    context.retained.drop_expired(site.clock.now())
    assert len(context.registry) == 0
    assert context.tree.count == 0
    assert context.subscribed.taken == 0
    assert context.tree._root.empty
    assert (context.retained.count, context.retained.size) == (0, 0)
    assert not context.retained._root.children
    for worker in site._all_workers:
        assert worker.idle
        # A cancelled timer calls nothing and keeps nothing; its place stays until there are many.
        assert all(call is timers._nothing for _when, _order, call in worker.timers.heap)
    assert not context.ledger._open


def fuzz_conversation(data):
    """A connection of any bytes, in the chunks that the first byte says."""
    if len(data) < 3:
        return "short"
    size = (1, 7, 100, 10_000)[data[0] & 3]
    version = (5, 4, 3, 0)[data[0] >> 2 & 3]  # 0: it has to say its CONNECT itself
    seconds = (0, 0, 40, 4000)[data[0] >> 4 & 3]
    stream = data[1:]
    with complaints():
        site = Site("memory", OPTIONS)
        watcher, speaker = Peer(site, "right-watcher"), Peer(site, "right-speaker")
        watcher.connect(5, clean=False, expiry_s=1000)
        watcher.subscribe("right/#", 2)
        speaker.connect(4)
        hostile = site.wire()
        if version:
            hostile.send(Peer.encode(Connect(version, "hostile", True, 60), version))
        for start in range(0, len(stream), size):
            hostile.send(stream[start : start + size])
        site.advance(seconds)
        closed = hostile._shut
        for qos in (0, 1, 2):
            speaker.publish(f"right/{qos}", b"%d" % qos, qos)
        watcher.read()
        watcher.acknowledge()
        ours = [one.payload for one in watcher.delivered if one.payload in (b"0", b"1", b"2")]
        assert ours == [b"0", b"1", b"2"]
        end_connection(hostile)
        for peer in (watcher, speaker):
            assert not peer.closed
            peer.leave()
        assert_nothing_left(site)
        found = violations_of(report_of(site))
        assert not found.get("right-watcher")
        assert not found.get("right-speaker")
    return "closed" if closed else "open"
