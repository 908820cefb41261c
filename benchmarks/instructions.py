"""`python -m benchmarks.instructions [FILE.json]`: instructions per message.

Unlike CPU time they do not depend on what else runs. The rows of `benchmarks/micro.py` that are a
message's whole way are counted by `perf stat` or, where that does not work, by valgrind, which
takes minutes. A row runs twice, with few rounds and with more, in processes of its own; what the
second took more is the rounds'. The file is one that `python -m benchmarks.compare` reads.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.micro import ROWS
from benchmarks.results import machine

COUNTED = [name for name in ROWS if name.startswith("whole way")]
FEW, MORE = 1, 3  # rounds
PERF = ["perf", "stat", "-x,", "-e", "instructions:u", "--"]
VALGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--"]


def counted_by(counter: list[str], command: list[str]) -> int | None:
    """Instructions of a command; None where the counter is not there or does not work."""
    if shutil.which(counter[0]) is None:
        return None
    variables = {**os.environ, "PYTHONHASHSEED": "0", "LC_ALL": "C"}  # the same each time
    run = subprocess.run(
        [*counter, *command], capture_output=True, text=True, check=True, env=variables
    )
    found = re.search(r"^(\d+),[^,]*,instructions|Collected : (\d+)", run.stderr, re.MULTILINE)
    return int(found[1] or found[2]) if found else None


def working_counter() -> list[str] | None:
    """The first that counts here."""
    nothing = [sys.executable, "-S", "-c", ""]
    return next((one for one in (PERF, VALGRIND) if counted_by(one, nothing)), None)


def rounds_of(name: str, rounds: int) -> int:
    """Run a row so often; the messages of one round."""
    step, operations = ROWS[name]()
    for _ in range(rounds):
        step()
    return operations


def per_message(counter: list[str], name: str) -> float:
    """Instructions of a row for each message delivered."""
    totals = []
    for rounds in (FEW, MORE):
        command = [sys.executable, "-m", "benchmarks.instructions", "--row", name, str(rounds)]
        totals.append(counted_by(counter, command) or 0)
    return (totals[1] - totals[0]) / (MORE - FEW) / rounds_of(name, 0)


def main(arguments: Sequence[str]) -> int:
    """Count all rows; 1 if nothing here can count."""
    if arguments[:1] == ["--row"]:
        rounds_of(arguments[1], int(arguments[2]))
        return 0
    counter = working_counter()
    if counter is None:
        print("neither perf nor valgrind can count instructions here", file=sys.stderr)
        return 1
    results = []
    for name in COUNTED:
        count = per_message(counter, name)
        print(f"{name:40} {count:10,.0f} instructions ({counter[0]})", flush=True)
        rounds = {"instructions": [round(count)]}
        results.append({"workload": name, "broker": "touchstone", "rounds": rounds})
    if arguments:
        text = json.dumps({"machine": machine(), "results": results}, indent=1)
        Path(arguments[0]).write_text(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
