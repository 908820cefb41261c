"""The database as whoever runs the broker meets it: `--pack`, a second broker, a wrong file."""

import subprocess
import sys

import pytest

from tests.durability.broker_process import DEADLINE_S, ROOT


def run(folder, *arguments):
    """The broker's command, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "startbroker.py"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.fixture
def used(broker_process):
    """A broker that has ended, whose retained message was replaced many times."""
    broker = broker_process()
    broker.start()
    client = broker.client()
    client.connect("publisher")
    for place in range(300):
        client.publish("t", b"%d" % place + bytes(1000), 1, True)
    client.disconnect()
    broker.end()
    return broker


class TestPack:
    def test_what_was_replaced_goes_and_what_is_current_stays(self, used):
        before = used.file.stat().st_size
        packed = run(used.folder, "--pack", str(used.file))
        after = used.file.stat().st_size
        assert packed.returncode == 0, packed.stderr
        assert packed.stdout == f"{used.file}: {before} bytes before, {after} after\n"
        assert after < before / 10
        used.start()
        client = used.client()
        client.connect("subscriber")
        client.subscribe("t")
        assert client.receive().payload.startswith(b"299")

    def test_a_file_that_is_not_there_is_one_line(self, tmp_path):
        failed = run(tmp_path, "--pack", "no.fs")
        assert (failed.returncode, failed.stderr) == (1, "no.fs: no such file\n")
        assert not (tmp_path / "no.fs").exists()


def test_a_second_broker_on_the_same_database_is_refused(broker_process):
    first = broker_process()
    first.start()
    second = run(first.folder, "-c", "broker.conf")
    assert second.returncode == 1
    assert "in use" in second.stderr
    assert str(first.file) in second.stderr


def test_a_file_of_something_else_is_refused_and_left_alone(broker_process):
    broker = broker_process()
    broker.file.parent.mkdir()
    broker.file.write_bytes(b"mosquitto db" * 100)
    failed = run(broker.folder, "-c", "broker.conf")
    assert failed.returncode == 1
    assert str(broker.file) in failed.stderr
    assert broker.file.read_bytes() == b"mosquitto db" * 100
