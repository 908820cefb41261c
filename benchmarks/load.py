"""The load generator, a process of its own: one workload against one broker.

`python -m benchmarks.load` reads a job from standard input and writes its result to standard
output, both JSON.
"""

import gc
import json
import os
import sys
from collections.abc import Callable

from benchmarks import process
from benchmarks.client import Job, Result, WrongDeliveryError
from benchmarks.connections import connect, idle
from benchmarks.round_trip import round_trip
from benchmarks.stores import offline_drain, retained_deliver, retained_store
from benchmarks.throughput import offline, throughput
from benchmarks.transports import STALL_S
from benchmarks.workloads import Workload

KINDS: dict[str, Callable[[Job], Result]] = {
    "throughput": throughput,
    "offline": offline,
    "retained_store": retained_store,
    "retained_deliver": retained_deliver,
    "offline_drain": offline_drain,
    "round_trip": round_trip,
    "connect": connect,
    "idle": idle,
}


def main() -> int:
    """Run the job on standard input; 1 and a line on standard error when the broker was wrong."""
    fields = json.load(sys.stdin)
    core = fields.pop("core")
    if core is not None:
        os.sched_setaffinity(0, {core})
    job = Job(Workload(**fields.pop("workload")), **fields)
    gc.disable()
    try:
        result = KINDS[job.workload.kind](job)
    except BlockingIOError:  # the time limit of a blocking socket
        print(f"nothing came for {STALL_S:g} s", file=sys.stderr)
        return 1
    except (WrongDeliveryError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    result["peak_kib"] = process.peak_kib(job.pid)
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
