"""The throughput workloads: a window of messages outstanding, and what arrives counted.

Publishers and subscribers share one thread on one core, which is cheaper than waking one another
across processes.
"""

import selectors
import socket

from benchmarks import wire
from benchmarks.client import (
    STALL_S,
    Job,
    Meter,
    Result,
    WrongDeliveryError,
    clock,
    connected,
    receive_packet,
    subscribed,
)
from benchmarks.ends import MixedReceiver, Publisher, Receiver
from benchmarks.wire import PublishTable
from benchmarks.workloads import Workload

MOST_MESSAGES = 50_000_000


def throughput(job: Job) -> Result:
    """Publish as the window allows for the time given; every message must arrive."""
    work = job.workload
    tables = _tables(job)
    subscribers = [subscribed(job, f"to{i}", "bench/topic") for i in range(work.subscribers)]
    receivers = [_receiver(work, subscriber, tables[0]) for subscriber in subscribers]
    run = _Run(work, _publishers(job, tables), receivers)
    result = _measured(job, run)
    run.drain()
    return result


def offline(job: Job) -> Result:
    """Publish to a session whose client is away, and count what is acknowledged; then the client
    comes back, and every message must be there."""
    work = job.workload
    tables = _tables(job)
    away = subscribed(job, "to", "bench/topic")
    away.sendall(wire.DISCONNECT_PACKET)
    if away.recv(1):
        raise WrongDeliveryError("something came after DISCONNECT")
    away.close()
    run = _Run(work, _publishers(job, tables), [])
    result = _measured(job, run)
    run.drain()
    receiver = _receiver(work, connected(job, "to", work.kept), tables[0])
    total = sum(publisher.allowed for publisher in run.publishers)
    while receiver.delivered < total:
        receiver.read()
    receiver.connection.sendall(wire.PINGREQ_PACKET)
    receive_packet(receiver.connection, wire.PINGRESP)
    receiver.connection.close()
    return result


def _tables(job: Job) -> list[PublishTable]:
    work = job.workload
    return [
        PublishTable("bench/topic", work.payload, work.qos, job.version, index)
        for index in range(work.publishers)
    ]


def _publishers(job: Job, tables: list[PublishTable]) -> list[Publisher]:
    qos = job.workload.qos
    return [Publisher(connected(job, f"from{i}"), table, qos) for i, table in enumerate(tables)]


def _receiver(work: Workload, connection: socket.socket, table: PublishTable) -> Receiver:
    if work.publishers > 1:
        return MixedReceiver(connection, table, work.qos, work.publishers)
    return Receiver(connection, table, work.qos)


def _measured(job: Job, run: "_Run") -> Result:
    run.pump(clock() + job.warm_up_s)
    before = run.delivered()
    meter = Meter(job)
    run.pump(clock() + job.measure_s)
    return meter.result(run.delivered() - before)


class _Run:
    """The loop of a throughput run."""

    def __init__(
        self, work: Workload, publishers: list[Publisher], receivers: list[Receiver]
    ) -> None:
        self.window = work.window // work.publishers
        if work.qos and self.window >= publishers[0].table.count:
            raise ValueError("the window must be smaller than the table of packet ids")
        self.qos = work.qos
        self.publishers = publishers
        self.receivers = receivers
        self.blocked: set[Publisher] = set()
        self.selector = selectors.DefaultSelector()
        self.modes = selectors.EVENT_READ, selectors.EVENT_READ | selectors.EVENT_WRITE
        self.ends: list[Publisher | Receiver] = [*publishers, *receivers]
        for end in self.ends:
            end.connection.setblocking(False)
            self.selector.register(end.connection, selectors.EVENT_READ, end)

    def delivered(self) -> int:
        """Messages that have arrived; without receivers, that are acknowledged."""
        if not self.receivers:
            return sum(publisher.completed for publisher in self.publishers)
        return sum(receiver.delivered for receiver in self.receivers)

    def done(self, publisher: Publisher, index: int) -> int:
        """How many of a publisher's messages have reached everybody and are acknowledged."""
        if not self.receivers:
            return publisher.completed
        first = self.receivers[0]
        if isinstance(first, MixedReceiver):
            released = first.per_publisher[0x80 | index]
        elif len(self.receivers) == 1:
            released = first.released
        else:
            released = min([receiver.released for receiver in self.receivers])
        return min(released, publisher.completed) if self.qos else released

    def push(self, publisher: Publisher) -> None:
        """Send what is allowed; ask to be told when the socket takes more."""
        blocked = publisher.push()
        if blocked != (publisher in self.blocked):
            self.blocked ^= {publisher}
            self.selector.modify(publisher.connection, self.modes[blocked], publisher)

    def turn(self) -> None:
        """Wait for something to arrive and take it all."""
        events = self.selector.select(STALL_S)
        if not events:
            done = [self.done(p, i) for i, p in enumerate(self.publishers)]
            raise WrongDeliveryError(f"nothing came for {STALL_S} s after {done} messages")
        for key, mask in events:
            if mask & selectors.EVENT_READ:
                key.data.read()
            if mask & selectors.EVENT_WRITE:
                self.push(key.data)

    def pump(self, until: float) -> None:
        """Publish and receive until a time; the number of messages is bounded, too."""
        publishers = list(enumerate(self.publishers))
        while clock() < until and self.publishers[0].allowed < MOST_MESSAGES:
            for index, publisher in publishers:
                allowed = self.done(publisher, index) + self.window
                if allowed > publisher.allowed:
                    publisher.allowed = allowed
                    self.push(publisher)
            self.turn()

    def drain(self) -> None:
        """Receive the rest, then show with a PINGREQ that nothing more comes."""
        while any(self.done(p, i) < p.allowed for i, p in enumerate(self.publishers)):
            self.turn()
        total = sum(publisher.allowed for publisher in self.publishers)
        for receiver in self.receivers:
            if receiver.delivered != total or receiver.have:
                raise WrongDeliveryError(f"{receiver.delivered} of {total} messages arrived")
            if receiver.released != total:
                raise WrongDeliveryError(f"{receiver.released} PUBREL for {total} messages")
        for publisher in self.publishers:
            if self.qos and publisher.completed != publisher.allowed:
                raise WrongDeliveryError(
                    f"{publisher.completed} handshakes ended for {publisher.allowed} messages"
                )
        for end in self.ends:
            end.connection.settimeout(STALL_S)
            end.connection.sendall(wire.PINGREQ_PACKET)
            receive_packet(end.connection, wire.PINGRESP)
            end.connection.sendall(wire.DISCONNECT_PACKET)
            end.connection.close()
