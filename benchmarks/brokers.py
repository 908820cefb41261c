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


def free_port() -> int:
    """A port of loopback that nobody uses just now."""
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
def launched(
    kind: BrokerKind, folder: Path, port: int, core: int | None, persistence: bool
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the process, where possible on a core; it is stopped after, if it has not ended."""
    configuration = folder / f"{kind.name}.conf"
    text = kind.configuration.replace("PORT", str(port))
    if persistence:
        text = text.replace(WITHOUT, f"persistence true\npersistence_location {folder}/\n")
        folder.chmod(0o777)  # started by root, Mosquitto becomes a user of its own
    configuration.write_text(text)
    with _log_path(kind, folder).open("ab") as log:
        before = os.sched_getaffinity(0) if core is not None else set()
        if core is not None:
            os.sched_setaffinity(0, {core})  # the child inherits it with all its threads
        try:
            process = subprocess.Popen(
                kind.command(str(configuration)), stdout=log, stderr=log, cwd=folder
            )
        finally:
            if core is not None:
                os.sched_setaffinity(0, before)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _log_path(kind: BrokerKind, folder: Path) -> Path:
    return folder / f"{kind.name}.log"


def wait_until_answers(
    kind: BrokerKind, folder: Path, process: "subprocess.Popen[bytes]", port: int
) -> None:
    """Wait for a CONNACK.

    Raises:
        NotStartedError: the process has ended, or it takes too long.
    """
    started = time.perf_counter()
    while not _answers(port):
        late = time.perf_counter() - started > START_LIMIT_S
        if late or process.poll() is not None:
            tail = _log_path(kind, folder).read_text(errors="replace")[-2000:].rstrip()
            raise NotStartedError(f"{kind.name} did not start: {tail}")
        time.sleep(0.002)


@contextmanager
def running(
    kind: BrokerKind, folder: Path, core: int | None, persistence: bool = False
) -> Iterator[RunningBroker]:
    """A broker on a free port of loopback that has answered; it is stopped after."""
    port = free_port()
    started = time.perf_counter()
    with launched(kind, folder, port, core, persistence) as process:
        wait_until_answers(kind, folder, process, port)
        yield RunningBroker(process.pid, port, time.perf_counter() - started)
