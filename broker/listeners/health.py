"""`--health`: does a listener answer a CONNECT? For health checks of containers.

Threads: none; it is of another process than the broker that it asks.
"""

import socket

from oracle.ledger import HEALTH_CLIENT_ID

PATIENCE_S = 3.0
CONNACK = 0x20


def unhealthy_because(address: str | None, port: int, tls: bool) -> str:
    """Ask the listener at `address`, None for the loopback ones; "" if it is well.

    Any CONNACK is an answer, a refusal as well. A listener with TLS is asked for no more than a
    connection: what it demands of clients is not known here.
    """
    try:
        with socket.create_connection((address, port), PATIENCE_S) as connection:
            if tls:
                return ""
            connection.sendall(_connect())
            answer = connection.recv(1)
            if answer == bytes((CONNACK,)):
                connection.sendall(b"\xe0\x00")  # DISCONNECT
                return ""
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    return f"port {port}: no CONNACK but {answer.hex() or 'nothing'}"


def _connect() -> bytes:
    """CONNECT of MQTT 3.1.1 (3.1), a clean session."""
    client_id = HEALTH_CLIENT_ID.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + bytes((0, len(client_id))) + client_id
    return bytes((0x10, len(body))) + body
