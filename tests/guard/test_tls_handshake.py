"""What arrives at a TLS port and comes to nothing: one line of the log, and only it ends."""

import contextlib
import logging
import socket
import ssl

import pytest

from formats.mqtt import codec
from formats.mqtt.connect import Connect
from formats.mqtt.publish import Publish
from tests.guard.tls_peers import CONNECT, connections, needs_openssl, s_client
from tests.harness.client import Client
from tests.harness.site import Site
from tests.harness.wires import DEADLINE_S, SocketWire

CLIENT_HELLO_BEGUN = bytes.fromhex("16 0301 0200 01 0001fc 0303")


@pytest.fixture
def site(pki):
    """Listeners with server TLS, mutual TLS, and a plain one."""
    server = f"listener 0 127.0.0.1\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
    mutual = f"cafile {pki}/ca-chain.pem\ncrlfile {pki}/crl.pem\nrequire_certificate true\n"
    made = Site("tcp", f"connect_timeout_s 10\n{server}{server}{mutual}")
    yield made
    made.close()


@pytest.fixture
def others(site, pki):
    """Checks that somebody else's connections live, of the same listener, too."""
    context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
    clients = [Client(site, SocketWire(site, site.broker.ports[0], context), 5)]
    clients.append(Client(site, SocketWire(site, site.broker.ports[2]), 5))
    site.clients.extend(clients)
    for place, client in enumerate(clients):
        client.connect(f"other {place}")

    def go_on():
        for client in clients:
            client.fence()

    return go_on


def raw(site, listener=0):
    return socket.create_connection(("127.0.0.1", site.broker.ports[listener]), DEADLINE_S)


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def until_closed(sock):
    data = b""
    while chunk := sock.recv(4096):
        data += chunk
    return data


class TestNeverEnding:
    @pytest.mark.parametrize("listener", [0, 1])
    @pytest.mark.parametrize("said", [b"", CLIENT_HELLO_BEGUN[:1], CLIENT_HELLO_BEGUN])
    def test_it_ends_with_the_time_for_a_connect(self, site, others, caplog, listener, said):
        with raw(site, listener) as sock:
            sock.sendall(said)
            site.advance(9.5)
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            sock.settimeout(DEADLINE_S)
            site.advance(1)
            assert until_closed(sock) == b""
        (line,) = warnings(caplog)
        assert "10 s" in line
        others()

    def test_a_byte_now_and_then_does_not_prolong_it(self, site, others, caplog):
        with raw(site) as sock:
            for byte in CLIENT_HELLO_BEGUN[:9]:
                sock.sendall(bytes((byte,)))
                site.advance(1)
            site.advance(1.5)
            assert until_closed(sock) == b""
        assert len(warnings(caplog)) == 1
        others()

    def test_after_the_handshake_it_still_counts(self, site, others, pki):
        context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
        wire = SocketWire(site, site.broker.ports[0], context)
        site.advance(10.5)
        assert wire.receive() == b""
        wire.close()
        others()


class TestNoTls:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (CONNECT, "plaintext MQTT on a TLS port"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "plaintext HTTP request on a TLS port"),
            (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff" + bytes(200), "TLS: "),
            (b"\0" * 600, "first bytes"),
        ],
    )
    def test_it_is_named(self, site, others, caplog, data, words):
        with raw(site) as sock:
            sock.sendall(data)
            until_closed(sock)
        (line,) = warnings(caplog)
        assert words in line
        others()

    def test_garbage_after_the_handshake(self, site, others, pki, caplog):
        context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the handshake is over for both
        wire = SocketWire(site, site.broker.ports[0], context)
        below = socket.socket(fileno=wire._sock.detach())
        with below:
            below.settimeout(DEADLINE_S)
            below.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            until_closed(below)
        (line,) = warnings(caplog)
        assert "TLS: " in line
        others()


