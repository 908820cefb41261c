"""Deadlines."""

import gc
import weakref

from broker.timers import Timers, cancel


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
