"""Latency: one message at a time from one client to another."""

from benchmarks import wire
from benchmarks.client import (
    Job,
    Meter,
    Result,
    WrongDeliveryError,
    clock,
    connected,
    receive_exactly,
    subscribed,
)
from benchmarks.connections import all_answer, idle_connections

MOST_ROUND_TRIPS = 200_000


def round_trip(job: Job) -> Result:
    """The time from sending a message to having received it at the other connection."""
    work = job.workload
    packets = wire.publish_packets(["bench/topic"], work.payload, work.qos, job.version)
    table = wire.DeliveryTable(packets, work.payload, work.qos)
    idle = idle_connections(job, work.connections)
    receiver = subscribed(job, "to", "bench/topic")
    publisher = connected(job, "from")
    times: list[float] = []
    at = table.packet_id_at

    def trips(until: float) -> None:
        for turn in range(MOST_ROUND_TRIPS):
            sent = packets[turn % table.count]
            started = clock()
            publisher.sendall(sent)
            got = receive_exactly(receiver, table.size)
            ended = clock()
            times.append(ended - started)
            if work.qos:
                receiver.sendall(b"\x40\x02" + got[at : at + 2])
                if receive_exactly(publisher, wire.ACK_SIZE) != b"\x40\x02" + sent[at : at + 2]:
                    raise WrongDeliveryError("not the PUBACK that was due")
                got = got[:at] + sent[at : at + 2] + got[at + 2 :]
            if got != sent:
                raise WrongDeliveryError(f"wrong after {turn} messages: {got[:64]!r}")
            if ended > until:
                break

    trips(clock() + job.warm_up_s)
    times.clear()
    meter = Meter(job)
    trips(clock() + job.measure_s)
    result = meter.result(len(times))
    receiver.close()
    publisher.close()
    all_answer(idle)
    times.sort()
    for name, share in (("p50_us", 0.5), ("p99_us", 0.99), ("max_us", 1.0)):
        result[name] = times[min(int(len(times) * share), len(times) - 1)] * 1e6
    return result
