"""Files that the broker creates and that may hold secrets are for their owner only."""

import datetime
import logging
import os
import stat

import pytest

from broker.logging_setup import LOGGER, set_up_logging
from broker.pki import ensure_test_pki
from broker.whole_files import write_whole
from oracle.reports.writing import write
from oracle.trace.files import open_trace
from oracle.trace.msc import SequenceChart
from tests.guard.tls_peers import needs_openssl, shake
from tests.harness.site import Site

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def umask(request):
    """What the user's shell leaves to others."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@needs_openssl
def test_secrets_of_tls_sessions(pki, tmp_path):
    lines = f"keylog {tmp_path}/keys\nlistener 0 127.0.0.1\n"
    site = Site("tcp", f"{lines}certfile {pki}/server.pem\nkeyfile {pki}/server.key\n")
    try:
        shake(site.broker.ports[0])
        site.settle()
        assert "SECRET" in (tmp_path / "keys").read_text()
        assert mode(tmp_path / "keys") == 0o600
    finally:
        site.close()


def test_a_keylog_that_is_there_is_left_as_it_is_and_appended_to(pki, tmp_path):
    path = tmp_path / "keys"
    path.write_text("# mine\n")
    path.chmod(0o640)
    lines = f"keylog {path}\nlistener 0 127.0.0.1\n"
    Site("tcp", f"{lines}certfile {pki}/server.pem\nkeyfile {pki}/server.key\n").close()
    assert path.read_text().startswith("# mine\n")
    assert mode(path) == 0o640


def test_private_keys_and_pre_shared_keys_of_the_test_pki(tmp_path):
    pki = ensure_test_pki(tmp_path / "pki", datetime.datetime.now(datetime.UTC))
    secret = [path for path in pki.folder.iterdir() if path.suffix in (".key", ".txt")]
    assert len(secret) == 8
    assert {mode(path) for path in secret} == {0o600}
    assert mode(pki.folder) == 0o700


def test_the_database_and_what_stands_beside_it(tmp_path):
    pytest.importorskip("ZODB")
    folder = tmp_path / "made"
    lines = f"persistence true\npersistence_location {folder}\nlistener 0 127.0.0.1\n"
    for _ in range(2):
        site = Site("tcp", lines)
        client = site.client(5)
        client.resume()
        client.publish("a", b"secret", qos=1, retain=True)
        found = {path.name: mode(path) for path in folder.iterdir()}
        site.close()
    found |= {path.name: mode(path) for path in folder.iterdir()}
    assert mode(folder) == 0o700
    found.pop("touchstone.fs.lock", None)  # a process id
    assert found.pop("touchstone.fs") == 0o600
    assert set(found.values()) <= {0o600}, found


@pytest.mark.parametrize("name", ["t.jsonl", "t.pcapng"])
def test_a_trace(tmp_path, name):
    open_trace(tmp_path / name).file.close()
    assert mode(tmp_path / name) == 0o600


def test_a_sequence_chart(tmp_path):
    SequenceChart(tmp_path / "t.mmd").file.close()
    assert mode(tmp_path / "t.mmd") == 0o600


def test_the_log(tmp_path):
    handlers, level, propagate = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    options = {
        "log_dest": (f"file {tmp_path}/log",),
        "log_type": (),
        "loglevel": None,
        "log_timestamp": True,
        "log_timestamp_format": "%H",
    }
    LOGGER.handlers[:] = []
    try:
        set_up_logging(options)
        for handler in LOGGER.handlers:
            handler.close()
        assert mode(tmp_path / "log") == 0o600
    finally:
        LOGGER.handlers[:], LOGGER.propagate = handlers, propagate
        LOGGER.setLevel(level or logging.NOTSET)


def test_reports_and_what_says_where_the_broker_is(tmp_path):
    write({"clients": []}, tmp_path / "report.json")
    write_whole(str(tmp_path / "ready.json"), "{}\n")
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}
