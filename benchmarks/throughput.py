"""The throughput workloads: a window of messages outstanding, and what arrives counted.

Publishers and subscribers share one thread on one core, which is cheaper than waking one another
across processes.
"""

from collections.abc import Callable

from benchmarks import wire
from benchmarks.bystanders import Churn, many_subscriptions
from benchmarks.client import (
    Job,
    Result,
    WrongDeliveryError,
    connected,
    receive_packet,
    stop_quietly,
    subscribed,
)
from benchmarks.ends import MixedReceiver, Publisher, Receiver, ShareReceiver
from benchmarks.run import Run
from benchmarks.transports import OTHER, TCP, WEBSOCKET, Connection, framed
from benchmarks.wire import READ_SIZE, SMALL_READ_SIZE, DeliveryTable, PublishTable
from benchmarks.workloads import OWN, SHARED, WILDCARD, Workload

TOPIC = "bench/topic"
LEVELS = tuple("123456")  # below bench/, each of which a wildcard filter may leave open


def throughput(job: Job) -> Result:
    """Publish as the window allows for the time given; every message must arrive."""
    work = job.workload
    topics = topics_of(work)
    bystanders = many_subscriptions(job, work.subscriptions)
    identifier = wire.SUBSCRIPTION_IDENTIFIER if work.properties else b""
    subscribers = [
        subscribed(job, f"to{index}", topic_filter, identifier)
        for index, topic_filter in enumerate(filters_of(work))
    ]
    publishers = publishers_of(job, topics)
    packets = publishers[0].packets
    if work.properties:
        packets = learned(job, publishers[0].end.connection, subscribers[0], packets)
    receivers = _receivers(work, subscribers, packets)
    churn = Churn(job) if work.churn else None
    beside: Callable[[int], None] = churn.follow if churn else lambda delivered: None
    run = Run(
        work.window,
        [publisher.end for publisher in publishers],
        receivers,
        spread=work.pattern in (OWN, SHARED),
        beside=beside,
    )
    result = run.measured(job)
    run.drain()
    if churn:
        churn.finish()
    for connection in bystanders:
        connection.close()
    return result


def offline(job: Job) -> Result:
    """Publish to a session whose client is away, and count what is acknowledged; then the client
    comes back, and every message must be there."""
    work = job.workload
    stop_quietly(subscribed(job, "to", TOPIC))
    publishers = publishers_of(job, [TOPIC])
    run = Run(work.window, [publisher.end for publisher in publishers], [])
    result = run.measured(job)
    run.drain()
    receiver = _receivers(work, [connected(job, "to", work.kept)], publishers[0].packets)[0]
    take_all(receiver, sum(publisher.end.allowed for publisher in publishers))
    receiver.connection.close()
    return result


def take_all(receiver: Receiver, total: int) -> None:
    """Read messages until all have come, and nothing after."""
    while receiver.delivered < total:
        receiver.read()
    receiver.connection.sendall(wire.PINGREQ_PACKET)
    receive_packet(receiver.connection, wire.PINGRESP)


def topics_of(work: Workload) -> list[str]:
    """The topics that are published to, in turn."""
    if work.pattern == OWN:
        return [f"bench/own/{index:04}" for index in range(work.subscribers)]
    if work.pattern == WILDCARD:
        return ["/".join(("bench", *LEVELS))]
    return [TOPIC]


def filters_of(work: Workload) -> list[str]:
    """What each subscriber subscribes to."""
    if work.pattern == OWN:
        return topics_of(work)
    if work.pattern == WILDCARD:
        return [wildcard_filter(index) for index in range(work.subscribers)]
    topic_filter = f"$share/bench/{TOPIC}" if work.pattern == SHARED else TOPIC
    return [topic_filter] * work.subscribers


def wildcard_filter(index: int) -> str:
    """One of 128 filters that match the topic: `+` for some levels, and `#` below in half."""
    open_levels = ("+" if index >> place & 1 else level for place, level in enumerate(LEVELS))
    return "/".join(("bench", *open_levels, *(("#",) if index >> len(LEVELS) & 1 else ())))


class PublisherAndPackets:
    """A publisher, and its packets as they are outside of frames."""

    def __init__(self, end: Publisher, packets: list[bytes]) -> None:
        self.end = end
        self.packets = packets


def publishers_of(job: Job, topics: list[str]) -> list[PublisherAndPackets]:
    """Connected publishers; a second listener is for subscribers alone."""
    work = job.workload
    transport = TCP if work.transport == OTHER else work.transport
    found = []
    for index in range(work.publishers):
        connection = connected(job, f"from{index}", transport=transport)
        encoded = wire.USER_PROPERTY + wire.TOPIC_ALIAS if work.properties else b""
        named = [""] if work.properties else topics
        packets = wire.publish_packets(named, work.payload, work.qos, job.version, index, encoded)
        table = PublishTable(framed(packets) if transport == WEBSOCKET else packets)
        found.append(PublisherAndPackets(Publisher(connection, table, work.qos), packets))
    return found


def learned(
    job: Job, publisher: Connection, subscriber: Connection, published: list[bytes]
) -> list[bytes]:
    """What is delivered for the packets of a publisher that uses a topic alias.

    The order of properties is the broker's choice: a first message, which gives the alias its
    topic, shows it. At QoS 0 or 1.
    """
    work = job.workload
    encoded = wire.USER_PROPERTY + wire.TOPIC_ALIAS
    first = wire.publish_packets([TOPIC], work.payload, work.qos, job.version, 0, encoded)[0]
    publisher.sendall(first)
    first_byte = 0x30 | work.qos << 1
    body = receive_packet(subscriber, first_byte)
    if work.qos:
        at = 2 + len(TOPIC)
        subscriber.sendall(b"\x40\x02" + body[at : at + 2])
        receive_packet(publisher, 0x40)
    properties = body[: -work.payload]
    for wanted in (TOPIC.encode(), wire.USER_PROPERTY, wire.SUBSCRIPTION_IDENTIFIER):
        if wanted not in properties:
            raise WrongDeliveryError(f"{wanted!r} is not in {properties!r}")
    head = wire.packet(first_byte, body)[: -work.payload]
    if not first.endswith(body[-work.payload :]):
        raise WrongDeliveryError("another payload")
    return [head + packet[-work.payload :] for packet in published]


def _receivers(
    work: Workload, connections: list[Connection], packets: list[bytes]
) -> list[Receiver]:
    read_size = READ_SIZE if len(connections) <= 100 else SMALL_READ_SIZE
    if work.pattern == OWN:
        step = work.subscribers
        return [
            Receiver(
                connection,
                DeliveryTable(packets[index::step], work.payload, work.qos, read_size),
                work.qos,
            )
            for index, connection in enumerate(connections)
        ]
    table = DeliveryTable(packets, work.payload, work.qos, read_size)
    if work.pattern == SHARED:
        return [ShareReceiver(connection, table, work.qos) for connection in connections]
    if work.publishers > 1:
        return [
            MixedReceiver(connection, table, work.qos, work.publishers)
            for connection in connections
        ]
    return [Receiver(connection, table, work.qos) for connection in connections]
