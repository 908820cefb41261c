"""What a process has used: CPU time and memory, from /proc or, without it, from `ps`."""

import os
import subprocess
import sys
import time
from pathlib import Path

CPUCLOCK_SCHED = 2  # with the process id, the number of its CPU clock: see clock_getcpuclockid(3)


def cpu_s(pid: int) -> float:
    """User and system time of the process so far, all its threads, in seconds."""
    if sys.platform == "linux":  # to the nanosecond; /proc counts in hundredths of a second
        return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    days, _, clock = _ps(pid, "time").rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86_400 * int(days or 0)


def resident_kib(pid: int) -> int:
    """Resident memory now, in KiB."""
    return _status_kib(pid, "VmRSS:") or int(_ps(pid, "rss"))


def peak_kib(pid: int) -> int:
    """The most resident memory so far, in KiB; the present one where the system does not say."""
    return _status_kib(pid, "VmHWM:") or resident_kib(pid)


def machine_s() -> float | None:
    """CPU time of all processes of the machine so far, in seconds; None where it is not told."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _iowait, interrupts, softirq = (
        int(ticks) for ticks in stat.read_text().split()[1:8]
    )
    return (user + nice + system + interrupts + softirq) / os.sysconf("SC_CLK_TCK")


def _status_kib(pid: int, key: str) -> int:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def _ps(pid: int, column: str) -> str:
    command = ["ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
