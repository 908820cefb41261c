"""The broker under load: a process started as a user does, and what it holds."""

import json
import logging
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30

CONFIGURATION = """
allow_anonymous true
sys_interval 1
connection_messages false
max_queued_messages 0
test_pki_dir pki
"""
PLAIN = "listener 0 127.0.0.1\n"
TLS = PLAIN + "certfile pki/server.pem\nkeyfile pki/server.key\n"

log = logging.getLogger(__name__)


class BrokerProcess:
    """Two plain listeners, then two with TLS; each takes WebSockets, too."""

    def __init__(self, folder, more=""):
        self.folder = folder
        self.persistent = "persistence true" in more
        text = CONFIGURATION + more + (PLAIN + TLS) * 2
        (folder / "broker.conf").write_text(text, encoding="utf-8")
        with (folder / "broker.log").open("wb") as log_file:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(ROOT / "startbroker.py"),
                    *("-c", "broker.conf", "--ready-file", "ready.json", "--report", "report.json"),
                ],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log_file,
            )
        line = self.process.stdout.readline()
        if not line.startswith(b"ready"):
            self.close()
            raise AssertionError(f"did not start: {self.log()}")
        listeners = json.loads((folder / "ready.json").read_text())["listeners"]
        self.plain = [one["port"] for one in listeners if not one["tls"]]
        self.tls = [one["port"] for one in listeners if one["tls"]]

    def ports(self, transport):
        return self.tls if transport in ("tls", "wss") else self.plain

    def held(self):
        """Descriptors, threads and KiB of resident memory; empty where there is no /proc."""
        folder = Path("/proc", str(self.process.pid))
        if not folder.exists():
            return {}
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        return {
            "descriptors": len(list((folder / "fd").iterdir())),
            "threads": int(status["Threads"]),
            "resident KiB": int(status["VmRSS"].split()[0]),
        }

    def log(self):
        return (self.folder / "broker.log").read_text(encoding="utf-8")

    def report(self):
        """What it says of its clients, once it has ended."""
        return json.loads((self.folder / "report.json").read_text(encoding="utf-8"))

    def end(self):
        """SIGTERM; the exit code."""
        self.process.terminate()
        self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode

    def close(self):
        """In whatever state it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
