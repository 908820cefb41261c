"""Tables of the results: text for the terminal, Markdown and JSON for `docs/`."""

from pathlib import Path

from benchmarks.goals import goal_table
from benchmarks.kinds import BROKERS, REFERENCE, BrokerKind, missing
from benchmarks.method import METHOD
from benchmarks.plot import bars
from benchmarks.restart import COUNT, GOAL_S
from benchmarks.results import Cell, Cells, keyed, ratio
from benchmarks.transports import TCP
from benchmarks.workloads import RESTART, WORKLOADS

HEADINGS = (
    "workload",
    "broker",
    "per second",
    "CPU us each",
    "peak MiB",
    "p50 / p99 / max us",
    "rate ratio",
    "CPU ratio",
    "busy: broker / load",
    "notes",
)
OTHERS_NOTED = 0.15  # of a core; below that, runs next to each other agree
RATE_PLOT, CPU_PLOT = "benchmarks-rate.svg", "benchmarks-cpu.svg"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(cell: Cell, reference: Cell | None, key: str) -> str:
    value = ratio(cell, reference, key)
    return "" if value is None else f"{value:.2f}"


def _notes(cell: Cell, reference: Cell | None, baseline: Cell | None) -> str:
    notes = []
    rate, cpu = _ratio(cell, baseline, "per_second"), _ratio(cell, baseline, "cpu_us")
    if rate:
        words = cell.workload.without
        notes.append(f"rate ratio {rate}, CPU ratio {cpu} to itself {words}")
    if cell.workload.kind == RESTART and cell.rounds:
        notes.append(_restart_times(cell))
    if cell.limited():
        notes.append("the load generator was the limit")
    per_connection = cell.value("kib_per_connection")
    if per_connection is not None:
        notes.append(f"{per_connection:.2f} KiB a connection")
    start_s = cell.value("start_s")
    if start_s is not None:
        notes.append(f"{start_s * 1000:,.0f} ms")
    latency = _ratio(cell, reference, "p50_us")
    if latency:
        notes.append(f"p50 ratio {latency}")
    if reference and reference.run != cell.run:
        notes.append("ratios to Mosquitto of another run")
    others = cell.value("others_busy") or 0.0
    if others > OTHERS_NOTED:
        notes.append(f"other processes used {others:.0%} of a core")
    if cell.failures:
        first = cell.failures[0].strip().splitlines()[0][:120]
        notes.append(f"FAILED {len(cell.failures)} times: {first}")
    return "; ".join(notes)


def _restart_times(cell: Cell) -> str:
    """Seconds from the start of the process."""
    steps = (
        ("ports bound", "bound_s"),
        ("CONNACK", "connack_s"),
        ("first queued message", "first_s"),
        ("last one", "last_s"),
        ("then all retained", "retained_s"),
    )
    times = ", ".join(f"{step} {cell.value(key) or 0.0:.2f} s" for step, key in steps)
    times += f"; {cell.value('connack_cpu_s') or 0.0:.2f} s of CPU until CONNACK"
    met = "met" if (cell.value("connack_s") or 0.0) < GOAL_S else "MISSED"
    count = (cell.value("count") or 0.0) / 2
    fewer = "" if count == COUNT else f", with {count:,.0f} of each only"
    return f"{times}; goal CONNACK under {GOAL_S:g} s: {met}{fewer}"


def _row(cell: Cell, reference: Cell | None, baseline: Cell | None) -> tuple[str, ...]:
    latencies = [cell.value(key) for key in ("p50_us", "p99_us", "max_us")]
    peak = cell.value("peak_kib")
    return (
        cell.workload.title,
        cell.broker,
        _number(cell.value("per_second")),
        _number(cell.value("cpu_us")),
        _number(peak / 1024 if peak else None),
        "" if latencies[0] is None else " / ".join(_number(value) for value in latencies),
        _ratio(cell, reference, "per_second"),
        _ratio(cell, reference, "cpu_us"),
        _busy(cell),
        _notes(cell, reference, baseline),
    )


