"""The results of runs: medians, and the JSON file that keeps them."""

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.kinds import BROKERS
from benchmarks.workloads import RESTART, START, WORKLOADS, Workload

DIGITS = 5  # that are kept of a number


@dataclass(slots=True)
class Cell:
    """One workload on one broker: the result of each round, or why there is none."""

    workload: Workload
    broker: str
    version: str  # of the broker
    run: str  # when the run was started, ISO 8601
    rounds: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, str]:
        """Of the workload and of the broker."""
        return self.workload.name, self.broker

    def value(self, key: str) -> float | None:
        """The median over the rounds."""
        values = [result[key] for result in self.rounds if key in result]
        return median(values) if values else None

    def limited(self) -> bool:
        """The generator was busy all the time and the broker was not: the rate is a lower bound."""
        load, broker = self.value("load_busy"), self.value("broker_busy")
        if load is None or broker is None or self.workload.kind in ("idle", RESTART, START):
            return False
        return load > 0.9 > broker


Cells = dict[tuple[str, str], Cell]  # by workload and broker, both by name


def keyed(cells: list[Cell]) -> Cells:
    return {cell.name: cell for cell in cells}


def ratio(cell: Cell | None, reference: Cell | None, key: str) -> float | None:
    """Of the medians of both."""
    mine = cell.value(key) if cell else None
    theirs = reference.value(key) if reference else None
    return mine / theirs if mine is not None and theirs else None


def merged(old: list[Cell], new: list[Cell]) -> list[Cell]:
    """The new cells, and the old ones for what was not measured again, in the tables' order."""
    cells = keyed(old) | keyed(new)
    names = [(work.name, kind.name) for work in WORKLOADS for kind in BROKERS]
    return [cells[name] for name in names if name in cells]


def save(cells: list[Cell], about: dict[str, str], path: Path) -> None:
    """A line for each cell."""
    lines = []
    for cell in cells:
        keys = dict.fromkeys(key for result in cell.rounds for key in result)
        result = {
            "workload": cell.workload.name,
            "title": cell.workload.title,
            "broker": cell.broker,
            "version": cell.version,
            "run": cell.run,
            "rounds": {
                key: [_short(result[key]) for result in cell.rounds if key in result]
                for key in keys
            },
            "failures": [_first_line(failure) for failure in cell.failures],
        }
        lines.append(json.dumps(result))
    rows = ",\n".join(lines)
    path.write_text(f'{{"machine": {json.dumps(about)}, "results": [\n{rows}\n]}}\n')


def load(path: Path) -> tuple[list[Cell], dict[str, str]]:
    """The cells of workloads that there still are, and the machine."""
    if not path.exists():
        return [], {}
    data = json.loads(path.read_text())
    workloads = {workload.name: workload for workload in WORKLOADS}
    cells = []
    for result in data["results"]:
        workload = workloads.get(result["workload"])
        if workload is None or not isinstance(result["rounds"], dict):
            continue
        columns = result["rounds"]
        count = max((len(column) for column in columns.values()), default=0)
        rounds = [
            {key: column[index] for key, column in columns.items() if index < len(column)}
            for index in range(count)
        ]
        cell = Cell(workload, result["broker"], result["version"], result["run"], rounds)
        cell.failures = result["failures"]
        cells.append(cell)
    return cells, data["machine"]


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:120]


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
    }
