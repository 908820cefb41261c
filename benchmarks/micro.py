"""`python -m benchmarks.micro [NAME...]`: single steps of a packet's way, in microseconds each.

The broker's own modules, in memory, without sockets: what remains of a benchmark's CPU per message
is the kernel's. Best of several repetitions, so that another process costs little. Each row is a
function that prepares one step and returns it with the number of operations that a call does.
"""

import sys
import time
from collections.abc import Callable

from benchmarks import wire
from benchmarks.micro_rounds import rounds
from broker.authentication.methods import Methods
from broker.clock import Clock
from broker.connection import Connection
from broker.context import Context
from broker.handlers.table import build
from broker.limits import QueueLimits
from broker.message import Message
from broker.session.session import Session, Subscription
from broker.settings import Settings
from broker.topics.tree import SubscriptionTree
from broker.worker import Worker
from formats.mqtt.publish import decode_publish, encode_publish_parts
from formats.mqtt.stream import PacketReader

TOPIC = "bench/topic"
PAYLOAD = b"x" * 64
BATCH = 1000  # packets that one read brings
REPETITIONS = 7
REPETITION_S = 0.05
ANSWERS = ((), (0x40,), (0x50, 0x70))  # of who gets a message, by its QoS
Step = tuple[Callable[[], object], int]


def _publishes(qos: int, version: int = 4) -> bytes:
    return b"".join(wire.publish_packets([TOPIC], len(PAYLOAD), qos, version)[:BATCH])


def decode(qos: int, version: int) -> Step:
    """PUBLISH from bytes to its values."""
    data = _publishes(qos, version)
    end = len(data) // BATCH
    return lambda: decode_publish(qos << 1, data, 2, end, version), 1


def boundaries() -> Step:
    """Where packets begin and end in a large read."""
    data = _publishes(0)
    reader = PacketReader(1 << 20, 4)
    return lambda: sum(1 for _ in reader.feed(data)), BATCH


def encode(qos: int, version: int) -> Step:
    """PUBLISH from its values to bytes."""
    return lambda: encode_publish_parts(TOPIC, PAYLOAD, qos, False, version, None), 1


def encoded_again() -> Step:
    """A message that somebody has already been sent."""
    message = Message(TOPIC, PAYLOAD, 1, False, None, "from")
    return lambda: message.encoded(4, 1, False, (), 0.0), 1


def _tree(count: int) -> SubscriptionTree:
    tree = SubscriptionTree()
    worker = Worker("micro", Clock())
    for index in range(count):
        session = Session(f"to{index}", worker, QueueLimits())
        tree.subscribe(Subscription(session, f"bench/{index}/+", 1))
    return tree


def route_remembered() -> Step:
    """Who gets a topic that has been published to before."""
    tree = _tree(1000)
    return lambda: tree.route("bench/500/value"), 1


def route_new() -> Step:
    """Who gets a topic that nobody has published to before, among 10,000 subscriptions."""
    tree = _tree(10_000)
    number = 0

    def step() -> None:
        nonlocal number
        number += 1
        tree.route(f"bench/{number % 10_000}/{number}")

    return step, 1


class Sink:
    """A transport that takes everything and keeps a count of bytes."""

    def __init__(self) -> None:
        self.unsent = 0
        self.taken = 0

    def send(self, data: bytes) -> None:
        self.taken += len(data)

    def send_parts(self, _parts: list[bytes], size: int) -> None:
        self.taken += size

    def finish(self) -> None:
        """Nothing to close."""

    def pause(self) -> None:
        """Nothing to read."""

    def resume(self) -> None:
        """Nothing to read."""


class Client:
    """A connection into the broker's code, as a listener would make it."""

    def __init__(
        self, context: Context, worker: Worker, settings: Settings, name: str, version: int = 4
    ) -> None:
        self.sink = Sink()
        self.connection = Connection(worker, context, settings, self.sink, name, build())
        self.connection.received(wire.connect_packet(name, version))


def _round(worker: Worker) -> None:
    """The end of a loop's round: one flush for each connection that has written."""
    touched, worker.touched = worker.touched, []
    for output in touched:
        output.flush()


def _answers(byte1: int) -> bytes:
    """An acknowledgement for each packet id."""
    return b"".join(b"%c\x02%c%c" % (byte1, one >> 8, one & 0xFF) for one in range(1, 65_536))


