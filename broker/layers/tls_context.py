"""The TLS context that a listener has for its connections.

Options have Mosquitto's names and meaning: a client certificate is asked for only where it is
required, and `tls_version` names the lowest version that is spoken, which is never below 1.2.
"""

import os
import ssl
from dataclasses import dataclass
from typing import Any

from broker.layers.tls import ServerEnd

LOWEST = {
    "": ssl.TLSVersion.TLSv1_2,
    "tlsv1": ssl.TLSVersion.TLSv1_2,  # RFC 8996
    "tlsv1.1": ssl.TLSVersion.TLSv1_2,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
# Without NULL, SHA-1 and what hardly anybody has; the last, for small devices (RFC 7925).
PSK_CIPHERS = "kECDHEPSK:kDHEPSK:kPSK:!aNULL:!eNULL:!SHA1:!CAMELLIA:!ARIA"
UNRECOGNIZED_NAME = int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)


class TlsConfigError(Exception):
    """What the operator got wrong: the option, and the file or value in it."""

    def __init__(self, option_name: str, words: str) -> None:
        super().__init__(option_name, words)
        self.option_name = option_name
        self.words = words

    def __str__(self) -> str:
        return f"{self.option_name}: {self.words}"


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
    psk_file: str = ""  # where there is one, no certificate is loaded
    psk_hint: str = ""


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """What all connections of a listener share.

    Raises:
        TlsConfigError: an option that cannot be had, by its name in the configuration.
    """
    context = _bare_context(options, "")
    _load_certificate(context, options)
    _load_authorities(context, options)
    if options.crlfile:
        _load_revoked(context, options.crlfile)
    return context


def psk_context(options: TlsOptions) -> ssl.SSLContext:
    """What one connection with a pre-shared key has. It holds no certificate: with one, TLS 1.3
    would fall back to it for a wrong key, too.

    Raises:
        TlsConfigError: as of `server_context`.
    """
    context = _bare_context(options, PSK_CIPHERS)
    # Who the client is would not be known of a session that it resumes.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def _bare_context(options: TlsOptions, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _set_versions(context, options.tls_version)
    _set_ciphers(context, options.ciphers or ciphers, options.ciphers_tls13)
    if options.keylog_file:
        try:
            # OpenSSL would make it readable for others.
            os.close(os.open(options.keylog_file, os.O_CREAT | os.O_WRONLY, 0o600))
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

    context.sslobject_class = ServerEnd
    context.sni_callback = name_seen


def _set_versions(context: ssl.SSLContext, name: str) -> None:
    lowest = LOWEST.get(name)
    if lowest is None:
        known = ", ".join(filter(None, LOWEST))
        raise TlsConfigError("tls_version", f"{name} is not one of {known}")
    context.minimum_version = lowest


def _set_ciphers(context: ssl.SSLContext, ciphers: str, ciphers_tls13: str) -> None:
    if ciphers:
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError as error:
            raise TlsConfigError("ciphers", f"{ciphers} names no cipher") from error
    if not ciphers_tls13:
        return
    choose: Any = getattr(context, "set_ciphersuites", None)  # Python 3.15
    if choose is not None:
        try:
            choose(ciphers_tls13)
        except ssl.SSLError as error:
            words = f"{ciphers_tls13} names no cipher"
            raise TlsConfigError("ciphers_tls1.3", words) from error
        return
    # What OpenSSL allows anyway can be granted; a choice among them cannot be made from here.
    allowed = [c["name"] for c in context.get_ciphers() if c["name"].startswith("TLS_")]
    if set(ciphers_tls13.split(":")) != set(allowed):
        words = f"{ciphers_tls13}: this Python has {':'.join(allowed)}, and no choice"
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
