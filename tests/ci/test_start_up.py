"""A start imports no more than it needs: test suites start a broker again and again."""

import subprocess
import sys

import pytest

# Each is for a listener with TLS, a trace, a report, or a password file to be changed.
LATE = (
    "ssl",
    "broker.layers.tls",
    "broker.tls_listeners",
    "broker.tracing",
    "broker.guard.passwd",
    "oracle.trace.recorder",
    "oracle.trace.msc",
    "oracle.verdict",
    "oracle.reports.html",
    "oracle.reports.junit",
    "oracle.reports.summary",
    "xml",
    "email",
    "ZODB",
)
SERVES = """
import sys
import broker.command_line
from broker.broker import Broker

with Broker("listener 0 127.0.0.1\\nallow_anonymous true\\nsys_interval 0"):
    print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def imported():
    """What a broker without TLS has imported that serves."""
    done = subprocess.run(
        [sys.executable, "-c", SERVES], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", LATE)
def test_what_few_need_is_imported_when_it_is_needed(imported, name):
    assert name not in imported


def test_a_client_waits_for_no_import(imported):
    needed = {"broker.handlers.connect", "broker.layers.websocket", "broker.guard.guard"}
    assert needed <= imported
