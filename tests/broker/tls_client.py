"""Certificates and a client for the tests of TLS, both in memory but for the PEM files."""

import contextlib
import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.layers.layer import Layer
from broker.layers.tls import TlsFailure, TlsLayer
from broker.layers.tls_context import TlsOptions, server_context

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


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
