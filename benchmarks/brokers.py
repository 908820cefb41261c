"""The brokers that can be measured, as a table, and how one is started and stopped.

Each gets the same limits: 2,000 messages in flight (above every window here), queues without
bound, no log, no $SYS traffic; persistence where the workload is about it, with the database in a
folder of its own. Everything else is as the broker has it by itself.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import wire

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 15.0
WITHOUT = "persistence false\n"

MOSQUITTO_DIALECT = """\
listener PORT 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 0
persistence false
sys_interval 0
log_type error
"""


@dataclass(slots=True)
class BrokerKind:
    """One row: where it is found, what it is started with."""

    name: str
    version: Callable[[], str | None]  # None: not on this machine
    command: Callable[[str], list[str]]  # from the configuration file's path
    configuration: str  # with PORT in place of the port
    shown_command: str


def _output(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return run.stdout + run.stderr


def _touchstone_version() -> str | None:
    if not (ROOT / "broker" / "command_line.py").exists():
        return None
    found = re.search(r"\d+\.\d+\.\d+", _output([sys.executable, str(START), "--version"]))
    python = ".".join(str(part) for part in sys.version_info[:3])
    return f"{found[0] if found else 'this checkout'} on Python {python}"


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _mosquitto_version() -> str | None:
    path = _mosquitto()
    found = path and re.search(r"version (\S+)", _output([path, "-h"]))
    return found[1] if found else None


START = ROOT / "startbroker.py"
BROKERS: tuple[BrokerKind, ...] = (
    BrokerKind(
        "touchstone",
        _touchstone_version,
        lambda path: [sys.executable, str(START), "-c", path],
        MOSQUITTO_DIALECT,
        "python startbroker.py -c FILE",
    ),
    BrokerKind(
        "mosquitto",
        _mosquitto_version,
        lambda path: [_mosquitto() or "mosquitto", "-c", path],
        MOSQUITTO_DIALECT,
        "mosquitto -c FILE",
    ),
)
REFERENCE = "mosquitto"  # what ratios are taken to


class NotStartedError(Exception):
    """The broker ended, or did not answer a CONNECT in time."""


@dataclass(slots=True)
class RunningBroker:
    """A broker that has answered a CONNECT."""

    pid: int
    port: int
    start_s: float  # from starting the process to the first CONNACK


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(wire.connect_packet("start", 4))
            answer = connection.recv(4)
            connection.sendall(wire.DISCONNECT_PACKET)
            return answer[:1] == b"\x20"
    except OSError:
        return False


@contextmanager
def running(
    kind: BrokerKind, folder: Path, core: int | None, persistence: bool = False
) -> Iterator[RunningBroker]:
    """Start the broker on a free port of loopback and, where possible, on a core; stop it after."""
    port = _free_port()
    configuration = folder / f"{kind.name}.conf"
    text = kind.configuration.replace("PORT", str(port))
    if persistence:
        text = text.replace(WITHOUT, f"persistence true\npersistence_location {folder}/\n")
    configuration.write_text(text)
    log_path = folder / f"{kind.name}.log"
    with log_path.open("wb") as log:
        before = os.sched_getaffinity(0) if core is not None else set()
        if core is not None:
            os.sched_setaffinity(0, {core})  # the child inherits it with all its threads
        try:
            started = time.perf_counter()
            process = subprocess.Popen(
                kind.command(str(configuration)), stdout=log, stderr=log, cwd=folder
            )
        finally:
            if core is not None:
                os.sched_setaffinity(0, before)
        try:
            while not _answers(port):
                late = time.perf_counter() - started > START_LIMIT_S
                if late or process.poll() is not None:
                    tail = log_path.read_text(errors="replace")[-2000:].rstrip()
                    raise NotStartedError(f"{kind.name} did not start: {tail}")
                time.sleep(0.002)
            yield RunningBroker(process.pid, port, time.perf_counter() - started)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
