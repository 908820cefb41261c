"""The broker as a library: started, used and stopped from Python."""

import os
import socket
import threading
from pathlib import Path

import pytest

from broker.broker import Broker
from broker.config import ConfigError
from broker.listeners.tcp import ListenerError

ONE = "listener 0 127.0.0.1\n"
OPEN = "allow_anonymous true\nsys_interval 0\n"
FDS = Path("/proc/self/fd")


def descriptors():
    return len(os.listdir(FDS)) if FDS.exists() else 0


@pytest.fixture
def nothing_left():
    """Fails the test if a thread or a file descriptor is left."""
    threads, fds = set(threading.enumerate()), descriptors()
    yield
    assert set(threading.enumerate()) == threads
    assert descriptors() == fds


@pytest.mark.usefixtures("nothing_left")
class TestLife:
    def test_a_with_block_has_it_running(self):
        with Broker(OPEN + ONE + ONE) as broker:
            first, second = broker.ports
            assert first != second
            for port in broker.ports:
                socket.create_connection(("127.0.0.1", port), 10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", first), 10)

    def test_several_in_one_process_do_not_know_of_each_other(self):
        with Broker(OPEN + ONE) as one, Broker(OPEN + ONE) as other:
            assert one.ports != other.ports
            assert one.context is not other.context

    def test_stop_twice_and_without_start(self):
        broker = Broker(OPEN + ONE)
        broker.stop()
        broker = Broker(OPEN + ONE)
        broker.start()
        broker.stop()
        broker.stop()

    def test_an_error_in_the_block_stops_it(self):
        with pytest.raises(KeyError), Broker(OPEN + ONE):
            raise KeyError

    def test_a_port_in_use_starts_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            broker = Broker(OPEN + ONE + f"listener {port} 127.0.0.1\n")
            with pytest.raises(ListenerError, match=f"cannot listen on port {port} of 127.0.0.1: "):
                broker.start()
            assert broker.ports == []

    def test_an_address_that_is_not_ours_starts_nothing(self):
        broker = Broker(OPEN + ONE + "listener 0 192.0.2.1\n")  # RFC 5737
        with pytest.raises(ListenerError, match=r"cannot listen on port 0 of 192.0.2.1: "):
            broker.start()

    def test_certificate_files_that_cannot_be_used_start_nothing(self, tmp_path):
        path = tmp_path / "x.pem"
        path.write_text("nothing")
        broker = Broker(OPEN + ONE + ONE + f"certfile {path}\nkeyfile {path}\n")
        with pytest.raises(ConfigError, match="no certificate in PEM"):
            broker.start()


def test_ready_says_where_everything_is():
    with Broker(OPEN + ONE) as broker:
        (listener,) = broker.ready["listeners"]
        assert listener["port"] == broker.ports[0]
        assert listener["addresses"] == ["127.0.0.1"]
        assert listener["protocols"] == ["mqtt", "ws"]
        assert broker.ready["pid"] == os.getpid()
