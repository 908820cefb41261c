"""A broker process with a database in a folder, which can be killed and started again."""

import json
import subprocess
import sys
from pathlib import Path

from tests.harness.client import Client
from tests.harness.wires import SocketWire

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20  # far more than anything here takes

CONFIGURATION = """
allow_anonymous true
sys_interval 0
connection_messages false
persistence true
persistence_location {folder}/database
max_queued_messages 0
"""


class BrokerProcess:
    """Started as a user does, with two listeners; `end` it, or `kill` it as a power loss does.

    Args:
        limit_file_size: bytes that a file of the process may have, a limit that can be raised.
    """

    def __init__(self, folder, more="", limit_file_size=None):
        self.folder = folder
        self.file = folder / "database" / "touchstone.fs"
        self.log_path = folder / "broker.log"
        self.process = None
        self.ports = []
        self.ready = None
        self._wires = []
        self.limit_file_size = limit_file_size
        text = CONFIGURATION.format(folder=folder) + more + "\nlistener 0 127.0.0.1\n" * 2
        (folder / "broker.conf").write_text(text, encoding="utf-8")

    def start(self):
        """Returns when it serves."""
        command = [str(ROOT / "startbroker.py"), "-c", "broker.conf", "--ready-file", "ready.json"]
        if self.limit_file_size is not None:
            command = [
                str(Path(__file__).parent / "limited.py"),
                str(self.limit_file_size),
                *command,
            ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=self.folder, stdout=subprocess.PIPE, stderr=log
            )
        line = self.process.stdout.readline()
        if not line.startswith(b"ready"):
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"did not start: {self.log()}")
        self.ready = json.loads((self.folder / "ready.json").read_text())
        self.ports = [listener["port"] for listener in self.ready["listeners"]]
        return self

    def log(self):
        if not self.log_path.exists():  # it was never started
            return ""
        return self.log_path.read_text(encoding="utf-8")

    def kill(self):
        """SIGKILL: nothing of it runs any more when this returns."""
        self.process.kill()
        self.process.communicate()

    def end(self):
        """SIGTERM."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=DEADLINE_S)
        finally:
            self.process.kill()
        assert self.process.returncode == 0, self.log()

    def close(self):
        """At the end of a test, in whatever state it is."""
        for wire in self._wires:
            wire.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        assert "Traceback" not in self.log(), self.log()
        assert "a bug of the broker" not in self.log(), self.log()

    def client(self, version=5, listener=0):
        """A client that has not sent its CONNECT."""
        wire = SocketWire(self, self.ports[listener])
        self._wires.append(wire)
        return Client(self, wire, version)

    def settle(self):
        """A client of this process knows only what it is told."""
