"""The options of a TLS listener: what they do, and what they say when they cannot be had."""

from pathlib import Path

import pytest

from broker.layers.tls import distinguished_name
from broker.layers.tls_context import TlsConfigError, TlsOptions, server_context
from tests.broker.tls_client import Client, Pki, connect, fail


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def missing(tmp_path):
    return str(tmp_path / "missing.pem")


class TestContext:
    def test_key_in_the_certificate_file(self, pki, tmp_path):
        both = tmp_path / "both.pem"
        both.write_bytes(Path(pki.cert).read_bytes() + Path(pki.key).read_bytes())
        assert server_context(TlsOptions(certfile=str(both)))

    def test_keylog(self, pki, tmp_path):
        path = tmp_path / "keys"
        connect(Client(pki), server_context(pki.options(keylog_file=str(path))))
        assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in path.read_text()

    def test_capath(self, pki, tmp_path):
        options = pki.options(capath=str(tmp_path), require_certificate=True)
        words, _ = fail(Client(pki, pki.client), options)
        assert "refused" in words

    def test_the_ciphers_that_are_there_anyway(self, pki):
        names = [c["name"] for c in server_context(pki.options()).get_ciphers()]
        suites = ":".join(name for name in names if name.startswith("TLS_"))
        assert server_context(pki.options(ciphers_tls13=suites))

    @pytest.mark.parametrize(
        ("option", "changes"),
        [
            ("certfile", {"certfile": ""}),
            ("certfile", {"certfile": "MISSING"}),
            ("certfile", {"certfile": "KEY"}),
            ("keyfile", {"keyfile": "MISSING"}),
            ("keyfile", {"keyfile": "CERT"}),
            ("keyfile", {"keyfile": "OTHER_KEY"}),
            ("keyfile", {"certfile": "ENCRYPTED_CERT", "keyfile": "ENCRYPTED_KEY"}),
            ("cafile", {"cafile": "MISSING"}),
            ("cafile", {"cafile": "KEY"}),
            ("capath", {"capath": "MISSING"}),
            ("capath", {"capath": "CERT"}),
            ("require_certificate", {"require_certificate": True}),
            ("crlfile", {"crlfile": "MISSING"}),
            ("crlfile", {"crlfile": "CERT"}),
            ("ciphers", {"ciphers": "NO-SUCH-CIPHER"}),
            ("ciphers_tls1.3", {"ciphers_tls13": "TLS_NO_SUCH_CIPHER"}),
            ("tls_version", {"tls_version": "sslv3"}),
            ("tls_version", {"tls_version": "tlsv1.2 tlsv1.3"}),
            ("keylog", {"keylog_file": "FOLDER"}),
        ],
    )
    def test_what_cannot_be_had_names_its_option_and_file(self, pki, missing, option, changes):
        paths = {
            "MISSING": missing,
            "KEY": pki.key,
            "CERT": pki.cert,
            "OTHER_KEY": pki.client[1],
            "ENCRYPTED_CERT": pki.encrypted[0],
            "ENCRYPTED_KEY": pki.encrypted[1],
            "FOLDER": str(pki.folder),
        }
        changes = {key: paths.get(value, value) for key, value in changes.items()}
        with pytest.raises(TlsConfigError) as caught:
            server_context(pki.options(**changes))
        assert caught.value.option_name == option
        *_, value = changes.values()
        if isinstance(value, str):
            assert value in str(caught.value)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ((), ""),
        (((("commonName", "a"),),), "CN=a"),
        (((("commonName", "a"), ("userId", "b")),), "CN=a+UID=b"),
        (((("commonName", ' #"+,;<=>\\ '),),), r"CN=\ #\"\+\,\;\<=\>\\\ "),
        (((("commonName", "#a"),),), r"CN=\#a"),
        (((("commonName", "é\n"),),), r"CN=\C3\A9\0A"),
        (((("pseudonym", "a"),), (("emailAddress", "b"),)), "emailAddress=b,pseudonym=a"),
    ],
)
def test_distinguished_name(subject, expected):
    assert distinguished_name(subject) == expected
