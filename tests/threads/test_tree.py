"""Subscriptions change while others publish.

Model: the tree and the routes it remembers. Next step: a subscription comes or goes under the lock
and forgets the routes it touches; a publisher asks for a route, mostly without the lock.
Invariant: whoever is subscribed throughout is in every route; once `subscribe` or `unsubscribe`
has returned, the next route says so. Driven by two threads that subscribe and two that publish.
"""

import threading

import pytest

from broker.limits import QueueLimits
from broker.session.session import Session, Subscription
from broker.topics.tree import SubscriptionTree
from broker.worker import Worker
from tests.harness.clock import ManualClock

ROUNDS = 400


@pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "#"])
def test_a_route_is_never_older_than_the_subscription_that_was_made(topic_filter):
    tree = SubscriptionTree()
    worker = Worker("test", ManualClock())
    steady = Session("steady", worker, QueueLimits())
    tree.subscribe(Subscription(steady, "a/#", 0))
    done = threading.Event()
    wrong = []

    def sessions():
        return [target.session for target in tree.route("a/b").targets]

    def change(name):
        session = Session(name, worker, QueueLimits())
        subscription = Subscription(session, topic_filter, 1)
        for _ in range(ROUNDS):
            tree.subscribe(subscription)
            if session not in sessions():
                wrong.append("not there yet")
            tree.unsubscribe(subscription)
            if session in sessions():
                wrong.append("there still")

    def publish():
        while not done.is_set():
            if steady not in sessions():
                wrong.append("the steady one is missing")

    changers = [threading.Thread(target=change, args=(name,)) for name in ("one", "two")]
    publishers = [threading.Thread(target=publish) for _ in range(2)]
    for thread in (*changers, *publishers):
        thread.start()
    for thread in changers:
        thread.join()
    done.set()
    for thread in publishers:
        thread.join()
    assert wrong == []
    assert tree.count == 1
    assert sessions() == [steady]
