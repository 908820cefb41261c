"""What a publish costs against the size of something, as a table of axes.

As in `benchmarks/micro.py` the broker's own modules are driven in memory, without sockets: from the
publisher's bytes to those for the subscribers' sockets. A round brings BATCH messages, to BATCH
different subscribers where there are so many, at every size alike.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, product

from benchmarks import wire
from benchmarks.micro import Sink, Step
from broker.authentication.methods import Methods
from broker.clock import Clock
from broker.connection import Connection
from broker.context import Context
from broker.handlers.table import build
from broker.settings import Settings
from broker.worker import Worker

BATCH = 10  # packets that one read brings
PAYLOAD = b"x" * 64
STRIDE = 7919  # from one entry to the next, a prime: neighbours in memory do not follow each other
NEW_TOPICS = 70_000  # more than the tree remembers: when they come again they are new again
KNOWN_TOPICS = 50_000  # fewer than it remembers
FILTERS_AT_ONCE = 100  # in one SUBSCRIBE
RETAIN = 1


def publish_packet(topic: str, flags: int = 0, packet_id: int = 0) -> bytes:
    """A 3.1.1 PUBLISH; of QoS 1 with a packet id."""
    between = packet_id.to_bytes(2, "big") if packet_id else b""
    first_byte = 0x30 | flags | (2 if packet_id else 0)
    return wire.packet(first_byte, wire.text(topic) + between + PAYLOAD)


def batches(packets: Iterable[bytes]) -> list[bytes]:
    """The packets in turn, BATCH in one read."""
    every = list(packets)
    return [b"".join(every[at : at + BATCH]) for at in range(0, len(every), BATCH)]


class Client:
    """A connection into the broker's code, as a listener would make it; all share its handlers."""

    __slots__ = ("connection", "sink")

    def __init__(self, arena: "Arena", name: str) -> None:
        self.sink = Sink()
        self.connection = Connection(
            arena.worker, arena.context, arena.settings, self.sink, name, arena.handlers
        )
        self.connection.received(wire.connect_packet(name, 4))


class Arena:
    """A broker in memory with a publisher; clients are added."""

    def __init__(self) -> None:
        self.worker = Worker("scaling", Clock())
        self.context = Context(Methods((), {}, ()))
        self.settings = Settings()
        self.handlers = build()
        self.clients: list[Client] = []
        self.publisher = Client(self, "from")

    def add_clients(self, count: int) -> list[Client]:
        """So many more, connected."""
        for index in range(len(self.clients), len(self.clients) + count):
            self.clients.append(Client(self, f"to{index}"))
        self.worker.flush()
        return self.clients

    def subscribe(self, client: Client, topic_filters: Iterable[str], qos: int = 0) -> None:
        """As a client does, with SUBSCRIBE packets."""
        filters = list(topic_filters)
        for at in range(0, len(filters), FILTERS_AT_ONCE):
            some = filters[at : at + FILTERS_AT_ONCE]
            client.connection.received(wire.subscribe_packet(1, some, qos, 4))
            self.worker.flush()

    def publish(self, data: bytes) -> None:
        """One round of the broker's loop."""
        self.publisher.connection.received(data)
        self.worker.flush()

    def step(self, data: list[bytes], copies: int = 1, known: bool = False) -> Step:
        """Publish the batches in turn; `known`: their topics have been published to before.

        Raises:
            RuntimeError: what left for the subscribers is not what it should be.
        """
        before = self.taken()
        self.publish(data[0])
        if self.taken() - before != len(data[0]) * copies:
            raise RuntimeError(f"{self.taken() - before} bytes left, not {len(data[0])}*{copies}")
        if known:
            self.context.tree.forget_routes()
            for some in data:
                self.publish(some)
        following = cycle(data[1:] + data[:1])
        return lambda: self.publish(next(following)), BATCH

    def taken(self) -> int:
        """Bytes for the subscribers so far."""
        return sum(client.sink.taken for client in self.clients)


def clients_one(size: int) -> Step:
    """Many clients, each with a subscription; one of them gets all."""
    arena = _clients(size)
    return arena.step(batches([publish_packet(f"bench/{size // 2}")] * BATCH))


def clients_each(size: int) -> Step:
    """Many clients, each with a subscription; each message is for another of them."""
    arena = _clients(size)
    topics = (f"bench/{k * STRIDE % size}" for k in range(size))
    return arena.step(batches(map(publish_packet, topics)), known=True)


def _clients(size: int) -> Arena:
    arena = Arena()
    for index, client in enumerate(arena.add_clients(size)):
        arena.subscribe(client, [f"bench/{index}"])
    return arena


def with_subscriptions(size: int) -> Arena:
    """BATCH clients with so many subscriptions together, all with a wildcard."""
    arena = Arena()
    for index, client in enumerate(arena.add_clients(BATCH)):
        arena.subscribe(client, (f"bench/{i}/+" for i in range(index, size, BATCH)))
    return arena


def subscriptions_one(size: int) -> Step:
    topics = [f"bench/{k * STRIDE % size}/value" for k in range(BATCH)]
    return with_subscriptions(size).step(batches(map(publish_packet, topics)))


def subscriptions_new(size: int) -> Step:
    topics = (f"bench/{k * STRIDE % size}/{k}" for k in range(NEW_TOPICS))
    return with_subscriptions(size).step(batches(map(publish_packet, topics)))


def with_retained(size: int) -> Arena:
    """A retained message for each of so many topics."""
    arena = Arena()
    for data in batches(publish_packet(f"bench/{index}/state", RETAIN) for index in range(size)):
        arena.publish(data)
    return arena


