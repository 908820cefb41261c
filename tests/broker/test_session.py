"""A session between its inbox, its queue and a connection."""

import pytest

from broker.limits import QueueLimits
from broker.message import Message
from broker.session.link import Delivery
from broker.session.session import Session
from broker.worker import Worker
from tests.harness.clock import ManualClock


class Link:
    """A connection that remembers what it was given."""

    version, congested, plain, maximum_out = 5, False, 0, 1 << 30

    def __init__(self):
        self.out, self.sent = [], []

    def send_qos0(self, message, retain, identifiers):
        self.sent.append((message.payload, 0, False))

    def send_message(self, outgoing, dup):
        self.sent.append((outgoing.message.payload, outgoing.packet_id, dup))
        return True


def message(payload, qos=1):
    return Message("t", payload, qos, False, None, "")


@pytest.fixture
def workers():
    clock = ManualClock()
    return Worker("one", clock), Worker("two", clock)


@pytest.fixture
def session(workers):
    return Session("a", workers[0], QueueLimits(2))


def test_without_a_connection_the_oldest_are_kept_up_to_the_limit(session):
    for payload in (b"1", b"2", b"3"):
        session.deliver(message(payload), 1, False, ())
    session.deliver(message(b"qos 0", 0), 0, False, ())
    link = Link()
    session.attach(link, 5, 10)
    session.resume()
    assert link.sent == [(b"1", 1, False), (b"2", 2, False)]


def test_a_congested_connection_gets_nothing_until_it_is_drained(session):
    link = Link()
    session.attach(link, 5, 10)
    link.congested = True
    session.deliver(message(b"1"), 1, False, ())
    assert link.sent == []
    link.congested = False
    session.pump()
    assert link.sent == [(b"1", 1, False)]


def test_what_is_unacknowledged_is_sent_again_first(session):
    session.attach(Link(), 5, 10)
    session.deliver(message(b"1"), 1, False, ())
    session.detach()
    session.deliver(message(b"2"), 1, False, ())
    link = Link()
    session.attach(link, 5, 10)
    session.resume()
    assert link.sent == [(b"1", 1, True), (b"2", 2, False)]


def test_an_inbox_that_is_drained_after_the_session_moved_is_passed_to_its_owner(session, workers):
    one, two = workers
    link = Link()
    session.attach(link, 5, 10)
    session.put(Delivery(message(b"1"), 1, False, (), "", 0))
    session.worker = two
    one.silence()
    one.run_due()
    assert link.sent == []
    two.silence()
    two.run_due()
    assert link.sent == [(b"1", 1, False)]


def test_a_connection_takes_over_the_timers_of_the_wait(session, workers):
    called = []
    session.timers = (workers[0].timers.at(0.0, called.append),)
    session.attach(Link(), 5, 10)
    workers[0].timers.run(1.0)
    assert called == []
    assert session.timers == ()
