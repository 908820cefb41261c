"""What a TLS listener speaks when nothing but its certificate is configured, as OpenSSL sees it."""

import re

import pytest

from tests.guard.tls_peers import CONNACK, SOON, needs_openssl, s_client, shake
from tests.harness.site import Site

pytestmark = needs_openssl

# Offered, if only the client's own rules did not forbid it.
ANYTHING = "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
MODERN = re.compile(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM|CHACHA20)|TLS_(AES|CHACHA20)")


@pytest.fixture
def open_site(pki):
    sites = []

    def start(options=""):
        lines = f"listener 0 127.0.0.1\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
        sites.append(Site("tcp", f"{lines}{options}\n"))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


@pytest.fixture
def port(open_site):
    return open_site().broker.ports[0]


class TestVersions:
    @pytest.mark.parametrize("name", ["1.2", "1.3"])
    def test_1_2_and_1_3(self, port, name):
        answer, said = shake(port, "-tls" + name.replace(".", "_"))
        assert answer == CONNACK
        assert f"Protocol version: TLSv{name}" in said

    def test_1_3_where_both_can(self, port):
        assert "Protocol version: TLSv1.3" in shake(port)[1]

    @pytest.mark.parametrize("switch", ["-tls1", "-tls1_1"])
    @pytest.mark.parametrize("option", ["", "tls_version tlsv1", "tls_version tlsv1.1"])
    def test_none_before(self, open_site, switch, option, caplog):
        port = open_site(option).broker.ports[0]
        assert shake(port, switch, *ANYTHING)[0] == b""
        assert "the client has no version of TLS that is spoken here" in caplog.text

    def test_1_3_alone(self, open_site):
        port = open_site("tls_version tlsv1.3").broker.ports[0]
        assert shake(port, "-tls1_2")[0] == b""
        assert shake(port, "-tls1_3")[0] == CONNACK


class TestCiphers:
    @pytest.mark.parametrize("switch", ["-tls1_2", "-tls1_3"])
    def test_the_first_choice_is_modern(self, port, switch):
        answer, said = shake(port, switch)
        assert answer == CONNACK
        assert MODERN.search(said.partition("Ciphersuite: ")[2].split()[0])
        assert re.search("Server Temp Key: (X25519|ECDH)", said)  # forward secrecy

    @pytest.mark.parametrize(
        "cipher",
        [
            "ECDHE-ECDSA-NULL-SHA",
            "AECDH-AES256-SHA",
            "ECDHE-ECDSA-AES256-SHA",
            "ECDHE-ECDSA-AES128-CCM8",
            "ECDHE-ECDSA-CAMELLIA256-SHA384",
            "PSK-AES256-GCM-SHA384",
        ],
    )
    def test_what_is_weak_or_odd_is_refused(self, port, cipher):
        more = "-psk", "aa" * 16, "-cipher", f"{cipher}:@SECLEVEL=0"
        assert shake(port, "-tls1_2", *more)[0] == b""

    @pytest.mark.parametrize("switch", ["-tls1_2", "-tls1_3"])
    def test_no_compression_and_secure_renegotiation_only(self, port, switch):
        with s_client(port, switch, "-comp") as process:
            process.stdin.write(b"Q\n")
            out, _ = process.communicate(timeout=SOON)
        assert b"Compression: NONE" in out
        if switch == "-tls1_2":
            assert b"Secure Renegotiation IS supported" in out

    def test_those_that_are_configured(self, open_site):
        cipher = "ECDHE-ECDSA-AES128-GCM-SHA256"
        port = open_site(f"ciphers {cipher}").broker.ports[0]
        assert f"Ciphersuite: {cipher}" in shake(port, "-tls1_2")[1]
        assert shake(port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384")[0] == b""
