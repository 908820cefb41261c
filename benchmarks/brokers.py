"""How a broker is started on free ports of loopback, known to answer, and stopped."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import wire
from benchmarks.kinds import CACHE, WITHOUT, BrokerKind
from benchmarks.transports import OTHER, TCP, TLS, WEBSOCKET
from benchmarks.workloads import Workload
from broker.pki import ensure_test_pki

START_LIMIT_S = 60.0
PLACEHOLDERS = {
    OTHER: "OTHER_PORT",
    TLS: "TLS_PORT",
    WEBSOCKET: "WEBSOCKET_PORT",
    "distribution": "DIST_PORT",  # of Erlang
    "names": "EPMD_PORT",
    TCP: "PORT",  # the last, for it is the end of the others
}


class NotStartedError(Exception):
    """The broker ended, or did not answer a CONNECT in time."""


@dataclass(slots=True)
class RunningBroker:
    """A broker that has answered a CONNECT."""

    pid: int
    ports: dict[str, int]  # by transport
    start_s: float  # from starting the process to the first CONNACK


def free_port() -> int:
    """A port of loopback that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def free_ports() -> dict[str, int]:
    """One for each transport, and what else a broker listens on."""
    return {use: free_port() for use in PLACEHOLDERS}


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(wire.connect_packet("start", 4))
            answer = connection.recv(4)
            connection.sendall(wire.DISCONNECT_PACKET)
            return answer[:1] == b"\x20"
    except OSError:
        return False


def configured(kind: BrokerKind, workload: Workload) -> str:
    """The text of the configuration file, with placeholders."""
    text = kind.configuration
    if workload.persistence:
        text = text.replace(WITHOUT, "persistence true\npersistence_location FOLDER/\n")
    return text + kind.listeners[workload.transport] + workload.options


def _filled(text: str, folder: Path, ports: dict[str, int]) -> str:
    for use, placeholder in PLACEHOLDERS.items():
        text = text.replace(placeholder, str(ports[use]))
    for name, file in (("CERTFILE", "server.pem"), ("KEYFILE", "server.key")):
        text = text.replace(name, str(folder / file))
    return text.replace("FOLDER", str(folder))


def _prepare(kind: BrokerKind, folder: Path, workload: Workload) -> None:
    folder.chmod(0o777)  # started by root, Mosquitto becomes a user of its own
    (folder / "plugins").write_text("[rabbitmq_mqtt, rabbitmq_web_mqtt].\n")
    if workload.transport == TLS:
        CACHE.mkdir(parents=True, exist_ok=True)
        pki = ensure_test_pki(CACHE / "pki", datetime.now(UTC))
        for name in ("server.pem", "server.key"):
            shutil.copy(pki.path(name), folder / name)
            (folder / name).chmod(0o644)


@contextmanager
def launched(
    kind: BrokerKind, folder: Path, ports: dict[str, int], core: int | None, workload: Workload
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the process, where possible on a core; it is stopped after, if it has not ended."""
    _prepare(kind, folder, workload)
    configuration = folder / f"{kind.name}{kind.suffix}"
    configuration.write_text(_filled(configured(kind, workload), folder, ports))
    variables = {name: _filled(text, folder, ports) for name, text in kind.environment.items()}
    with _log_path(kind, folder).open("ab") as log:
        before = os.sched_getaffinity(0) if core is not None else set()
        if core is not None:
            os.sched_setaffinity(0, {core})  # the child inherits it with all its threads
        try:
            process = subprocess.Popen(
                kind.command(str(configuration)),
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**_inherited(), **variables},
            )
        finally:
            if core is not None:
                os.sched_setaffinity(0, before)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if kind.after:
                command = [_filled(word, folder, ports) for word in kind.after]
                subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=30)


def _inherited() -> dict[str, str]:
    """The variables of this process, but that Python keeps byte code, as it does for a user: what
    is measured is not how long a first start compiles."""
    inherited = {**os.environ, "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return inherited


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
    kind: BrokerKind, folder: Path, core: int | None, workload: Workload
) -> Iterator[RunningBroker]:
    """A broker on free ports of loopback that has answered; it is stopped after."""
    ports = free_ports()
    started = time.perf_counter()
    with launched(kind, folder, ports, core, workload) as process:
        wait_until_answers(kind, folder, process, ports[TCP])
        yield RunningBroker(process.pid, ports, time.perf_counter() - started)
