"""Which session belongs to which client id."""

from broker.limits import QueueLimits
from broker.session.registry import SessionRegistry
from broker.worker import Worker
from tests.harness.clock import ManualClock


def make():
    clock = ManualClock()
    return SessionRegistry(QueueLimits(1000)), Worker("one", clock), Worker("two", clock)


def test_a_session_is_made_once_and_belongs_to_who_asked_first():
    registry, one, two = make()
    session, created = registry.find_or_create("a", one)
    assert created
    assert session.worker is one
    assert registry.find_or_create("a", two) == (session, False)
    assert session.worker is one
    assert "a" in registry
    assert len(registry) == 1
    assert registry.all() == [session]


def test_removing_a_session_that_was_replaced_leaves_its_successor():
    registry, one, _ = make()
    old, _ = registry.find_or_create("a", one)
    new = registry.make("a", one)
    assert registry.all() == [old]
    registry.replace(old, new)
    registry.remove(old)
    assert registry.all() == [new]
    registry.remove(new)
    assert "a" not in registry


def test_maximum_is_the_most_there_have_been_at_once():
    registry, one, _ = make()
    for name in "abc":
        registry.remove(registry.find_or_create(name, one)[0])
    assert registry.maximum == 1
    registry.find_or_create("a", one)
    registry.find_or_create("b", one)
    assert registry.maximum == 2
