"""From the TLS options of a listener to what makes its TLS layers.

Threads: those of whoever starts, checks or reloads a broker.
"""

import os

from broker.config import ConfigError, Configuration, ListenerConfiguration
from broker.layers.tls_context import TlsConfigError, TlsOptions
from broker.layers.tls_maker import TlsMaker

FILES = ("certfile", "keyfile", "cafile", "capath", "crlfile", "psk_file")


def tls_maker(listener: ListenerConfiguration, keylog: str | None) -> TlsMaker:
    """What makes the TLS layers of `listener`.

    Raises:
        ConfigError: files or values that cannot be used.
    """
    options = TlsOptions(
        listener["certfile"] or "",
        listener["keyfile"] or "",
        listener["cafile"] or "",
        listener["capath"] or "",
        listener["crlfile"] or "",
        listener["require_certificate"],
        listener["ciphers"] or "",
        listener["ciphers_tls1.3"] or "",
        listener["tls_version"] or "",
        listener["allow_non_sni_connections"],
        keylog or "",
        (listener["psk_file"] or "") if listener.has_psk else "",
        listener["psk_hint"] or "",
    )
    try:
        return TlsMaker(options)
    except TlsConfigError as error:
        raise ConfigError(f"{listener.line}: {error}") from None


def check_tls(configuration: Configuration) -> None:
    """Load what a start would load, but for files that only a start makes.

    Raises:
        ConfigError: as of `tls_maker`.
    """
    for listener in configuration.listeners:
        paths = [listener[name] for name in FILES if listener[name] is not None]
        if listener.has_tls and all(os.path.exists(path) for path in paths):
            tls_maker(listener, None)
