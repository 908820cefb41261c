"""How long a broker takes to serve again, with much to load: 100,000 retained messages and 100,000
that are queued for a session.

The broker is filled, ended or killed, and started again on the same port. A client connects as
soon as the port is bound, before anything is loaded; all times are from the start of the process.
"""

import contextlib
import signal
import subprocess
import time
from pathlib import Path

from benchmarks import process, wire
from benchmarks.brokers import free_ports, launched, wait_until_answers
from benchmarks.client import (
    Job,
    Result,
    WrongDeliveryError,
    clock,
    connected,
    receive_exactly,
    receive_packet,
    stop_quietly,
    subscribe,
    subscribed,
)
from benchmarks.kinds import BrokerKind
from benchmarks.transports import STALL_S, TCP, Connection, open_tcp
from benchmarks.wire import ACK_SIZE, READ_SIZE
from benchmarks.workloads import Workload

GOAL_S = 3.0  # until a client is served
COUNT = 100_000  # of each kind
QUICK_COUNT = 10_000
BOUND_LIMIT_S = 30.0
DIGITS = 6  # of the number in each payload and retained topic
VERSION = 4  # MQTT 3.1.1; the times are not those of a codec
PUBACK_BYTE, QUEUED_BYTE, RETAINED_BYTE = 0x40, 0x32, 0x31
QUEUE_TOPIC, RETAINED_TOPIC = "bench/queue", "bench/retained/"


def restart(
    workload: Workload, kind: BrokerKind, folder: Path, core: int | None, quick: bool
) -> Result:
    """Fill, end or kill, start, and take everything.

    Raises:
        NotStartedError:    it does not start while there is nothing to load.
        WrongDeliveryError: it does not start again, or something that was acknowledged is missing.
    """
    count = QUICK_COUNT if quick else COUNT
    ports = free_ports()
    port = ports[TCP]
    with launched(kind, folder, ports, core, workload) as broker:
        wait_until_answers(kind, folder, broker, port)
        _fill(_job(workload, broker, port), count)
        if workload.killed:
            broker.kill()
        else:
            broker.send_signal(signal.SIGTERM)
        broker.wait(STALL_S * 6)
    own_s, machine_s, started = time.process_time(), process.machine_s(), clock()
    with launched(kind, folder, ports, core, workload) as broker:
        connection = _connect_when_bound(kind, broker, port, started)
        bound_s = clock() - started
        job = _job(workload, broker, port)
        result = {"bound_s": bound_s} | _take(job, connection, count, started)
        now_s = process.machine_s()
        if machine_s is not None and now_s is not None:
            ours_s = process.cpu_s(broker.pid) + time.process_time() - own_s
            result["others_busy"] = max(0.0, now_s - machine_s - ours_s) / result["wall_s"]
        return result


def _job(workload: Workload, broker: "subprocess.Popen[bytes]", port: int) -> Job:
    return Job(workload, broker.pid, {TCP: port}, VERSION, 0.0, 0.0)


def _numbered(topic: str, numbered_topic: bool, first_byte: int, number: int, size: int) -> bytes:
    digits = b"%0*d" % (DIGITS, number)
    name = topic.encode() + (digits if numbered_topic else b"")
    body = len(name).to_bytes(2, "big") + name + (number % 65_535 + 1).to_bytes(2, "big")
    return wire.packet(first_byte, body + digits + b"x" * (size - DIGITS))


def _fill(job: Job, count: int) -> None:
    """A session whose client is away gets `count` messages, and as many are retained."""
    stop_quietly(subscribed(job, "away", QUEUE_TOPIC))
    size = job.workload.payload
    publisher = connected(job, "publisher")
    for topic, retained in ((QUEUE_TOPIC, False), (RETAINED_TOPIC, True)):
        first_byte = 0x33 if retained else 0x32
        packets = [_numbered(topic, retained, first_byte, n, size) for n in range(count)]
        _publish(publisher, packets, job.workload.window)
    publisher.sendall(wire.DISCONNECT_PACKET)
    publisher.close()


