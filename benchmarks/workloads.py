"""The workloads, as a table.

A new row is a new workload, a new `kind` a function in `load.KINDS`.
"""

from dataclasses import dataclass

SMALL = 64  # bytes of payload
LARGE = 16 * 1024
RESTART = "restart"  # the kind of what ends and starts the broker itself


@dataclass(slots=True)
class Workload:
    """One row. `window` counts published messages that are outstanding, over all publishers."""

    name: str
    title: str
    kind: str  # a key of `load.KINDS`, or RESTART
    qos: int = 0
    window: int = 1
    publishers: int = 1
    subscribers: int = 1
    payload: int = SMALL  # bytes
    connections: int = 0
    kept: bool = False  # sessions of subscribers outlive their connections
    persistence: bool = False  # so do they, and retained messages, the broker
    baseline: str = ""  # the workload that is the same but for one thing, to compare with
    killed: bool = False  # by SIGKILL, not SIGTERM, before it is started again
    only: str = ""  # the one broker that it can be asked of; all for ""


def _one_to_one() -> list[Workload]:
    return [
        Workload(
            f"qos{qos}-w{window}", f"QoS {qos}, 1:1, window {window:,}", "throughput", qos, window
        )
        for qos in (0, 1, 2)
        for window in (1, 20, 1000)
    ]


def _durable() -> list[Workload]:
    rows = []
    for ends, publishers in (("1:1", 1), ("50:1", 50)):
        for kind, words in (("throughput", "connected"), ("offline", "offline")):
            name = f"qos1-{publishers}-{words}"
            title = f"QoS 1, {ends}, window 1,000, kept session, {words}"
            rest = (1, 1000, publishers, 1, SMALL, 0, True)
            rows += [
                Workload(f"kept-{name}", title, kind, *rest),
                Workload(f"durable-{name}", f"durable {title}", kind, *rest, True, f"kept-{name}"),
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
    Workload("fanout", "QoS 0, fan-out 1:100, window 1,000", "throughput", 0, 1000, 1, 100),
    Workload("fanout-qos1", "QoS 1, fan-out 1:100, window 1,000", "throughput", 1, 1000, 1, 100),
    Workload("fanin", "QoS 0, fan-in 50:1, window 1,000", "throughput", 0, 1000, 50, 1),
    Workload("fanin-qos1", "QoS 1, fan-in 50:1, window 1,000", "throughput", 1, 1000, 50, 1),
    Workload("large", "QoS 0, 16 KiB, 1:1, window 100", "throughput", 0, 100, payload=LARGE),
    Workload("large-qos1", "QoS 1, 16 KiB, 1:1, window 100", "throughput", 1, 100, payload=LARGE),
    Workload("rtt-qos0", "QoS 0, round trip, alone", "round_trip", 0),
    Workload("rtt-qos1", "QoS 1, round trip, alone", "round_trip", 1),
    *_nothing_kept(),
    *_durable(),
    *_restarts(),
    Workload("connect", "connect and disconnect, 20 at a time", "connect", window=20),
    Workload("idle-1000", "1,000 idle connections", "idle", window=50, connections=1000),
    Workload("idle-10000", "10,000 idle connections", "idle", window=50, connections=10_000),
)


def chosen(names: list[str]) -> list[Workload]:
    """The workloads whose name is, or starts with, one of `names`; all of them for no names."""
    exact = {workload.name for workload in WORKLOADS}.intersection(names)
    return [
        workload
        for workload in WORKLOADS
        if not names
        or workload.name in exact
        or any(name not in exact and workload.name.startswith(name) for name in names)
    ]
