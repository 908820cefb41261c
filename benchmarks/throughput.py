"""The throughput workloads: a window of messages outstanding, and what arrives counted.

Publishers and subscribers share one thread on one core, which is cheaper than waking one another
across processes.
"""

import selectors

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
    tables = [
        PublishTable("bench/topic", work.payload, work.qos, job.version, index)
        for index in range(work.publishers)
    ]
    subscribers = [subscribed(job, f"to{i}", "bench/topic") for i in range(work.subscribers)]
    receivers = [
        MixedReceiver(subscriber, tables[0], work.qos, work.publishers)
        if work.publishers > 1
        else Receiver(subscriber, tables[0], work.qos)
        for subscriber in subscribers
    ]
    publishers = [
        Publisher(connected(job, f"from{i}"), table, work.qos) for i, table in enumerate(tables)
    ]
    run = _Run(work, publishers, receivers)
    run.pump(clock() + job.warm_up_s)
    before = run.delivered()
    meter = Meter(job)
    run.pump(clock() + job.measure_s)
    result = meter.result(run.delivered() - before)
    run.drain()
    return result


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
        return sum(receiver.delivered for receiver in self.receivers)

    def done(self, publisher: Publisher, index: int) -> int:
        """How many of a publisher's messages have reached everybody and are acknowledged."""
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
