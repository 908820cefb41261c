"""The workloads, as a table.

A new row is a new workload, a new `kind` a function in `load.KINDS`.
"""

from dataclasses import dataclass

from benchmarks.transports import OTHER, TCP, TLS, WEBSOCKET

SMALL = 64  # bytes of payload
KIB = 1024
WINDOWS = (1, 20, 1000)
RESTART = "restart"  # the kind of what ends and starts the broker itself
START = "start"  # the kind of what starts it alone
ONE, OWN, WILDCARD, SHARED = "one", "own", "wildcard", "shared"  # who subscribes to what


@dataclass(slots=True)
class Workload:
    """One row. `window` counts published messages that are outstanding, over all publishers."""

    name: str
    title: str
    kind: str  # a key of `load.KINDS`, or RESTART, or START
    qos: int = 0
    window: int = 1
    publishers: int = 1
    subscribers: int = 1
    payload: int = SMALL  # bytes
    connections: int = 0  # idle ones
    kept: bool = False  # sessions of subscribers outlive their connections
    persistence: bool = False  # so do they, and retained messages, the broker
    baseline: str = ""  # the workload that is the same but for one thing, to compare with
    without: str = ""  # how the baseline differs, in words
    killed: bool = False  # by SIGKILL, not SIGTERM, before it is started again
    only: str = ""  # the one broker that it can be asked of; all for ""
    version: int = 4  # protocol level
    properties: bool = False  # user property, topic alias, subscription identifier
    transport: str = TCP
    pattern: str = ONE
    subscriptions: int = 0  # of others, to other topics
    churn: bool = False  # others subscribe and unsubscribe meanwhile
    options: str = ""  # lines for the end of the configuration

    def needs(self) -> set[str]:
        """What a broker may be without; see `BrokerKind.lacks`."""
        needed = {
            "QoS 2": self.qos == 2,
            "MQTT 5.0": self.version == 5,
            "shared subscriptions": self.pattern == SHARED,
            "retained messages for wildcards": self.kind == "retained_deliver",
            "persistence as Mosquitto has it": self.persistence,
            self.transport: True,
        }
        return {feature for feature, is_needed in needed.items() if is_needed}


def _windows(
    name: str, title: str, windows: tuple[int, ...] = WINDOWS, **fields: object
) -> list[Workload]:
    """One row a window."""
    rows = []
    for window in windows:
        row = Workload(f"{name}-w{window}", f"{title}, window {window:,}", "throughput")
        row.window = window
        for field, value in fields.items():
            setattr(row, field, value)
        rows.append(row)
    return rows


def _one_to_one() -> list[Workload]:
    return [row for qos in (0, 1, 2) for row in _windows(f"qos{qos}", f"QoS {qos}, 1:1", qos=qos)]


def _version_5() -> list[Workload]:
    rows = []
    for properties, words in ((False, "no properties"), (True, "properties")):
        for qos in (0, 1):
            name = f"{'properties' if properties else 'v5'}-qos{qos}"
            title = f"5.0, QoS {qos}, 1:1, {words}"
            rows += _windows(name, title, qos=qos, version=5, properties=properties)
    return rows


def _large() -> list[Workload]:
    rows = []
    for size, words, windows in ((16, "16 KiB", WINDOWS), (1024, "1 MiB", (1, 20))):
        for qos in (0, 1):
            name = f"{size}k-qos{qos}"
            rows += _windows(name, f"QoS {qos}, {words}, 1:1", windows, qos=qos, payload=size * KIB)
    return rows


def _many_ends() -> list[Workload]:
    most = (1000,)
    fan_in = (100, 1000)  # one message for each publisher at least
    near = {"baseline": "qos0-w1000", "without": "with nobody else there"}
    return [
        *_windows("fanout", "QoS 0, fan-out 1:100", subscribers=100),
        *_windows("fanout-qos1", "QoS 1, fan-out 1:100", most, qos=1, subscribers=100),
        *_windows("fanout1000", "QoS 0, fan-out 1:1000", (20, 1000), subscribers=1000),
        *_windows("fanin", "QoS 0, fan-in 100:1", fan_in, publishers=100),
        *_windows("fanin-qos1", "QoS 1, fan-in 100:1", fan_in, qos=1, publishers=100),
        *_windows("topics", "QoS 0, 1,000 topics, one subscriber each", subscribers=1000,
                  pattern=OWN),
        *_windows(
            "wildcard", "QoS 0, 100 wildcard filters match", subscribers=100, pattern=WILDCARD
        ),
        *_windows("many", "QoS 0, 100,000 subscriptions, one matches", (1, 20),
                  subscriptions=100_000),
        *_windows("many", "QoS 0, 100,000 subscriptions, one matches", most,
                  subscriptions=100_000, **near),
        *_windows("churn", "QoS 0, 1:1, others subscribe and unsubscribe", most, churn=True,
                  **near),
        *_windows("shared", "5.0, QoS 0, shared by 10", subscribers=10, pattern=SHARED, version=5),
        *_windows("shared-qos1", "5.0, QoS 1, shared by 10", most, qos=1, subscribers=10,
                  pattern=SHARED, version=5),
    ]  # fmt: skip


