"""TLS as a layer, against the client side of `ssl` in memory."""

import contextlib
import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.layers.detect import Kind, detect
from broker.layers.layer import Layer
from broker.layers.tls import (
    TlsConfigError,
    TlsFailure,
    TlsLayer,
    TlsOptions,
    distinguished_name,
    server_context,
)

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
UNRECOGNIZED_NAME = "TLSV1_UNRECOGNIZED_NAME"


class Authority:
    """Signs certificates, and says which of them are revoked."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.name, self.key, NOW + 30 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.path = self.write(f"{name}.pem", self.certificate)

    def _builder(self, subject, key, until):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(NOW, until) - 30 * DAY)
            .not_valid_after(until)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )

    def write(self, name, *parts):
        path = self.folder / name
        path.write_bytes(b"".join(p.public_bytes(serialization.Encoding.PEM) for p in parts))
        return str(path)

    def issue(self, name, usage, subject, until=NOW + 30 * DAY, encryption=None):
        """A certificate and its key, as paths, and its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            self._builder(subject, key, until)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        key_path = self.folder / f"{name}.key"
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                encryption or serialization.NoEncryption(),
            )
        )
        return self.write(f"{name}.pem", certificate), str(key_path), certificate.serial_number

    def revoke(self, *serials):
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.name, last_update=NOW - DAY, next_update=NOW + 30 * DAY
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder(serial, NOW - DAY)
            builder = builder.add_revoked_certificate(revoked.build())
        return self.write("revoked.pem", builder.sign(self.key, hashes.SHA256()))


class Pki:
    def __init__(self, folder):
        self.folder = folder
        ours, foreign = Authority(folder, "ours"), Authority(folder, "foreign")
        server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        person = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "AT"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test, Inc."),
                x509.NameAttribute(NameOID.COMMON_NAME, "client-1"),
            ]
        )
        client = ExtendedKeyUsageOID.CLIENT_AUTH
        self.ca, self.foreign_ca = ours.path, foreign.path
        self.cert, self.key, _ = ours.issue("server", ExtendedKeyUsageOID.SERVER_AUTH, server)
        self.client = ours.issue("client", client, person)
        self.foreign = foreign.issue("foreigner", client, person)
        self.expired = ours.issue("expired", client, person, NOW - DAY)
        self.revoked = ours.issue("revoked-client", client, person)
        self.wrong_usage = ours.issue("usage", ExtendedKeyUsageOID.SERVER_AUTH, person)
        secret = serialization.BestAvailableEncryption(b"secret")
        self.encrypted = ours.issue(
            "encrypted", ExtendedKeyUsageOID.SERVER_AUTH, server, NOW + DAY, secret
        )
        self.crl = ours.revoke(self.revoked[2])

    def options(self, **changes):
        return TlsOptions(**{"certfile": self.cert, "keyfile": self.key, **changes})

    def required(self, **changes):
        return self.options(cafile=self.ca, require_certificate=True, **changes)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def missing(tmp_path):
    return str(tmp_path / "missing.pem")


class Client:
    """The other end, in memory."""

    def __init__(self, pki, certificate=None, server_name="localhost", version=None, **more):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(more.get("trust", pki.ca))
        context.check_hostname = server_name is not None
        if certificate:
            context.load_cert_chain(*certificate[:2])
        if version:
            context.minimum_version = context.maximum_version = version
        if "ciphers" in more:
            context.set_ciphers(more["ciphers"])
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)
        self.done = False

    def shake(self, data=b""):
        """What it says to `data`, in its handshake."""
        self.incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            self.done = True
        return self.outgoing.read()

    def write(self, data):
        self.tls.write(data)
        return self.outgoing.read()

    def read(self, data=b""):
        self.incoming.write(data)
        out = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while chunk := self.tls.read(65_536):
                out += chunk
        return out

    def goodbye(self):
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()


def shake_hands(client, layer, size=None):
    """Let the two talk until they have no more to say, in pieces of `size` bytes."""
    data = client.shake()
    while data:
        for pos in range(0, len(data), size or len(data)):
            assert layer.received(data[pos : pos + (size or len(data))]) == b""
        data = client.shake(layer.pending())


