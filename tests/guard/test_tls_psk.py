"""TLS-PSK listeners, with OpenSSL's and Mosquitto's clients at the other end (RFC 4279, RFC 8446).

Python 3.13 has it built in; before that these tests need the extra `psk`.
"""

import gc
import logging
import subprocess
import sys

import pytest

from tests.guard.tls_peers import CONNACK, SOON, connections, needs_openssl, needs_psk, s_client
from tests.guard.tls_peers import shake as shake_with
from tests.harness.site import Site
from tests.interop.needs import program

pytestmark = [needs_openssl, needs_psk]

KEY, OTHER_KEY = "aa" * 32, "bb" * 32
VERSIONS = pytest.mark.parametrize("tls", ["-tls1_2", "-tls1_3"])


@pytest.fixture
def open_site(tmp_path):
    """`open_site(options)`: a broker with a PSK listener, and a plain one after it."""
    sites = []
    (tmp_path / "psk.txt").write_text(f"client:{KEY}\nother:{OTHER_KEY}\nlöwe:{KEY}\n")

    def start(options=""):
        lines = f"psk_file {tmp_path}/psk.txt\nlistener 0 127.0.0.1\npsk_hint broker\n{options}\n"
        sites.append(Site("tcp", lines))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


def shake(site, tls, identity="client", key=KEY, *more):
    arguments = ["-psk_identity", identity, "-psk", key] if identity is not None else []
    return shake_with(site.broker.ports[0], tls, *arguments, *more)