def way(qos: int, subscribers: int, others: int = 0) -> Step:
    """Received bytes to bytes for the socket, all between, and the acknowledgements back.

    `others` are subscriptions to topics of which nothing is published.
    """
    worker = Worker("micro", Clock())
    context = Context(Methods((), {}, ()))
    bystander = Session("bystander", worker, QueueLimits())
    for number in range(others):
        context.tree.subscribe(Subscription(bystander, f"bench/many/{number}", 0))
    settings = Settings()
    publisher = Client(context, worker, settings, "from")
    receivers = [Client(context, worker, settings, f"to{i}") for i in range(subscribers)]
    for receiver in receivers:
        receiver.connection.received(wire.subscribe_packet(1, [TOPIC], qos, 4))
    _round(worker)
    data = _publishes(qos)
    table = wire.PublishTable(wire.publish_packets([TOPIC], len(PAYLOAD), qos, 4))
    releases = _answers(0x62)[: 4 * BATCH]
    all_answers = [_answers(byte1) * 2 for byte1 in ANSWERS[qos]]
    packet_id = 0

    def step() -> None:
        nonlocal packet_id
        publisher.connection.received(data)
        _round(worker)
        if qos:
            for answers in all_answers:
                part = answers[4 * packet_id : 4 * (packet_id + BATCH)]
                for receiver in receivers:
                    receiver.connection.received(part)
                _round(worker)
            packet_id = (packet_id + BATCH) % 65_535
            if qos == 2:
                publisher.connection.received(releases)
                _round(worker)

    before = sum(receiver.sink.taken for receiver in receivers)
    step()
    grown = sum(receiver.sink.taken for receiver in receivers) - before
    expected = (table.size + (4 if qos == 2 else 0)) * BATCH * subscribers  # with a PUBREL each
    if grown != expected:
        raise RuntimeError(f"{grown} bytes left, not {expected}")
    return step, BATCH * subscribers


def properties_way(new: bool) -> Step:
    """5.0, QoS 0: a user property and a topic alias in, a subscription identifier out.

    With `new` the user property is another one each time.
    """
    worker = Worker("micro", Clock())
    context = Context(Methods((), {}, ()))
    settings = Settings(topic_alias_maximum=1)
    publisher = Client(context, worker, settings, "from", 5)
    receiver = Client(context, worker, settings, "to", 5)
    subscribe = wire.subscribe_packet(1, [TOPIC], 0, 5, wire.SUBSCRIPTION_IDENTIFIER)
    receiver.connection.received(subscribe)
    encoded = wire.TOPIC_ALIAS + wire.USER_PROPERTY
    publisher.connection.received(wire.publish_packets([TOPIC], len(PAYLOAD), 0, 5, 0, encoded)[0])
    _round(worker)
    packet = wire.publish_packets([""], len(PAYLOAD), 0, 5, 0, encoded)[0]
    value = wire.USER_PROPERTY[-7:]
    packets = [packet.replace(value, b"%07d" % n) if new else packet for n in range(10 * BATCH)]
    batches = [b"".join(packets[n : n + BATCH]) for n in range(0, len(packets), BATCH)]
    turn = 0

    def step() -> None:
        nonlocal turn
        turn += 1
        publisher.connection.received(batches[turn % len(batches)])
        _round(worker)

    return step, BATCH


ROWS: dict[str, Callable[[], Step]] = {
    "packet boundaries": boundaries,
    "decode PUBLISH, QoS 0, 3.1.1": lambda: decode(0, 4),
    "decode PUBLISH, QoS 1, 3.1.1": lambda: decode(1, 4),
    "decode PUBLISH, QoS 1, 5.0": lambda: decode(1, 5),
    "route, topic remembered": route_remembered,
    "route, topic new": route_new,
    "encode PUBLISH, QoS 0, 3.1.1": lambda: encode(0, 4),
    "encode PUBLISH, QoS 1, 5.0": lambda: encode(1, 5),
    "encoded before, QoS 1": encoded_again,
    "whole way, QoS 0, 1:1": lambda: way(0, 1),
    "whole way, QoS 1, 1:1, with PUBACKs": lambda: way(1, 1),
    "whole way, QoS 2, 1:1, with all answers": lambda: way(2, 1),
    "whole way, QoS 0, 1:100": lambda: way(0, 100),
    "whole way, QoS 1, 1:100, with PUBACKs": lambda: way(1, 100),
    "whole way, 5.0, QoS 0, properties": lambda: properties_way(False),
    "whole way, 5.0, QoS 0, new properties": lambda: properties_way(True),
    "QoS 0, 1:1, among 100,000 subscriptions": lambda: way(0, 1, 100_000),
    "round, QoS 0, window 1": lambda: rounds(0),
    "round, QoS 1, window 1, with PUBACK": lambda: rounds(1),
    "round, QoS 0, fan-in 20:1": lambda: rounds(0, 20),
}


def measure(step: Callable[[], object], operations: int) -> float:
    """Microseconds of CPU per operation, the best of the repetitions."""
    clock = time.process_time
    calls, elapsed = 1, 0.0
    while elapsed < REPETITION_S:
        calls *= 2
        started = clock()
        for _ in range(calls):
            step()
        elapsed = clock() - started
    best = elapsed
    for _ in range(REPETITIONS - 1):
        started = clock()
        for _ in range(calls):
            step()
        best = min(best, clock() - started)
    return best / calls / operations * 1e6


def main() -> int:
    """Measure the rows whose name contains one of the arguments; all without arguments."""
    asked = sys.argv[1:]
    for name, prepare in ROWS.items():
        if not asked or any(part in name for part in asked):
            print(f"{name:40} {measure(*prepare()):8.3f} us", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