def _busy(cell: Cell) -> str:
    broker, load = cell.value("broker_busy"), cell.value("load_busy")
    return "" if broker is None or load is None else f"{broker:.0%} / {load:.0%}"


def rows(cells: Cells) -> list[tuple[str, ...]]:
    """One row a cell, with ratios to the reference broker's cell of the same workload."""
    return [
        _row(
            cell,
            cells.get((cell.workload.name, REFERENCE)),
            cells.get((cell.workload.baseline, cell.broker)),
        )
        for cell in cells.values()
    ]


def as_text(cells: list[Cell]) -> str:
    """An aligned table."""
    table = [HEADINGS, *rows(keyed(cells))]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    last = len(HEADINGS) - 1
    lines = []
    for row in table:
        parts = [
            value.ljust(width) if column in (0, 1, last) else value.rjust(width)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def write(cells: list[Cell], about: dict[str, str], folder: Path) -> None:
    """Write the page and its pictures."""
    found = keyed(cells)
    (folder / RATE_PLOT).write_text(bars(found, "per_second", "Delivered per second"))
    (folder / CPU_PLOT).write_text(bars(found, "cpu_us", "Broker CPU per message"))
    (folder / "benchmarks.md").write_text(_page(found, about))


def _page(cells: Cells, about: dict[str, str]) -> str:
    days = sorted({cell.run.partition("T")[0] for cell in cells.values()})
    date = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    rounds = sorted({len(cell.rounds) for cell in cells.values() if cell.rounds})
    lines = [
        "# Benchmarks",
        "",
        "Made by `python -m benchmarks --write`; do not edit. What each column means, and how it",
        "is measured, stands under the table. `python -m benchmarks.install` installs the brokers",
        "that come from PyPI and npm; what is not there is left out.",
        "",
        f"- {about['processor']}; {about['system']}; {date}",
        *_brokers(cells),
        f"- rounds of each workload: {' or '.join(str(count) for count in rounds)}",
        "",
        f"![Delivered per second, as ratios to {REFERENCE}]({RATE_PLOT})",
        "",
        f"![Broker CPU per message, as ratios to {REFERENCE}]({CPU_PLOT})",
        "",
        "## Goals",
        "",
        f"Ratios to {REFERENCE}; with the ledger on, in report mode.",
        "",
        *_table(("workload", "figure", "goal", "measured", ""), goal_table(cells), "llrrl"),
        "",
        "## Results",
        "",
        *_table(HEADINGS, rows(cells), "ll" + "r" * (len(HEADINGS) - 3) + "l"),
        "",
        METHOD + "## Configurations",
        "",
    ]
    for kind in BROKERS:
        if any(broker == kind.name for _, broker in cells):
            lines += _configuration(kind)
    return "\n".join(lines).rstrip() + "\n"


def _table(headings: tuple[str, ...], body: list[tuple[str, ...]], align: str) -> list[str]:
    rules = [" --- " if side == "l" else " ---: " for side in align]
    lines = [[f" {value} " for value in row] for row in (headings, *body)]
    return ["|" + "|".join(row) + "|" for row in (lines[0], rules, *lines[1:])]


def _brokers(cells: Cells) -> list[str]:
    """The versions; of a broker that is not there, or cannot do all, one line that says so."""
    lines = []
    for kind in BROKERS:
        versions = sorted({cell.version for cell in cells.values() if cell.broker == kind.name})
        if not versions:
            lines.append(f"- {kind.name}: not measured")
            continue
        impossible = [
            workload.title
            for workload in WORKLOADS
            if not workload.only and missing(workload.needs(), kind)
        ]
        lacks = f"; left out for want of: {', '.join(kind.lacks)}" if impossible else ""
        lines.append(f"- {kind.name}: {' and '.join(versions)}{lacks}")
    return lines


def _configuration(kind: BrokerKind) -> list[str]:
    lines = [f"{kind.name}, `{kind.shown_command}`:", "", "```", kind.configuration.rstrip(), "```"]
    for transport, added in kind.listeners.items():
        if transport != TCP:
            lines += ["", f"and for *{transport}*:", "", "```", added.rstrip(), "```"]
    return [*lines, ""]
