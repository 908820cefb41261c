"""Runs: every workload against every broker in turn, several rounds, a fresh broker each time."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import process
from benchmarks.brokers import NotStartedError, running
from benchmarks.client import WrongDeliveryError
from benchmarks.kinds import ROOT, BrokerKind, missing
from benchmarks.restart import restart
from benchmarks.results import Cell
from benchmarks.workloads import RESTART, START, Workload

RUN_LIMIT_S = 120.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Plan:
    """What was asked for."""

    workloads: list[Workload]
    brokers: list[BrokerKind]
    versions: dict[str, str]  # of the brokers
    started: str  # date and time, ISO 8601
    rounds: int = 3
    warm_up_s: float = 0.5
    measure_s: float = 2.0
    quick: bool = False  # fewer messages, where a workload counts them


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
        with running(kind, Path(folder), broker_core, workload) as broker:
            if workload.kind == START:
                return {"start_s": broker.start_s, "peak_kib": process.peak_kib(broker.pid)}
            job = {
                "workload": asdict(workload),
                "pid": broker.pid,
                "ports": broker.ports,
                "version": workload.version,
                "warm_up_s": plan.warm_up_s,
                "measure_s": plan.measure_s,
                "quick": plan.quick,
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
        if load.returncode:
            log = (Path(folder) / f"{kind.name}.log").read_text(errors="replace")[-1500:]
            reason = load.stderr.strip()[-1500:]
            raise RuntimeError(f"{reason}\n{log}".strip())
    result: dict[str, Any] = json.loads(load.stdout)
    return result


def run_all(plan: Plan, say: Say) -> list[Cell]:
    """All rounds, brokers side by side, so that a slow moment of the machine meets each of them."""
    raise_file_limit()
    down: set[str] = set()  # brokers that do not start are not tried again
    slow: set[tuple[str, str]] = set()  # and these not again, either
    kinds = {kind.name: kind for kind in plan.brokers}
    cells = [
        Cell(work, kind.name, plan.versions[kind.name], plan.started)
        for work in plan.workloads
        for kind in plan.brokers
        if work.only in ("", kind.name) and not missing(work.needs(), kind)
    ]
    for turn in range(plan.rounds):
        for cell in cells:
            if cell.broker in down or cell.name in slow:
                continue
            outcome = ""
            try:
                result = run_once(plan, cell.workload, kinds[cell.broker])
            except NotStartedError as error:
                cell.failures.append(str(error))
                down.add(cell.broker)
                outcome = str(error)
            except RuntimeError as error:
                cell.failures.append(str(error))
                outcome = f"FAILED: {str(error)[:300]}"
            except subprocess.TimeoutExpired:
                outcome = f"not done after {RUN_LIMIT_S:g} s"
                cell.failures.append(outcome)
                slow.add(cell.name)
            else:
                cell.rounds.append(result)
                outcome = _told(result)
            say(f"{turn + 1} {cell.workload.name:22} {cell.broker:12} {outcome}")
    return cells


def _told(result: dict[str, Any]) -> str:
    if "per_second" not in result:
        return f"{result['start_s'] * 1000:12,.0f} ms"
    return (
        f"{result['per_second']:12,.0f}/s {result['cpu_us']:9.3f} us CPU each"
        f"   broker {result['broker_busy']:4.0%} load {result['load_busy']:4.0%}"
    )
