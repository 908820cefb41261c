"""`python -m benchmarks.hold --clients 15000 --minutes 10`: does memory stay where it is?

Starts a broker, connects clients with keep alive, each with a subscription of its own, and
publishes to one after the other at a modest rate. Every INTERVAL_S seconds there is a line with the
broker's memory. The exit code is 1 if a client or a message was lost, or memory went on growing.

Broker and clients are two processes, as a process has file descriptors for one end of each
connection only; clients come from as many loopback addresses as there are ports for.
"""

import argparse
import resource
import selectors
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import process, wire
from benchmarks.brokers import running
from benchmarks.client import WrongDeliveryError, receive_packet
from benchmarks.kinds import BROKERS
from benchmarks.transports import STALL_S, TCP, TcpConnection
from benchmarks.workloads import Workload

KEEP_ALIVE_S = 60
PING_S = 40  # from one PINGREQ of a client to its next
INTERVAL_S = 10.0
TURN_S = 0.05
AT_ONCE = 50  # clients that connect together
PER_ADDRESS = 10_000  # connections from one loopback address, of the ports it has
PAYLOAD = b"x" * 64
STEADY = 0.02  # of the memory after half of the time: what may have been added in the end. Until
# then what the ledger keeps of each connection fills, the packets that show what led to a breach.
SLACK_KIB = 512  # for the noise of a small process

clock = time.monotonic


class Clients:
    """All connections, what they have sent, and what has come back."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections: list[TcpConnection] = []
        self.selector = selectors.DefaultSelector()
        self.partial: dict[int, bytes] = {}  # by client: the beginning of a packet
        self.pings = self.answers = 0
        self.published = self.delivered = 0
        self.lost = 0  # connections that the broker has closed

    def connect(self, count: int) -> None:
        """So many more; each has a keep alive and a subscription.

        Raises:
            WrongDeliveryError: one was refused.
        """
        batch = []
        for index in range(len(self.connections), len(self.connections) + count):
            connection = TcpConnection()
            connection.settimeout(STALL_S)
            connection.bind((f"127.0.0.{1 + index // PER_ADDRESS}", 0))
            connection.connect(("127.0.0.1", self.port))
            body = wire.text("MQTT") + b"\x04\x02" + KEEP_ALIVE_S.to_bytes(2, "big")
            connect = wire.packet(0x10, body + wire.text(f"hold{index}"))
            subscribe = wire.subscribe_packet(1, [f"hold/{index}"], 0, 4)
            connection.sendall(connect + subscribe)
            batch.append(connection)
        for connection in batch:
            if receive_packet(connection, wire.CONNACK)[1]:
                raise WrongDeliveryError("CONNECT was refused")
            if receive_packet(connection, wire.SUBACK)[-1]:
                raise WrongDeliveryError("a subscription was not granted")
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, len(self.connections))
            self.connections.append(connection)

    def ping(self, index: int) -> None:
        self.pings += self._send(index, wire.PINGREQ_PACKET)

    def publish(self, number: int) -> None:
        """From one client to another."""
        count = len(self.connections)
        body = wire.text(f"hold/{(number + 1) % count}") + PAYLOAD
        self.published += self._send(number % count, wire.packet(0x30, body))

    def _send(self, index: int, data: bytes) -> bool:
        connection = self.connections[index]
        if connection.fileno() < 0:
            return False
        try:
            return connection.send(data) == len(data)
        except OSError:
            self._lose(index)
            return False

    def _lose(self, index: int) -> None:
        self.lost += 1
        self.selector.unregister(self.connections[index])
        self.connections[index].close()

    def take(self, timeout_s: float) -> None:
        """Read what has come, and count it."""
        for key, _ in self.selector.select(timeout_s):
            index: int = key.data
            try:
                data = self.connections[index].recv(wire.SMALL_READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                self._count(index, data)
            else:
                self._lose(index)

    def _count(self, index: int, data: bytes) -> None:
        data = self.partial.pop(index, b"") + data
        while len(data) >= 2 and len(data) >= 2 + data[1]:  # all packets here are short
            if data[0] == wire.PINGRESP:
                self.answers += 1
            elif data[0] == 0x30:
                self.delivered += 1
            else:
                raise WrongDeliveryError(f"nobody asked for {data[:8].hex(' ')}")
            data = data[2 + data[1] :]
        if data:
            self.partial[index] = data

    @property
    def complete(self) -> bool:
        """Everything that is due has come."""
        return (self.answers, self.delivered) == (self.pings, self.published)


class Pace:
    """How many of something are due, at so many a second."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.started = clock()
        self.done = 0

    def due(self) -> range:
        """Their numbers since the last call."""
        before, self.done = self.done, int((clock() - self.started) * self.per_second)
        return range(before, self.done)


