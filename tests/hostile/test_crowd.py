"""10,000 connections that say nothing, or as many as the process may have."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits"),
    pytest.mark.slow,
]
COUNT = 10_000


def test_others_are_served_and_all_of_them_end():
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.crowd", str(COUNT)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    crowd = found["crowd"]
    assert crowd > 200, "the limit of file descriptors leaves no crowd"
    assert found == {
        "crowd": crowd,
        "open": crowd,
        "timed out": crowd,
        "left open": 0,
        "left in memory": 0,
        "told": crowd,
    }
