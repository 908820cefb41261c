"""Connecting: how fast clients come and go, and what one costs that only stays."""

import socket
import sys
from collections import deque

from benchmarks import process, wire
from benchmarks.client import (
    Job,
    Meter,
    Result,
    WrongDeliveryError,
    clock,
    connected,
    receive_packet,
)
from benchmarks.transports import TCP, Connection, TcpConnection, open_tcp

MOST_CONNECTS = 20_000


def connect(job: Job) -> Result:
    """Connect, CONNECT, CONNACK, DISCONNECT, and the broker's close, several clients at a time."""
    work = job.workload
    opened = finished = 0
    greeting: deque[TcpConnection] = deque()  # CONNECT sent
    leaving: deque[TcpConnection] = deque()  # DISCONNECT sent
    abrupt = b"\x01\0\0\0\0\0\0\0"  # SO_LINGER 0: no port stays in TIME_WAIT

    def begin() -> None:
        nonlocal opened
        connection = open_tcp(job.ports[TCP])
        connection.sendall(wire.connect_packet(f"client{opened}", job.version))
        greeting.append(connection)
        opened += 1

    def leave() -> None:
        connection = greeting.popleft()
        connack = connection.recv(4096)
        if len(connack) < 4 or connack[0] != wire.CONNACK or connack[3]:
            raise WrongDeliveryError(f"not an accepting CONNACK: {connack.hex(' ')}")
        connection.sendall(wire.DISCONNECT_PACKET)
        leaving.append(connection)

    def finish() -> None:
        nonlocal finished
        connection = leaving.popleft()
        if connection.recv(4096):
            raise WrongDeliveryError("something came after DISCONNECT")
        if sys.platform != "win32":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abrupt)
        connection.close()
        finished += 1

    def churn(until: float, most: int) -> None:
        while clock() < until and finished < most:
            begin()
            if len(greeting) > work.window // 2:
                leave()
            if len(leaving) > work.window // 2:
                finish()

    churn(clock() + job.warm_up_s, MOST_CONNECTS)
    before = finished
    meter = Meter(job)
    churn(clock() + job.measure_s, before + MOST_CONNECTS)
    result = meter.result(finished - before)
    while greeting:
        leave()
    while leaving:
        finish()
    return result


def idle(job: Job) -> Result:
    """Many connections that say nothing after CONNECT; memory for each, and that all are alive."""
    warm = [connected(job, f"warm{index}") for index in range(10)]
    before_kib = process.resident_kib(job.pid)
    meter = Meter(job)
    connections = idle_connections(job, job.workload.connections, job.workload.window)
    result = meter.result(len(connections))
    grown_kib = process.resident_kib(job.pid) - before_kib
    result["kib_per_connection"] = grown_kib / len(connections)
    all_answer([*warm, *connections])
    return result


def idle_connections(job: Job, count: int, at_once: int = 50) -> list[Connection]:
    """Clients that say nothing after CONNECT."""
    connections: list[Connection] = []
    while len(connections) < count:
        batch = [open_tcp(job.ports[TCP]) for _ in range(at_once)]
        for connection in batch:
            client_id = f"idle{connection.fileno()}"
            connection.sendall(wire.connect_packet(client_id, job.version))
        for connection in batch:
            if receive_packet(connection, wire.CONNACK)[1] != 0:
                raise WrongDeliveryError("CONNECT was refused")
        connections += batch
    return connections


def all_answer(connections: list[Connection]) -> None:
    """A PINGREQ and its PINGRESP on each."""
    for connection in connections:
        connection.sendall(wire.PINGREQ_PACKET)
    for connection in connections:
        receive_packet(connection, wire.PINGRESP)
