"""The loop of a throughput run: publish what the window allows, take what arrives."""

import selectors
from collections.abc import Callable

from benchmarks import wire
from benchmarks.client import Job, Meter, Result, WrongDeliveryError, clock, receive_packet
from benchmarks.ends import MixedReceiver, Publisher, Receiver, ShareReceiver, check_shares
from benchmarks.transports import STALL_S

MOST_MESSAGES = 50_000_000


class Run:
    """Publishers, receivers, and the window between them.

    A message is done when it is acknowledged and has reached every receiver; with `spread`, the one
    receiver that it is for; without receivers, when it is acknowledged.
    """

    def __init__(
        self,
        window: int,
        publishers: list[Publisher],
        receivers: list[Receiver],
        spread: bool = False,
        beside: Callable[[int], None] = lambda delivered: None,
    ) -> None:
        self.window = max(1, window // len(publishers))
        self.qos = publishers[0].qos
        if self.qos and self.window >= publishers[0].table.count:
            raise ValueError("the window must be smaller than the table of packet ids")
        self.publishers = publishers
        self.receivers = receivers
        self.spread = spread
        self.beside = beside  # called in each turn, with the number of messages delivered
        self.released = 0  # over all receivers
        self.least = 0  # of any receiver
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
        """How many of a publisher's messages are done."""
        if not self.receivers:
            return publisher.completed
        first = self.receivers[0]
        if isinstance(first, MixedReceiver):
            released = first.per_publisher[0x80 | index]
        elif self.spread:
            released = self.released
        else:
            # Not before all of them could have one more is it worth looking at each.
            if self.released >= len(self.receivers) * (self.least + 1):
                self.least = min([receiver.released for receiver in self.receivers])
            released = self.least
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
            end = key.data
            if mask & selectors.EVENT_READ:
                if isinstance(end, Receiver):
                    before = end.released
                    self.take(end)
                    self.released += end.released - before
                else:
                    self.take(end)
            if mask & selectors.EVENT_WRITE:
                self.push(end)

    def take(self, end: Publisher | Receiver) -> None:
        """Read once; of a TLS record or a frame there may not be enough yet."""
        try:
            end.read()
        except BlockingIOError:
            return

    def pump(self, until: float, most: int = MOST_MESSAGES) -> None:
        """Publish and receive until a time, or until `most` messages of each publisher are done."""
        publishers = list(enumerate(self.publishers))
        while clock() < until:
            ended = 0
            for index, publisher in publishers:
                done = self.done(publisher, index)
                ended += done >= most
                allowed = min(done + self.window, most)
                if allowed > publisher.allowed:
                    publisher.allowed = allowed
                    self.push(publisher)
            if ended == len(publishers):
                break
            self.turn()
            self.beside(self.released)

    def measured(self, job: Job) -> Result:
        """Pump, first to warm up."""
        self.pump(clock() + job.warm_up_s)
        before = self.delivered()
        meter = Meter(job)
        self.pump(clock() + job.measure_s)
        return meter.result(self.delivered() - before)

    def drain(self) -> None:
        """Receive the rest, then show with a PINGREQ that nothing more comes."""
        while any(self.done(p, i) < p.allowed for i, p in enumerate(self.publishers)):
            self.turn()
        total = sum(publisher.allowed for publisher in self.publishers)
        if self.spread:
            delivered = self.delivered()
            if delivered != total or any(receiver.have for receiver in self.receivers):
                raise WrongDeliveryError(f"{delivered} of {total} messages arrived")
            shares = [end for end in self.receivers if isinstance(end, ShareReceiver)]
            if shares:
                check_shares(shares, shares[0].table, total)
        else:
            self._check_receivers(total)
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

    def _check_receivers(self, total: int) -> None:
        for receiver in self.receivers:
            if receiver.delivered != total or receiver.have:
                raise WrongDeliveryError(f"{receiver.delivered} of {total} messages arrived")
            if receiver.released != total:
                raise WrongDeliveryError(f"{receiver.released} PUBREL for {total} messages")
