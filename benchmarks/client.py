"""What every kind of load needs: the job, the meter, and connections that have been accepted."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks import process, wire
from benchmarks.transports import TCP, Connection, open_connection
from benchmarks.workloads import Workload

clock = time.perf_counter
Result = dict[str, Any]


class WrongDeliveryError(Exception):
    """A message was lost, doubled, reordered or changed, or a packet came that nobody asked for."""


@dataclass(slots=True)
class Job:
    """What to do to which broker."""

    workload: Workload
    pid: int
    ports: dict[str, int]  # by transport
    version: int  # protocol level: 4 or 5
    warm_up_s: float
    measure_s: float
    quick: bool = False  # fewer messages, where a workload counts them


class Meter:
    """Wall clock and both CPU times from its making to `result`."""

    def __init__(self, job: Job) -> None:
        self.pid = job.pid
        self.broker_s = process.cpu_s(job.pid)
        self.own_s = time.process_time()
        self.machine_s = process.machine_s()
        self.started = clock()

    def result(self, count: int) -> Result:
        """`count` is what was delivered, or done, meanwhile."""
        wall_s = clock() - self.started
        broker_s = process.cpu_s(self.pid) - self.broker_s
        own_s = time.process_time() - self.own_s
        machine_s = process.machine_s()
        result: Result = (
            {}
            if machine_s is None or self.machine_s is None
            else {"others_busy": max(0.0, (machine_s - self.machine_s - broker_s - own_s) / wall_s)}
        )
        return result | {
            "count": count,
            "wall_s": wall_s,
            "per_second": count / wall_s,
            "cpu_us": broker_s / max(count, 1) * 1e6,
            "broker_busy": broker_s / wall_s,
            "load_busy": own_s / wall_s,
            "load_cpu_us": own_s / max(count, 1) * 1e6,
        }


def receive_exactly(connection: Connection, count: int) -> bytes:
    """Read `count` bytes from a blocking connection."""
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise WrongDeliveryError("the broker closed a connection")
        data += part
    return data


def receive_packet(connection: Connection, first_byte: int) -> bytes:
    """Read one packet of a kind and return its body."""
    head = receive_exactly(connection, 2)
    while head[-1] & 0x80:
        head += receive_exactly(connection, 1)
    if head[0] != first_byte:
        raise WrongDeliveryError(f"{first_byte:#04x} was due, {head.hex(' ')} came")
    length = sum((digit & 0x7F) << 7 * place for place, digit in enumerate(head[1:]))
    return receive_exactly(connection, length)


def connected(job: Job, client_id: str, kept: bool = False, transport: str = TCP) -> Connection:
    """A connection whose CONNECT was accepted; with `kept` its session outlives it."""
    connection = open_connection(job.ports[transport], transport)
    connection.sendall(wire.connect_packet(client_id, job.version, kept))
    if receive_packet(connection, wire.CONNACK)[1] != 0:
        raise WrongDeliveryError("CONNECT was refused")
    return connection


def subscribed(job: Job, client_id: str, topic_filter: str, properties: bytes = b"") -> Connection:
    """A connection with one granted subscription at the workload's QoS."""
    connection = connected(job, client_id, job.workload.kept, job.workload.transport)
    subscribe(job, connection, [topic_filter], job.workload.qos, properties)
    return connection


def subscribe(
    job: Job,
    connection: Connection,
    topic_filters: Iterable[str],
    qos: int,
    properties: bytes = b"",
) -> None:
    """Subscribe, and see that all of it is granted."""
    filters = list(topic_filters)
    connection.sendall(wire.subscribe_packet(1, filters, qos, job.version, properties))
    if receive_packet(connection, wire.SUBACK)[-len(filters) :] != bytes((qos,)) * len(filters):
        raise WrongDeliveryError("a subscription was not granted")


def stop_quietly(connection: Connection) -> None:
    """Disconnect; nothing may come after that."""
    connection.sendall(wire.DISCONNECT_PACKET)
    if connection.recv(1):
        raise WrongDeliveryError("something came after DISCONNECT")
    connection.close()
