"""`site` makes brokers on sockets, with a clock that the test moves."""

import socket

import pytest

from tests.conformance.conftest import pki
from tests.harness.site import Site
from tests.hostile.support import DEADLINE_S

__all__ = ["pki"]


@pytest.fixture
def site(pki):
    """`site(configuration, transport, listeners)`: a broker, stopped with the test."""
    sites = []

    def make(configuration="", transport="tcp", listeners=1):
        sites.append(Site(transport, configuration, listeners, pki))
        return sites[-1]

    yield make
    for one in sites:
        one.close()


@pytest.fixture
def hostile():
    """`hostile(site, receive_buffer, listener)` is a bare socket to the broker."""
    sockets = []

    def connect(site, receive_buffer=None, listener=0):
        sock = socket.socket()
        sockets.append(sock)
        sock.settimeout(DEADLINE_S)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(("127.0.0.1", site.broker.ports[listener]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    yield connect
    for sock in sockets:
        sock.close()
