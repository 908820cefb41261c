"""`python -m benchmarks.scaling [--quick] [--write] [AXIS...]`: how the cost of a publish grows.

Microseconds of CPU per publish over each of `scaling_steps.AXES`, the best of several repetitions,
and the resident memory of an entry, in processes of their own. `--quick` leaves the large sizes
out. `--write` puts the figures into `docs/scaling.md`, between its marks, and draws the pictures;
what stands around the marks is written by hand.
"""

import argparse
import gc
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import process
from benchmarks.curves import curves
from benchmarks.micro import measure
from benchmarks.results import machine
from benchmarks.scaling_steps import AXES, Arena, Axis, entries

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "scaling.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
FLAT = 1.5  # times; less growth from the smallest size to the largest is called flat
WARM_ENTRIES = 1000  # are there before memory is measured
CHUNK = 1000  # entries whose packets are there at a time, so that these do not count
# What is measured: entries in a full run and in a quick one.
MEMORY = {
    "subscription": (1_000_000, 50_000),
    "retained message": (1_000_000, 50_000),
    "connected client": (15_000, 2_000),
}

Figures = dict[str, list[tuple[int, float]]]  # by series: size, microseconds


def measure_axis(axis: Axis, most: int | None) -> Figures:
    """All series of an axis, with a line for each figure."""
    figures: Figures = {}
    for name, prepare in axis.series.items():
        figures[name] = []
        for size in axis.sizes_up_to(most):
            taken = measure(*prepare(size))
            gc.collect()
            figures[name].append((size, taken))
            print(f"{axis.title:36} {name:32} {size:9,} {taken:10.2f} us", flush=True)
    return figures


def bytes_each(kind: str, count: int) -> float:
    """Resident memory that each of `count` more entries takes; meant for a fresh process."""
    arena = Arena()
    arena.add_clients(1)
    entries(kind, arena, range(WARM_ENTRIES))
    gc.collect()
    before = process.resident_kib(os.getpid())
    for at in range(WARM_ENTRIES, WARM_ENTRIES + count, CHUNK):
        entries(kind, arena, range(at, min(at + CHUNK, WARM_ENTRIES + count)))
    gc.collect()
    return (process.resident_kib(os.getpid()) - before) * 1024 / count


def measure_memory(quick: bool) -> dict[str, tuple[int, float]]:
    """By kind: how many entries, and bytes of each."""
    found = {}
    for kind, counts in MEMORY.items():
        count = counts[quick]
        command = [sys.executable, "-m", "benchmarks.scaling", "--memory", kind, str(count)]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=DOCS.parent).stdout
        found[kind] = count, float(output)
        print(f"{'Memory':36} {kind:32} {count:9,} {found[kind][1]:10.0f} bytes", flush=True)
    return found


def growth(axis: Axis, name: str, curve: list[tuple[int, float]]) -> str:
    """A row of the summary."""
    (smallest, first), (largest, last) = curve[0], curve[-1]
    word = "flat" if last / first < FLAT else f"{last / first:.3g} times"
    sizes = f"{smallest:,} to {largest:,}"
    return f"| {axis.title} | {name} | {sizes} | {first:.2f} | {last:.2f} | {word} |"


def table(figures: Figures) -> list[str]:
    """A row for each size."""
    rows = [
        "| size | " + " | ".join(f"{name}, us" for name in figures) + " |",
        "| ---: |" + " ---: |" * len(figures),
    ]
    for at, (size, _) in enumerate(next(iter(figures.values()))):
        cells = " | ".join(f"{curve[at][1]:.2f}" for curve in figures.values())
        rows.append(f"| {size:,} | {cells} |")
    return rows


def section(
    measured: dict[str, Figures], memory: dict[str, tuple[int, float]], command: str
) -> str:
    """What stands between the marks."""
    about = machine()
    python = ".".join(str(part) for part in sys.version_info[:3])
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    where = f"{about['processor']}; {about['system']}; Python {python}"
    lines = [f"Made by `{command}` on {day}: {where}."]
    if "--quick" in command:
        lines += ["", "**A quick run: the largest sizes were left out.**"]
    lines += [
        "",
        "| what grows | publishes | sizes | smallest, us | largest, us | growth |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    axes = [axis for axis in AXES if axis.name in measured]
    for axis in axes:
        lines += [growth(axis, name, curve) for name, curve in measured[axis.name].items()]
    lines += ["", "| memory of each | entries | bytes |", "| --- | ---: | ---: |"]
    lines += [f"| {kind} | {count:,} | {size:,.0f} |" for kind, (count, size) in memory.items()]
    for axis in axes:
        picture = f"![{axis.title}](scaling-{axis.name}.svg)"
        lines += ["", f"### {axis.title}", "", picture, "", *table(measured[axis.name])]
    return "\n".join(lines)


def replaced(page: str, text: str) -> str:
    """The page with `text` between its marks.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{BEGIN} and {END} are not there")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def write(measured: dict[str, Figures], memory: dict[str, tuple[int, float]], command: str) -> None:
    """The page and its pictures."""
    for axis in AXES:
        if axis.name in measured:
            picture = curves(measured[axis.name], f"{axis.title}: CPU us per publish", axis.unit)
            (DOCS / f"scaling-{axis.name}.svg").write_text(picture)
    PAGE.write_text(replaced(PAGE.read_text(), section(measured, memory, command)))


def main(arguments: Sequence[str]) -> int:
    """Measure the axes that are named, all without a name."""
    parser = argparse.ArgumentParser(prog="benchmarks.scaling")
    parser.add_argument("axes", nargs="*", metavar="AXIS", help="|".join(a.name for a in AXES))
    parser.add_argument("--quick", action="store_true", help="leave the large sizes out")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/scaling.md")
    parser.add_argument("--memory", nargs=2, metavar=("KIND", "COUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    unknown = set(given.axes) - {axis.name for axis in AXES}
    if unknown:
        parser.error(f"no such axis: {', '.join(sorted(unknown))}")
    if given.write and given.axes:
        parser.error("the page is written of all axes together")
    gc.set_threshold(100_000, 50, 100)  # as `broker/command_line.py` has it
    if given.memory:
        kind, count = given.memory
        print(bytes_each(kind, int(count)))
        return 0
    measured = {
        axis.name: measure_axis(axis, axis.quick if given.quick else None)
        for axis in AXES
        if not given.axes or axis.name in given.axes
    }
    if not given.axes:
        memory = measure_memory(given.quick)
        if given.write:
            quick = " --quick" if given.quick else ""
            write(measured, memory, f"python -m benchmarks.scaling{quick} --write")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
