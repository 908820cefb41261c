"""`--health`: whether the broker that runs answers."""

import contextlib
import json
import os
import socket

import pytest

from tests.ci.processes import SOON


def serving(start, tmp_path, *lines):
    """Start a broker with a ready file; its ports."""
    (tmp_path / "b.conf").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    process = start("-c", "b.conf", "--ready-file", "ready.json")
    word, *ports = process.stdout.readline().split()
    assert word == "ready"
    return ports


def outcome(done):
    return done.returncode, done.stdout, done.stderr


def test_by_port(start, run_broker, tmp_path):
    (port,) = serving(start, tmp_path, "allow_anonymous true", "listener 0")
    assert outcome(run_broker("--health", "-p", port)) == (0, "", "")
    assert outcome(run_broker("--health", TOUCHSTONE_LISTENER=port)) == (0, "", "")
    assert outcome(run_broker("--health", TOUCHSTONE_LISTENER=f"{port} *")) == (0, "", "")


def test_a_refusal_is_an_answer(start, run_broker, tmp_path):
    (port,) = serving(start, tmp_path, "allow_anonymous false", "listener 0")
    assert outcome(run_broker("--health", "-p", port)) == (0, "", "")


def test_by_ready_file(start, run_broker, tmp_path):
    serving(start, tmp_path, "allow_anonymous true", "listener 0 127.0.0.1")
    done = run_broker("--health", "-c", "b.conf", "--ready-file", "ready.json")
    assert outcome(done) == (0, "", "")
    assert (tmp_path / "ready.json").exists()


def test_tls_alone(start, run_broker, tmp_path):
    files = ("certfile pki/server.pem", "keyfile pki/server.key")
    serving(start, tmp_path, "test_pki_dir pki", "listener 0", *files)
    ready = json.loads((tmp_path / "ready.json").read_text(encoding="utf-8"))
    assert ready["listeners"][0]["tls"]
    done = run_broker("--health", "-c", "b.conf", "--ready-file", "ready.json")
    assert outcome(done) == (0, "", "")


def test_nobody_there(run_broker):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    code, out, err = outcome(run_broker("--health", "-p", port))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"port {port}: ")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400"], ids=["nothing", "no MQTT"])
def test_something_else_there(start, run_broker, answer, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SOON)
        port = server.getsockname()[1]
        process = start("--health", "-p", port)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(SOON)
            assert peer.recv(4096)[:1] == b"\x10"
            peer.sendall(answer)
            with contextlib.suppress(OSError):  # what is no MQTT makes it close at once
                peer.shutdown(socket.SHUT_WR)
            _, err = process.communicate(timeout=SOON)
    seen = answer[:1].hex() or "nothing"
    assert (process.returncode, err) == (1, f"port {port}: no CONNACK but {seen}\n")


def test_a_port_that_is_not_known(run_broker):
    done = run_broker("--health", "-p", 0)
    seen = "--health: which port is free is not known without --ready-file\n"
    assert outcome(done) == (2, "", seen)


@pytest.mark.skipif(os.name == "nt", reason="its words for this are others")
def test_a_ready_file_that_is_not_there(run_broker):
    done = run_broker("--health", "--ready-file", "gone.json")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