def connect(client, context, size=None):
    """A layer that has shaken hands with `client`."""
    layer: Layer = TlsLayer(context)
    shake_hands(client, layer, size)
    assert layer.handshake_done
    return layer


def fail(client, options):
    """Why the handshake fails for the layer, and what the client makes of the alert."""
    layer = TlsLayer(server_context(options))
    with pytest.raises(TlsFailure) as caught:
        shake_hands(client, layer)
    client.incoming.write(layer.pending())
    assert layer.received(b"more") == layer.to_send(b"x") == layer.close() == b""
    with pytest.raises(ssl.SSLError) as refused:  # in 1.3 its own handshake may be over
        (client.read if client.done else client.tls.do_handshake)()
    return str(caught.value), refused.value.reason


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class TestRecords:
    @pytest.mark.parametrize("size", [None, 1, 7])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_handshake_and_data_however_they_arrive(self, pki, version, size):
        client = Client(pki, version=version)
        layer = connect(client, server_context(pki.options()), size)
        data = client.write(b"one") + client.write(b"two") + client.write(bytes(40_000))
        size = size or len(data)
        plain = b"".join(layer.received(data[i : i + size]) for i in range(0, len(data), size))
        assert plain == b"onetwo" + bytes(40_000)
        assert client.read(layer.to_send(bytes(100_000)) + layer.to_send(b"end")) == (
            bytes(100_000) + b"end"
        )
        assert layer.version == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        assert layer.cipher
        assert (layer.peer_common_name, layer.peer_subject) == (None, None)

    def test_several_records_in_one_read(self, pki):
        client = Client(pki)
        layer = connect(client, server_context(pki.options()))
        records = [client.write(b"%d " % i) for i in range(100)]
        assert layer.received(b"".join(records)) == b"".join(b"%d " % i for i in range(100))

    def test_data_with_the_end_of_the_handshake(self, pki):
        client = Client(pki, version=ssl.TLSVersion.TLSv1_3)
        layer = TlsLayer(server_context(pki.options()))
        layer.received(client.shake())
        finished = client.shake(layer.pending())
        assert layer.received(finished + client.write(b"at once")) == b"at once"

    def test_nothing_to_send_is_no_record(self, pki):
        layer = connect(Client(pki), server_context(pki.options()))
        assert layer.to_send(b"") == layer.pending() == b""

    def test_what_was_read_before_a_broken_record_is_salvaged(self, pki):
        client = Client(pki)
        layer = connect(client, server_context(pki.options()))
        with pytest.raises(TlsFailure):
            layer.received(client.write(b"good") + b"\x17\x03\x03\x00\x20" + bytes(32))
        assert layer.salvaged == b"good"
        assert layer.pending()


class TestClose:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_close_notify_of_the_peer(self, pki, version):
        client = Client(pki, version=version)
        layer = connect(client, server_context(pki.options()))
        assert layer.received(client.write(b"last")) == b"last"
        assert not layer.closed_by_peer
        assert layer.received(client.write(b"words") + client.goodbye()) == b"words"
        assert layer.closed_by_peer
        assert layer.received(b"anything") == b""

    @pytest.mark.parametrize("version", VERSIONS)
    def test_close_notify_of_ours(self, pki, version):
        client = Client(pki, version=version)
        layer = connect(client, server_context(pki.options()))
        last = layer.to_send(b"last")
        client.incoming.write(last + layer.close())
        assert client.tls.read(100) == b"last"
        assert client.tls.read(100) == b""
        assert layer.close() == layer.to_send(b"x") == b""

    def test_before_the_handshake_there_is_nothing_to_say(self, pki):
        layer = TlsLayer(server_context(pki.options()))
        assert layer.to_send(b"x") == layer.pending() == layer.close() == b""