def _stored() -> list[Workload]:
    return [
        Workload("retained-store", "QoS 1, store 50,000 retained", "retained_store", 1, 1000),
        Workload(
            "retained-deliver", "QoS 0, 50,000 retained to a # subscriber",
            "retained_deliver",
        ),
        Workload(
            "offline-drain", "QoS 1, drain a queue of 50,000", "offline_drain", 1, 1000, kept=True
        ),
    ]  # fmt: skip


def _round_trips() -> list[Workload]:
    return [
        Workload(f"rtt{name}-qos{qos}", f"QoS {qos}, round trip, {words}", "round_trip", qos,
                 connections=connections)
        for name, words, connections in (
            ("", "alone", 0), ("-idle", "with 1,000 idle connections", 1000)
        )
        for qos in (0, 1)
    ]  # fmt: skip


def _transports() -> list[Workload]:
    return [
        *_windows("tls", "QoS 0, 1:1, TLS 1.3", transport=TLS),
        *_windows("websocket", "QoS 0, 1:1, WebSocket", transport=WEBSOCKET),
        *_windows("two-listeners", "QoS 0, 1:1, subscriber on another listener", transport=OTHER),
    ]


def _ledger() -> list[Workload]:
    """The default has to be within 10 % of this."""
    return [
        Workload(
            f"ledger-off-qos{qos}", f"QoS {qos}, 1:1, window 1,000, conformance off", "throughput",
            qos, 1000, baseline=f"qos{qos}-w1000", without="with the ledger on",
            only="touchstone", options="conformance off\n",
        )
        for qos in (0, 1)
    ]  # fmt: skip


def _durable() -> list[Workload]:
    rows = []
    for ends, publishers in (("1:1", 1), ("50:1", 50)):
        for kind, words in (("throughput", "connected"), ("offline", "offline")):
            name = f"qos1-{publishers}-{words}"
            title = f"QoS 1, {ends}, window 1,000, kept session, {words}"
            rest = (1, 1000, publishers, 1, SMALL, 0, True)
            compare = (f"kept-{name}", "without persistence")
            rows += [
                Workload(f"kept-{name}", title, kind, *rest),
                Workload(f"durable-{name}", f"durable {title}", kind, *rest, True, *compare),
            ]
    return rows


def _nothing_kept() -> list[Workload]:
    """Persistence on, and nothing there that it would keep: to be compared with off."""
    return [
        Workload(
            f"on-qos{qos}",
            f"QoS {qos}, 1:1, window 1,000, persistence on, clean session",
            "throughput",
            qos,
            1000,
            persistence=True,
            baseline=f"qos{qos}-w1000",
            without="without persistence",
        )
        for qos in (0, 1, 2)
    ]


def _restarts() -> list[Workload]:
    """Only this broker claims to have everything after a SIGKILL."""
    rows = []
    for killed, only in ((False, ""), (True, "touchstone")):
        name = "killed" if killed else "stopped"
        title = f"{name} and started, 100,000 retained and 100,000 queued"
        rows.append(
            Workload(
                f"restart-{name}", title, RESTART, 1, 1000,
                kept=True, persistence=True, killed=killed, only=only,
            )
        )  # fmt: skip
    return rows


WORKLOADS: tuple[Workload, ...] = (
    *_one_to_one(),
    *_ledger(),
    *_version_5(),
    *_large(),
    *_many_ends(),
    *_stored(),
    *_round_trips(),
    *_transports(),
    *_nothing_kept(),
    *_durable(),
    *_restarts(),
    Workload("connect", "connect and disconnect, 20 at a time", "connect", window=20),
    Workload("idle-1000", "1,000 idle connections", "idle", window=50, connections=1000),
    Workload("idle-10000", "10,000 idle connections", "idle", window=50, connections=10_000),
    Workload("start", "start to first CONNACK", START),
)


def chosen(names: list[str]) -> list[Workload]:
    """The workloads whose name is, or starts with, one of `names`; all of them for no names.

    What a chosen one is compared with is run, too.
    """
    exact = {workload.name for workload in WORKLOADS}.intersection(names)
    found = [
        workload
        for workload in WORKLOADS
        if not names
        or workload.name in exact
        or any(name not in exact and workload.name.startswith(name) for name in names)
    ]
    wanted = {workload.name for workload in found} | {workload.baseline for workload in found}
    return [workload for workload in WORKLOADS if workload.name in wanted]
