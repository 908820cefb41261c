"""How many messages, and bytes, wait for clients: for each, and for all together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.mqtt.acks import Puback
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.harness.site import Site
from tests.limits.support import connected, reached


def away(site, client_id="away", topic="t", listener=0):
    """A session without a connection, with a subscription of QoS 1."""
    client = site.client(5, listener)
    client.resume(client_id)
    client.subscribe(topic, qos=1)
    client.drop()


def sizes_after(site, client_id="away", listener=0):
    client = site.client(5, listener)
    client.resume(client_id)
    return [len(message.payload) for message in client.receive_messages()]


def check_counts(site):
    """What is counted is what there is."""
    sessions = site.context.registry.all()
    for session in sessions:
        sent = [outgoing for outgoing in session.inflight.values() if outgoing.message.large]
        there = [*session.queue, *sent]
        assert session.held == sum(outgoing.message.size for outgoing in there)
    for worker in site._all_workers:
        own = [session for session in sessions if session.worker is worker]
        assert worker.held_bytes == sum(session.held for session in own)
        assert worker.queued == sum(len(session.queue) for session in own)


class TestOfOneClient:
    def test_messages(self, site):
        broker = site("max_queued_messages 2")
        away(broker)
        publisher = connected(broker, "publisher")
        for size in (1, 2, 3):
            assert publisher.publish("t", bytes(size), 1).reason == 0
        assert sizes_after(broker) == [1, 2]
        assert reached(broker) == {"max_queued_messages": 1}

    def test_bytes(self, site):
        broker = site("max_queued_bytes 100")
        away(broker)
        publisher = connected(broker, "publisher")
        for size in (60, 50, 40):
            publisher.publish("t", bytes(size), 1)
        assert sizes_after(broker) == [60, 40]
        assert reached(broker) == {"max_queued_bytes": 1}
        check_counts(broker)

    def test_bytes_on_their_way_count(self, site):
        broker = site("max_queued_bytes 10000")
        client = connected(broker, "client")
        client.subscribe("t", qos=1)
        publisher = connected(broker, "publisher")
        for size in (6000, 5000, 4000, 10):
            publisher.publish("t", bytes(size), 1)
        received = [client.receive(Publish) for _ in range(3)]
        assert [len(publish.payload) for publish in received] == [6000, 4000, 10]
        client.nothing()
        client.send(Puback(received[0].packet_id))
        publisher.publish("t", bytes(5000), 1)
        assert len(client.receive(Publish).payload) == 5000
        check_counts(broker)

    def test_properties_count(self, site):
        broker = site("max_queued_bytes 1000")
        away(broker)
        publisher = connected(broker, "publisher")
        publisher.publish("t", b"1", 1, properties={0x03: "x" * 1000})
        assert sizes_after(broker) == []

    def test_what_has_expired_makes_room(self, site):
        broker = site("max_queued_bytes 100")
        away(broker)
        publisher = connected(broker, "publisher")
        publisher.publish("t", bytes(30), 1, properties={0x02: 10})
        broker.advance(20)
        publisher.publish("t", bytes(60), 1)
        check_counts(broker)
        assert sizes_after(broker) == [60]
        assert not reached(broker)

    def test_qos_0_messages_that_are_queued(self, site):
        broker = site("queue_qos0_messages true\nmax_queued_bytes 100")
        away(broker)
        publisher = connected(broker, "publisher")
        for size in (60, 50, 40):
            publisher.publish("t", bytes(size), 0)
        check_counts(broker)
        assert sizes_after(broker) == [60, 40]
        check_counts(broker)


class TestOfAll:
    def test_messages(self, site):
        broker = site("global_max_queued_messages 3", listeners=2)
        for place in range(2):
            away(broker, f"away {place}", f"t{place}", place)
        publisher = connected(broker, "publisher")
        for topic in ("t0", "t0", "t1", "t1", "t0"):
            publisher.publish(topic, b"x", 1)
        assert len(sizes_after(broker, "away 0")) == 2
        assert len(sizes_after(broker, "away 1", 1)) == 1
        assert reached(broker) == {"global_max_queued_messages": 2}
        check_counts(broker)

    def test_bytes(self, site):
        broker = site("global_max_queued_bytes 100", listeners=2)
        for place in range(2):
            away(broker, f"away {place}", f"t{place}", place)
        publisher = connected(broker, "publisher")
        for topic in ("t0", "t1", "t0"):
            publisher.publish(topic, bytes(40), 1)
        assert sizes_after(broker, "away 0") == [40]
        assert reached(broker) == {"global_max_queued_bytes": 1}
        publisher.publish("t0", bytes(40), 1)  # the client took the one before
        check_counts(broker)
        assert reached(broker) == {"global_max_queued_bytes": 1}

    def test_a_session_takes_what_it_holds_along(self, site):
        broker = site(listeners=2)
        away(broker)
        publisher = connected(broker, "publisher")
        for _ in range(3):
            publisher.publish("t", bytes(2000), 1)
        client = broker.client(5, 1)
        client.resume("away")
        check_counts(broker)
        assert (broker.workers[0].held_bytes, broker.workers[1].held_bytes) == (0, 6000)
        client.receive_messages()
        assert broker.workers[1].held_bytes == 0


@pytest.mark.parametrize("end", ["clean start", "expiry"])
def test_a_session_that_ends_holds_nothing(site, end):
    broker = site()
    away(broker)
    connected(broker, "publisher").publish("t", bytes(10), 1)
    if end == "expiry":
        broker.advance(4000)
    else:
        connected(broker, "away")
    check_counts(broker)
    assert [(one.held_bytes, one.queued) for one in broker.workers] == [(0, 0)]


STEPS = st.one_of(
    st.tuples(
        st.just("publish"), st.sampled_from([0, 50, 1025, 3000]), st.integers(0, 2), st.booleans()
    ),
    st.tuples(st.sampled_from(["resume", "drop", "clean", "take"]), st.integers(0, 1)),
    st.tuples(st.just("advance"), st.integers(0, 30)),
)


@given(st.lists(STEPS, max_size=25))
def test_what_is_counted_is_what_there_is(steps):
    limits = "max_queued_messages 4\nmax_queued_bytes 8000\nglobal_max_queued_bytes 9000"
    more = "max_inflight_messages 3\nqueue_qos0_messages true\nglobal_max_queued_messages 6"
    site = Site("memory", f"{limits}\n{more}", 2)
    clients = {}
    publisher = connected(site, "publisher")
    for step, *how in steps:
        if step == "publish":
            size, qos, expires = how
            publisher.publish("t", bytes(size), qos, properties={0x02: 10} if expires else None)
        elif step == "advance":
            site.advance(how[0])
        elif step == "drop":
            clients.pop("one", site.client(5)).drop()
        elif step == "take":
            if "one" in clients:
                clients["one"].receive_messages()
        else:
            clients["one"] = site.client(5, how[0])
            if step == "resume":
                clients["one"].resume("one")
            else:
                clients["one"].connect("one")
            clients["one"].send(Subscribe(1, [Subscription("t", 2), Subscription("+", 1)]))
            clients["one"].receive_skipping(Suback)
        check_counts(site)
    site.close()
    for worker in site._all_workers:
        assert worker.held_bytes >= 0
