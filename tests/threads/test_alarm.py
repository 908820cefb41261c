"""Nothing posted to a worker waits until something else happens.

Model: `_alarmed` says that the worker's thread will look again. Next step: append, then look at
`_alarmed`; the worker takes the alarm, clears `_alarmed`, then looks. Invariant: what was
appended is run without another append. Driven by eight threads, none of which posts again before
its post ran.
"""

import threading

import pytest

from broker.clock import Clock
from broker.housekeeping import Housekeeping
from broker.listeners.loop import Loop

THREADS, POSTS = 8, 300
SOON_S = 10.0


@pytest.fixture(params=["loop", "housekeeping"])
def worker(request):
    if request.param == "loop":
        loop = Loop("test", Clock())
        thread = threading.Thread(target=loop.run)
        thread.start()
        yield loop
        loop.post(loop.stop)
        thread.join(SOON_S)
    else:
        housekeeping = Housekeeping(Clock())
        housekeeping.start()
        yield housekeeping
        housekeeping.stop(SOON_S)


class Inbox:
    """Says when it was drained."""

    def __init__(self):
        self.drained = threading.Event()

    def drain_inbox(self, worker):
        self.drained.set()


@pytest.mark.parametrize("way", ["post", "wake"])
def test_no_post_and_no_wake_up_is_lost(worker, way):
    lost = []

    def drive():
        for number in range(POSTS):
            inbox = Inbox()
            if way == "post":
                worker.post(inbox.drained.set)
            else:
                worker.wake(inbox)
            if not inbox.drained.wait(SOON_S):
                lost.append(number)
                return

    threads = [threading.Thread(target=drive) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []


def test_a_bug_in_a_post_does_not_end_the_thread(worker, caplog):
    def bug():
        raise RuntimeError("bug")

    ran = threading.Event()
    worker.post(bug)
    worker.post(ran.set)
    assert ran.wait(SOON_S)
    assert "RuntimeError: bug" in caplog.text


def test_a_timer_in_136_years_can_be_waited_for(worker):
    def set_timer():
        worker.timers.at(worker.now + 4_294_967_294.0, lambda _now: None)

    for call in (set_timer, set_timer):
        ran = threading.Event()
        worker.post(call)
        worker.post(ran.set)
        assert ran.wait(SOON_S)
