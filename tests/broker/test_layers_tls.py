"""TLS as a layer, against the client side of `ssl` in memory."""

import ssl

import pytest

from broker.layers.detect import Kind, detect
from broker.layers.tls import TlsFailure, TlsLayer
from broker.layers.tls_context import server_context
from tests.broker.tls_client import Client, Pki, connect, fail

UNRECOGNIZED_NAME = "TLSV1_UNRECOGNIZED_NAME"


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


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

    def test_version_mismatch(self, pki):
        client = Client(pki, version=ssl.TLSVersion.TLSv1_2)
        words, alert = fail(client, pki.options(tls_version="tlsv1.3"))
        assert words == "TLS: the client has no version of TLS that is spoken here"
        assert alert == "TLSV1_ALERT_PROTOCOL_VERSION"

    @pytest.mark.parametrize(
        ("name", "versions"),
        [
            ("", VERSIONS),
            ("tlsv1", VERSIONS),
            ("tlsv1.1", VERSIONS),
            ("tlsv1.2", VERSIONS),
            ("tlsv1.3", [ssl.TLSVersion.TLSv1_3]),
        ],
    )
    def test_the_lowest_version_and_those_above_are_spoken(self, pki, name, versions):
        context = server_context(pki.options(tls_version=name))
        for version in versions:
            assert connect(Client(pki, version=version), context).handshake_done

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
