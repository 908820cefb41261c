"""TLS as a layer (RFC 8446, RFC 5246)."""

import contextlib
import ssl
from typing import Any

from formats.errors import ProtocolViolation, Rule

TLS_FAILURE = Rule(0x80, "", "", "TLS")

READ_SIZE = 65_536  # bytes; a record has 16 KiB at most

# OpenSSL's reasons in the words of the log. Others are used as they are.
WORDS = {
    "HTTP_REQUEST": "plaintext HTTP request on a TLS port",
    "WRONG_VERSION_NUMBER": "what arrived is not TLS",
    "UNSUPPORTED_PROTOCOL": "the client has no version of TLS that is spoken here",
    "NO_SHARED_CIPHER": "the client has no cipher that is allowed here",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "the client cannot check our kind of certificate",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client sent no certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the client refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the client refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client refuses our certificate: expired",
    "TLSV1_ALERT_UNKNOWN_CA": "the client refuses our certificate: unknown authority",
    "TLSV1_ALERT_DECRYPT_ERROR": "the client could not check our signature",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the client found nothing to agree on",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the client refuses our version of TLS",
}
# RFC 2253, section 2.3, and what OpenSSL adds to it.
SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "userId": "UID",
    "surname": "SN",
    "givenName": "GN",
}


class TlsFailure(ProtocolViolation):
    """The handshake failed, or what followed it was no TLS."""

    def __init__(self, words: str) -> None:
        super().__init__(TLS_FAILURE, words)


class ServerEnd(ssl.SSLObject):
    """OpenSSL's end of one connection, with what the SNI callback saw of it; "" before that."""

    server_name: str | None = ""


class TlsLayer:
    """A layer, as `broker.layers.layer.Layer` has it.

    Attributes, all of them set by the handshake:
        cipher, version:  what was agreed, as OpenSSL names it.
        server_name:      what the client wanted to reach (SNI); None where it need not say.
        peer_common_name: of the client's certificate, or the identity of its pre-shared key; None
                          without one.
        peer_subject:     the whole subject of the certificate, as RFC 2253 writes it, or the same
                          identity; None without one.
    """

    __slots__ = (
        "_from_peer",
        "_over",
        "_tls",
        "_to_peer",
        "cipher",
        "closed_by_peer",
        "handshake_done",
        "peer_common_name",
        "peer_subject",
        "salvaged",
        "server_name",
        "version",
    )

    def __init__(self, context: ssl.SSLContext) -> None:
        self._from_peer, self._to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_peer, self._to_peer, server_side=True)
        self._over = False
        self.cipher = self.version = ""
        self.closed_by_peer = False
        self.handshake_done = False
        self.peer_common_name: str | None = None
        self.peer_subject: str | None = None
        self.salvaged = b""
        self.server_name: str | None = None

    def received(self, data: bytes) -> bytes:
        """Plain bytes out of `data`, of every record that is whole.

        Raises:
            TlsFailure: `pending` has the alert.
        """
        if self._over or self.closed_by_peer:
            return b""
        self._from_peer.write(data)
        plain: list[bytes] = []
        try:
            if not self.handshake_done:
                self._shake()
                self._shaken()
            # One record for each read. Where nothing is left, asking would cost an exception.
            while self._from_peer.pending or self._tls.pending():
                chunk = self._tls.read(READ_SIZE)
                if not chunk:
                    self.closed_by_peer = True
                    break
                plain.append(chunk)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._over = True
            self.salvaged = b"".join(plain)
            raise TlsFailure(self._words(error)) from error
        return b"".join(plain)

    def to_send(self, data: bytes) -> bytes:
        if not data or not self.handshake_done or self._over:
            return b""
        self._tls.write(data)
        return self._to_peer.read()

    def pending(self) -> bytes:
        return self._to_peer.read()

    def close(self) -> bytes:
        if self.handshake_done and not self._over:
            with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's goodbye
                self._tls.unwrap()
        self._over = True
        return self._to_peer.read()

    def identity(self, whole_subject: bool) -> str | None:
        """What to call the client instead of what it calls itself; None before the handshake.

        Raises:
            TlsFailure: it has no certificate with such a name. It could call itself what it likes.
        """
        name = self.peer_subject if whole_subject else self.peer_common_name
        if self.handshake_done and not name:
            raise TlsFailure("the client has no certificate with a name to use as its user name")
        return name

    def _shake(self) -> None:
        self._tls.do_handshake()

    def _shaken(self) -> None:
        self.handshake_done = True
        cipher = self._tls.cipher()
        self.cipher = cipher[0] if cipher else ""
        self.version = self._tls.version() or ""
        if isinstance(self._tls, ServerEnd):
            self.server_name = self._tls.server_name
        certificate = self._tls.getpeercert()
        if certificate:
            names: Any = certificate.get("subject", ())
            self.peer_subject = distinguished_name(names)
            for part in names:
                for key, value in part:
                    if key == "commonName" and self.peer_common_name is None:
                        self.peer_common_name = value

    def _words(self, error: ssl.SSLError) -> str:
        if isinstance(self._tls, ServerEnd) and self._tls.server_name is None:
            return "the client did not say which server it wants (SNI)"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the client's certificate is refused: {error.verify_message}"
        reason = error.reason or ""
        if self.handshake_done and reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
            return "the client gives up: it may not have another handshake (renegotiation)"
        return WORDS.get(reason) or reason.replace("_", " ").lower() or str(error)


def distinguished_name(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """A subject, as `getpeercert` has it, in the form of RFC 2253: the last part first."""
    return ",".join(
        "+".join(f"{SHORT_NAMES.get(key, key)}={_escaped(value)}" for key, value in part)
        for part in reversed(subject)
    )


def _escaped(value: str) -> str:
    """As RFC 2253, section 2.4; bytes beyond ASCII too, which is how OpenSSL does it."""
    out = []
    for char in value:
        if char in ',+"\\<>;':
            out.append("\\" + char)
        elif " " <= char <= "~":
            out.append(char)
        else:
            out.extend(f"\\{byte:02X}" for byte in char.encode("utf-8"))
    if out and out[0] in ("#", " "):
        out[0] = "\\" + out[0]
    if len(out) > 1 and out[-1] == " ":
        out[-1] = "\\ "
    return "".join(out)
