"""A checkout that is replaced while its broker runs: by a job that fetches the next commit, say."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.ci.processes import ROOT, SOON, environment

REPORTS = ("r.json", "r.xml", "r.md", "r.html")
# Serves from a copy; once it has prepared for its end, a client breaks a rule, the copy goes, and
# the broker is told to end.
RUN = """
import json, os, shutil, signal, socket, sys
from broker import command_line, late

copy, *arguments = sys.argv[1:]
prepare_end, command_line.SETTLED_S = late.prepare_end, 0.0

def replaced():
    prepare_end()
    with open("ready.json", encoding="utf-8") as file:
        port = json.load(file)["listeners"][0]["port"]
    with socket.create_connection(("localhost", port), 20) as peer:
        peer.sendall(bytes.fromhex("c000"))
        while peer.recv(100):
            pass
    shutil.rmtree(copy)
    os.kill(os.getpid(), signal.SIGTERM)

late.prepare_end = replaced
sys.exit(command_line.main(["-p", "0", "--ready-file", "ready.json", *arguments]))
"""


@pytest.fixture
def copy(tmp_path):
    """Of what a broker runs on."""
    for name in ("broker", "formats", "oracle", "persistence"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=ignored)
    return tmp_path / "copy"


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("names", [REPORTS, ()], ids=["reports", "summary"])
def test_its_run_ends_as_any_other(copy, tmp_path, names):
    arguments = [word for name in names for word in ("--report", name)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, copy, "--fail-on", "violation", *arguments],
        cwd=tmp_path,
        env=environment(
            PYTHONPATH=str(copy),
            PYTHONSAFEPATH="1",
            GITHUB_ACTIONS="true",
            GITHUB_STEP_SUMMARY=str(tmp_path / "page.md"),
        ),
        capture_output=True,
        encoding="utf-8",
        timeout=SOON,
    )
    assert not copy.exists()
    assert "Traceback" not in done.stderr
    assert done.returncode == 3
    assert "3.1.0-1" in done.stderr.splitlines()[-1]
    assert done.stdout.splitlines()[1].startswith("::error ")
    for name in (*names, "page.md"):
        assert "3.1.0-1" in (tmp_path / name).read_text(encoding="utf-8")
    if names:
        assert json.loads((tmp_path / "r.json").read_text("utf-8"))["broker"]["complete"]
