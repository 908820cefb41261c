"""Listeners over real sockets: many clients, slow ones, broken ones, and the end."""

import socket
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from broker.broker import Broker
from broker.listeners.tcp import bind
from broker.pki import ensure_test_pki
from formats.mqtt.connect import Will
from formats.mqtt.control import Disconnect
from formats.mqtt.publish import Publish
from tests.harness.client import Client
from tests.harness.site import Site
from tests.harness.wires import SocketWire

SERVES_ON = "the broker serves on"


@pytest.fixture
def site():
    """`site(configuration, listeners)`: a broker on sockets, stopped with the test."""
    sites = []

    def make(configuration="", listeners=1):
        sites.append(Site("tcp", configuration, listeners))
        return sites[-1]

    yield make
    for one in sites:
        one.close()


def stream_of(site, client_id):
    """The broker's end of a connection."""
    for listener in site.broker._listeners:
        for stream, connection in list(listener._open.items()):
            if connection.client_id == client_id:
                return stream
    raise AssertionError(f"{client_id} is not connected")


def small_window(port):
    """A socket whose peer soon has to wait."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    return sock


def over(site, sock):
    """A client on a socket that is connected already."""
    wire = SocketWire.__new__(SocketWire)
    wire._site, wire._sock = site, sock
    client = Client(site, wire, 5)
    site.clients.append(client)
    return client


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class TestAddresses:
    def test_ipv4_and_ipv6_have_the_same_port(self):
        sockets = bind("", 0, None)
        try:
            assert len({one.getsockname()[1] for one in sockets}) == 1
            assert sockets[0].family == socket.AF_INET
            assert len(sockets) == 1 or sockets[1].family == socket.AF_INET6
        finally:
            for one in sockets:
                one.close()

    @pytest.mark.parametrize(
        ("address", "seen"),
        [("", ["127.0.0.1", "::1"]), ("*", ["0.0.0.0", "::"]), ("0.0.0.0", ["0.0.0.0"])],
        ids=["none", "every one", "IPv4"],
    )
    def test_only_who_asks_for_it_is_public(self, address, seen):
        sockets = bind(address, 0, None)
        try:
            addresses = [one.getsockname()[0] for one in sockets]
            assert addresses == seen[: len(addresses)]
            assert len(addresses) == len(seen) or not has_ipv6()
        finally:
            for one in sockets:
                one.close()

    def test_one_family_only(self):
        (only,) = bind("", 0, "ipv4")
        with only:
            assert only.family == socket.AF_INET

    def test_ipv6_is_served_where_there_is_any(self):
        if not has_ipv6():
            pytest.skip("no IPv6 here")
        with (
            Broker("allow_anonymous true\nlistener 0 ::1\n") as broker,
            socket.create_connection(("::1", broker.ports[0]), 10) as sock,
        ):
            sock.sendall(bytes.fromhex("10 0d 0004 4d515454 04 02 0000 0001 61"))
            assert sock.recv(4) == bytes.fromhex("20 02 00 00")


class TestOthersGoOn:
    def check(self, site, listener=0):
        client = site.client(5, listener)
        client.connect(SERVES_ON)
        client.fence()

    def test_half_a_packet(self, site):
        broker = site()
        broker.client(5).send(b"\x10\x20\x00\x04MQ")
        self.check(broker)

    def test_a_silent_connection_to_a_tls_listener(self, tmp_path):
        ensure_test_pki(tmp_path / "pki", datetime.now(UTC))
        site = Site("tls", pki=tmp_path / "pki")
        try:
            with socket.create_connection(("127.0.0.1", site.broker.ports[0]), 10):
                self.check(site)
        finally:
            site.close()

    def test_a_client_that_does_not_read(self, site):
        limit = 200_000
        broker = site(f"max_connection_output_bytes {limit}")
        slow = over(broker, small_window(broker.broker.ports[0]))
        slow.connect("slow")
        slow.subscribe("m/#", qos=1)
        publisher = broker.client(5)
        publisher.connect("publisher")
        payload = bytes(20_000)
        for _ in range(400):
            publisher.publish("m/0", payload, qos=0)
        stream = stream_of(broker, "slow")
        assert limit < stream.unsent < limit + 2 * len(payload)
        assert broker.broker.statistics().publish_dropped > 0
        for number in range(50):
            publisher.publish("m/1", b"%d" % number, qos=1)
        assert stream.unsent < limit + 2 * len(payload)
        # As soon as it reads, it gets what is kept: QoS 1, all of it and in order.
        kept = []
        while len(kept) < 50:
            publish = slow.receive_message()
            if publish.qos == 1:
                kept.append(publish.payload)
        assert kept == [b"%d" % number for number in range(50)]

    def test_max_connections(self, site, caplog):
        broker = site("max_connections 2")
        clients = [broker.client(5) for _ in range(2)]
        for number, client in enumerate(clients):
            client.connect(f"client {number}")
        assert broker.client(5).connect("one too many").reason == 0x97
        assert "limit max_connections" in caplog.text
        clients[0].disconnect()
        self.check(broker)


class TestEnds:
    def test_small_packets_leave_at_once(self, site):
        broker = site()
        broker.client(5).connect("a")
        option = stream_of(broker, "a")._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert option

    def watcher(self, site):
        watcher = site.client(5)
        watcher.connect("watcher")
        watcher.subscribe("will")
        return watcher

    def test_a_reset_publishes_the_will(self, site):
        broker = site()
        watcher = self.watcher(broker)
        client = broker.client(5)
        client.connect("a", will=Will("will", b"gone"))
        sock = client.wire._sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert watcher.receive(Publish).payload == b"gone"

    def test_a_client_that_only_half_closes_gets_what_is_due_and_its_will_is_published(self, site):
        broker = site("maximum_packet_size 6000000")
        watcher = self.watcher(broker)
        client = over(broker, small_window(broker.broker.ports[0]))
        client.connect("a", will=Will("will", b"gone"))
        client.subscribe("m")
        payload = bytes(5_000_000)
        watcher.publish("m", payload)
        client.wire._sock.shutdown(socket.SHUT_WR)
        assert watcher.receive(Publish).payload == b"gone"
        (publish,) = client.wait_closed()
        assert publish.payload == payload

    def test_the_reason_arrives_though_the_client_goes_on_sending(self, site):
        broker = site("maximum_packet_size 1000")
        client = broker.client(5)
        client.connect("a")
        client.send(b"\x30\xff\xff\x03" + bytes(65_535), b"\xc0\x00" * 100_000)
        assert client.closed_with() == 0x95

    def test_stop_sends_what_is_pending_and_then_the_reason(self, site):
        broker = site("maximum_packet_size 3000000")
        client = over(broker, small_window(broker.broker.ports[0]))
        client.connect("a")
        client.subscribe("m")
        publisher = broker.client(5)
        publisher.connect("publisher")
        payload = bytes(2_000_000)
        publisher.publish("m", payload)
        stop = threading.Thread(target=broker.broker.stop)
        stop.start()
        publish, disconnect = client.wait_closed()
        client.wire.close()
        assert publisher.closed_with() == 0x8B
        publisher.wire.close()
        stop.join(10)
        assert publish.payload == payload
        assert disconnect.reason == 0x8B
        assert isinstance(disconnect, Disconnect)

    def test_stop_does_not_wait_for_who_does_not_read(self, site):
        broker = site("maximum_packet_size 30000000", listeners=2)
        clients = []
        for listener, port in enumerate(broker.broker.ports):
            client = over(broker, small_window(port))
            client.connect(f"slow {listener}")
            client.subscribe("m")
            clients.append(client)
        publisher = broker.client(5)
        publisher.connect("publisher")
        publisher.publish("m", bytes(20_000_000))
        broker.settle()
        loops = [listener.loop for listener in broker.broker._listeners]
        threads = [listener._thread for listener in broker.broker._listeners]
        broker.broker.stop()
        assert not any(thread.is_alive() for thread in threads)
        assert len(loops) == 2


# A process of its own, for its limit of file descriptors.
MANY = """
import resource, selectors, socket, sys
from broker.broker import Broker
number = int(sys.argv[1])
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * number + 100), hard))
with Broker("allow_anonymous true\\nlistener 0 127.0.0.1\\n") as broker:
    clients = []
    for place in range(number):
        sock = socket.create_connection(("127.0.0.1", broker.ports[0]), 20)
        name = b"%05d" % place
        sock.sendall(bytes.fromhex("1011000 44d515454040200000005".replace(" ", "")) + name)
        clients.append(sock)
    for sock in clients:
        assert sock.recv(4) == b"\\x20\\x02\\0\\0"
    print(len(broker.context.registry))
    for sock in clients:
        sock.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
