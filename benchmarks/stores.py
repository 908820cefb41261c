"""What is kept for others: retained messages stored and delivered, a queue filled and drained."""

from collections import deque
from math import inf

from benchmarks import wire
from benchmarks.client import (
    Job,
    Meter,
    Result,
    WrongDeliveryError,
    clock,
    connected,
    receive_packet,
    stop_quietly,
    subscribed,
)
from benchmarks.ends import Publisher, Receiver
from benchmarks.run import Run
from benchmarks.throughput import TOPIC, publishers_of, take_all
from benchmarks.wire import READ_SIZE, DeliveryTable, PublishTable

COUNT = 50_000
QUICK_COUNT = 5_000
RETAIN = 0x01
RETAINED_TOPIC = "bench/retained/"


def retained_store(job: Job) -> Result:
    """Store as many messages as there are topics, acknowledged at the workload's QoS."""
    work = job.workload
    table = PublishTable(_retained(job))
    run = Run(work.window, [Publisher(connected(job, "from"), table, work.qos)], [])
    meter = Meter(job)
    run.pump(inf, _count(job))
    result = meter.result(_count(job))
    run.drain()
    return result


def retained_deliver(job: Job) -> Result:
    """Store them, then subscribe to all of them, as often as the time allows; all at QoS 0."""
    packets = _retained(job)
    publisher = connected(job, "from")
    publisher.sendall(b"".join(packets) + wire.PINGREQ_PACKET)
    receive_packet(publisher, wire.PINGRESP)
    publisher.close()
    subscriber = connected(job, "to")
    subscribe = wire.subscribe_packet(1, [RETAINED_TOPIC + "#"], 0, job.version)
    unsubscribe = wire.unsubscribe_packet(2, RETAINED_TOPIC + "#", job.version)
    size = len(packets[0])
    suback_size = 6 if job.version == 5 else 5
    meter = Meter(job)
    deliveries: list[bytes] = []
    ends_at = clock() + job.measure_s
    while not deliveries or clock() < ends_at:
        subscriber.sendall(subscribe)
        parts: deque[bytes] = deque()
        due = suback_size + size * len(packets)
        while due > 0:
            parts.append(subscriber.recv(READ_SIZE))
            if not parts[-1]:
                raise WrongDeliveryError("the broker closed the subscriber")
            due -= len(parts[-1])
        subscriber.sendall(unsubscribe)
        receive_packet(subscriber, wire.UNSUBACK)
        deliveries.append(b"".join(parts))
    result = meter.result(len(packets) * len(deliveries))
    expected = set(packets)
    for delivery in deliveries:
        _check_retained(delivery, suback_size, size, expected)
    subscriber.close()
    return result


def offline_drain(job: Job) -> Result:
    """Fill the queue of a session whose client is away; then it comes back and takes it all."""
    work = job.workload
    stop_quietly(subscribed(job, "to", TOPIC))
    publisher = publishers_of(job, [TOPIC])[0]
    run = Run(work.window, [publisher.end], [])
    run.pump(inf, _count(job))
    run.drain()
    meter = Meter(job)
    table = DeliveryTable(publisher.packets, work.payload, work.qos)
    receiver = Receiver(connected(job, "to", work.kept), table, work.qos)
    take_all(receiver, _count(job))
    result = meter.result(_count(job))
    receiver.connection.close()
    return result


def _count(job: Job) -> int:
    return QUICK_COUNT if job.quick else COUNT


def _retained(job: Job) -> list[bytes]:
    """PUBLISH packets with RETAIN, each to a topic of its own."""
    work = job.workload
    packets = []
    for number in range(_count(job)):
        topic = wire.text(f"{RETAINED_TOPIC}{number % 100:02}/{number:06}")
        payload = b"%06d" % number + b"x" * (work.payload - 6)
        packet_id = (number + 1).to_bytes(2, "big") if work.qos else b""
        body = topic + packet_id + wire.properties(job.version) + payload
        packets.append(wire.packet(0x30 | work.qos << 1 | RETAIN, body))
    return packets


def _check_retained(delivery: bytes, suback_size: int, size: int, expected: set[bytes]) -> None:
    """A SUBACK, then every message once, in whatever order."""
    if delivery[0] != wire.SUBACK:
        raise WrongDeliveryError("the first packet was no SUBACK")
    found = {delivery[at : at + size] for at in range(suback_size, len(delivery), size)}
    if found != expected or len(delivery) != suback_size + size * len(expected):
        raise WrongDeliveryError(f"{len(found & expected)} of {len(expected)} retained messages")
