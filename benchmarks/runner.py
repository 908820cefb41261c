"""Runs: every workload against every broker in turn, several rounds, a fresh broker each time."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.brokers import ROOT, BrokerKind, NotStartedError, running
from benchmarks.client import WrongDeliveryError
from benchmarks.restart import restart
from benchmarks.workloads import RESTART, Workload

RUN_LIMIT_S = 120.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Plan:
    """What was asked for."""

    workloads: list[Workload]
    brokers: list[BrokerKind]
    rounds: int = 3
    version: int = 4  # protocol level
    warm_up_s: float = 0.5
    measure_s: float = 2.0
    quick: bool = False  # fewer messages, where a workload counts them


@dataclass(slots=True)
class Cell:
    """One workload on one broker: the result of each round, or why there is none."""

    workload: Workload
    broker: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def value(self, key: str) -> float | None:
        """The median over the rounds."""
        values = [result[key] for result in self.rounds if key in result]
        return median(values) if values else None

    def limited(self) -> bool:
        """The generator was busy all the time and the broker was not: the rate is a lower bound."""
        load, broker = self.value("load_busy"), self.value("broker_busy")
        if load is None or broker is None or self.workload.kind in ("idle", RESTART):
            return False
        return load > 0.9 > broker


def cores() -> tuple[int | None, int | None]:
    """A core for the broker and one for the load, where the system lets us choose and has two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def raise_file_limit() -> None:
    """10,000 connections need as many descriptors; the broker and the load inherit the limit."""
    try:
        import resource  # not on Windows, where there is no such limit
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 20_000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_once(plan: Plan, workload: Workload, kind: BrokerKind) -> dict[str, Any]:
    """One round: start the broker, run the load in a process of its own, return its result."""
    broker_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if workload.kind == RESTART:
            try:
                return restart(workload, kind, Path(folder), broker_core, plan.quick)
            except (WrongDeliveryError, OSError) as error:
                raise RuntimeError(f"{type(error).__name__}: {error}") from error
        with running(kind, Path(folder), broker_core, workload.persistence) as broker:
            job = {
                "workload": asdict(workload),
                "pid": broker.pid,
                "port": broker.port,
                "version": plan.version,
                "warm_up_s": plan.warm_up_s,
                "measure_s": plan.measure_s,
                "core": load_core,
            }
            load = subprocess.run(
                [sys.executable, "-m", "benchmarks.load"],
                input=json.dumps(job),
                capture_output=True,
                text=True,
                check=False,
                cwd=ROOT,
                timeout=RUN_LIMIT_S,
            )
            start_s = broker.start_s
        if load.returncode:
            log = (Path(folder) / f"{kind.name}.log").read_text(errors="replace")[-1500:]
            reason = load.stderr.strip()[-1500:]
            raise RuntimeError(f"{reason}\n{log}".strip())
    result: dict[str, Any] = json.loads(load.stdout)
    result["start_s"] = start_s
    return result


def run_all(plan: Plan, say: Say) -> list[Cell]:
    """All rounds, brokers side by side, so that a slow moment of the machine meets each of them."""
    raise_file_limit()
    missing: set[str] = set()  # brokers that do not start are not tried again
    kinds = {kind.name: kind for kind in plan.brokers}
    cells = [
        Cell(work, name) for work in plan.workloads for name in kinds if work.only in ("", name)
    ]
    for turn in range(plan.rounds):
        for cell in cells:
            kind = kinds[cell.broker]
            if kind.name in missing:
                continue
            try:
                result = run_once(plan, cell.workload, kind)
            except NotStartedError as error:
                cell.failures.append(str(error))
                missing.add(kind.name)
                say(str(error))
                continue
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                cell.failures.append(str(error))
                reason = str(error)[:300]
                say(f"{turn + 1} {cell.workload.name:22} {cell.broker:12} FAILED: {reason}")
                continue
            cell.rounds.append(result)
            say(
                f"{turn + 1} {cell.workload.name:22} {cell.broker:12}"
                f" {result['per_second']:12,.0f}/s {result['cpu_us']:9.3f} us CPU each"
                f"   broker {result['broker_busy']:4.0%} load {result['load_busy']:4.0%}"
            )
    return cells
