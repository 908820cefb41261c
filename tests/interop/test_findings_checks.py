"""What the scenarios of docs/findings.md once found and no client had done: one raw client each."""

import socket
import struct
import threading

import pytest

from tests.harness.site import Site
from tests.harness.wires import DEADLINE_S


@pytest.fixture
def site():
    site = Site("tcp")
    yield site
    site.close()


def violations(site):
    site.settle()
    return [
        one["summary"]
        for client in site.broker.report(False)["clients"]
        for one in client["violations"]
    ]


CONNECT = bytes.fromhex("100d00044d5154540402003c000161")
DISCONNECT = bytes.fromhex("e000")


def test_a_client_that_resets_the_connection_has_closed_it(site):
    """As every client does that closes while the answer to its closing is on its way: a close frame
    of WebSocket, or close_notify of TLS."""
    client = socket.create_connection(("127.0.0.1", site.broker.ports[0]))
    client.sendall(CONNECT)
    assert len(client.recv(4)) == 4
    busy = threading.Event()
    site.broker._listeners[0].loop.post(lambda: busy.wait(DEADLINE_S))
    client.sendall(DISCONNECT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    busy.set()
    assert violations(site) == []
