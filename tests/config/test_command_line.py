"""`python startbroker.py` as scripts and service managers use it: lines, files and exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from broker.psk_file import psk_needs
from broker.version import VERSION

ROOT = Path(__file__).parents[2]
SOON = 20  # seconds; far more than any of this takes

CLOSED = 'exec "$@" >&-'  # for sh: with standard output closed from the start

# A broker whose stop does not end, as if a client kept it.
HANGS = """
import sys, threading
import broker.command_line as command_line

class Hangs(command_line.Broker):
    def stop(self):
        print("stopping", flush=True)
        threading.Event().wait()

command_line.Broker = Hangs
command_line.main(sys.argv[1:])
"""

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and descriptors")


@pytest.fixture
def start(tmp_path):
    """Starts the broker with some arguments, in a folder of its own, and ends it with the test."""
    running = []

    def start_broker(*arguments, **how):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TOUCHSTONE_")
        }
        process = subprocess.Popen(
            [
                *how.pop("before", ()),
                sys.executable,
                str(ROOT / "startbroker.py"),
                *map(str, arguments),
            ],
            cwd=tmp_path,
            env=environment | how.pop("environment", {}),
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how},
        )
        running.append(process)
        return process

    yield start_broker
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def config(tmp_path):
    """Writes a configuration and returns its path."""

    def write(*lines):
        path = tmp_path / "b.conf"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


def ended(process):
    """What a broker that ends by itself leaves: exit code, standard output and error."""
    out, err = process.communicate(timeout=SOON)
    return process.returncode, out, err


def stopped(process, number=signal.SIGTERM):
    process.send_signal(number)
    return ended(process)


def wait_for_listener(process):
    """Until the log says that it is there."""
    assert any("Starting TCP listener" in line for line in process.stderr)


def ready_ports(process):
    word, *ports = process.stdout.readline().split()
    assert word == "ready"
    return [int(port) for port in ports]


class TestWithoutStarting:
    def test_version(self, start):
        assert ended(start("--version")) == (0, f"touchstone {VERSION}\n", "")

    @pytest.mark.parametrize("switch", ["-h", "--help"])
    def test_help(self, start, switch):
        code, out, err = ended(start(switch))
        assert (code, err) == (0, "")
        for name in ("-c", "-p", "-v", "-q", "--test-config", "--strict", "--ready-file"):
            assert name in out
        for name in ("--report", "--fail-on", "--health", "-- COMMAND"):
            assert name in out

    def test_a_daemon_is_refused_in_words(self, start):
        code, out, err = ended(start("-d"))
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "stays in the foreground" in err

    def test_a_good_configuration(self, start, config):
        path = config("listener 0", "xyzzy 1")
        warning = f"{path}:2: unknown key 'xyzzy'\n"
        assert ended(start("-c", path, "--test-config")) == (0, f"{path} is good\n", warning)
        assert ended(start("-c", path, "--test-config", "--strict")) == (2, "", warning)

    def test_the_shipped_configuration(self, start):
        path = ROOT / "client_testing.conf"
        code, _, err = ended(start("-c", path, "--test-config", "--strict"))
        assert code == 0
        # Before Python 3.13 the listener for TLS-PSK needs a package that may not be there.
        assert bool(err) == bool(psk_needs())
        assert err.count("\n") <= 1

    @pytest.mark.parametrize("more", [(), ("--test-config",)], ids=["start", "test"])
    def test_a_bad_value_is_one_line(self, start, config, more):
        path = config("listener 0", "receive_maximum 0")
        seen = f"{path}:2: receive_maximum: 0 is not between 1 and 65535\n"
        assert ended(start("-c", path, *more)) == (2, "", seen)

    def test_a_bad_behaviour_is_one_line(self, start, config):
        path = config("listener 0", "behaviour dance")
        code, out, err = ended(start("-c", path))
        assert (code, out) == (2, "")
        assert err.startswith(f"{path}:2: behaviour: ")
        assert err.count("\n") == 1

    @pytest.mark.parametrize("more", [(), ("--test-config",)], ids=["start", "test"])
    def test_a_statement_that_is_not_there_is_one_line(self, start, config, more):
        path = config("listener 0", "conformance_ignore mqtt-5.0:MQTT-9.9.9-9 because")
        code, out, err = ended(start("-c", path, *more))
        assert (code, out) == (2, "")
        assert err.startswith(f"{path}:2: conformance_ignore: ")
        assert err.count("\n") == 1

    def test_a_missing_file_is_one_line(self, start, tmp_path):
        path = tmp_path / "nowhere.conf"
        seen = f"{path}: No such file or directory\n"
        assert ended(start("-c", path)) == (2, "", seen)

    def test_a_bad_port_is_one_line(self, start):
        seen = "command line: port: 'x' is not a whole number\n"
        assert ended(start("-p", "x")) == (2, "", seen)


class TestStart:
    def test_ready_line_names_the_ports_and_they_are_open(self, start, config):
        process = start("-c", config("listener 0 127.0.0.1", "listener 0 127.0.0.1"))
        ports = ready_ports(process)
        assert len(set(ports)) == 2
        for port in ports:
            socket.create_connection(("127.0.0.1", port), SOON).close()

    def test_no_configuration_is_loopback(self, start):
        process = start("-p", "0")
        (port, *_) = ready_ports(process)
        socket.create_connection(("127.0.0.1", port), SOON).close()

    def test_listeners_from_the_environment(self, start):
        process = start(environment={"TOUCHSTONE_LISTENER": "0 127.0.0.1;0 127.0.0.1"})
        assert len(ready_ports(process)) == 2

    def test_ready_file_is_whole_and_true(self, start, config, tmp_path):
        path = tmp_path / "ready.json"
        path.write_text("of the last run")
        process = start("-c", config("listener 0 127.0.0.1"), "--ready-file", path)
        ports = ready_ports(process)
        ready = json.loads(path.read_text(encoding="utf-8"))
        assert [listener["port"] for listener in ready["listeners"]] == ports
        assert sorted(each.name for each in tmp_path.iterdir()) == ["b.conf", "ready.json"]

    def test_the_log_says_where_it_listens(self, start, config):
        process = start("-c", config("listener 0"))
        (port,) = ready_ports(process)
        _, _, err = stopped(process)
        assert f"Starting TCP listener on address '' port {port}, loopback only" in err

    def test_quiet(self, start, config):
        process = start("-q", "-c", config("listener 0 127.0.0.1", "xyzzy 1"))
        ready_ports(process)
        process.terminate()
        assert process.communicate(timeout=SOON)[1] == ""

    def test_a_port_in_use_is_one_line(self, start, config):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            process = start("-q", "-c", config(f"listener {port} 127.0.0.1"))
            code, out, err = ended(process)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1
        assert str(port) in err

    def test_a_ready_file_that_cannot_be_written_is_one_line(self, start, config, tmp_path):
        path = tmp_path / "nowhere" / "ready.json"
        code, _, err = ended(start("-q", "-p", "0", "--ready-file", path))
        assert code == 1
        assert err.count("\n") == 1


@posix
class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
    def test_signal(self, start, config, number):
        process = start("-c", config("listener 0 127.0.0.1"))
        ready_ports(process)
        code, out, err = stopped(process, number)
        assert (code, out) == (0, "")
        assert "Traceback" not in err

    def test_with_a_client_that_says_nothing(self, start, config):
        process = start("-c", config("listener 0 127.0.0.1"))
        (port,) = ready_ports(process)
        with socket.create_connection(("127.0.0.1", port), SOON):
            assert stopped(process)[0] == 0

    def test_clients_are_told_and_those_that_do_not_read_are_not_waited_for(self, start, config):
        process = start("-c", config("listener 0 127.0.0.1", "allow_anonymous true"))
        (port,) = ready_ports(process)
        connect = bytes.fromhex("10 0e 0004 4d515454 05 02 0000 00 0001")
        with (
            socket.create_connection(("127.0.0.1", port), SOON) as told,
            socket.socket() as silent,
        ):
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect(("127.0.0.1", port))
            silent.sendall(connect + b"s" + bytes.fromhex("82 08 0001 00 0002 7323 00"))
            told.sendall(connect + b"t")
            # What it publishes and does not read waits in the broker when that is stopped.
            publish = bytes.fromhex("30 84 80 40 0001 73 00") + bytes(1_048_576)
            told.sendall(publish * 8 + b"\xc0\x00")
            received = told.makefile("rb")
            assert received.read(1) == b"\x20"  # CONNACK
            assert received.read(received.read(1)[0])[1] == 0
            assert received.read(2) == b"\xd0\x00"
            process.terminate()
            packet_type, _, reason = received.read()[:3]
            assert (packet_type, reason) == (0xE0, 0x8B)  # DISCONNECT, Server shutting down
            assert process.wait(3) == 0

    def test_pid_file(self, start, config, tmp_path):
        process = start("-c", config("listener 0 127.0.0.1", "pid_file pid"))
        ready_ports(process)
        assert (tmp_path / "pid").read_text() == f"{process.pid}\n"
        assert stopped(process)[0] == 0
        assert not (tmp_path / "pid").exists()

    def test_standard_output_that_is_closed(self, start, config):
        process = start("-c", config("listener 0 127.0.0.1"), before=("sh", "-c", CLOSED, "sh"))
        wait_for_listener(process)
        process.terminate()
        assert process.wait(SOON) == 0
        assert "Traceback" not in process.stderr.read()

    def test_standard_output_that_nobody_reads(self, start, config):
        read_end, write_end = os.pipe()
        os.close(read_end)
        process = start("-c", config("listener 0 127.0.0.1"), stdout=write_end)
        os.close(write_end)
        wait_for_listener(process)
        process.terminate()
        assert process.wait(SOON) == 0
        assert "Broken pipe" not in process.stderr.read()

    def test_interrupted_twice_it_ends_at_once(self, config):
        arguments = [sys.executable, "-c", HANGS, "-q", "-c", str(config("listener 0 127.0.0.1"))]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            ready_ports(process)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "stopping\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(SOON) == 130
