"""Deadlines."""

import gc
import weakref

from broker.timers import SWEPT_AT, Timers, cancel


def test_calls_come_in_the_order_of_their_times_and_equals_in_the_order_they_were_set():
    timers, ran = Timers(), []
    for when, name in ((2.0, "b"), (1.0, "a"), (2.0, "c"), (3.0, "d")):
        timers.at(when, lambda now, name=name: ran.append(name))
    timers.run(2.0)
    assert ran == ["a", "b", "c"]
    assert timers.next_at() == 3.0


def test_nothing_is_next_when_there_is_none():
    timers = Timers()
    assert timers.next_at() is None
    timers.run(1e9)


def test_a_call_may_set_itself_again():
    timers, ran = Timers(), []

    def again(now):
        ran.append(now)
        timers.at(now + 1, again)

    timers.at(1.0, again)
    timers.run(1.0)
    timers.run(2.5)
    assert ran == [1.0, 2.5]


def test_a_cancelled_timer_neither_calls_nor_keeps_what_it_would_have_called():
    class Holder:
        def call(self, _now):
            raise AssertionError("it was cancelled")

    timers, holder = Timers(), Holder()
    timer = timers.at(1e9, holder.call)
    gone = weakref.ref(holder)
    del holder
    cancel(timer)
    gc.collect()
    assert gone() is None
    timers.run(2e9)


def test_cancelled_timers_do_not_pile_up():
    timers, ran = Timers(), []
    for number in range(SWEPT_AT // 2):
        timers.at(1.0, lambda _now, number=number: ran.append(number))
    for _ in range(20 * SWEPT_AT):
        cancel(timers.at(1e9, lambda _now: ran.append("cancelled")))
    assert len(timers) <= 2 * SWEPT_AT
    timers.run(2e9)
    assert ran == list(range(SWEPT_AT // 2))
    assert timers.next_at() is None


def test_a_call_may_set_so_many_that_cancelled_ones_are_swept_out():
    timers, ran = Timers(), []

    def many(now):
        for _ in range(2 * SWEPT_AT):
            cancel(timers.at(now + 1, ran.append))
        timers.at(now, ran.append)

    timers.at(1.0, many)
    timers.at(2.0, ran.append)
    timers.run(1.0)
    timers.run(2.0)
    assert ran == [1.0, 2.0]