def _publish(publisher: Connection, packets: list[bytes], window: int) -> None:
    sent = 0
    arrived = b""
    acknowledged = 0
    while acknowledged < len(packets):
        if acknowledged + window // 2 >= sent < len(packets):
            publisher.sendall(b"".join(packets[sent : acknowledged + window]))
            sent = min(acknowledged + window, len(packets))
        arrived += publisher.recv(READ_SIZE)
        used = len(arrived) // ACK_SIZE * ACK_SIZE
        kinds = arrived[0:used:ACK_SIZE]
        if not arrived or kinds != bytes((PUBACK_BYTE,)) * len(kinds):
            raise WrongDeliveryError(f"not PUBACK packets alone: {arrived[:32].hex(' ')}")
        acknowledged += len(kinds)
        arrived = arrived[used:]


def _connect_when_bound(
    kind: BrokerKind, broker: "subprocess.Popen[bytes]", port: int, started: float
) -> Connection:
    """The first connection that the port takes."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            connection = open_tcp(port)
            connection.settimeout(STALL_S * 6)
            return connection
        if clock() - started > BOUND_LIMIT_S or broker.poll() is not None:
            raise WrongDeliveryError(f"{kind.name} did not start again")
        time.sleep(0.001)


def _take(job: Job, connection: Connection, count: int, started: float) -> Result:
    connection.sendall(wire.connect_packet("away", VERSION, kept=True))
    present, reason = receive_packet(connection, wire.CONNACK)
    connack_s = clock() - started
    connack_cpu_s = process.cpu_s(job.pid)
    if reason or not present:
        raise WrongDeliveryError(f"no session: CONNACK {present} {reason}")
    size = job.workload.payload
    first_s = _take_queued(connection, count, size, started)
    last_s = clock() - started
    reader = connected(job, "reader")
    subscribe(job, reader, [RETAINED_TOPIC + "#"], 0)
    _take_retained(reader, count, size)
    retained_s = clock() - started
    connection.close()
    reader.close()
    broker_s = process.cpu_s(job.pid)
    return {
        "count": 2 * count,
        "wall_s": retained_s,
        "per_second": 2 * count / retained_s,
        "cpu_us": broker_s / (2 * count) * 1e6,
        "broker_busy": broker_s / retained_s,
        "load_busy": 0.0,
        "connack_s": connack_s,
        "connack_cpu_s": connack_cpu_s,
        "first_s": first_s,
        "last_s": last_s,
        "retained_s": retained_s,
        "peak_kib": process.peak_kib(job.pid),
    }


def _take_queued(connection: Connection, count: int, payload: int, started: float) -> float:
    """Every queued message, in its order, acknowledged; returns when the first one came."""
    model = _numbered(QUEUE_TOPIC, False, QUEUED_BYTE, 0, payload)
    size = len(model)
    packet_id_at = size - payload - 2
    head = model[:packet_id_at]
    number_at = size - payload
    taken = 0
    first_s = 0.0
    arrived = b""
    while taken < count:
        part = connection.recv(READ_SIZE)
        if not part:
            raise WrongDeliveryError(f"closed after {taken} of {count} messages")
        first_s = first_s or clock() - started
        arrived += part
        used = len(arrived) // size * size
        answers = bytearray(b"\x40\x02\0\0" * (used // size))
        answers[2::ACK_SIZE] = arrived[packet_id_at:used:size]
        answers[3::ACK_SIZE] = arrived[packet_id_at + 1 : used : size]
        for start in range(0, used, size):
            number = arrived[start + number_at : start + number_at + DIGITS]
            if not arrived.startswith(head, start) or int(number) != taken:
                raise WrongDeliveryError(f"not message {taken}: {arrived[start : start + size]!r}")
            taken += 1
        connection.sendall(answers)
        arrived = arrived[used:]
    connection.sendall(wire.PINGREQ_PACKET)
    receive_packet(connection, wire.PINGRESP)
    return first_s


def _take_retained(reader: Connection, count: int, payload: int) -> None:
    """Every retained message, once, in whatever order."""
    with_id = _numbered(RETAINED_TOPIC, True, RETAINED_BYTE, 0, payload)
    size = len(with_id) - 2  # at QoS 0 there is no packet id
    numbers = set()
    for _ in range(count):
        packet = receive_exactly(reader, size)
        if packet[0] != RETAINED_BYTE:
            raise WrongDeliveryError(f"no retained message: {packet!r}")
        numbers.add(int(packet[size - payload : size - payload + DIGITS]))
    if numbers != set(range(count)):
        raise WrongDeliveryError(f"{len(numbers)} of {count} retained messages")
    reader.sendall(wire.PINGREQ_PACKET)
    receive_packet(reader, wire.PINGRESP)
