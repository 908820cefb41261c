"""`python -m benchmarks`: the same workloads against each broker found, side by side.

    python -m benchmarks                      all of it, about eight minutes
    python -m benchmarks --quick              one short round
    python -m benchmarks --only qos1          the workloads whose name starts so; may be repeated
    python -m benchmarks --broker touchstone  one broker; may be repeated
    python -m benchmarks --write              also write docs/benchmarks.md and docs/benchmarks.json

The exit code is 1 when a broker lost, doubled, reordered or changed a message. Microbenchmarks of
single functions are in `python -m benchmarks.micro`.
"""

import argparse
import sys

from benchmarks import report
from benchmarks.brokers import BROKERS, ROOT
from benchmarks.runner import Plan, run_all
from benchmarks.workloads import WORKLOADS, chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", default=[], metavar="WORKLOAD")
    parser.add_argument("--broker", action="append", default=[], metavar="NAME")
    parser.add_argument("--rounds", type=int, metavar="N", help="3, or 1 with --quick")
    parser.add_argument("--version", choices=("3", "5"), default="3", help="3 is MQTT 3.1.1")
    parser.add_argument("--quick", action="store_true", help="half a second each")
    parser.add_argument("--write", action="store_true", help="write the page in docs/")
    parser.add_argument("--list", action="store_true", help="name the workloads and brokers")
    return parser.parse_args()


def main() -> int:
    """Measure what was asked for and show it."""
    asked = arguments()
    found = {kind.name: kind.version() for kind in BROKERS}
    if asked.list:
        for workload in WORKLOADS:
            print(f"{workload.name:14} {workload.title}")
        for name, version in found.items():
            print(f"{name:14} {version or 'not found'}")
        return 0
    workloads = chosen(asked.only)
    wanted = [kind for kind in BROKERS if not asked.broker or kind.name in asked.broker]
    brokers = [kind for kind in wanted if found[kind.name]]
    if not workloads or not brokers:
        print("no such workload or broker; see --list", file=sys.stderr)
        return 2
    plan = Plan(workloads, brokers, asked.rounds or (1 if asked.quick else 3))
    plan.version = 5 if asked.version == "5" else 4
    plan.quick = asked.quick
    if asked.quick:
        plan.warm_up_s, plan.measure_s = 0.2, 0.5
    cells = run_all(plan, lambda line: print(line, file=sys.stderr, flush=True))
    print(report.as_text(cells))
    if asked.write:
        versions = {kind.name: found[kind.name] or "" for kind in brokers}
        report.write(plan, cells, versions, ROOT / "docs")
    return 1 if any(cell.failures for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
