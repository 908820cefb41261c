"""`python -m benchmarks.compare OLD.json NEW.json`: what got worse between results files.

The files are what `python -m benchmarks --write` and `python -m benchmarks.instructions` write. Of
each figure the medians over the rounds are compared. The exit code is 1 if one got worse by more
than LIMIT, 2 if there is nothing to compare.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

LIMIT = 0.15  # of the old figure
WATCHED = {"cpu_us": "CPU us per message", "instructions": "instructions per message"}
MINE = "touchstone"  # the broker that is compared, of those in the files

Figures = dict[tuple[str, str], float]  # by the workload's name and a key of WATCHED


@dataclass(slots=True)
class Change:
    """One figure in both files."""

    workload: str
    key: str
    old: float
    new: float

    @property
    def growth(self) -> float:
        """0.2 is a fifth more."""
        return self.new / self.old - 1

    def __str__(self) -> str:
        figures = f"{self.old:,.2f} -> {self.new:,.2f} ({self.growth:+.0%})"
        return f"{self.workload}: {WATCHED[self.key]} {figures}"


def figures(results: dict[str, Any], broker: str = MINE) -> Figures:
    """The medians of one broker's cells in a results file."""
    found: Figures = {}
    for cell in results["results"]:
        if cell["broker"] != broker:
            continue
        for key in WATCHED:
            values = _column(cell["rounds"], key)
            if values:
                found[cell["workload"], key] = median(values)
    return found


def _column(rounds: Any, key: str) -> list[float]:
    """The figure of each round; the rounds are columns or, in older files, rows."""
    if isinstance(rounds, dict):
        return [float(value) for value in rounds.get(key, ())]
    return [float(one[key]) for one in rounds if key in one]


def changes(old: Figures, new: Figures) -> list[Change]:
    """What both have, the greatest growth first."""
    both = [Change(*name, old[name], new[name]) for name in old if name in new and old[name] > 0]
    return sorted(both, key=lambda change: -change.growth)


def report(old: dict[str, Any], new: dict[str, Any], limit: float = LIMIT) -> tuple[list[str], int]:
    """Lines for the terminal, and the exit code."""
    before, after = figures(old), figures(new)
    compared = changes(before, after)
    lines = []
    if old.get("machine", {}).get("processor") != new.get("machine", {}).get("processor"):
        lines.append("the files come from different processors: CPU per message tells little")
    lines += [
        f"only in one file: {workload}, {WATCHED[key]}"
        for workload, key in sorted(before.keys() ^ after.keys())
    ]
    if not compared:
        return [*lines, "nothing to compare"], 2
    worse = [change for change in compared if change.growth > limit]
    better = [change for change in compared if change.growth < -limit]
    lines += [f"WORSE  {change}" for change in worse]
    lines += [f"better {change}" for change in reversed(better)]
    lines.append(
        f"{len(compared)} figures compared: {len(worse)} worse and {len(better)} better"
        f" by more than {limit:.0%}"
    )
    return lines, 1 if worse else 0


def main(arguments: Sequence[str]) -> int:
    """Compare two files."""
    parser = argparse.ArgumentParser(prog="benchmarks.compare")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--limit", type=float, default=LIMIT, help="0.15 is 15 %%")
    given = parser.parse_args(arguments)
    old, new = json.loads(given.old.read_text()), json.loads(given.new.read_text())
    lines, code = report(old, new, given.limit)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
