"""`-- COMMAND`: a program that runs for as long as the broker, and knows where it is.

`environment` makes its variables; docs/ci/environment.md is their table.

Threads: a `Command` is the main thread's; a thread of its own waits for the end of the program.
Its signals are those of POSIX: on Windows the console tells every program that is in it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any

from broker.config import Configuration, ListenerConfiguration

GRACE_S = 5.0  # how long a program may take to end when it is told to
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as of a shell
BY_SIGNAL = 128  # and the number of the signal that ended it, as of a shell

EVERYWHERE = ("0.0.0.0", "::")  # sockets that every interface reaches
LOOPBACK = ("127.0.0.1", "::1")
CLIENT_FILES = {
    "MQTT_CA_FILE": "ca.pem",
    "MQTT_CLIENT_CERT_FILE": "client.pem",
    "MQTT_CLIENT_KEY_FILE": "client.key",
}
# What the program is told; those that say nothing are taken from its environment.
VARIABLES = (
    "MQTT_HOST",
    "MQTT_PORT",
    "MQTT_URL",
    "MQTT_WS_URL",
    "MQTT_TLS_PORT",
    "MQTT_TLS_URL",
    "MQTT_WSS_URL",
    "MQTT_MTLS_PORT",
    *CLIENT_FILES,
    "MQTT_PORTS",
    "MQTT_READY_FILE",
)


class CommandError(Exception):
    """The program cannot be started: one line, and the exit code that a shell would have."""

    def __init__(self, line: str, exit_code: int) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def environment(
    configuration: Configuration, ready: Mapping[str, Any], ready_file: str
) -> dict[str, str]:
    """Where a running broker is, as variables; `ready` is `Broker.ready`."""
    pairs = list(zip(configuration.listeners, ready["listeners"], strict=True))
    plain = [pair for pair in pairs if not pair[1]["tls"]]
    certified = [(place, opened) for place, opened in pairs if opened["tls"] and not place.has_psk]
    tls = sorted(certified, key=_demands)
    found = {
        "MQTT_PORTS": " ".join(str(opened["port"]) for _, opened in pairs),
        "MQTT_READY_FILE": os.path.abspath(ready_file),
    }
    if tls:
        host, port = _host(*tls[0]), tls[0][1]["port"]
        found["MQTT_HOST"] = host
        found["MQTT_TLS_PORT"] = str(port)
        found["MQTT_TLS_URL"] = f"mqtts://{_in_url(host)}:{port}"
        found["MQTT_WSS_URL"] = f"wss://{_in_url(host)}:{port}/mqtt"
    for place, opened in tls:
        if place["require_certificate"]:
            found.setdefault("MQTT_MTLS_PORT", str(opened["port"]))
    if plain:
        host, port = _host(*plain[0]), plain[0][1]["port"]
        found["MQTT_HOST"] = host
        found["MQTT_PORT"] = str(port)
        found["MQTT_URL"] = f"mqtt://{_in_url(host)}:{port}"
        found["MQTT_WS_URL"] = f"ws://{_in_url(host)}:{port}/mqtt"
    folder = ready["test_pki_dir"]
    if folder is not None:
        for variable, name in CLIENT_FILES.items():
            path = Path(folder, name).resolve()
            if path.exists():
                found[variable] = str(path)
    return found


def _demands(pair: tuple[ListenerConfiguration, Mapping[str, Any]]) -> tuple[bool, bool, bool]:
    """Sorts first the TLS listener that the most clients can use."""
    listener, _ = pair
    others = os.path.basename(listener["certfile"]) in ("other-host.pem", "expired-server.pem")
    return others, listener["require_certificate"], not listener["allow_non_sni_connections"]


def _host(listener: ListenerConfiguration, opened: Mapping[str, Any]) -> str:
    """What a client on this machine calls a listener: by name if it can, for who wants a name of a
    TLS client, even where the machine has one of the loopback addresses only."""
    addresses: list[str] = opened["addresses"]
    if not listener.address and not listener["socket_domain"]:
        return "localhost"
    if any(each in EVERYWHERE for each in addresses) or all(each in addresses for each in LOOPBACK):
        return "localhost"
    return addresses[0]


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Command:
    """A program that was started.

    Where a terminal has the broker in its foreground, the program shares its process group, so
    that it can read from it; then the terminal itself interrupts both. Elsewhere the program has a
    group of its own, and a signal reaches what the program has started, too.

    Args:
        ended: called on a thread of its own when the program is no more.
    """

    def __init__(
        self, words: Sequence[str], variables: Mapping[str, str], ended: Callable[[], None]
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        self._interrupted_by_terminal = _has_terminal()
        group: dict[str, Any] = {}
        if os.name == "posix" and not self._interrupted_by_terminal:
            group["process_group"] = 0
        try:
            self._process = subprocess.Popen(
                [_program(words[0]), *words[1:]], env={**inherited, **variables}, **group
            )
        except FileNotFoundError as error:
            raise CommandError(f"{words[0]}: {error.strerror}", NOT_FOUND) from None
        except OSError as error:
            raise CommandError(f"{words[0]}: {error.strerror}", NOT_EXECUTABLE) from None
        self._grouped = bool(group)
        self._ended = ended
        self._waiter = threading.Thread(target=self._wait, name="command", daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        self._process.wait()
        self._ended()

    @property
    def status(self) -> int:
        """The exit code of a program that has ended, as a shell has it."""
        code: int = self._process.returncode
        return code if code >= 0 else BY_SIGNAL - code

    def end(self, number: int) -> None:
        """Pass a signal on, and wait for the end; a program that takes too long is killed."""
        told = number == signal.SIGINT and self._interrupted_by_terminal
        if os.name == "posix" and not told:
            self._send(number)
        self._waiter.join(GRACE_S)
        self.kill()
        self._waiter.join()

    def kill(self) -> None:
        """End it at once, if it runs. May be called from a signal handler."""
        if self._process.returncode is None:
            if os.name == "posix":
                self._send(signal.SIGKILL)
            else:
                self._process.kill()

    def _send(self, number: int) -> None:
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if sys.platform != "win32" and self._grouped:
                os.killpg(self._process.pid, number)
            else:
                os.kill(self._process.pid, number)


def _program(name: str) -> str:
    """Windows itself finds nothing but `.exe`, and other folders before those of PATH."""
    return (which(name) or name) if os.name == "nt" else name


def _has_terminal() -> bool:
    """Whether what is typed at a terminal is for this process."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
