"""Whole connections of clients that do right, wrong and anything (see `machine`)."""

from hypothesis.stateful import run_state_machine_as_test

from tests.fuzz.effort import examples
from tests.fuzz.machine import Machine


def test_clients_and_strangers():
    run_state_machine_as_test(Machine, settings=examples(15, stateful_step_count=40))
