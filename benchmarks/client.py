"""What every kind of load needs: the job, the meter, and connections that have been accepted."""

import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks import process, wire
from benchmarks.workloads import Workload

STALL_S = 10.0  # a broker that says nothing for so long has lost something
clock = time.perf_counter
Result = dict[str, Any]


class WrongDeliveryError(Exception):
    """A message was lost, doubled, reordered or changed, or a packet came that nobody asked for."""


@dataclass(slots=True)
class Job:
    """What to do to which broker."""

    workload: Workload
    pid: int
    port: int
    version: int  # protocol level: 4 or 5
    warm_up_s: float
    measure_s: float


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


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Read `count` bytes from a blocking socket."""
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise WrongDeliveryError("the broker closed a connection")
        data += part
    return data


def receive_packet(connection: socket.socket, first_byte: int) -> bytes:
    """Read one short packet of a kind and return its body."""
    head = receive_exactly(connection, 2)
    if head[0] != first_byte or head[1] > 0x7F:
        raise WrongDeliveryError(f"{first_byte:#04x} was due, {head.hex(' ')} came")
    return receive_exactly(connection, head[1])


def open_socket(job: Job) -> socket.socket:
    """A TCP connection without Nagle's delay."""
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "win32":
        connection.settimeout(STALL_S)
    else:  # the kernel's own time limit; `settimeout` would add a poll to every call
        limit = struct.pack("ll", int(STALL_S), 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.connect(("127.0.0.1", job.port))
    return connection


def connected(job: Job, client_id: str, kept: bool = False) -> socket.socket:
    """A connection whose CONNECT was accepted; with `kept` its session outlives it."""
    connection = open_socket(job)
    connection.sendall(wire.connect_packet(client_id, job.version, kept))
    if receive_packet(connection, wire.CONNACK)[1] != 0:
        raise WrongDeliveryError("CONNECT was refused")
    return connection


def subscribed(job: Job, client_id: str, topic_filter: str) -> socket.socket:
    """A connection with one granted subscription at the workload's QoS."""
    connection = connected(job, client_id, job.workload.kept)
    qos = job.workload.qos
    connection.sendall(wire.subscribe_packet(1, topic_filter, qos, job.version))
    if receive_packet(connection, wire.SUBACK)[-1] != qos:
        raise WrongDeliveryError("the subscription was not granted")
    return connection
