"""A wrong protocol on a port is named in the log, in words, and closed."""

import datetime
import socket

import pytest

from broker.pki import ensure_test_pki
from tests.harness.site import Site

HELLO = bytes.fromhex("16 0301 0005 01 000001 00")  # a TLS record with the start of a ClientHello
CONNECT = bytes.fromhex("10 0d 0004 4d515454 04 02 003c 0001 63")


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki") / "pki"
    ensure_test_pki(folder, datetime.datetime.now(datetime.UTC))
    return folder


@pytest.fixture
def knock(pki, caplog):
    """`knock(transport, data)` sends bytes to a port; returns what came back before the close."""
    sites = []

    def send(transport, *pieces):
        site = Site(transport, pki=pki)
        sites.append(site)
        bystander = site.client()
        bystander.connect("bystander")
        with socket.create_connection(("127.0.0.1", site.broker.ports[0]), 10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for data in pieces:
                sock.sendall(data)
                site.settle()
            answer = b""
            while data := sock.recv(4096):
                answer += data
        bystander.nothing()
        return answer

    yield send
    for site in sites:
        site.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HELLO, "TLS ClientHello on a plain port"),
        (b"SSH-2.0-OpenSSH_9\r\n", "SSH"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY protocol header"),
        (b"EHLO there\r\n", "first bytes 45 48 4c 4f"),
        (b"\0\0\0\0", "first bytes 00 00 00 00 are no MQTT CONNECT"),
    ],
)
def test_on_a_plain_port(knock, caplog, data, words):
    assert knock("tcp", data) == b""
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert line.startswith("127.0.0.1:")
    assert words in line


def test_a_page_request_on_a_plain_port_is_answered_as_http(knock, caplog):
    answer = knock("tcp", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 426 ")
    assert "HTTP GET / without Upgrade" in caplog.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (CONNECT, "plaintext MQTT on a TLS port"),
        (b"GET / HTTP/1.1\r\n\r\n", "plaintext HTTP request on a TLS port"),
        (b"\xff\xfe\xfd\xfc", "first bytes ff fe fd fc"),
    ],
)
def test_on_a_tls_port(knock, caplog, data, words):
    assert knock("tls", data) == b""
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert words in line


def test_byte_by_byte_it_is_named_all_the_same(knock, caplog):
    assert knock("tcp", HELLO[:1], HELLO[1:2], HELLO[2:]) == b""
    assert "TLS ClientHello on a plain port" in caplog.text


def test_a_packet_before_connect_is_named(knock, caplog):
    assert knock("tcp", bytes.fromhex("c000")) == b""
    assert "first packet is not CONNECT: PINGREQ [MQTT5-3.1.0-1]" in caplog.text


def test_what_follows_a_wrong_protocol_is_not_looked_at(knock, caplog):
    assert knock("tcp", HELLO, CONNECT) == b""
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
