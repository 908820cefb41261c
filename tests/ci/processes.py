"""`python startbroker.py` as a CI job starts it, and the programs that it runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
SOON = 40  # seconds; far more than any of this takes

# What a job of a CI system, and this test's own, would say to the broker.
OURS = ("TOUCHSTONE_", "MQTT_", "GITHUB_")


def environment(**more):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**inherited, **more}


def broker_command(*arguments):
    return [sys.executable, str(ROOT / "startbroker.py"), *map(str, arguments)]


def program(name):
    """The command line of one of `programs/`."""
    return [sys.executable, str(PROGRAMS / name)]


def python(code):
    """The command line of a program of a line or two."""
    return [sys.executable, "-c", code]


def run(folder, *arguments, **more):
    """Run the broker until it ends by itself; `more` are variables of its environment."""
    return subprocess.run(
        broker_command(*arguments),
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        encoding="utf-8",
        start_new_session=True,  # as in CI: without the terminal that the tests may have
        timeout=SOON,
    )


def lines_after_ready(output):
    """What COMMAND and GitHub are given on standard output."""
    first, _, rest = output.partition("\n")
    assert first.split()[0] == "ready", output
    return rest


def stopped(process, number=signal.SIGTERM):
    process.send_signal(number)
    out, err = process.communicate(timeout=SOON)
    return process.returncode, out, err
