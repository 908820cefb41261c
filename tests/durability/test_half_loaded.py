"""A broker that starts has its ports open before it has loaded anything; nobody sees the half.

Clients connect as soon as a port is there. What they sent waits until everything is loaded.
"""

import select
import threading

import pytest

from broker.broker import Broker
from broker.store import Store
from formats.mqtt.acks import Puback
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.durability.site import CRASHED, STOPPED
from tests.harness.client import Client
from tests.harness.wires import DEADLINE_S, SocketWire

KEPT = {0x11: 3600}
COUNT = 20_000
AT_ONCE = 1_000  # packets in one write


class Early:
    """Between the bound ports of a broker that starts, and what it then loads.

    Attributes:
        answered: sockets of `clients` that had something to read when all was loaded.
    """

    def __init__(self):
        self.clients = []
        self.answered = None
        self._ports = []
        self._bound = threading.Event()
        self._done = threading.Event()

    def settle(self):
        """As a site of clients: nothing can be asked of a broker that does not serve yet."""

    def client(self, listener):
        assert self._bound.wait(DEADLINE_S)
        client = Client(self, SocketWire(self, self._ports[listener]), 5)
        self.clients.append(client)
        return client

    def go_on(self):
        self._done.set()

    def wait(self, ports):
        """The broker: its ports are bound."""
        self._ports = ports
        self._bound.set()
        assert self._done.wait(DEADLINE_S)

    def look(self):
        """The broker: everything is loaded."""
        sockets = [client.wire._sock for client in self.clients]
        self.answered = select.select(sockets, (), (), 0)[0]


def meet(monkeypatch):
    """Have the next broker meet its clients early."""
    early = Early()
    open_store, fill = Broker._open_store, Store.fill

    def wait_and_open(broker):
        early.wait(broker.ports)
        open_store(broker)

    def fill_and_look(store, context, worker):
        fill(store, context, worker)
        early.look()

    monkeypatch.setattr(Broker, "_open_store", wait_and_open)
    monkeypatch.setattr(Store, "fill", fill_and_look)
    return early


def publish_all(client, publishes):
    """With every acknowledgement."""
    for start in range(0, len(publishes), AT_ONCE):
        some = publishes[start : start + AT_ONCE]
        client.send(*some)
        for publish in some:
            assert client.receive(Puback).packet_id == publish.packet_id


def fill_broker(site):
    """COUNT messages for a session that is away, and as many retained."""
    away = site.client()
    away.connect("away", False, properties=KEPT)
    away.subscribe("q", qos=1)
    away.drop()
    client = site.client(4)
    client.connect("publisher")
    numbers = range(1, COUNT + 1)
    publish_all(client, [Publish("q", b"%d" % n, 1, packet_id=n) for n in numbers])
    publish_all(client, [Publish(f"r/{n}", b"x", 1, True, packet_id=n) for n in numbers])
    client.drop()


@pytest.mark.slow
@pytest.mark.parametrize("ending", [STOPPED, CRASHED])
def test_a_client_that_connects_while_it_loads_gets_all(sites, monkeypatch, ending):
    fill_broker(sites())
    early = meet(monkeypatch)
    starting = threading.Thread(target=sites.next, args=(ending,))
    starting.start()
    try:
        back = early.client(0)
        back.send(Connect(5, "away", False, 0, properties=KEPT))
        reader = early.client(1)
        reader.send(Connect(5, "reader", True, 0), Subscribe(1, [Subscription("r/#", 0)]))
    finally:
        early.go_on()
        starting.join(DEADLINE_S)
    assert not early.answered, "served before all was loaded"
    connack = back.receive(Connack)
    assert (connack.reason, connack.session_present) == (0, True)
    for number in range(1, COUNT + 1):
        message = back.receive(Publish)
        assert (message.payload, message.qos, message.dup) == (b"%d" % number, 1, False)
    back.fence()
    assert reader.receive(Connack).reason == 0
    assert reader.receive(Suback).reasons == [0]
    topics = {reader.receive(Publish).topic for _ in range(COUNT)}
    assert topics == {f"r/{number}" for number in range(1, COUNT + 1)}
    for client in early.clients:
        client.wire.close()
