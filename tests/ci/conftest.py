"""Brokers that are ended with the test, in a folder of its own."""

import subprocess

import pytest

from tests.ci.processes import SOON, broker_command, environment, program, run


@pytest.fixture
def run_broker(tmp_path):
    """Runs the broker on a free port, until it ends by itself."""

    def run_in_folder(*arguments, **more):
        return run(tmp_path, *arguments, **more)

    return run_in_folder


@pytest.fixture
def start(tmp_path):
    """Starts the broker; it is killed with the test at the latest."""
    running = []

    def start_broker(*arguments, **more):
        process = subprocess.Popen(
            broker_command(*arguments),
            cwd=tmp_path,
            env=environment(TMPDIR=str(tmp_path), **more),  # what one that is killed leaves there
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start_broker
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=SOON)


@pytest.fixture
def serving(start):
    """Starts a broker, and runs programs against it."""

    def begin(*arguments, **more):
        process = start("-p", 0, *arguments, **more)
        word, port, *_ = process.stdout.readline().split()
        assert word == "ready"

        def visit(name):
            variables = environment(MQTT_HOST="localhost", MQTT_PORT=port)
            subprocess.run(program(name), env=variables, check=True, timeout=SOON)

        return process, visit

    return begin
