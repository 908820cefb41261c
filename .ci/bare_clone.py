"""A clone serves TCP, WebSocket and, with existing certificates, TLS on the standard library alone.

    python .ci/bare_clone.py BARE_PYTHON CLONE

BARE_PYTHON is of an environment without any package. This program itself runs in one with
`cryptography`, with which it makes the certificates.
"""

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from broker.pki import ensure_test_pki

DEADLINE_S = 20
CONNECT = bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 63")
CONNACK = bytes.fromhex("2002 0000")
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: "
    + base64.b64encode(bytes(16))
    + b"\r\n\r\n"
)
CONFIGURATION = """\
allow_anonymous true
listener 0 127.0.0.1
listener 0 127.0.0.1
certfile {pki}/server.pem
keyfile {pki}/server.key
"""


def receive(connection: socket.socket, enough: bytes) -> bytes:
    data = b""
    while enough not in data:
        more = connection.recv(4096)
        if not more:
            sys.exit(f"closed after {data!r}")
        data += more
    return data


def speak(connection: socket.socket, websocket: bool) -> None:
    with connection:
        if websocket:
            connection.sendall(UPGRADE)
            receive(connection, b"\r\n\r\n")
            connection.sendall(bytes((0x82, 0x80 | len(CONNECT), 0, 0, 0, 0)) + CONNECT)
        else:
            connection.sendall(CONNECT)
        receive(connection, CONNACK)


def check(python: str, clone: str, folder: Path) -> None:
    found = subprocess.run(
        [python, "-c", "import cryptography"], capture_output=True, check=False, cwd=folder
    )
    if found.returncode == 0:
        sys.exit(f"{python} has cryptography")
    ensure_test_pki(folder / "pki", datetime.now(UTC))
    (folder / "broker.conf").write_text(CONFIGURATION.format(pki=folder / "pki"))
    ready_path = folder / "ready.json"
    process = subprocess.Popen(
        [python, f"{clone}/startbroker.py", "-c", "broker.conf", "--ready-file", ready_path.name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ""},
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not ready_path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the broker did not start")
            time.sleep(0.01)
        plain, tls = (one["port"] for one in json.loads(ready_path.read_text())["listeners"])
        trust = ssl.create_default_context(cafile=folder / "pki" / "ca.pem")
        for websocket in (False, True):
            speak(socket.create_connection(("127.0.0.1", plain), DEADLINE_S), websocket)
            connection = socket.create_connection(("127.0.0.1", tls), DEADLINE_S)
            speak(trust.wrap_socket(connection, server_hostname="localhost"), websocket)
    finally:
        process.terminate()
        exit_code = process.wait(DEADLINE_S)
    if exit_code:
        sys.exit(f"the broker's exit code is {exit_code}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        check(sys.argv[1], sys.argv[2], Path(temporary))
    sys.stdout.write("mqtt, ws, mqtts and wss are served\n")
