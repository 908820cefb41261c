"""A worker's rounds."""

import pytest

from broker.worker import CROWDED_S, Worker
from tests.harness.clock import ManualClock


class Ringing(Worker):
    """Counts its alarms."""

    def __init__(self):
        super().__init__("test", ManualClock())
        self.rings = 0

    def ring(self):
        self.rings += 1


class Inbox:
    def __init__(self):
        self.drained = 0

    def drain_inbox(self, worker):
        self.drained += 1


class Output:
    def __init__(self, then=lambda: None):
        self.flushed = 0
        self.then = then

    def flush(self):
        self.flushed += 1
        self.then()


@pytest.fixture
def worker():
    return Ringing()


def run_round(worker):
    worker.silence()
    worker.run_due()
    worker.flush()


def test_posts_run_in_their_order(worker):
    ran = []
    for number in range(3):
        worker.post(lambda number=number: ran.append(number))
    assert not worker.idle
    run_round(worker)
    assert ran == [0, 1, 2]
    assert worker.idle


def test_what_a_post_posts_waits_for_the_next_round(worker):
    ran = []
    worker.post(lambda: worker.post(lambda: ran.append("second")))
    run_round(worker)
    assert ran == []
    assert not worker.idle
    run_round(worker)
    assert ran == ["second"]


def test_one_alarm_a_round_however_much_is_added(worker):
    inbox = Inbox()
    for _ in range(5):
        worker.wake(inbox)
        worker.post(lambda: None)
        worker.nudge()
    assert worker.rings == 1
    run_round(worker)
    assert inbox.drained == 5
    worker.wake(inbox)
    assert worker.rings == 2


def test_each_touched_connection_is_flushed_once(worker):
    outputs = [Output(), Output()]
    worker.touched.extend(outputs)
    run_round(worker)
    run_round(worker)
    assert [one.flushed for one in outputs] == [1, 1]


def test_a_connection_touched_by_a_flush_is_flushed_in_the_same_round(worker):
    second = Output()
    worker.touched.append(Output(lambda: worker.touched.append(second)))
    run_round(worker)
    assert second.flushed == 1
    assert worker.idle


def test_a_flush_that_fails_costs_no_other_connection_its_own(worker):
    def fail():
        raise RuntimeError("bug")

    outputs = [Output(), Output(fail), Output()]
    worker.touched.extend(outputs)
    with pytest.raises(RuntimeError):
        run_round(worker)
    run_round(worker)
    assert [one.flushed for one in outputs] == [1, 1, 1]


def test_timers_run_in_the_round_after_the_one_that_finds_them_due(worker):
    """So that all that has arrived by then is read before."""
    ran = []
    worker.timers.at(worker.now + 5, ran.append)
    run_round(worker)
    assert worker.idle
    worker.clock.advance(5)
    run_round(worker)
    found_due = worker.now
    assert ran == []
    assert not worker.idle  # that round is not waited for
    worker.timers.at(worker.now + 1, ran.append)
    worker.clock.advance(1)
    run_round(worker)
    assert ran == [found_due]
    run_round(worker)
    assert ran == [found_due, worker.now]
    assert worker.idle


def test_timers_wait_for_a_crowd_to_be_read_but_not_for_ever(worker):
    ran = []
    worker.timers.at(worker.now + 5, ran.append)
    worker.clock.advance(5)
    run_round(worker)
    worker.crowded = True
    run_round(worker)
    assert ran == []
    assert not worker.idle
    worker.crowded = False
    run_round(worker)
    assert len(ran) == 1
    worker.timers.at(worker.now + 5, ran.append)
    worker.crowded = True
    worker.clock.advance(5)
    run_round(worker)
    run_round(worker)
    assert len(ran) == 1
    worker.clock.advance(CROWDED_S)
    run_round(worker)
    assert len(ran) == 2