def retained_beside(size: int) -> Step:
    """Not retained, to a subscriber."""
    arena = with_retained(size)
    arena.subscribe(arena.add_clients(1)[0], ["other/value"])
    return arena.step(batches([publish_packet("other/value")] * BATCH))


def retained_replaced(size: int) -> Step:
    """Retained, each in place of another one, to nobody."""
    arena = with_retained(size)
    topics = (f"bench/{k * STRIDE % size}/state" for k in range(min(size, KNOWN_TOPICS)))
    return arena.step(batches(publish_packet(topic, RETAIN) for topic in topics), 0, known=True)


def _deep(depth: int) -> tuple[Arena, str]:
    arena = Arena()
    above = "l/" * (depth - 1)
    arena.subscribe(arena.add_clients(1)[0], [above + "+"])
    return arena, above


def depth_one(depth: int) -> Step:
    arena, above = _deep(depth)
    return arena.step(batches([publish_packet(above + "value")] * BATCH))


def depth_new(depth: int) -> Step:
    arena, above = _deep(depth)
    return arena.step(batches(publish_packet(f"{above}{k}") for k in range(NEW_TOPICS)))


def matching_clients(size: int) -> Step:
    """So many clients with the same filter: as many copies."""
    arena = Arena()
    for client in arena.add_clients(size):
        arena.subscribe(client, ["bench/+"])
    return arena.step(batches([publish_packet("bench/value")] * BATCH), size)


def _overlapping(size: int) -> tuple[Arena, str]:
    """One client with so many filters that all match what is below a topic."""
    arena = Arena()
    above = "/".join("a" * 10)
    every = ("/".join(levels) for levels in product(*(("a", "+"),) * 10))
    filters = [f"{topic_filter}/+" for topic_filter, _ in zip(every, range(size), strict=False)]
    arena.subscribe(arena.add_clients(1)[0], filters)
    return arena, above


def matching_filters(size: int) -> Step:
    arena, above = _overlapping(size)
    return arena.step(batches([publish_packet(f"{above}/value")] * BATCH))


def matching_filters_new(size: int) -> Step:
    arena, above = _overlapping(size)
    return arena.step(batches(publish_packet(f"{above}/{k}") for k in range(NEW_TOPICS)))


def window(size: int) -> Step:
    """QoS 1 with so many in flight to the subscriber, which acknowledges the oldest."""
    arena = Arena()
    subscriber = arena.add_clients(1)[0]
    arena.subscribe(subscriber, ["bench/value"], 1)
    packets = [publish_packet("bench/value", packet_id=one) for one in range(1, BATCH + 1)]
    data = b"".join(packets)
    before = arena.taken()
    for _ in range(size // BATCH):
        arena.publish(data)
    if arena.taken() - before != size // BATCH * len(data):
        raise RuntimeError("not all are in flight")
    ids = cycle(range(1, 65_536))

    def step() -> None:
        arena.publish(data)
        acks = b"".join(b"\x40\x02" + next(ids).to_bytes(2, "big") for _ in range(BATCH))
        subscriber.connection.received(acks)
        arena.worker.flush()

    return step, BATCH


@dataclass(frozen=True, slots=True)
class Axis:
    """One size that grows, and the series that are measured over it."""

    name: str  # also of the picture
    title: str
    unit: str
    sizes: tuple[int, ...]
    series: dict[str, Callable[[int], Step]]
    quick: int  # the largest size of a quick run

    def sizes_up_to(self, most: int | None) -> Iterator[int]:
        return (size for size in self.sizes if most is None or size <= most)


TENS = (10, 100, 1000, 10_000, 100_000, 1_000_000)
AXES = (
    Axis(
        "clients",
        "Connected clients",
        "clients, each with a subscription of its own",
        (10, 100, 1000, 5000, 15_000),
        {"to one of them": clients_one, "each to another": clients_each},
        1000,
    ),
    Axis(
        "subscriptions",
        "Subscriptions",
        "subscriptions with a wildcard",
        TENS,
        {"topics published to before": subscriptions_one, "new topics": subscriptions_new},
        10_000,
    ),
    Axis(
        "retained",
        "Retained messages",
        "retained messages",
        TENS,
        {"not retained, to a subscriber": retained_beside, "replaces one": retained_replaced},
        10_000,
    ),
    Axis(
        "depth",
        "Topic depth",
        "levels of the topic name",
        (1, 2, 5, 10, 20, 50, 100),
        {"topic published to before": depth_one, "new topics": depth_new},
        100,
    ),
    Axis(
        "matching",
        "Filters that match",
        "filters that match each message",
        (1, 10, 100, 1000, 10_000),
        {"as many clients": matching_clients},
        100,
    ),
    Axis(
        "overlapping",
        "Filters that match, of one client",
        "filters of one client that match each message",
        (1, 10, 100, 1000),
        {"topic published to before": matching_filters, "new topics": matching_filters_new},
        100,
    ),
    Axis(
        "window",
        "Inflight window",
        "QoS 1 messages in flight to one subscriber",
        (10, 100, 1000, 10_000, 60_000),
        {"with PUBACKs": window},
        1000,
    ),
)


def entries(kind: str, arena: Arena, names: Iterable[int]) -> None:
    """Add so many entries of a kind: what `benchmarks/scaling.py` measures the memory of."""
    numbers = list(names)
    if kind == "subscription":
        arena.subscribe(arena.clients[0], (f"bench/{number}/+" for number in numbers))
    elif kind == "retained message":
        packets = (publish_packet(f"bench/{number}/state", RETAIN) for number in numbers)
        for data in batches(packets):
            arena.publish(data)
    else:
        arena.add_clients(len(numbers))
