"""Peers that are slow, stop reading, or are gone: others do not notice, and their time is limited.

How long others wait meanwhile is measured by `python -m benchmarks.hostile`; here is shown that
they are served, that nothing spins, and that everything ends.
"""

import sys

import pytest

from broker.listeners.loop import DRAIN_S
from formats.mqtt import codec
from formats.mqtt.connect import Connect
from formats.mqtt.control import Pingreq
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.hostile.kinds import KINDS
from tests.hostile.support import (
    Bystanders,
    assert_at_rest,
    is_open,
    open_connections,
    rest_of,
)

CONNECT_TIMEOUT_S = 30
KEEP_ALIVE_S = 10
OUTPUT = 65_536
KEEP_ALIVE_TIMEOUT = 0x8D
QUOTA_EXCEEDED = 0x97
MOST = 1000  # messages of this size, more than the buffers of any kernel take
MORE = 5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
class TestWithoutConnect:
    def test_ends_when_its_time_is_up(self, site, hostile, kind):
        broker = site(f"connect_timeout_s {CONNECT_TIMEOUT_S}", kind.transport)
        bystanders = Bystanders(broker)
        sock = hostile(broker)
        sock.sendall(kind.first)
        broker.settle()
        for second in range(CONNECT_TIMEOUT_S - 1):
            sock.sendall(kind.drip[second : second + 1])
            broker.advance(1)
        bystanders.check()
        assert open_connections(broker) == 3
        broker.advance(1)
        rest_of(sock)
        bystanders.check()
        broker.advance(DRAIN_S)
        assert open_connections(broker) == 2, "what it does not close itself is closed"
        assert broker.broker.statistics().limits["connect_timeout_s"] == 1

    def test_costs_nothing_meanwhile(self, site, hostile, kind):
        broker = site(transport=kind.transport)
        sock = hostile(broker)
        sock.sendall(kind.first + kind.drip[:1])
        assert_at_rest(broker)


class TestConnected:
    @pytest.fixture
    def broker(self, site):
        return site(f"max_connection_output_bytes {OUTPUT}")

    @pytest.fixture
    def connect(self, hostile):
        def connect(broker, version=5, keep_alive_s=KEEP_ALIVE_S):
            sock = hostile(broker, receive_buffer=4096)
            sock.sendall(codec.encode(Connect(version, "hostile", True, keep_alive_s), version))
            assert sock.recv(1) == b"\x20"
            broker.settle()
            return sock

        return connect

    def drown(self, broker, publisher, qos):
        """Publish more than the network and the connection take; how many messages it was."""
        session = broker.context.registry.find("hostile")
        count = 0
        while not session.connection.congested and count < MOST:
            publisher.publish("drowning", bytes(OUTPUT), qos)
            broker.settle()
            count += 1
        for _ in range(MORE):
            publisher.publish("drowning", bytes(OUTPUT), qos)
        broker.settle()
        assert OUTPUT < session.connection.transport.unsent <= 3 * OUTPUT
        return count + MORE

    def test_half_open(self, broker, connect):
        """The machine of the client is gone: nothing says so, and nothing comes."""
        bystanders = Bystanders(broker)
        sock = connect(broker)
        broker.advance(1.5 * KEEP_ALIVE_S - 0.5)
        assert is_open(sock)
        broker.advance(0.5)
        assert bytes((0xE0,)) in rest_of(sock)
        broker.advance(DRAIN_S)
        assert open_connections(broker) == 2
        bystanders.check()

    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_a_reader_that_stops(self, broker, connect, version, qos):
        """What it is due waits within its bounds, then it is gone by its keep alive."""
        bystanders = Bystanders(broker)
        sock = connect(broker, version)
        subscribe = Subscribe(1, [Subscription("#", qos)])
        sock.sendall(codec.encode(subscribe, version))
        count = self.drown(broker, bystanders.publisher, qos)
        session = broker.context.registry.find("hostile")
        assert len(session.queue) + len(session.inflight) == (count if qos else 0)
        assert len(session.queue) == (MORE if qos else 0)
        bystanders.check()
        assert_at_rest(broker)
        broker.advance(1.5 * KEEP_ALIVE_S)
        broker.advance(DRAIN_S)
        assert open_connections(broker) == 2, "closed, although it reads nothing"
        assert "hostile" not in broker.context.registry
        bystanders.check()

    def test_a_reader_that_stops_and_goes_on_asking(self, broker, connect):
        """Answers are kept back from nobody: who does not take them is disconnected."""
        bystanders = Bystanders(broker)
        sock = connect(broker)
        sock.sendall(codec.encode(Subscribe(1, [Subscription("#", 0)]), 5))
        self.drown(broker, bystanders.publisher, 0)
        assert open_connections(broker) == 3
        sock.sendall(codec.encode(Pingreq(), 5) * OUTPUT)  # as many bytes of PINGRESP twice
        broker.advance(0)
        broker.advance(DRAIN_S)
        assert open_connections(broker) == 2
        assert broker.broker.statistics().limits["max_connection_output_bytes"] == 1
        bystanders.check()

    @pytest.mark.statement("MQTT5-3.1.2-22")
    def test_a_packet_one_byte_a_second(self, broker, connect):
        """Bytes are no Control Packet: its keep alive ends it."""
        bystanders = Bystanders(broker)
        sock = connect(broker)
        packet = codec.encode(Publish("drip", bytes(100)), 5)
        for byte in packet[: int(1.5 * KEEP_ALIVE_S) - 1]:
            sock.sendall(bytes((byte,)))
            broker.advance(1)
        assert is_open(sock)
        bystanders.check()
        assert_at_rest(broker)
        sock.sendall(packet[20:21])
        broker.advance(1)
        assert bytes((KEEP_ALIVE_TIMEOUT,)) in rest_of(sock)
        bystanders.check()

    def test_a_packet_in_bytes_without_a_keep_alive_costs_what_has_arrived(self, broker, connect):
        bystanders = Bystanders(broker)
        sock = connect(broker, keep_alive_s=0)
        packet = codec.encode(Publish("drip", bytes(1_000)), 5)
        for byte in packet[:-1]:
            sock.sendall(bytes((byte,)))
            broker.settle()
        broker.advance(1_000_000)
        assert is_open(sock)
        assert_at_rest(broker)
        connection = broker.context.registry.find("hostile").connection
        assert sys.getsizeof(connection._partial) < 2 * len(packet)
        bystanders.check()

    def test_a_peer_that_only_stops_sending(self, broker, connect):
        """It has half-closed, and reads on."""
        bystanders = Bystanders(broker)
        sock = connect(broker)
        sock.sendall(codec.encode(Pingreq(), 5))
        sock.shutdown(1)
        assert rest_of(sock)[-2:] == b"\xd0\x00"
        broker.settle()
        assert open_connections(broker) == 2
        bystanders.check()

    def test_without_a_keep_alive_it_may_stay_and_costs_nothing(self, broker, connect):
        bystanders = Bystanders(broker)
        sock = connect(broker, keep_alive_s=0)
        broker.advance(1_000_000)
        assert is_open(sock)
        assert_at_rest(broker)
        bystanders.check()