class TestClientCertificates:
    @pytest.mark.parametrize(
        "garbage", [b"", b"\x17\x03\x03\x00\x20" + bytes(32)], ids=["alone", "with garbage"]
    )
    def test_what_comes_before_garbage_is_of_the_certificate_s_user(self, pki, tmp_path, garbage):
        """The CONNECT is read with a record that is none: that must not make it anybody's."""
        acl = tmp_path / "acl"
        acl.write_text("user admin\ntopic readwrite secret/#\n", encoding="utf-8")
        site = Site(
            "tcp",
            f"acl_file {acl}\nlistener 0 127.0.0.1\ncertfile {pki}/server.pem\n"
            f"keyfile {pki}/server.key\ncafile {pki}/ca-chain.pem\nrequire_certificate true\n"
            "use_identity_as_username true",
        )
        context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
        context.load_cert_chain(f"{pki}/client.pem", f"{pki}/client.key")
        arrived, due = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(arrived, due, server_hostname="localhost")
        with contextlib.closing(site), raw(site, 0) as sock:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(due.read())
                    arrived.write(sock.recv(65_536))
            tls.write(codec.encode(Connect(4, "c", True, 0, "admin"), 4))
            tls.write(codec.encode(Publish("secret/door", b"open", 0, True), 4))
            sock.sendall(due.read() + garbage)  # with what ends the handshake, all in one piece
            sock.shutdown(socket.SHUT_WR)
            until_closed(sock)
            assert site.context.retained.count == 0

    @pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize(
        ("certificate", "words"),
        [
            ("", "the client sent no certificate"),
            ("expired-client", "the client's certificate is refused: certificate has expired"),
            ("revoked-client", "the client's certificate is refused: certificate revoked"),
            ("foreign-client", "the client's certificate is refused: unable to get "),
            ("server", "the client's certificate is refused: unsuitable certificate purpose"),
        ],
    )
    def test_others_are_refused(self, site, others, pki, caplog, certificate, words, tls):
        context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
        context.minimum_version = context.maximum_version = tls
        if certificate:
            context.load_cert_chain(f"{pki}/{certificate}.pem", f"{pki}/{certificate}.key")
        sock = raw(site, 1)
        try:
            with context.wrap_socket(sock, server_hostname="localhost") as sock:
                sock.sendall(CONNECT)
                assert sock.recv(1) == b""
        except (ssl.SSLError, ConnectionError):  # an alert; in 1.3, after the client's handshake
            sock.close()
        site.settle()
        (line,) = warnings(caplog)
        assert words in line
        others()

    @pytest.mark.parametrize(
        ("option", "name"),
        [
            ("use_identity_as_username", "test client"),
            ("use_subject_as_username", "CN=test client,O=Touchstone test PKI"),
        ],
    )
    def test_its_name_is_the_user_name_whatever_connect_says(self, pki, option, name):
        lines = f"listener 0 127.0.0.1\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
        lines += f"cafile {pki}/ca-chain.pem\nrequire_certificate true\n{option} true\n"
        site = Site("tcp", lines)
        try:
            context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
            context.load_cert_chain(f"{pki}/client.pem", f"{pki}/client.key")
            client = Client(site, SocketWire(site, site.broker.ports[0], context), 5)
            site.clients.append(client)
            assert client.connect("a", user_name="root").reason == 0
            (connection,) = connections(site)
            assert connection.client.user_name == connection.client.tls_identity == name
        finally:
            site.close()

    @pytest.mark.parametrize("option", ["use_identity_as_username", "use_subject_as_username"])
    def test_without_a_certificate_nobody_may_give_a_name(self, pki, option, caplog):
        lines = f"listener 0 127.0.0.1\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
        site = Site("tcp", f"{lines}{option} true\n")
        assert (
            f"{option}: no require_certificate, so no client can connect"
            in (site.configuration.warnings[0])
        )
        try:
            context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
            wire = SocketWire(site, site.broker.ports[0], context)
            wire.send(CONNECT)
            assert wire.receive() == b""
            wire.close()
            assert "no certificate with a name to use as its user name" in caplog.text
        finally:
            site.close()


class TestRenegotiation:
    @needs_openssl
    def test_it_is_refused(self, site, others, caplog):
        with s_client(site.broker.ports[0], "-tls1_2") as process:
            output = b""
            while b"---\n" not in output or b"Verify return code" not in output:
                output += process.stdout.read(4096)
            process.stdin.write(b"R\n")
            assert process.wait(DEADLINE_S) == 1
            assert b"no renegotiation" in process.stderr.read()
        site.settle()
        (line,) = warnings(caplog)
        assert "it may not have another handshake (renegotiation)" in line
        others()
