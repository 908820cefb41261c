"""What hostile connections cost the others: `python -m benchmarks.hostile`.

Two clients exchange messages at QoS 1, one at a time; the round trip is the time from sending a
PUBLISH to having its PUBACK and the message. It is measured alone, and beside each kind of hostile
connection, which a process of its own makes at the same listener. The goal is a p99 of at most
three times what it was.
"""

import argparse
import contextlib
import resource
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
GOAL = 3.0
CONFIGURATION = """
allow_anonymous true
sys_interval 0
connection_messages false
connect_timeout_s 600
test_pki_dir pki
listener {plain} 127.0.0.1
listener {tls} 127.0.0.1
certfile pki/server.pem
keyfile pki/server.key
"""
TOPIC = b"\x00\x05round"
PAYLOAD = bytes(64)
PUBLISH = bytes((0x32, len(TOPIC) + 2 + len(PAYLOAD))) + TOPIC + b"\x00\x01" + PAYLOAD
FLOOD = b"\x30\xff\x1f\x00\x05flood" + bytes(4095 - 7)
PUBACK_SIZE = 4
BESIDES = 100  # descriptors of a process that are not for its connections
UPGRADE = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX-Long: " + b"x" * 4000
CLIENT_HELLO = bytes.fromhex("16 0301 0200 01 0001fc 0303") + bytes(508)


def connect_packet(client_id: str) -> bytes:
    """Of 3.1.1, with a clean session and no keep alive."""
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + bytes((0, len(client_id))) + client_id.encode()
    return bytes((0x10, len(body))) + body


def subscribe_packet(topic: bytes, qos: int) -> bytes:
    return bytes((0x82, len(topic) + 3)) + b"\x00\x01" + topic + bytes((qos,))


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the broker closed a connection")
        data += part
    return data


