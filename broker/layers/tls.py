"""TLS as a layer (RFC 8446, RFC 5246), and the context a listener has for it.

Options have Mosquitto's names and meaning: a client certificate is asked for only where it is
required, and `tls_version` names the lowest version that is spoken, which is never below 1.2.
"""

import contextlib
import os
import ssl
from dataclasses import dataclass
from typing import Any

from formats.errors import ProtocolViolation, Rule

TLS_FAILURE = Rule(0x80, "", "", "TLS")

LOWEST = {
    "": ssl.TLSVersion.TLSv1_2,
    "tlsv1": ssl.TLSVersion.TLSv1_2,  # RFC 8996
    "tlsv1.1": ssl.TLSVersion.TLSv1_2,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
READ_SIZE = 65_536  # bytes; a record has 16 KiB at most
UNRECOGNIZED_NAME = int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)

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


class TlsConfigError(Exception):
    """What the operator got wrong: the option, and the file or value in it."""

    def __init__(self, option_name: str, words: str) -> None:
        super().__init__(option_name, words)
        self.option_name = option_name
        self.words = words

    def __str__(self) -> str:
        return f"{self.option_name}: {self.words}"


class TlsFailure(ProtocolViolation):
    """The handshake failed, or what followed it was no TLS."""

    def __init__(self, words: str) -> None:
        super().__init__(TLS_FAILURE, words)


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """The options of a listener that are about TLS; "" where there is none."""

    certfile: str = ""
    keyfile: str = ""  # "": in certfile
    cafile: str = ""
    capath: str = ""
    crlfile: str = ""
    require_certificate: bool = False
    ciphers: str = ""
    ciphers_tls13: str = ""
    tls_version: str = ""  # the lowest; "": 1.2
    allow_non_sni_connections: bool = True
    keylog_file: str = ""


class _ServerEnd(ssl.SSLObject):
    """OpenSSL's end of one connection, with what the SNI callback saw of it; "" before that."""

    server_name: str | None = ""


class TlsLayer:
    """A layer, as `broker.layers.layer.Layer` has it.

    Attributes, all of them set by the handshake:
        cipher, version:  what was agreed, as OpenSSL names it.
        server_name:      what the client wanted to reach (SNI); None where it need not say.
        peer_common_name: of the client's certificate; None without one.
        peer_subject:     its whole subject, as RFC 2253 writes it; None without one.
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
                self._tls.do_handshake()
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

    def _shaken(self) -> None:
        self.handshake_done = True
        cipher = self._tls.cipher()
        self.cipher = cipher[0] if cipher else ""
        self.version = self._tls.version() or ""
        if isinstance(self._tls, _ServerEnd):
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
        if isinstance(self._tls, _ServerEnd) and self._tls.server_name is None:
            return "the client did not say which server it wants (SNI)"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the client's certificate is refused: {error.verify_message}"
        reason = error.reason or ""
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


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """What all connections of a listener share.

    Raises:
        TlsConfigError: an option that cannot be had, by its name in the configuration.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _set_versions(context, options.tls_version)
    _set_ciphers(context, options)
    _load_certificate(context, options)
    _load_authorities(context, options)
    if options.crlfile:
        _load_revoked(context, options.crlfile)
    if options.keylog_file:
        try:
            context.keylog_filename = options.keylog_file
        except OSError as error:
            raise TlsConfigError("keylog", _why(options.keylog_file, error)) from error
    if not options.allow_non_sni_connections:
        _require_names(context)
    return context


def _require_names(context: ssl.SSLContext) -> None:
    # Only where it is required: with a callback, Python refuses names that are not IDNA.
    def name_seen(end: Any, server_name: str | None, _context: ssl.SSLContext) -> int | None:
        end.server_name = server_name
        return UNRECOGNIZED_NAME if server_name is None else None

    context.sslobject_class = _ServerEnd
    context.sni_callback = name_seen