def held(clients: Clients, pid: int, seconds: float, rate: float) -> list[int]:
    """Keep them busy, with a line each interval; the broker's memory at each, in KiB."""
    count = len(clients.connections)
    pings, messages = Pace(count / PING_S), Pace(rate)
    started = clock()
    cpu_s, line_at = process.cpu_s(pid), started
    memory: list[int] = []
    while clock() < started + seconds:
        for number in pings.due():
            clients.ping(number % count)
        for number in messages.due():
            clients.publish(number)
        clients.take(TURN_S)
        if clock() >= line_at:
            used_s, cpu_s = process.cpu_s(pid) - cpu_s, process.cpu_s(pid)
            memory.append(process.resident_kib(pid))
            print(
                f"{line_at - started:6.0f} s  {count - clients.lost:6,} clients"
                f"  {memory[-1] / 1024:8.1f} MiB  CPU {used_s / INTERVAL_S:4.0%}"
                f"  {clients.delivered:9,} of {clients.published:,} delivered"
                f"  {clients.answers:9,} of {clients.pings:,} pings answered",
                flush=True,
            )
            line_at += INTERVAL_S
    return [*memory, process.resident_kib(pid)]


def finish(clients: Clients) -> None:
    """Every client shows that it is still there; wait for what is under way."""
    for index in range(len(clients.connections)):
        clients.ping(index)
    until = clock() + STALL_S
    while not clients.complete and clock() < until:
        clients.take(TURN_S)


def judged(clients: Clients, memory: list[int]) -> bool:
    """Say how it went; True if all is well."""
    settled, end = memory[len(memory) // 2], memory[-1]
    grown = end - settled
    steady = grown <= max(settled * STEADY, SLACK_KIB)
    whole = clients.complete and not clients.lost
    word = "steady" if steady else "NOT STEADY"
    print(
        f"memory {word}: {settled / 1024:.1f} MiB after half of the time,"
        f" {end / 1024:.1f} MiB at the end ({grown:+,} KiB)"
    )
    print(
        f"{len(clients.connections):,} clients, {clients.lost} lost;"
        f" {clients.published - clients.delivered} messages"
        f" and {clients.pings - clients.answers} answers missing"
    )
    return steady and whole


def allow_descriptors() -> int:
    """As many as there may be; the broker inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main(arguments: Sequence[str]) -> int:
    """Hold them; 1 if that did not go well."""
    parser = argparse.ArgumentParser(prog="benchmarks.hold")
    parser.add_argument("--clients", type=int, default=15_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=200.0, help="messages per second, of all")
    given = parser.parse_args(arguments)
    limit = allow_descriptors()
    if 0 < limit < given.clients + 64:
        parser.error(f"a process has only {limit} file descriptors here")
    touchstone = next(kind for kind in BROKERS if kind.name == "touchstone")
    workload = Workload("hold", "held clients", "idle")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(touchstone, Path(folder), None, workload) as broker,
    ):
        before_kib = process.resident_kib(broker.pid)
        clients = Clients(broker.ports[TCP])
        started = clock()
        while len(clients.connections) < given.clients:
            clients.connect(min(AT_ONCE, given.clients - len(clients.connections)))
        grown = process.resident_kib(broker.pid) - before_kib
        print(
            f"{given.clients:,} clients connected in {clock() - started:.1f} s,"
            f" {grown / given.clients:.2f} KiB each",
            flush=True,
        )
        memory = held(clients, broker.pid, given.minutes * 60, given.rate)
        finish(clients)
        good = judged(clients, memory)
        for connection in clients.connections:
            connection.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
