"""One client id, connecting on several listeners at once.

Model: three workers whose rounds come in any order, clients with one client id on each, a publisher
on each, and a watcher of the wills. Next step: a client connects or is cut off, a publisher
publishes, a worker has a round, time passes. Invariants once all is quiet: at most one connection
has the session and the registry has it once; every CONNECT was answered or its connection closed;
each will was published exactly if it was owed, once; with a session that never ends, each message
acknowledged to its publisher reached the client, and in order. Driven by Hypothesis, on one thread;
and by threads.
"""

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from formats.mqtt.acks import Puback
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Pingreq, Pingresp
from formats.mqtt.properties import SESSION_EXPIRY_INTERVAL
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.harness.site import Site
from tests.threads.peers import Peer, run_round, settle

LISTENERS = st.integers(0, 2)
NEVER = {SESSION_EXPIRY_INTERVAL: 0xFFFFFFFF}
SUBSCRIBE = Subscribe(1, [Subscription("m/#", 1)])


class Takeover(RuleBasedStateMachine):
    """Any client may start clean or let its session end with it, or wait for it for 10 s."""

    clean = st.booleans()
    expiry = st.sampled_from((0, 10, 0xFFFFFFFF))

    @initialize()
    def open(self):
        self.site = Site("memory", listeners=3)
        self.peers = []
        self.watcher = self.peer(0)
        self.watcher.connect("watcher", properties=NEVER)
        self.watcher.send(Subscribe(1, [Subscription("will/#", 1)]))
        self.publishers = [self.peer(listener) for listener in range(3)]
        for number, publisher in enumerate(self.publishers):
            publisher.connect(f"publisher {number}")
        self.published = [0, 0, 0]
        self.clients = []
        settle(self.site, self.peers)
        self.begin()
        settle(self.site, self.peers)

    def begin(self):
        pass

    def peer(self, listener):
        self.peers.append(Peer(self.site, listener))
        return self.peers[-1]

    def connect_client(self, listener, clean, expiry):
        client = self.peer(listener)
        will = Will(f"will/{len(self.clients)}", b"", 1, False, None)
        properties = {SESSION_EXPIRY_INTERVAL: expiry}
        client.connect("client", clean_start=clean, will=will, properties=properties)
        self.clients.append(client)
        return client

    @rule(listener=LISTENERS, data=st.data())
    def connect(self, listener, data):
        client = self.connect_client(listener, data.draw(self.clean), data.draw(self.expiry))
        if data.draw(st.booleans()):
            client.send(SUBSCRIBE)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def cut_off(self, data):
        data.draw(st.sampled_from(self.clients)).leave()

    @rule(place=LISTENERS)
    def publish(self, place):
        number = self.published[place] = self.published[place] + 1
        self.publishers[place].send(Publish(f"m/{place}", b"%d" % number, 1, packet_id=number))

    @rule(order=st.lists(st.integers(0, 3), min_size=1, max_size=6))
    def rounds(self, order):
        for place in order:
            run_round(self.site._all_workers[place], self.peers)

    @rule(seconds=st.sampled_from((1.0, 10.0)))
    def wait(self, seconds):
        self.site.clock.advance(seconds)

    def teardown(self):
        if not hasattr(self, "site"):
            return
        settle(self.site, self.peers)
        attached = [peer for peer in self.clients if peer.wire.connection.session is not None]
        assert len(attached) <= 1
        sessions = [one for one in self.site.context.registry.all() if one.client_id == "client"]
        assert len(sessions) <= 1
        for client in attached:
            assert sessions == [client.wire.connection.session]
            assert sessions[0].connection is client.wire.connection
            assert sessions[0].worker is client.worker
        for client in self.clients:
            assert client.accepted or client.closed
        owed = {
            f"will/{number}"
            for number, client in enumerate(self.clients)
            if client.accepted and client.closed
        }
        wills = [publish.topic for publish in self.watcher.got(Publish)]
        assert sorted(wills) == sorted(set(wills))
        # One that was cut off before it could read its CONNACK has a will, too.
        cut_off = {
            f"will/{number}"
            for number, client in enumerate(self.clients)
            if client.closed and not client.accepted
        }
        assert owed <= set(wills) <= owed | cut_off
        for place, publisher in enumerate(self.publishers):
            assert len(publisher.got(Puback)) == self.published[place]
        subscribed = sum(len(one.subscriptions) for one in self.site.context.registry.all())
        assert self.site.context.tree.count == subscribed
        self.check()

    def check(self):
        pass