def _set_versions(context: ssl.SSLContext, name: str) -> None:
    lowest = LOWEST.get(name)
    if lowest is None:
        known = ", ".join(filter(None, LOWEST))
        raise TlsConfigError("tls_version", f"{name} is not one of {known}")
    context.minimum_version = lowest


def _set_ciphers(context: ssl.SSLContext, options: TlsOptions) -> None:
    if options.ciphers:
        try:
            context.set_ciphers(options.ciphers)
        except ssl.SSLError as error:
            raise TlsConfigError("ciphers", f"{options.ciphers} names no cipher") from error
    if not options.ciphers_tls13:
        return
    choose: Any = getattr(context, "set_ciphersuites", None)  # Python 3.15
    if choose is not None:
        try:
            choose(options.ciphers_tls13)
        except ssl.SSLError as error:
            words = f"{options.ciphers_tls13} names no cipher"
            raise TlsConfigError("ciphers_tls1.3", words) from error
        return
    # What OpenSSL allows anyway can be granted; a choice among them cannot be made from here.
    allowed = [c["name"] for c in context.get_ciphers() if c["name"].startswith("TLS_")]
    if set(options.ciphers_tls13.split(":")) != set(allowed):
        words = f"{options.ciphers_tls13}: this Python has {':'.join(allowed)}, and no choice"
        raise TlsConfigError("ciphers_tls1.3", words)


def _load_certificate(context: ssl.SSLContext, options: TlsOptions) -> None:
    if not options.certfile:
        raise TlsConfigError("certfile", "is missing")
    _check_readable("certfile", options.certfile)
    if options.keyfile:
        _check_readable("keyfile", options.keyfile)
    key_option = "keyfile" if options.keyfile else "certfile"
    key_path = options.keyfile or options.certfile

    def no_password() -> str:
        raise TlsConfigError(key_option, f"{key_path}: the key is encrypted")

    try:
        context.load_cert_chain(options.certfile, options.keyfile or None, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            words = f"{key_path} is not the key of {options.certfile}"
            raise TlsConfigError(key_option, words) from error
        if not _has_pem(options.certfile, "CERTIFICATE"):
            words = f"{options.certfile}: no certificate in PEM"
            raise TlsConfigError("certfile", words) from error
        if not _has_pem(key_path, "PRIVATE KEY"):
            raise TlsConfigError(key_option, f"{key_path}: no private key in PEM") from error
        words = f"{options.certfile}, {key_path}: {_reason(error)}"
        raise TlsConfigError("certfile", words) from error


def _load_authorities(context: ssl.SSLContext, options: TlsOptions) -> None:
    if options.cafile:
        _check_readable("cafile", options.cafile)
        try:
            context.load_verify_locations(cafile=options.cafile)
        except ssl.SSLError as error:
            words = f"{options.cafile}: no certificates in PEM ({_reason(error)})"
            raise TlsConfigError("cafile", words) from error
    if options.capath:
        if not os.path.isdir(options.capath):
            raise TlsConfigError("capath", f"{options.capath} is no folder")
        context.load_verify_locations(capath=options.capath)
    if options.require_certificate:
        if not options.cafile and not options.capath:
            words = "needs cafile or capath, to know which certificates to accept"
            raise TlsConfigError("require_certificate", words)
        context.verify_mode = ssl.CERT_REQUIRED


def _load_revoked(context: ssl.SSLContext, path: str) -> None:
    _check_readable("crlfile", path)
    # OpenSSL would trust a certificate that it finds here.
    if not _has_pem(path, "X509 CRL") or _has_pem(path, "CERTIFICATE"):
        raise TlsConfigError("crlfile", f"{path}: not a list of revoked certificates in PEM")
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise TlsConfigError("crlfile", f"{path}: {_reason(error)}") from error
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _check_readable(option_name: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise TlsConfigError(option_name, _why(path, error)) from error


def _has_pem(path: str, label: str) -> bool:
    with open(path, "rb") as file:
        return label.encode("ascii") + b"-----" in file.read()


def _why(path: str, error: OSError) -> str:
    return f"{path}: {error.strerror or error}"


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