class TestMany:
    def run(self, code, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @pytest.mark.slow
    def test_1500_connections(self):
        resource = pytest.importorskip("resource")
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 3100:
            pytest.skip("the system allows too few file descriptors")
        assert self.run(MANY, "1500") == "1500\n"


def test_no_timer_keeps_a_stream_that_is_closed(site):
    broker = site()
    client = broker.client(4)
    client.connect("a")
    stream = stream_of(broker, "a")
    client.disconnect()
    client.drop()
    broker.client(4).connect("b")  # what comes after its end
    (listener,) = broker.broker._listeners
    assert not hasattr(stream, "connection")
    calls = [timer[2] for timer in listener.loop.timers.heap]
    assert not any(getattr(call, "__self__", None) is stream for call in calls)


def test_a_rush_of_clients_is_let_in_a_few_at_a_time_and_then_more(site):
    broker = site()
    socks = [socket.create_connection(("127.0.0.1", broker.broker.ports[0])) for _ in range(200)]
    try:
        for number, sock in enumerate(socks):
            sock.settimeout(10)
            sock.sendall(b"\x10\x10\0\4MQTT\4\2\0\0\0\4%04d" % number)
        assert all(sock.recv(4) == b"\x20\x02\0\0" for sock in socks)
        assert broker.broker.statistics().sockets == 200
    finally:
        for sock in socks:
            sock.close()
