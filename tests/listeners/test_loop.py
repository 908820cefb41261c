"""Rounds of a listener's thread: whom a poller names is called, and no alarm is lost."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from broker.clock import Clock
from broker.listeners.loop import DRAIN_S, Loop
from broker.listeners.polling import READ, WRITE, SelectorPoller, make_poller

SOON_S = 10.0
POLLERS = [SelectorPoller] if sys.platform != "linux" else [SelectorPoller, make_poller]


@pytest.fixture
def pair():
    both = socket.socketpair()
    yield both
    for sock in both:
        sock.close()


@pytest.fixture(params=POLLERS)
def poller(request):
    poller = request.param()
    yield poller
    poller.close()


def seen(poller):
    return {(poller.ready[descriptor], poller.means[what]) for descriptor, what in poller.poll(0.0)}


def test_a_poller_reports_what_is_asked_for(poller, pair):
    near, far = pair

    def first(events): ...

    def second(events): ...

    poller.watch(near, 0, READ, first)
    assert seen(poller) == set()
    far.send(b"x")
    assert seen(poller) == {(first, READ)}
    poller.watch(near, READ, READ | WRITE, second)
    assert seen(poller) == {(second, READ | WRITE)}
    poller.watch(near, READ | WRITE, WRITE, second)
    assert seen(poller) == {(second, WRITE)}
    poller.watch(near, WRITE, 0, second)
    assert poller.poll(0.0) == []
    assert not poller.ready


def test_a_peer_that_is_gone_is_something_to_read(poller, pair):
    near, far = pair
    poller.watch(near, 0, READ, print)
    far.close()
    ((_, events),) = seen(poller)
    assert events & READ


def test_what_is_closed_is_not_reported(poller, pair):
    near, far = pair
    poller.watch(near, 0, READ, print)
    far.send(b"x")
    poller.closing(near)
    near.close()
    assert poller.poll(0.0) == []
    assert not poller.ready


AFTER_A_FORK = """
import os, socket
from broker.listeners.polling import READ, make_poller
poller = make_poller()
near, far = socket.socketpair()
poller.watch(near, 0, READ, print)
hear, tell = os.pipe()
if not (child := os.fork()):
    os.close(tell)
    os.read(hear, 1)  # it has `near` until then
    os._exit(0)
far.send(b"x")
poller.closing(near)
near.close()
assert poller.poll(0.0) == []
os.close(tell)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_is_closed_here_is_not_reported_because_a_child_has_it():
    subprocess.run([sys.executable, "-c", AFTER_A_FORK], check=True, timeout=SOON_S)


class Closing:
    def __init__(self, loop):
        self._loop = loop
        self.closed = False

    def close(self):
        self.closed = True
        self._loop.draining.pop(self, None)


class Failing(Closing):
    def close(self):
        super().close()
        raise ValueError


@pytest.fixture
def still():
    """A loop that does not run, at 0 seconds."""
    loop = Loop("test", Clock())
    loop.now = 0.0
    yield loop
    loop.close()


def test_each_that_drains_is_closed_in_its_time(still):
    first, gone, last = [Closing(still) for _ in range(3)]
    still.drain(first)
    still.now = 1.0
    still.drain(gone)
    still.drain(last)
    gone.close()
    still.timers.run(DRAIN_S)
    assert (first.closed, last.closed) == (True, False)
    still.timers.run(DRAIN_S + 1.0)
    assert last.closed
    assert not still.draining
    still.now = 20.0
    later = Closing(still)
    still.drain(later)
    still.timers.run(20.0 + DRAIN_S)
    assert later.closed


def test_one_that_cannot_be_closed_does_not_keep_the_others(still):
    failing, other = Failing(still), Closing(still)
    still.drain(failing)
    still.drain(other)
    with pytest.raises(ValueError):
        still.timers.run(DRAIN_S)
    still.timers.run(DRAIN_S)
    assert other.closed


@pytest.fixture
def loop():
    loop = Loop("test", Clock())
    thread = threading.Thread(target=loop.run)
    thread.start()
    yield loop
    loop.post(loop.stop)
    thread.join(SOON_S)
    assert not thread.is_alive()


def test_each_post_is_called_however_the_one_before_it_ended(loop):
    for _ in range(1_000):
        called = threading.Event()
        loop.post(called.set)
        assert called.wait(SOON_S)


def test_what_one_event_closes_gets_no_other_of_the_same_round(loop, pair):
    near, far = pair
    others = socket.socketpair()
    calls = []
    done = threading.Event()

    def close_both(mine, other):
        def ready(_events):
            calls.append(mine)
            for sock in (mine, other):
                loop.watch(sock, READ, 0, ready)
            loop.post(done.set)

        return ready

    def begin():
        far.send(b"x")
        others[1].send(b"x")
        loop.watch(near, 0, READ, close_both(near, others[0]))
        loop.watch(others[0], 0, READ, close_both(others[0], near))

    loop.post(begin)
    assert done.wait(SOON_S)
    assert len(calls) == 1
    for sock in others:
        sock.close()
