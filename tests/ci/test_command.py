"""`-- COMMAND`: it finds the broker, its exit code counts, signals reach it."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from broker import running
from broker.running import Command
from tests.ci.processes import (
    SOON,
    broker_command,
    environment,
    lines_after_ready,
    program,
    python,
)

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")

TELLS = "import os, json; print(json.dumps(dict(os.environ)))"
# Says that it is there, and waits for whatever comes.
WAITS = "import sys, time; print('here', flush=True); time.sleep(60)"
# The same as what a shell starts, which a signal to the shell alone would not reach.
SHELL_WAITS = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {!r}]))"
STUBBORN = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]\n" + WAITS
# Says of each interrupt that it came, and goes on.
UNIMPRESSED = "import signal; signal.signal(2, lambda *_: print('told', flush=True))\n" + WAITS

# A program that makes its standard input the terminal of its session.
TAKES_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class TestWhatItIsTold:
    def test_a_client_finds_the_broker(self, run_broker):
        done = run_broker("-p", 0, "--", *program("keeps_the_rules.py"))
        assert (done.returncode, lines_after_ready(done.stdout)) == (0, "kept the rules\n")

    def test_with_tls_and_websocket(self, run_broker, tmp_path):
        (tmp_path / "b.conf").write_text(
            "allow_anonymous true\ntest_pki_dir pki\nlistener 0\nlistener 0\n"
            "certfile pki/server.pem\nkeyfile pki/server.key\nallow_non_sni_connections false\n"
        )
        done = run_broker("-c", "b.conf", "--", *program("keeps_the_rules.py"))
        assert (done.returncode, lines_after_ready(done.stdout)) == (0, "kept the rules\n")

    def test_a_ready_file_of_its_own_that_goes_with_it(self, run_broker):
        done = run_broker("-p", 0, "--", *python(TELLS))
        variables = json.loads(lines_after_ready(done.stdout))
        assert done.stdout.split()[1] == variables["MQTT_PORT"]
        assert not os.path.exists(variables["MQTT_READY_FILE"])
        assert not os.path.exists(os.path.dirname(variables["MQTT_READY_FILE"]))

    def test_the_ready_file_that_was_asked_for(self, run_broker, tmp_path):
        code = "import os; print(open(os.environ['MQTT_READY_FILE']).read())"
        done = run_broker("-p", 0, "--ready-file", "r.json", "--", *python(code))
        ready = json.loads(lines_after_ready(done.stdout))
        assert ready["listeners"][0]["port"] == int(done.stdout.split()[1])
        assert (tmp_path / "r.json").exists()

    def test_what_an_outer_broker_said_is_gone(self, run_broker):
        done = run_broker("-p", 0, "--", *python(TELLS), MQTT_TLS_PORT="1", MQTT_USER="u")
        variables = json.loads(lines_after_ready(done.stdout))
        assert "MQTT_TLS_PORT" not in variables
        assert variables["MQTT_USER"] == "u"

    def test_its_words_are_its_own(self, run_broker):
        code = "import sys; print(sys.argv[1:])"
        words = ["-c", "a b", "--", "$HOME", ""]
        done = run_broker("-p", 0, "--", *python(code), *words)
        assert lines_after_ready(done.stdout) == f"{words}\n"

    def test_jobs_side_by_side(self, start):
        jobs = [start("-p", 0, "--", *program("keeps_the_rules.py")) for _ in range(3)]
        for job in jobs:
            job.communicate(timeout=SOON)
            assert job.returncode == 0


class TestExitCode:
    def test_of_the_command(self, run_broker):
        assert run_broker("-p", 0, "--", *python("raise SystemExit(7)")).returncode == 7

    def test_that_of_the_command_comes_before_a_violation(self, run_broker):
        fails = "import runpy, sys; runpy.run_path(sys.argv[1]); sys.exit(7)"
        command = [*python(fails), program("breaks_a_rule.py")[1]]
        assert run_broker("-p", 0, "--", *command).returncode == 7

    @posix
    def test_of_a_command_that_a_signal_ended(self, run_broker):
        code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        assert run_broker("-p", 0, "--", *python(code)).returncode == 128 + signal.SIGKILL

    @pytest.mark.parametrize("fail_on", [(), ("--fail-on", "violation"), ("--fail-on", "should")])
    def test_a_violation_stands(self, run_broker, fail_on):
        done = run_broker("-p", 0, *fail_on, "--", *program("breaks_a_rule.py"))
        assert (done.returncode, lines_after_ready(done.stdout)) == (3, "passed\n")

    def test_never(self, run_broker):
        done = run_broker("-p", 0, "--fail-on", "never", "--", *program("breaks_a_rule.py"))
        assert done.returncode == 0

    def test_a_command_that_is_not_there(self, run_broker):
        done = run_broker("-q", "-p", 0, "--", "there-is-no-such-command")
        assert done.returncode == 127
        assert done.stderr == "there-is-no-such-command: No such file or directory\n"

    @posix
    @pytest.mark.parametrize("what", ["a file", "a folder"])
    def test_a_command_that_cannot_be_executed(self, run_broker, tmp_path, what):
        path = tmp_path / "command"
        if what == "a file":
            path.write_text("")
        else:
            path.mkdir()
        done = run_broker("-q", "-p", 0, "--", path)
        assert (done.returncode, done.stderr) == (126, f"{path}: Permission denied\n")

    def test_no_command_after_the_dashes(self, run_broker):
        done = run_broker("-p", 0, "--")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "--: there is no command after it\n"

    def test_a_command_without_the_dashes(self, run_broker):
        done = run_broker("-p", 0, "pytest")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "pytest: write `--` before a command\n"

    def test_the_port_is_taken(self, start, run_broker, tmp_path):
        first = start("-p", 0)
        port = first.stdout.readline().split()[1]
        done = run_broker("-q", "-p", port, "--", *python("open('ran', 'w')"))
        assert (done.returncode, done.stdout) == (1, "")
        assert not (tmp_path / "ran").exists()


@posix
class TestSignals:
    def begin(self, start, *command, options=()):
        process = start("-p", 0, *options, "--", *command)
        process.stdout.readline()
        assert process.stdout.readline() == "here\n"
        return process

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
    def test_passed_on(self, start, tmp_path, number):
        process = self.begin(start, *python(WAITS), options=("--report", "r.json"))
        process.send_signal(number)
        process.communicate(timeout=SOON)
        assert process.returncode == 128 + number
        assert json.loads((tmp_path / "r.json").read_text())["broker"]["complete"]

    def test_to_what_the_command_started_as_well(self, start):
        process = self.begin(start, *python(SHELL_WAITS.format(WAITS)))
        process.terminate()
        # Both have the end of standard output: it comes when neither runs any more.
        process.communicate(timeout=SOON)
        assert process.returncode == 128 + signal.SIGTERM

    def test_a_command_that_does_not_end_is_killed(self, start):
        process = self.begin(start, *python(STUBBORN))
        process.terminate()
        process.communicate(timeout=SOON)
        assert process.returncode == 128 + signal.SIGKILL

    def test_interrupted_twice_nothing_is_left(self, start):
        process = self.begin(start, *python(UNIMPRESSED))
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "told\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SOON)
        assert process.returncode == 130

    def test_a_terminal_interrupts_the_command_once(self, tmp_path):
        controller, terminal = os.openpty()
        command = broker_command("-q", "-p", 0, "--", *python(UNIMPRESSED))
        process = subprocess.Popen(
            [sys.executable, "-c", TAKES_TERMINAL, *command],
            cwd=tmp_path,
            env=environment(),
            stdin=terminal,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        os.close(terminal)
        try:
            process.stdout.readline()
            assert process.stdout.readline() == "here\n"
            os.write(controller, b"\x03")
            out, _ = process.communicate(timeout=SOON)  # it is killed when its time is up
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
            os.close(controller)
        assert out == "told\n"
        assert process.returncode == 128 + signal.SIGKILL

    @pytest.mark.parametrize(
        ("number", "sent"),
        [
            (signal.SIGINT, [signal.SIGKILL]),
            (signal.SIGTERM, [signal.SIGTERM, signal.SIGKILL]),
        ],
        ids=["SIGINT", "SIGTERM"],
    )
    def test_what_a_terminal_has_said_is_not_said_again(self, monkeypatch, number, sent):
        said = []
        send = Command._send
        monkeypatch.setattr(running, "_has_terminal", lambda: True)
        monkeypatch.setattr(running, "GRACE_S", 0)
        monkeypatch.setattr(
            Command, "_send", lambda self, each: said.append(each) or send(self, signal.SIGKILL)
        )
        ended = threading.Event()
        command = Command(python(WAITS), {}, ended.set)
        command.end(number)
        assert ended.wait(SOON)
        # What is gone needs no more; what is not yet, at the end of its time, is killed.
        assert said in (sent, sent[:1])
        assert command.status == 128 + signal.SIGKILL