class Persistent(Takeover):
    """The session never ends, and has its subscription from the start."""

    clean = st.just(False)
    expiry = st.just(0xFFFFFFFF)

    def begin(self):
        self.connect_client(0, False, 0xFFFFFFFF).send(SUBSCRIBE)

    def check(self):
        self.connect_client(1, False, 0xFFFFFFFF)
        settle(self.site, self.peers)
        for place in range(3):
            seen = []
            for client in self.clients:
                numbers = [
                    int(publish.payload)
                    for publish in client.got(Publish)
                    if publish.topic == f"m/{place}"
                ]
                assert numbers == sorted(numbers)
                seen.extend(numbers)
            assert set(seen) == set(range(1, self.published[place] + 1))


SHORT = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
TestTakeover = Takeover.TestCase
TestTakeover.settings = SHORT
TestPersistent = Persistent.TestCase
TestPersistent.settings = SHORT


def test_twelve_clients_at_once_on_three_listeners():
    site = Site("tcp", listeners=3)
    try:
        clients = [site.client(5, number % 3) for number in range(12)]
        start = threading.Barrier(len(clients))
        connacks = []

        def connect(client):
            start.wait()
            client.send(Connect(5, "client", False, 0, properties=NEVER))
            while client._fill():
                if client._packets:
                    connacks.append(client.receive(Connack))
                    return

        run_all([threading.Thread(target=connect, args=(client,)) for client in clients])
        assert sum(not connack.session_present for connack in connacks) == 1
        site.settle()
        alive = 0
        for client in clients:
            client.send(Pingreq())
            alive += any(isinstance(one, Pingresp) for one in until_answer_or_close(client))
        assert alive == 1
        (session,) = site.context.registry.all()
        assert session.connection is not None
        assert session.connection.session is session
    finally:
        site.close()


def test_messages_follow_a_session_that_moves_while_they_come():
    each = 200
    site = Site("tcp", listeners=3)
    try:
        first = site.client(5, 0)
        first.connect("client", clean_start=False, properties=NEVER)
        first.subscribe("m/#", qos=1)
        seen = [[] for _ in range(3)]  # by the thread that saw them
        publishing = threading.Event()
        publishing.set()

        def publish(listener):
            client = site.client(5, listener)
            client.connect(f"publisher {listener}")
            for number in range(each):
                client.publish(f"m/{listener}", b"%d" % number, qos=1)

        def take(listener):
            while publishing.is_set():
                client = site.client(5, listener)
                connection = []
                seen[listener].append(connection)
                client.send(Connect(5, "client", False, 0, properties=NEVER), Pingreq())
                connection.extend(acknowledged(client, until_answer_or_close(client)))
                client.wire.close()

        takers = [threading.Thread(target=take, args=(listener,)) for listener in range(3)]
        publishers = [threading.Thread(target=publish, args=(listener,)) for listener in (0, 1)]
        for thread in takers:
            thread.start()
        run_all(publishers)
        publishing.clear()
        for thread in takers:
            thread.join()
        last = site.client(5, 2)
        connection = []
        seen[2].append(connection)
        last.send(Connect(5, "client", False, 0, properties=NEVER))
        last.receive(Connack)
        for _ in range(3):  # its inbox may be drained after the first answer
            site.settle()
            last.send(Pingreq())
            connection.extend(acknowledged(last, until_answer_or_close(last)))
        before = [(one.topic, one.payload) for one in first.wait_closed() if hasattr(one, "topic")]
        connections = [connection for thread in seen for connection in thread]
        for listener in (0, 1):
            got = set()
            for connection in (before, *connections):
                numbers = [int(p) for t, p in connection if t == f"m/{listener}"]
                assert numbers == sorted(numbers)
                got |= set(numbers)
            assert got == set(range(each))
    finally:
        site.close()


def run_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def until_answer_or_close(client):
    """The packets up to a PINGRESP, or up to the end."""
    packets = []
    while True:
        packets += client._packets
        client._packets = []
        if any(isinstance(one, Pingresp) for one in packets) or not client._fill():
            return packets + client._packets


def acknowledged(client, packets):
    """Topic and payload of each message among `packets`, acknowledged."""
    messages = [one for one in packets if isinstance(one, Publish)]
    client.send(*(Puback(publish.packet_id) for publish in messages))
    return [(publish.topic, publish.payload) for publish in messages]