def opened(port: int, receive_buffer: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def greeted(sock: socket.socket, client_id: str) -> socket.socket:
    sock.sendall(connect_packet(client_id))
    receive_exactly(sock, 4)
    return sock


# The hostile side, in a process of its own. Each makes its connections and returns what to do every
# second from then on.

Act = Callable[[], None]


def check_open(sockets: list[socket.socket]) -> None:
    """They are still ours, and not closed."""
    if any(sock.fileno() < 0 for sock in sockets):
        raise ConnectionError("a hostile connection was closed")


def silent(port: int, count: int, first: bytes = b"") -> Act:
    sockets = [opened(port) for _ in range(count)]
    for sock in sockets:
        sock.sendall(first)
    return partial(check_open, sockets)


def drip(port: int, count: int, stream: bytes) -> Act:
    sockets = [opened(port) for _ in range(count)]
    rest = iter(stream)

    def act() -> None:
        byte = bytes((next(rest),))
        for sock in sockets:
            sock.sendall(byte)

    act()
    return act


def half_open(port: int, count: int) -> Act:
    sockets = [greeted(opened(port), f"half-open {number}") for number in range(count)]
    return partial(check_open, sockets)


def stopped_readers(port: int, count: int) -> Act:
    readers = [greeted(opened(port, 4096), f"stopped {number}") for number in range(count)]
    for sock in readers:
        sock.sendall(subscribe_packet(b"\x00\x05flood", 0))
        receive_exactly(sock, 5)
    flooding = greeted(opened(port), "flooding")

    def act() -> None:
        for _ in range(10):
            flooding.sendall(FLOOD)

    for _ in range(200):
        act()
    return act


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to be hostile: how many connections, to the TLS listener or the other, doing what."""

    name: str
    count: int
    begin: Callable[[int, int], Act]
    tls: bool = False


KINDS = (
    Kind("readers that stop", 50, stopped_readers),
    Kind("half-open connections", 1000, half_open),
    Kind("CONNECT, a byte a second", 1000, lambda port, n: drip(port, n, b"\x10\xff\x7f" * 999)),
    Kind("TLS handshakes, unfinished", 1000, lambda p, n: silent(p, n, CLIENT_HELLO[:99]), True),
    Kind("TLS handshakes, a byte a second", 1000, lambda p, n: drip(p, n, CLIENT_HELLO), True),
    Kind("upgrades, unfinished", 1000, lambda port, n: silent(port, n, UPGRADE)),
    Kind("upgrades, a byte a second", 1000, lambda port, n: drip(port, n, UPGRADE)),
    Kind("10,000 that say nothing", 10_000, silent),
)


def more_descriptors(wanted: int) -> int:
    """Raise the limit as far as it goes; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def act(kind: Kind, port: int) -> None:
    """Be hostile until standard input is closed."""
    count = min(kind.count, more_descriptors(kind.count + BESIDES) - BESIDES)
    every_second = kind.begin(port, count)
    print(count, flush=True)
    while not select.select([sys.stdin], [], [], 1.0)[0]:
        every_second()


# The measured side.


class Pair:
    """A publisher and a subscriber of one listener."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.ends = [opened(port) for _ in range(2)]
        if tls is not None:
            self.ends = [tls.wrap_socket(end, server_hostname="localhost") for end in self.ends]
        self.publisher, self.subscriber = self.ends
        greeted(self.publisher, "publisher")
        greeted(self.subscriber, "subscriber")
        self.subscriber.sendall(subscribe_packet(TOPIC, 1))
        receive_exactly(self.subscriber, 5)

    def round_trips(self, seconds: float) -> list[float]:
        """What each took, in microseconds, sorted."""
        times: list[float] = []
        until = time.perf_counter() + seconds
        ended = 0.0
        while ended < until:
            began = time.perf_counter()
            self.publisher.sendall(PUBLISH)
            message = receive_exactly(self.subscriber, len(PUBLISH))
            receive_exactly(self.publisher, PUBACK_SIZE)
            ended = time.perf_counter()
            times.append((ended - began) * 1e6)
            at = 2 + len(TOPIC)
            self.subscriber.sendall(b"\x40\x02" + message[at : at + 2])
        return sorted(times)

    def close(self) -> None:
        for end in self.ends:
            end.close()


def at(times: list[float], share: float) -> float:
    return times[min(int(len(times) * share), len(times) - 1)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[tuple[int, int]]:
    """Started as a user does; the port without TLS, and with it."""
    plain, tls = free_port(), free_port()
    (folder / "broker.conf").write_text(CONFIGURATION.format(plain=plain, tls=tls))
    more_descriptors(KINDS[-1].count + BESIDES)  # which the process inherits
    command = [sys.executable, str(ROOT / "startbroker.py"), "-c", "broker.conf"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield plain, tls
        finally:
            process.terminate()


@contextmanager
def hostile(place: int, port: int) -> Iterator[int]:
    """A process with the hostile connections; how many there are."""
    command = [sys.executable, "-m", "benchmarks.hostile", "--act", str(place), str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def measure(seconds: float) -> bool:
    """Print a line for each kind; True if all are within the goal."""
    good = True
    print(
        f"{'kind':34}{'count':>7}{'p50 us':>9}{'beside':>9}{'p99 us':>9}{'beside':>9}{'ratio':>7}"
    )
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as (plain, tls):
        context = ssl.create_default_context(cafile=str(Path(name, "pki", "ca.pem")))
        for place, kind in enumerate(KINDS):
            port = tls if kind.tls else plain
            pair = Pair(port, context if kind.tls else None)
            pair.round_trips(seconds / 5)  # to warm up
            before = pair.round_trips(seconds)
            with hostile(place, port) as count:
                beside = pair.round_trips(seconds)
            pair.close()
            ratio = at(beside, 0.99) / at(before, 0.99)
            good = good and ratio <= GOAL
            numbers = [at(times, share) for share in (0.5, 0.99) for times in (before, beside)]
            shown = "".join(f"{number:9.0f}" for number in numbers)
            print(f"{kind.name:34}{count:7}{shown}{ratio:7.2f}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--act", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.act:
        place, port = options.act
        with contextlib.suppress(BrokenPipeError):
            act(KINDS[place], port)
        return 0
    return 0 if measure(options.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
