"""File descriptors run out: clients are turned away, nobody waits for ever, files still open.

Each broker has a process of its own, for its limit.
"""

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits"),
    pytest.mark.slow,
]

# Counts the rounds of the listener: a listener that cannot accept must not try all the time.
START = """
import logging, resource, socket, sys
from broker.broker import Broker
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
CONNECT = bytes.fromhex("101100044d515454040200000005")  # 3.1.1, five characters
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

def allow(descriptors):
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, HARD))

def prepared():
    sock = socket.socket()
    sock.settimeout(20)
    return sock

def answer(sock, port):
    try:
        sock.connect(("127.0.0.1", port))
        sock.sendall(CONNECT + b"%05d" % sock.fileno())
        return sock.recv(4)
    except (ConnectionResetError, BrokenPipeError):
        return b""

def counted(loop):
    silence = loop.silence
    def count():
        global rounds
        rounds += 1
        silence()
    loop.silence = count

rounds = 0
"""

# The clients take what there is, but for what is spared.
SPARED = """
with Broker("allow_anonymous true\\nsys_interval 0\\nlistener 0 127.0.0.1\\n") as broker:
    port = broker.ports[0]
    sockets = [prepared() for _ in range(60)]
    allow(sockets[-1].fileno() + 1 + 16 + 20)
    answers = [answer(sock, port) for sock in sockets]
    taken = answers.count(b"\\x20\\x02\\0\\0")
    assert answers.count(b"") == 60 - taken, answers
    assert 15 <= taken <= 20, taken
    files = [open("/dev/null") for _ in range(14)]
    limits = broker.statistics().limits
    assert limits["descriptors"] == 60 - taken, limits
    allow(HARD)
    assert answer(prepared(), port) == b"\\x20\\x02\\0\\0"
print("recovered")
"""

# Somebody else takes all there is.
EXHAUSTED = """
with Broker("allow_anonymous true\\nsys_interval 0\\nlistener 0 127.0.0.1\\n") as broker:
    port = broker.ports[0]
    counted(broker._listeners[0].loop)
    sockets = [prepared() for _ in range(5)]
    allow(sockets[-1].fileno() + 1)
    for sock in sockets:
        assert answer(sock, port) == b""
    assert rounds < 40, rounds
    again = 0
    allow(HARD)
    while answer(prepared(), port) != b"\\x20\\x02\\0\\0":
        again += 1
        assert again < 100  # those that come while others are turned away are, too
print("recovered")
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", START + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_clients_do_not_get_the_last_ones():
    *said, last = run(SPARED)
    assert last == "recovered"
    (line,) = [one for one in said if "limit descriptors" in one]
    assert "closed, the rest is for files" in line


def test_when_there_is_none_who_waits_is_closed():
    *said, last = run(EXHAUSTED)
    assert last == "recovered"
    (line,) = [one for one in said if "limit descriptors" in one]
    assert "accepts nothing for a moment: Too many open files" in line


DATABASE = """
import os
os.chdir(sys.argv[1])
with Broker(
    "allow_anonymous true\\nsys_interval 0\\npersistence true\\nlistener 0 127.0.0.1\\n"
    "persistence_pack_ratio 0\\n"
) as broker:
    port = broker.ports[0]
    client = prepared()
    assert answer(client, port) == b"\\x20\\x02\\0\\0"
    sockets = [prepared() for _ in range(60)]
    allow(sockets[-1].fileno() + 1 + 16 + 20)
    answers = [answer(sock, port) for sock in sockets]
    assert b"" in answers
    client.sendall(bytes.fromhex("3306 0001 74 0001 78"))  # retained, QoS 1
    assert client.recv(4) == bytes.fromhex("40020001")
    broker._store.database.pack()
    open("report.json", "w").close()
with Broker(
    "allow_anonymous true\\nsys_interval 0\\npersistence true\\nlistener 0 127.0.0.1\\n"
) as broker:
    assert broker.context.retained.count == 1
print("kept")
"""


def test_the_database_and_files_still_work(tmp_path):
    pytest.importorskip("ZODB")
    assert run(DATABASE, str(tmp_path))[-1] == "kept"