class TestHandshake:
    @VERSIONS
    def test_the_right_key_comes_in(self, open_site, tls):
        answer, said = shake(open_site(), tls)
        assert answer == CONNACK
        assert "PSK" in said or "TLS_" in said
        assert "No peer certificate" in said or "no peer certificate" in said.lower()

    @pytest.mark.parametrize(
        "cipher",
        ["ECDHE-PSK-CHACHA20-POLY1305", "PSK-AES256-GCM-SHA384", "PSK-AES128-CCM8"],
    )
    def test_ciphers_of_1_2(self, open_site, cipher):
        answer, said = shake(open_site(), "-tls1_2", "client", KEY, "-cipher", cipher)
        assert answer == CONNACK
        assert f"Ciphersuite: {cipher}" in said

    @pytest.mark.parametrize(
        "cipher",
        ["PSK-NULL-SHA256", "ECDHE-PSK-NULL-SHA", "PSK-AES128-CBC-SHA", "AECDH-AES256-SHA"],
    )
    def test_weak_ciphers_are_not_there(self, open_site, cipher, caplog):
        more = "-cipher", f"{cipher}@SECLEVEL=0"
        answer, _ = shake(open_site(), "-tls1_2", "client", KEY, *more)
        assert answer == b""
        assert "the client offers no pre-shared key that can be used here" in caplog.text

    @VERSIONS
    @pytest.mark.parametrize(
        ("identity", "key", "words"),
        [
            ("client", OTHER_KEY, "the client has another pre-shared key for 'client'"),
            ("client", "00" * 32, "the client has another pre-shared key for 'client'"),
            ("nobody", KEY, "there is no pre-shared key for 'nobody'"),
            ("no\nbody", KEY, r"there is no pre-shared key for 'no\nbody'"),
            (None, None, "the client offers no pre-shared key that can be used here"),
        ],
    )
    def test_others_are_refused_and_only_they(self, open_site, tls, identity, key, words, caplog):
        site = open_site()
        plain = site.client(5, listener=1)
        plain.connect("plain")
        answer, said = shake(site, tls, identity, key)
        assert answer == b""
        assert "alert" in said
        (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert line.endswith(f"TLS: {words}")
        plain.fence()
        assert shake(site, tls)[0] == CONNACK

    @VERSIONS
    def test_an_identity_that_is_not_utf_8(self, open_site, tls, caplog):
        site = open_site()
        answer, _ = shake(site, tls, b"\xff\xfe", KEY)
        assert answer == b""
        assert "Traceback" not in caplog.text
        assert "TLS: the " in caplog.text
        assert shake(site, tls, "löwe")[0] == CONNACK

    @pytest.mark.parametrize("option", ["ciphers ADH-AES256-GCM-SHA384:@SECLEVEL=0"])
    def test_a_cipher_that_knows_nobody_does_not_let_anybody_in(self, open_site, option, caplog):
        more = "-cipher", "ADH-AES256-GCM-SHA384:@SECLEVEL=0"
        answer, _ = shake(open_site(option), "-tls1_2", None, None, *more)
        assert answer == b""
        assert "TLS: the client" in caplog.text

    def test_the_hint_is_told(self, open_site):
        with s_client(
            open_site().broker.ports[0], "-tls1_2", "-psk", KEY, "-psk_identity", "client"
        ) as process:
            out, _ = process.communicate(b"Q\n", SOON)
        assert b"PSK identity hint: broker" in out

    def test_a_certificate_beside_it_is_not_loaded(self, open_site, tmp_path):
        (tmp_path / "no.pem").touch()  # it would be an error
        site = open_site(f"certfile {tmp_path}/no.pem\ntls_version tlsv1.3")
        assert any(
            "certfile: has no effect beside psk_hint" in w for w in site.configuration.warnings
        )
        assert shake(site, "-tls1_3")[0] == CONNACK
        assert shake(site, "-tls1_2")[0] == b""

    def test_mosquitto_pub(self, open_site):
        pub = program("mosquitto-clients", "mosquitto_pub")
        site = open_site()
        watcher = site.client(5, listener=1)
        watcher.connect("watcher")
        watcher.subscribe("a")
        for tls in ("tlsv1.2", "tlsv1.3"):
            command = [pub, "-h", "127.0.0.1", "-p", str(site.broker.ports[0]), "-t", "a"]
            command += ["-m", tls, "--psk-identity", "client", "--psk", KEY]
            subprocess.run([*command, "--tls-version", tls], check=True, timeout=SOON)
            assert watcher.receive_message().payload == tls.encode()
            wrong = subprocess.run([*command[:-1], OTHER_KEY], capture_output=True, timeout=SOON)
            assert wrong.returncode


class TestIdentity:
    @VERSIONS
    @pytest.mark.parametrize("option", ["use_identity_as_username", "use_subject_as_username"])
    def test_it_is_the_user_name(self, open_site, tls, option):
        site = open_site(f"{option} true")
        arguments = "-quiet", tls, "-psk_identity", "other", "-psk", OTHER_KEY
        with s_client(site.broker.ports[0], *arguments) as process:
            process.stdin.write(bytes.fromhex("101200044d515454048200000001610003626f62"))  # bob
            assert process.stdout.read(4) == CONNACK
            (connection,) = connections(site)
            assert connection.client.user_name == connection.client.tls_identity == "other"

    @VERSIONS
    def test_a_session_is_not_resumed_for_whose_it_was_is_not_known(self, open_site, tls, tmp_path):
        site = open_site("use_identity_as_username true")
        path = str(tmp_path / "session")
        assert shake(site, tls, "client", KEY, "-sess_out", path)[0] == CONNACK
        if (tmp_path / "session").exists():
            assert shake(site, tls, "client", KEY, "-sess_in", path)[0] == CONNACK
            with s_client(
                site.broker.ports[0],
                tls,
                "-psk_identity",
                "client",
                "-psk",
                KEY,
                "-sess_in",
                path,
            ) as process:
                out, _ = process.communicate(b"Q\n", SOON)
            if tls == "-tls1_2":
                assert b"New, TLSv1.2" in out


class TestNothingIsLeft:
    def test_of_connections(self, open_site):
        if sys.version_info >= (3, 13):
            pytest.skip("this Python keeps nothing by itself")
        from sslpsk3.sslpsk3 import psk_contexts

        site = open_site()
        for key in (KEY, OTHER_KEY):
            shake(site, "-tls1_3", "client", key)
        with s_client(site.broker.ports[0], "-tls1_3", "-psk", KEY) as process:
            process.stdin.close()
        site.close()
        del site
        gc.collect()
        assert not psk_contexts

    def test_of_keys_in_the_log(self, open_site, caplog):
        caplog.set_level(logging.DEBUG)
        site = open_site()
        for key in (KEY, OTHER_KEY):
            shake(site, "-tls1_2", "client", key)
            shake(site, "-tls1_3", "nobody", key)
        site.settle()
        assert KEY not in caplog.text.lower()
        assert OTHER_KEY not in caplog.text.lower()
        assert repr(bytes.fromhex(KEY)) not in caplog.text
