"""What the database held counts, too, when the broker has started again."""

import pytest

from tests.durability.site import STOPPED, DurableSite
from tests.limits.support import connected, reached


@pytest.fixture
def site(tmp_path):
    """`site(options)`: a broker with a database, or with `before` the next one there."""
    pytest.importorskip("ZODB")
    sites = []

    def make(options, before=None):
        if before is None:
            sites.append(DurableSite(tmp_path, more=options))
        else:
            before.more = options
            sites.append(before.next(STOPPED))
        return sites[-1]

    yield make
    for one in sites:
        if one.broker is not None:
            one.close()


def held(site):
    workers = [*(listener.loop for listener in site.broker._listeners), site.broker._housekeeping]
    return sum(one.held_bytes for one in workers), sum(one.queued for one in workers)


def test_queues(site):
    limits = "max_queued_messages 0\nglobal_max_queued_bytes 9000"
    broker = site(limits)
    client = broker.client(5)
    client.resume("away", properties={0x21: 1})
    client.subscribe("t", qos=1)
    publisher = connected(broker, "publisher")
    for _ in range(3):
        publisher.publish("t", bytes(2500), 1)
    client.drop()
    broker.settle()
    assert held(broker) == (7500, 2)
    broker = site(limits, broker)
    assert held(broker) == (7500, 2)
    connected(broker, "publisher").publish("t", bytes(2500), 1)
    assert reached(broker) == {"global_max_queued_bytes": 1}
    client = broker.client(5, 1)
    client.resume("away")
    assert len(client.receive_messages()) == 3
    broker.settle()
    assert held(broker) == (0, 0)


def test_a_session_that_was_there_comes_back_though_there_are_too_many(site):
    broker = site("")
    for client_id in "ab":
        client = broker.client(5)
        client.resume(client_id)
        client.drop()
    broker = site("global_max_clients 1", broker)
    assert broker.client(5).resume("a").session_present
    assert broker.client(5).connect("c").reason == 0x97


def test_what_was_retained_stays_and_counts(site):
    broker = site("")
    publisher = connected(broker, "publisher")
    for topic in "abc":
        publisher.publish(topic, b"x", 1, retain=True)
    broker = site("max_retained_messages 2", broker)
    assert broker.context.retained.count == 3
    assert connected(broker, "publisher").publish("d", b"x", 1, retain=True).reason == 0x97


def test_what_was_subscribed_stays_and_counts(site):
    broker = site("")
    client = broker.client(5)
    client.resume("a")
    assert client.subscribe("a/b", "$share/g/c") == [0, 0]
    taken = broker.context.subscribed.taken
    client.drop()
    broker = site(f"global_max_subscription_bytes {taken - 1}", broker)
    assert broker.context.subscribed.taken == taken
    client = broker.client(5)
    client.resume("a")
    assert client.subscribe("d") == [0x97]
    client.unsubscribe("a/b", "$share/g/c")
    assert broker.context.subscribed.taken == 0
