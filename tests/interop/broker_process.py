"""The broker as a user starts it: a process on `client_testing.conf`, on ports that are free.

The shipped file is used as it is, but for its ports, the address, the folder of the test PKI, and
one listener more, whose certificate has expired.
"""

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from broker.psk_file import psk_needs

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20  # far more than anything here takes

# The listeners of client_testing.conf, by their ports there.
PLAIN, MUTUAL, SNI, TLS, OTHER_HOST, PSK, EXPIRED = 1883, 18884, 18885, 18886, 18887, 18888, 0

EXPIRED_LISTENER = """
listener 0 127.0.0.1
certfile test-pki/expired-server.pem
keyfile test-pki/expired-server.key
"""


@dataclass(frozen=True)
class RunningBroker:
    """Where it is: `ports` by the port in client_testing.conf, `pki` the folder of certificates."""

    ports: dict
    pki: Path
    log: Path

    def port(self, shipped):
        return self.ports[shipped]

    def certificate(self, name):
        return str(self.pki / name)


def adapted_configuration(pki):
    """The shipped configuration on free ports of loopback; and its own ports, in order."""
    shipped = (ROOT / "client_testing.conf").read_text(encoding="utf-8")
    shipped_ports = [int(port) for port in re.findall(r"(?m)^listener (\d+)", shipped)]
    if psk_needs():  # which leaves that listener out
        shipped_ports.remove(PSK)
    text = re.sub(r"(?m)^listener \d+.*$", "listener 0 127.0.0.1", shipped) + EXPIRED_LISTENER
    return re.sub(r"\btest-pki\b", pki.as_posix(), text), [*shipped_ports, EXPIRED]


@contextlib.contextmanager
def running(folder):
    """Start it in a folder, wait until it serves, end it with SIGTERM; it has to exit with 0."""
    text, shipped_ports = adapted_configuration(folder / "pki")
    (folder / "broker.conf").write_text(text, encoding="utf-8")
    log_path, ready_path = folder / "broker.log", folder / "ready.json"
    command = [sys.executable, str(ROOT / "startbroker.py"), "-c", "broker.conf"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--ready-file", ready_path.name],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        # One line when it serves, or the end of the stream when it does not.
        assert process.stdout.readline().startswith(b"ready"), log_path.read_text()
        ready = json.loads(ready_path.read_text())
        real_ports = [listener["port"] for listener in ready["listeners"]]
        ports = dict(zip(shipped_ports, real_ports, strict=True))
        yield RunningBroker(ports, Path(ready["test_pki_dir"]), log_path)
        assert process.poll() is None, f"it ended by itself: {log_path.read_text()[-2000:]}"
    finally:
        process.stdout.close()
        process.terminate()
        try:
            exit_code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    assert exit_code == 0, log_path.read_text()[-2000:]
    assert "Traceback" not in log_path.read_text(), log_path.read_text()[-2000:]
