"""The listeners of client_testing.conf, at ports that are free (the README's table)."""

import re
import socket
import ssl
from pathlib import Path

import pytest

from broker.broker import Broker
from broker.config import Configuration
from broker.psk_file import read_psk_file
from tests.guard.tls_peers import CONNACK, CONNECT, SOON, needs_openssl, needs_psk, shake

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The port of each, by the one in the file, and the folder of the test PKI."""
    folder = tmp_path_factory.mktemp("shipped")
    text = (ROOT / "client_testing.conf").read_text(encoding="utf-8")
    (folder / "b.conf").write_text(re.sub("(?m)^listener [0-9]+$", "listener 0 127.0.0.1", text))
    numbers = [int(found) for found in re.findall("(?m)^listener ([0-9]+)$", text)]
    with Broker(Configuration.load(str(folder / "b.conf"))) as broker:
        yield dict(zip(numbers, broker.ports, strict=False)), folder / "test-pki"


def over(sock, context, server_name):
    if context is None:
        return sock
    return context.wrap_socket(sock, server_hostname=server_name)


@pytest.fixture
def answer(shipped):
    """What a listener answers to CONNECT; b"" where TLS fails."""
    ports, pki = shipped

    def ask(number, certificate=None, server_name="localhost", tls=True):
        context = None
        if tls:
            context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
            context.check_hostname = server_name is not None
            if certificate:
                context.load_cert_chain(f"{pki}/{certificate}.pem", f"{pki}/{certificate}.key")
        with socket.create_connection(("127.0.0.1", ports[number]), SOON) as sock:
            try:
                with over(sock, context, server_name) as end:
                    end.sendall(CONNECT)
                    return end.recv(4)
            except (ssl.SSLError, ConnectionError):
                return b""

    return ask


@pytest.mark.parametrize("number", [1883, 18883])
def test_plain(answer, number):
    assert answer(number, tls=False) == CONNACK
    assert answer(number) == b""


def test_mutual_tls(answer):
    assert answer(18884, "client") == CONNACK
    assert answer(18884, tls=False) == b""
    for certificate in (None, "expired-client", "revoked-client", "foreign-client"):
        assert answer(18884, certificate) == b""


def test_server_tls_that_wants_its_name(answer):
    assert answer(18885) == CONNACK
    assert answer(18885, server_name=None) == b""


def test_server_tls(answer):
    assert answer(18886) == CONNACK
    assert answer(18886, server_name=None) == CONNACK
    assert answer(18886, "client") == CONNACK


def test_one_that_every_client_refuses(answer):
    assert answer(18887) == b""
    assert answer(18887, "client") == b""


@needs_psk
@needs_openssl
@pytest.mark.parametrize("tls", ["-tls1_2", "-tls1_3"])
def test_a_pre_shared_key(shipped, answer, tls):
    ports, pki = shipped
    ((identity, key),) = read_psk_file(str(pki / "psk.txt")).items()
    port = ports[18888]
    assert shake(port, tls, "-psk_identity", identity, "-psk", key.hex())[0] == CONNACK
    assert shake(port, tls, "-psk_identity", identity, "-psk", "00" * 32)[0] == b""
    assert answer(18888) == b""
