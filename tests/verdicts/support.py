"""A broker whose report is looked at, and how a case of the tables is written.

A case breaks one rule, and nearly does. Both are either notation of `tests.wire.notation`, sent as
it is by a client that has connected (a CONNECT: instead of connecting), or a function of a `Stage`.
In notation `{mqtt}` is protocol name and level, `{p}` an empty Property Length where there are any.
"""

import time
from typing import Any, NamedTuple

from broker.broker import ignored_statements
from formats.mqtt.properties import SESSION_EXPIRY_INTERVAL
from oracle.verdict import build
from tests.harness.site import Site
from tests.harness.wires import DEADLINE_S
from tests.wire.notation import wire_bytes

ALL, V3, V4, V5 = (3, 4, 5), (3, 4), (4, 5), (5,)
NAMES = {3: "3.1", 4: "3.1.1", 5: "5.0"}
LEVELS = {3: '"MQIsdp" 03', 4: '"MQTT" 04', 5: '"MQTT" 05'}


class Case(NamedTuple):
    """One rule.

    Attributes:
        broken:  notation, or a function that returns the bytes of the packet that breaks the rule,
                 b"" where it is no packet.
        lawful:  the nearest that breaks nothing, likewise.
        seen:    what the report says was seen.
        offset:  of the byte that shows it, one for each version where they differ; None where that
                 is unknown.
        also:    other rules that cannot but be broken on the way.
        known:   whether the version is, when it happens.
    """

    rule: str
    versions: tuple[int, ...]
    broken: Any
    lawful: Any
    seen: str = ""
    offset: Any = None
    configuration: str = ""
    also: tuple[str, ...] = ()
    known: bool = True
    transport: str = "memory"  # other than this: what breaks the rule is below MQTT

    def offset_in(self, version):
        if isinstance(self.offset, tuple):
            return self.offset[self.versions.index(version)]
        return self.offset


class Stage:
    """A broker, its clients and its report; `with` ends them."""

    def __init__(self, version=5, configuration="", transport="memory", listeners=1, pki=None):
        self.version = version
        self.site = Site(transport, configuration, listeners, pki)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.site.close()

    def raw(self, version=None, listener=0):
        """A network connection without a CONNECT."""
        return self.site.client(version or self.version, listener)

    def client(self, client_id="c", kept=False, version=None, listener=0, **options):
        """A client that is connected; `kept` goes on with its session, or begins one that stays."""
        one = self.raw(version, listener)
        if kept:
            options["clean_start"] = False
            if one.version == 5:
                properties = options.get("properties") or {}
                options["properties"] = {SESSION_EXPIRY_INTERVAL: 1000, **properties}
        assert one.connect(client_id, **options).reason == 0
        return one

    def bytes_of(self, notation):
        """What a line of a table stands for in this version."""
        p = "[]" if self.version == 5 else ""
        return wire_bytes(notation.replace("{mqtt}", LEVELS[self.version]).replace("{p}", p))

    def send(self, notation):
        """Send it on a new connection, after its CONNECT unless it is one; returns the bytes."""
        data = self.bytes_of(notation)
        one = self.raw() if data[0] >> 4 == 1 else self.client()
        one.send(data)
        return data

    def perform(self, act):
        """Do what a case says; returns the bytes of the last packet."""
        data = self.send(act) if isinstance(act, str) else act(self)
        self.site.settle()
        return data

    def report(self):
        site = self.site
        site.settle()
        if site.broker is not None:
            return site.broker.report(False)
        clients, dropped = site.context.ledger.clients()
        ignored = ignored_statements(site.configuration)
        return build({}, clients, dropped, ignored, lambda at: 1_800_000_000.0 + at)

    def violations(self):
        """Of all clients, as the report has them."""
        return [one for client in self.report()["clients"] for one in client["violations"]]

    def summaries(self):
        return [one["summary"] for one in self.violations()]


def ended(stage):
    """Wait until the broker knows that every client has gone."""
    deadline = time.monotonic() + DEADLINE_S
    while stage.site.context.ledger._open:
        assert time.monotonic() < deadline, "a connection lives on"
        stage.site.settle()
