"""Certificates, revocation lists and pre-shared keys loaded again while clients are connected."""

import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.broker.tls_client import Authority
from tests.ci.processes import broker_command, environment
from tests.guard.tls_peers import CONNACK, needs_openssl, needs_psk, shake
from tests.harness.client import Client
from tests.harness.site import Site
from tests.harness.wires import SocketWire

TLS = "listener 0 127.0.0.1\ncertfile {0}/server.pem\nkeyfile {0}/server.key\n"
MUTUAL = TLS + "cafile {0}/ca-chain.pem\ncrlfile {0}/crl.pem\nrequire_certificate true\n"


@pytest.fixture
def folder(tmp_path, pki):
    """Files of its own, for the test to change."""
    return Path(shutil.copytree(pki, tmp_path / "own"))


@pytest.fixture
def open_site(folder):
    sites = []

    def start(lines):
        sites.append(Site("tcp", lines.format(folder)))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


def client(site, folder, certificate=None, session=None):
    """A client over TLS, which trusts any certificate of the test PKI for any host."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    context.check_hostname = False
    if certificate:
        context.load_cert_chain(f"{folder}/{certificate}.pem", f"{folder}/{certificate}.key")
    made = Client(site, SocketWire(site, site.broker.ports[0], context), 5)
    site.clients.append(made)
    return made


def presented(client):
    names = client.wire._sock.getpeercert()["subjectAltName"]
    return {name for kind, name in names if kind == "DNS"}


def replace(folder, by):
    for suffix in ("pem", "key"):
        shutil.copy(folder / f"{by}.{suffix}", folder / f"server.{suffix}")


class TestCertificates:
    def test_new_connections_get_the_new_one_and_old_ones_go_on(self, open_site, folder):
        site = open_site(TLS)
        old = client(site, folder)
        old.connect("old")
        replace(folder, "other-host")
        assert presented(client(site, folder)) == {"localhost"}
        assert site.broker.reload_tls() == []
        assert presented(client(site, folder)) == {"other.invalid"}
        old.fence()

    @pytest.mark.parametrize(
        ("break_it", "words"),
        [
            (
                lambda folder: (folder / "server.pem").write_text("x"),
                "certfile: {0}/server.pem: no",
            ),
            (lambda folder: (folder / "server.key").unlink(), "keyfile: {0}/server.key: No such"),
            (
                lambda folder: shutil.copy(folder / "client.key", folder / "server.key"),
                "keyfile: {0}/server.key is not the key of",
            ),
            (
                lambda folder: (folder / "ca-chain.pem").write_text(""),
                "cafile: {0}/ca-chain.pem: no",
            ),
            (
                lambda folder: (folder / "crl.pem").write_text("x"),
                "crlfile: {0}/crl.pem: not a list",
            ),
        ],
    )
    def test_a_broken_file_keeps_what_there_was(self, open_site, folder, break_it, words, pki):
        site = open_site(MUTUAL)
        break_it(folder)
        (problem,) = site.broker.reload_tls()
        assert words.format(folder) in problem
        assert problem.endswith("what was loaded before stays in force")
        assert problem.startswith(site.configuration.listeners[0].line)
        assert presented(client(site, pki, "client")) == {"localhost"}
        shutil.copytree(pki, folder, dirs_exist_ok=True)
        replace(folder, "other-host")
        assert site.broker.reload_tls() == []
        assert presented(client(site, pki, "client")) == {"other.invalid"}

    def test_one_listener_of_two(self, open_site, folder):
        site = open_site(TLS + MUTUAL)
        (folder / "crl.pem").unlink()
        replace(folder, "other-host")
        assert len(site.broker.reload_tls()) == 1
        assert presented(client(site, folder)) == {"other.invalid"}

    def test_without_tls_there_is_nothing_to_load(self, open_site):
        assert open_site("").broker.reload_tls() == []

    def test_a_test_pki_about_to_expire_is_made_anew(self, tmp_path):
        site = Site("tcp", f"test_pki_dir {tmp_path}/pki\n" + TLS.format(f"{tmp_path}/pki"))
        try:
            before = (tmp_path / "pki" / "server.pem").read_bytes()
            assert site.broker.reload_tls() == []
            assert (tmp_path / "pki" / "server.pem").read_bytes() == before
            site.clock.advance(800 * 86_400)
            assert site.broker.reload_tls() == []
            assert (tmp_path / "pki" / "server.pem").read_bytes() != before
        finally:
            site.close()


@needs_openssl
class TestRevocation:
    @pytest.mark.parametrize("tls", ["-tls1_2", "-tls1_3"])
    def test_a_client_that_is_revoked_now_is_out_even_with_a_session(self, tmp_path, caplog, tls):
        """A session that is resumed shows no certificate to check."""
        ours = Authority(tmp_path, "ours")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
        server = ours.issue("server", ExtendedKeyUsageOID.SERVER_AUTH, subject)
        client = ours.issue("client", ExtendedKeyUsageOID.CLIENT_AUTH, subject)
        ours.revoke()
        lines = f"listener 0 127.0.0.1\ncertfile {server[0]}\nkeyfile {server[1]}\n"
        lines += f"cafile {ours.path}\ncrlfile {tmp_path}/revoked.pem\nrequire_certificate true\n"
        site = Site("tcp", lines)
        session = tmp_path / "session"
        try:
            port = site.broker.ports[0]
            who = tls, "-cert", client[0], "-key", client[1]
            assert shake(port, *who, "-sess_out", str(session))[0] == CONNACK
            assert session.read_text().startswith("-----BEGIN SSL SESSION")
            assert shake(port, *who, "-sess_in", str(session))[0] == CONNACK
            ours.revoke(client[2])
            assert shake(port, *who)[0] == CONNACK
            assert site.broker.reload_tls() == []
            for more in ((), ("-sess_in", str(session))):
                caplog.clear()
                assert shake(port, *who, *more)[0] == b""
                assert "the client's certificate is refused: certificate revoked" in caplog.text
        finally:
            site.close()


@needs_psk
@needs_openssl
class TestPreSharedKeys:
    def test_they_are_loaded_again_and_a_broken_file_is_not(self, tmp_path):
        path = tmp_path / "psk.txt"
        path.write_text("a:" + "aa" * 16 + "\n")
        site = Site("tcp", f"psk_file {path}\nlistener 0 127.0.0.1\npsk_hint x\n")

        def answer(identity, key):
            port = site.broker.ports[0]
            return shake(port, "-psk_identity", identity, "-psk", key * 16)[0]

        try:
            path.write_text("a:" + "aa" * 16 + "\nb:bb5ec2e7x")
            (problem,) = site.broker.reload_tls()
            assert f"psk_file: {path}:2: the key of 'b' is not an even number" in problem
            assert "5ec2e7" not in problem
            assert answer("a", "aa") == CONNACK
            path.write_text("b:" + "bb" * 16 + "\n")
            assert site.broker.reload_tls() == []
            assert answer("a", "aa") == b""
            assert answer("b", "bb") == CONNACK
        finally:
            site.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
class TestSignal:
    def test_sighup(self, folder, tmp_path):
        (tmp_path / "b.conf").write_text(
            "allow_anonymous true\nlog_dest stderr\n" + TLS.format(folder), encoding="utf-8"
        )
        with subprocess.Popen(
            broker_command("-c", tmp_path / "b.conf"),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                port = int(process.stdout.readline().split()[1])
                assert self._name(port, folder) == {"localhost"}
                replace(folder, "other-host")
                process.send_signal(signal.SIGHUP)
                self._await(process, "loaded again")
                assert self._name(port, folder) == {"other.invalid"}
                (folder / "server.key").write_text("x")
                process.send_signal(signal.SIGHUP)
                self._await(process, "ERROR", "no private key in PEM", "stays in force")
                assert self._name(port, folder) == {"other.invalid"}
            finally:
                process.terminate()

    def _await(self, process, *words):
        line = next(line for line in process.stderr if words[0] in line)
        assert all(word in line for word in words)

    def _name(self, port, folder):
        context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
        context.check_hostname = False
        wire = SocketWire(None, port, context)
        try:
            return {name for _, name in wire._sock.getpeercert()["subjectAltName"][:1]}
        finally:
            wire.close()
