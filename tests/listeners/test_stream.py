"""Several packets in one call go to the socket as they are, however much of them it takes."""

import socket

import pytest

from broker.listeners.loop import Loop
from broker.listeners.polling import WRITE
from broker.listeners.stream import Stream
from tests.harness.clock import ManualClock

PARTS = [bytes((number,)) * size for number, size in enumerate((9, 200_000, 0, 70_000, 1, 300_000))]
SIZE = sum(map(len, PARTS))


class Watched(Stream):
    """Remembers what happened to it."""

    def __init__(self, loop, sock):
        super().__init__(loop, sock)
        self.happened = []

    def lose(self, words):
        self.happened.append("lost")

    def drained(self):
        self.happened.append("drained")


@pytest.fixture
def ends():
    """A stream that soon has to wait, and the socket at the other end."""
    loop = Loop("test", ManualClock())
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    stream = Watched(loop, ours)
    stream.open()
    yield stream, theirs
    stream.close()
    theirs.close()
    loop.close()


def received(stream, theirs, size):
    """What arrives, while the stream writes what the socket takes."""
    arrived = b""
    while len(arrived) < size:
        arrived += theirs.recv(65_536)
        stream._ready(WRITE)
    return arrived


def test_all_of_it_arrives_in_order(ends):
    stream, theirs = ends
    stream.send_parts(PARTS, SIZE)
    assert 0 < stream.unsent < SIZE
    assert received(stream, theirs, SIZE) == b"".join(PARTS)
    assert stream.unsent == 0
    assert stream.happened == ["drained"]


def test_it_waits_behind_what_waits(ends):
    stream, theirs = ends
    stream.send(b"a" * 500_000)
    assert stream.unsent
    stream.send_parts(PARTS, SIZE)
    stream.send(b"z")
    expected = b"a" * 500_000 + b"".join(PARTS) + b"z"
    assert received(stream, theirs, len(expected)) == expected
    assert stream.unsent == 0


def test_what_fits_leaves_nothing(ends):
    stream, theirs = ends
    stream.send_parts([b"one", b"two"], 6)
    assert theirs.recv(100) == b"onetwo"
    assert stream.unsent == 0
    assert not stream.happened


def test_a_peer_that_has_gone_is_lost_once(ends):
    stream, theirs = ends
    theirs.close()
    stream.send_parts(PARTS, SIZE)
    stream.send_parts(PARTS, SIZE)
    assert stream.happened == ["lost"]
