"""Clients beside the measured ones: many subscriptions, or subscriptions that come and go."""

from benchmarks import wire
from benchmarks.client import Job, WrongDeliveryError, connected, subscribe
from benchmarks.transports import STALL_S, Connection

FILTERS_PER_CLIENT = 1000
FILTERS_PER_PACKET = 100
CHURN_EVERY = 50  # messages delivered for each SUBSCRIBE and its UNSUBSCRIBE
CHURN_FILTERS = 1000
CHURN_WINDOW = 100  # pairs outstanding


def many_subscriptions(job: Job, count: int) -> list[Connection]:
    """Connections that hold `count` distinct subscriptions, none of them to what is published."""
    connections = []
    for client in range(count // FILTERS_PER_CLIENT):
        connection = connected(job, f"many{client}")
        for start in range(0, FILTERS_PER_CLIENT, FILTERS_PER_PACKET):
            numbers = range(start, start + FILTERS_PER_PACKET)
            subscribe(job, connection, [f"bench/many/{client}/{n}/value" for n in numbers], 0)
        connections.append(connection)
    return connections


class Churn:
    """A client that subscribes and unsubscribes at the pace of what is delivered, so that a message
    costs each broker the same of it. Its filters are near the topic but do not match it."""

    def __init__(self, job: Job) -> None:
        self.connection = connected(job, "churn")
        self.connection.setblocking(False)
        self.pairs = [
            wire.subscribe_packet(1, [f"bench/churn/{n}"], 0, job.version)
            + wire.unsubscribe_packet(2, f"bench/churn/{n}", job.version)
            for n in range(CHURN_FILTERS)
        ]
        # SUBACK and UNSUBACK; in 5.0 both have a length of properties and a reason code.
        self.answer = (
            b"\x90\x04\x00\x01\x00\x00\xb0\x04\x00\x02\x00\x00"
            if job.version == 5
            else b"\x90\x03\x00\x01\x00\xb0\x02\x00\x02"
        )
        self.sent = 0
        self.arrived = b""
        self.answered = 0

    def follow(self, delivered: int) -> None:
        """Send what is due, take what has come."""
        self._take()
        due = min(delivered // CHURN_EVERY, self.answered + CHURN_WINDOW)
        if due > self.sent:
            packets = [self.pairs[n % CHURN_FILTERS] for n in range(self.sent, due)]
            self.connection.sendall(b"".join(packets))
            self.sent = due

    def _take(self) -> None:
        try:
            self.arrived += self.connection.recv(wire.READ_SIZE)
        except BlockingIOError:
            return
        count = len(self.arrived) // len(self.answer)
        if not self.arrived.startswith(self.answer * count):
            raise WrongDeliveryError(f"not SUBACK and UNSUBACK: {self.arrived[:32].hex(' ')}")
        self.arrived = self.arrived[count * len(self.answer) :]
        self.answered += count

    def finish(self) -> None:
        """Wait for the last answers."""
        self.connection.settimeout(STALL_S)
        while self.answered < self.sent:
            self._take()
        self.connection.close()