@pytest.mark.parametrize("version", VERSIONS)
class TestClientCertificate:
    def test_it_says_who_the_client_is(self, pki, version):
        client = Client(pki, pki.client, version=version)
        layer = connect(client, server_context(pki.required()))
        assert layer.peer_common_name == "client-1"
        assert layer.peer_subject == r"CN=client-1,O=Test\, Inc.,C=AT"

    def test_it_is_good_where_others_are_revoked(self, pki, version):
        client = Client(pki, pki.client, version=version)
        layer = connect(client, server_context(pki.required(crlfile=pki.crl)))
        assert layer.peer_common_name == "client-1"

    def test_it_is_not_asked_for_unless_required(self, pki, version):
        client = Client(pki, pki.foreign, version=version)
        layer = connect(client, server_context(pki.options(cafile=pki.ca)))
        assert layer.peer_subject is None

    def test_missing(self, pki, version):
        words, _ = fail(Client(pki, version=version), pki.required())
        assert words == "TLS: the client sent no certificate"

    @pytest.mark.parametrize(
        ("which", "words"),
        [
            ("foreign", "issuer certificate"),
            ("expired", "certificate has expired"),
            ("revoked", "certificate revoked"),
            ("wrong_usage", "purpose"),
        ],
    )
    def test_refused(self, pki, version, which, words):
        client = Client(pki, getattr(pki, which), version=version)
        said, _ = fail(client, pki.required(crlfile=pki.crl))
        assert said.startswith("TLS: the client's certificate is refused: ")
        assert words in said


class TestServerName:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_required(self, pki, version):
        options = pki.options(allow_non_sni_connections=False)
        words, alert = fail(Client(pki, server_name=None, version=version), options)
        assert "SNI" in words
        assert alert == UNRECOGNIZED_NAME
        layer = connect(Client(pki, version=version), server_context(options))
        assert layer.server_name == "localhost"

    def test_not_required(self, pki):
        layer = connect(Client(pki, server_name=None), server_context(pki.options()))
        assert layer.server_name is None

    def test_where_it_is_not_required_any_name_will_do(self, pki):
        layer = TlsLayer(server_context(pki.options()))
        hello = Client(pki, server_name="ab.cd").shake()
        assert b"ab.cd" in hello
        assert layer.received(hello.replace(b"ab.cd", b"a..cd")) == b""
        assert layer.pending()

    def test_connections_of_one_context_do_not_mix(self, pki):
        context = server_context(pki.options(allow_non_sni_connections=False))
        named, nameless = Client(pki), Client(pki, server_name=None)
        first, second = TlsLayer(context), TlsLayer(context)
        hello, other = named.shake(), nameless.shake()
        first.received(hello)
        with pytest.raises(TlsFailure):
            second.received(other)
        first.received(named.shake(first.pending()))
        assert first.server_name == "localhost"
        assert second.server_name is None


class TestRefusals:
    def test_plaintext_is_said_before_and_by_the_layer(self, pki):
        context = server_context(pki.options())
        for data, words in (
            (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "not TLS"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "plaintext HTTP"),
        ):
            assert detect(data, tls=True).kind is Kind.PLAIN_ON_TLS
            with pytest.raises(TlsFailure, match=words):
                TlsLayer(context).received(data)

    @pytest.mark.parametrize(("ours", "theirs"), [("tlsv1.2", 1), ("tlsv1.3", 0)])
    def test_version_mismatch(self, pki, ours, theirs):
        words, alert = fail(Client(pki, version=VERSIONS[theirs]), pki.options(tls_version=ours))
        assert words == "TLS: the client has no version of TLS that is spoken here"
        assert alert == "TLSV1_ALERT_PROTOCOL_VERSION"

    @pytest.mark.parametrize(("name", "version"), [("tlsv1.2", 0), ("tlsv1.3", 1)])
    def test_the_one_version_is_spoken(self, pki, name, version):
        context = server_context(pki.options(tls_version=name))
        assert connect(Client(pki, version=VERSIONS[version]), context).handshake_done

    def test_cipher_mismatch(self, pki):
        ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"
        client = Client(pki, version=ssl.TLSVersion.TLSv1_2, ciphers=ciphers)
        words, _ = fail(client, pki.options(ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))
        assert words == "TLS: the client has no cipher that is allowed here"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_client_that_does_not_trust_us(self, pki, version):
        client = Client(pki, trust=pki.foreign_ca, version=version)
        layer = TlsLayer(server_context(pki.options()))
        layer.received(client.shake())
        with pytest.raises(ssl.SSLCertVerificationError):
            client.shake(layer.pending())
        with pytest.raises(TlsFailure, match="the client refuses our certificate: unknown"):
            layer.received(client.outgoing.read())


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
            ("tls_version", {"tls_version": "tlsv1.1"}),
            ("tls_version", {"tls_version": "tlsv1"}),
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
