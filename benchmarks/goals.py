"""What the broker has to reach, as a table, and whether it does."""

from dataclasses import dataclass

from benchmarks.kinds import REFERENCE
from benchmarks.results import Cell, Cells, ratio
from benchmarks.workloads import WORKLOADS

OURS = "touchstone"
CPU, RATE, LATENCY = "CPU ratio", "rate ratio", "p50 ratio"
KEYS = {CPU: "cpu_us", RATE: "per_second", LATENCY: "p50_us"}
TO_BASELINE = "CPU ratio to 1:1"  # its own
OF_LEDGER = "CPU ratio with the ledger to without"
MEMORY, START_S = "KiB a connection", "seconds"


@dataclass(slots=True)
class Goal:
    """One row."""

    workload: str
    measure: str
    limit: float

    def measured(self, cells: Cells) -> float | None:
        """The figure that is held against the limit; None if it was not measured."""
        ours = cells.get((self.workload, OURS))
        if ours is None:
            return None
        if self.measure in KEYS:
            theirs = cells.get((self.workload, REFERENCE))
            return ratio(ours, theirs, KEYS[self.measure])
        if self.measure == MEMORY:
            return ours.value("kib_per_connection")
        if self.measure == START_S:
            return ours.value("start_s")
        baseline = cells.get((ours.workload.baseline, OURS))
        pair: tuple[Cell | None, Cell | None] = ours, baseline
        if self.measure == OF_LEDGER:
            pair = baseline, ours
        return ratio(*pair, "cpu_us")

    def met(self, measured: float) -> bool:
        """A rate has to be as high at least, all else as low."""
        return measured >= self.limit if self.measure == RATE else measured <= self.limit


def _both(cpu: float, rate: float, *workloads: str) -> list[Goal]:
    return [
        goal
        for workload in workloads
        for goal in (Goal(workload, CPU, cpu), Goal(workload, RATE, rate))
    ]


GOALS: tuple[Goal, ...] = (
    *_both(0.3, 4, "qos0-w1000", "qos1-w1000"),
    *_both(0.25, 4, "qos2-w1000"),
    *_both(0.12, 8, "fanout-w1000"),
    *_both(0.35, 3, "fanin-w1000"),
    *_both(1.1, 0.9, "qos0-w1", "qos1-w1"),
    *_both(0.8, 1.2, "qos0-w20", "qos1-w20"),
    *(Goal(name, LATENCY, 1.0) for name in ("rtt-qos0", "rtt-qos1")),
    *_both(1.0, 1.0, "16k-qos0-w1000", "16k-qos1-w1000"),
    *_both(0.7, 1.5, "tls-w1000", "websocket-w1000"),
    *_both(0.7, 1.5, "retained-deliver", "offline-drain"),
    Goal("many-w1000", TO_BASELINE, 1.2),
    Goal("connect", RATE, 1.0),
    Goal("idle-1000", MEMORY, 4.0),
    Goal("idle-10000", MEMORY, 4.0),
    Goal("start", START_S, 0.25),
    Goal("ledger-off-qos0", OF_LEDGER, 1.1),
    Goal("ledger-off-qos1", OF_LEDGER, 1.1),
)


def goal_table(cells: Cells) -> list[tuple[str, ...]]:
    """Workload, measure, goal, figure, verdict."""
    titles = {workload.name: workload.title for workload in WORKLOADS}
    rows: list[tuple[str, ...]] = []
    for goal in GOALS:
        measured = goal.measured(cells)
        bound = "at least" if goal.measure == RATE else "at most"
        figure = "" if measured is None else f"{measured:.2f}"
        verdict = "not measured"
        if measured is not None:
            verdict = "met" if goal.met(measured) else "**missed**"
        limit = f"{bound} {goal.limit:g}"
        rows.append((titles[goal.workload], goal.measure, limit, figure, verdict))
    return rows
