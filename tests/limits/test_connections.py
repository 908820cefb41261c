"""How many connections there may be, over sockets: the CONNECT of one too many is answered."""

import socket
import sys

import pytest

from broker.listeners.door import TURNED_AWAY_AT_ONCE, Door, Hall
from broker.listeners.tcp import UNWELCOME_S
from tests.harness.client import Client
from tests.harness.wires import SocketWire
from tests.limits.support import connected, reached

SERVER_UNAVAILABLE = 3  # 3.1 and 3.1.1, table 3.1


def refused(version, reason):
    return reason if version == 5 else SERVER_UNAVAILABLE


def from_address(site, address):
    """A client of another address of the loopback network."""
    wire = SocketWire.__new__(SocketWire)
    wire._site = site
    wire._sock = socket.create_connection(("127.0.0.1", site.broker.ports[0]), 10, (address, 0))
    client = Client(site, wire, 5)
    site.clients.append(client)
    return client


class TestHowMany:
    def test_at_a_listener(self, site, version):
        broker = site("max_connections 2", "tcp")
        clients = [connected(broker, f"c{place}", version) for place in range(2)]
        assert broker.client(version).connect("more").reason == refused(version, 0x97)
        assert reached(broker) == {"max_connections": 1}
        clients[0].fence()
        clients[1].disconnect()
        connected(broker, "in its place", version)

    def test_each_listener_has_its_own(self, site):
        broker = site("max_connections 1", "tcp", 2)
        connected(broker, "a", listener=0)
        connected(broker, "b", listener=1)
        assert broker.client(5, 1).connect("c").reason == 0x97

    def test_at_all_listeners_together(self, site, version):
        broker = site("global_max_connections 2", "tcp", 2)
        clients = [connected(broker, f"c{place}", version, place) for place in range(2)]
        assert broker.client(version, 1).connect("more").reason == refused(version, 0x97)
        assert reached(broker) == {"global_max_connections": 1}
        clients[0].disconnect()
        connected(broker, "in its place", version, 1)

    @pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2")
    def test_from_one_address(self, site):
        broker = site("max_connections_per_address 1", "tcp")
        first = connected(broker, "a")
        assert broker.client(5).connect("b").reason == 0x97
        assert from_address(broker, "127.0.0.2").connect("c").reason == 0
        assert reached(broker) == {"max_connections_per_address": 1}
        first.disconnect()
        connected(broker, "d")

    def test_a_connection_that_ends_by_itself_makes_room(self, site):
        broker = site("max_connections 1", "tcp")
        connected(broker, "a").drop()
        connected(broker, "b").send("00 00")  # not MQTT: the broker ends it
        broker.clients[-1].wait_closed()
        connected(broker, "c")


class TestHowOften:
    def test_a_rate(self, site, version):
        broker = site("max_connect_rate 2", "tcp")
        for place in range(2):
            connected(broker, f"c{place}", version)
        assert broker.client(version).connect("more").reason == refused(version, 0x9F)
        assert reached(broker) == {"max_connect_rate": 1}
        broker.advance(0.5)
        connected(broker, "later", version)
        assert broker.client(version).connect("more").reason == refused(version, 0x9F)

    def test_a_burst_is_no_more_than_what_comes_in_a_second(self):
        door = Door(Hall(), -1, 3, 0.0)
        assert [door.enter("a", 1_000.0) for _ in range(4)] == ["", "", "", "max_connect_rate"]


class TestTurnedAway:
    def test_who_says_nothing_is_closed_soon(self, site):
        broker = site("max_connections 0", "tcp")
        client = broker.client(5)
        broker.settle()
        broker.advance(UNWELCOME_S)
        assert client.wait_closed() == []

    def test_of_very_many_the_rest_has_no_answer(self, site):
        broker = site("max_connections 0", "tcp")
        silent = [broker.client(5) for _ in range(TURNED_AWAY_AT_ONCE)]
        assert broker.client(5).wait_closed() == []
        assert silent[0].connect("a").reason == 0x97
        assert silent[0].wait_closed() == []
        broker.settle()
        assert broker.client(5).connect("b").reason == 0x97

    def test_other_packets_than_connect_are_still_wrong(self, site):
        broker = site("max_connections 0", "tcp")
        client = broker.client(5)
        client.send("c000")
        assert client.wait_closed() == []

    def test_the_log_has_a_line_a_minute(self, site, caplog):
        broker = site("max_connections 0", "tcp")
        for _ in range(5):
            broker.client(5).connect("a")
        assert caplog.text.count("limit max_connections: 127.0.0.1: refused") == 1
        broker.advance(60)
        broker.client(5).connect("a")
        assert caplog.text.count("limit max_connections: 127.0.0.1: refused") == 2
        assert "(4 more since this was last said)" in caplog.text
        assert reached(broker) == {"max_connections": 6}


def test_connect_has_to_come_in_time(site):
    broker = site("connect_timeout_s 5")
    client = broker.client(5)
    broker.advance(5)
    assert client.wait_closed() == []
    assert reached(broker) == {"connect_timeout_s": 1}
