"""Tables of the results: text for the terminal, Markdown and JSON for `docs/`."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.brokers import REFERENCE
from benchmarks.restart import COUNT, GOAL_S
from benchmarks.runner import Cell, Plan
from benchmarks.workloads import RESTART

HEADINGS = (
    "workload",
    "broker",
    "per second",
    "CPU us each",
    "peak MiB",
    "p50 / p99 / max us",
    "rate ratio",
    "CPU ratio",
    "notes",
)
OTHERS_NOTED = 0.15  # of a core; below that, runs next to each other agree
VERSION_NAMES = {4: "3.1.1", 5: "5.0"}


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(cell: Cell, reference: Cell | None, key: str) -> str:
    mine, theirs = cell.value(key), reference.value(key) if reference else None
    return f"{mine / theirs:.2f}" if mine is not None and theirs else ""


def _notes(cell: Cell, reference: Cell | None, baseline: Cell | None) -> str:
    notes = []
    rate, cpu = _ratio(cell, baseline, "per_second"), _ratio(cell, baseline, "cpu_us")
    if rate:
        notes.append(f"rate ratio {rate}, CPU ratio {cpu} to itself without persistence")
    if cell.workload.kind == RESTART and cell.rounds:
        notes.append(_restart_times(cell))
    if cell.limited():
        notes.append("the load generator was the limit")
    per_connection = cell.value("kib_per_connection")
    if per_connection is not None:
        notes.append(f"{per_connection:.2f} KiB a connection")
    latency = _ratio(cell, reference, "p50_us")
    if latency:
        notes.append(f"p50 ratio {latency}")
    others = cell.value("others_busy") or 0.0
    if others > OTHERS_NOTED:
        notes.append(f"other processes used {others:.0%} of a core")
    if cell.failures:
        notes.append(
            f"FAILED {len(cell.failures)} times: {cell.failures[0].splitlines()[-1][:120]}"
        )
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
        _notes(cell, reference, baseline),
    )


def rows(cells: list[Cell]) -> list[tuple[str, ...]]:
    """One row a cell, with ratios to the reference broker's cell of the same workload."""
    references = {cell.workload.name: cell for cell in cells if cell.broker == REFERENCE}
    named = {(cell.workload.name, cell.broker): cell for cell in cells}
    return [
        _row(
            cell,
            references.get(cell.workload.name),
            named.get((cell.workload.baseline, cell.broker)),
        )
        for cell in cells
    ]


def as_text(cells: list[Cell]) -> str:
    """An aligned table."""
    table = [HEADINGS, *rows(cells)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    lines = []
    for row in table:
        parts = [
            value.ljust(width) if column in (0, 1, 8) else value.rjust(width)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    starts = [f"{name} {_number(value * 1000)} ms" for name, value in start_times(cells).items()]
    return "\n".join([*lines, "", "start to first CONNACK: " + ", ".join(starts)])


def start_times(cells: list[Cell]) -> dict[str, float]:
    """Seconds from starting each broker to its first CONNACK, the median of all its starts."""
    times: dict[str, list[float]] = {}
    for cell in cells:
        started = [result["start_s"] for result in cell.rounds if "start_s" in result]
        times.setdefault(cell.broker, []).extend(started)
    return {name: median(values) for name, values in times.items() if values}


def machine() -> dict[str, str]:
    """What a reader needs to judge the numbers, and no name of the machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    release = ".".join(platform.release().split(".")[:2])
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {release}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def write(plan: Plan, cells: list[Cell], versions: dict[str, str], folder: Path) -> None:
    """Write `benchmarks.md` and `benchmarks.json`."""
    about = machine()
    data: dict[str, Any] = {
        "machine": about,
        "protocol": VERSION_NAMES[plan.version],
        "versions": versions,
        "start_s": start_times(cells),
        "results": [
            {
                "workload": cell.workload.name,
                "title": cell.workload.title,
                "broker": cell.broker,
                "rounds": cell.rounds,
                "failures": len(cell.failures),
            }
            for cell in cells
        ],
    }
    (folder / "benchmarks.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / "benchmarks.md").write_text(_page(plan, cells, versions, about))


def _page(plan: Plan, cells: list[Cell], versions: dict[str, str], about: dict[str, str]) -> str:
    table = ["| " + " | ".join(HEADINGS) + " |", "| --- | --- |" + " ---: |" * 6 + " --- |"]
    table += ["| " + " | ".join(row) + " |" for row in rows(cells)]
    starts = [f"{name} {value * 1000:,.0f} ms" for name, value in start_times(cells).items()]
    length = f"{plan.rounds} rounds of {plan.measure_s:g} s each"
    lines = [
        "# Benchmarks",
        "",
        "Made by `python -m benchmarks --write`; do not edit. What each column means, and how it",
        "is measured, stands under the table.",
        "",
        f"- {about['processor']}; {about['system']}; {about['date']}",
        *(f"- {name}: {version}" for name, version in versions.items()),
        f"- MQTT {VERSION_NAMES[plan.version]}; the median of {length}, brokers in turn",
        f"- start to first CONNACK: {', '.join(starts)}",
        "",
        *table,
        "",
        METHOD,
        "## Configurations",
        "",
    ]
    for kind in plan.brokers:
        lines += [f"{kind.name}, `{kind.shown_command}`:", "", "```"]
        lines += [kind.configuration.rstrip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


METHOD = """\
## How it is measured

- Each round starts a fresh broker, pinned to one core; the load generator, one process, is
  pinned to another. All over loopback TCP. A warm-up is not counted.
- *Window* is the number of published messages outstanding: published, and not yet delivered to
  every subscriber and (QoS 1 and 2) acknowledged to the publisher. The publishers of a fan-in
  share it. Payloads are 64 bytes unless said.
- *per second* counts messages delivered to subscribers (round trips, connections). *CPU us
  each* is user plus system time of the broker process over that number, in microseconds. *peak
  MiB* is the broker's largest resident size.
- *rate ratio* and *CPU ratio* are to Mosquitto in the same run: above 1 is faster in the first,
  below 1 cheaper in the second.
- *durable*: with `persistence true`. Touchstone acknowledges when the message is on the disk
  (fsync); Mosquitto writes its file at intervals and when it ends, and none of these runs is long
  enough for the first. To an offline session, *per second* counts acknowledgements, and every
  message has to be there when the client comes back.
- *persistence on, clean session*: `persistence true`, and no session that it would keep. The
  ratio in its note is what having persistence on costs those who do not use it.
- *stopped*, *killed and started*: the broker is filled, ended (SIGTERM) or killed (SIGKILL), and
  started again; times are from the start of its process. A client connects as soon as the port is
  bound, while the broker may still be loading, and takes all that is queued; then another
  subscribes to all that is retained. *per second* is all of it over the time until the last
  message. The goal is a CONNACK, with Session Present, in under 3 s.
- *p50 / p99 / max*: from the call that sends a message to having received it at another
  connection, one at a time.
- The generator sends packets made before the start, and counts by length. It checks that every
  message arrives, in order, once, and that nothing else does; a run in which that does not hold
  is a failure, not a number.
- *the load generator was the limit*: it used more than 90 % of its core and the broker less
  than 90 % of its own. CPU time and memory still count; the rate is a lower bound.
- *other processes*: the machine was not left alone; CPU per message still counts, rates and
  latencies do less.
"""
