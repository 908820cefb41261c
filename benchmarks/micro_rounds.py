"""Rounds of a listener's thread for `benchmarks.micro`: wake up, read, pass on, send.

With few messages under way each of them is a round, and what a round costs is most of what they
cost. The loop and its streams are the broker's, the sockets and what waits for them are not.
"""

from collections.abc import Callable
from typing import Any, cast

from benchmarks import wire
from broker.authentication.methods import Methods
from broker.clock import Clock
from broker.connection import Connection
from broker.context import Context
from broker.handlers.table import build
from broker.listeners.loop import Loop
from broker.listeners.polling import READ, Poller, Ready
from broker.listeners.stream import Stream
from broker.settings import Settings

TOPIC = "bench/topic"
PAYLOAD_SIZE = 64
ROUNDS = 100


class Socket:
    """Gives what it was told to give, keeps the last that was sent."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting = b""
        self.sent = b""

    def fileno(self) -> int:
        return self.descriptor

    def recv_into(self, buffer: bytearray) -> int:
        buffer[: len(self.waiting)] = self.waiting
        return len(self.waiting)

    def send(self, data: bytes) -> int:
        self.sent = data
        return len(data)


class Script:
    """A poller that reports what comes next in it; each step readies its sockets."""

    def __init__(self) -> None:
        self.ready: dict[int, Ready] = {}
        self.means = (0, READ)
        self.steps: list[Callable[[], list[tuple[int, int]]]] = []

    def watch(self, sock: Any, _before: int, _events: int, ready: Ready) -> None:
        self.ready[sock.fileno()] = ready

    def poll(self, _patience_s: float | None) -> list[tuple[int, int]]:
        return self.steps.pop()()

    def close(self) -> None:
        """Nothing to close."""


def rounds(qos: int, publishers: int = 1) -> tuple[Callable[[], object], int]:
    """Each publisher sends one message; what is delivered is acknowledged in a round of its own."""
    loop = Loop("micro", Clock())
    script = Script()
    context = Context(Methods((), {}, ()))
    loop._poller.close()
    loop._poller = cast(Poller, script)
    vars(loop)["watch"] = script.watch

    def client(descriptor: int) -> Socket:
        sock = Socket(descriptor)
        stream = Stream(loop, cast(Any, sock))
        connection = Connection(loop, context, Settings(), stream, f"client {descriptor}", build())
        stream.receive = connection.received
        stream.open()
        connection.received(wire.connect_packet(f"client{descriptor}", 4))
        if not descriptor:
            connection.received(wire.subscribe_packet(1, [TOPIC], qos, 4))
        loop.flush()
        return sock

    receiver = client(0)
    senders = [client(number) for number in range(1, publishers + 1)]
    packets = wire.publish_packets([TOPIC], PAYLOAD_SIZE, qos, 4)
    size = len(packets[0])
    packet_id_at = wire.DeliveryTable(packets, PAYLOAD_SIZE, qos).packet_id_at
    some = [(sender.descriptor, READ) for sender in senders]
    place = 0

    def publish() -> list[tuple[int, int]]:
        nonlocal place
        place = (place + 1) % len(packets)
        for sender in senders:
            sender.waiting = packets[place]
        return some

    def acknowledge() -> list[tuple[int, int]]:
        sent = receiver.sent
        starts = range(packet_id_at, len(sent), size)
        receiver.waiting = b"".join(b"\x40\x02" + sent[at : at + 2] for at in starts)
        return [(0, READ)]

    def end() -> list[tuple[int, int]]:
        loop.stop()
        return [(-1, READ)]

    once = [publish, acknowledge] if qos else [publish]
    steps = [end, *reversed(once * ROUNDS)]

    def step() -> None:
        script.steps = steps.copy()
        loop._stopping = False
        loop.run()
        if len(receiver.sent) != size * publishers:
            raise RuntimeError(f"{len(receiver.sent)} bytes left, not {size * publishers}")

    return step, ROUNDS * publishers
