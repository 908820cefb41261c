"""TLS with a pre-shared key in place of certificates (RFC 4279; RFC 8446, section 2.2).

Python 3.13 has it; before that the package sslpsk3 gives OpenSSL our callback, and nothing else
of it is used: its own `do_handshake` works once only, where a handshake over memory takes several.

Keys are compared by OpenSSL, in constant time, and never leave `keys`. Which identities there are
is no secret: the alert for one that is unknown says so (RFC 4279, section 2).
"""

import ssl
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from broker.layers.tls import TlsFailure, TlsLayer
from broker.layers.tls_context import TlsConfigError, TlsOptions, psk_context

NO_KEY = b""
NOT_UTF_8 = "the identity of the pre-shared key is not UTF-8"
# OpenSSL's reasons.
WRONG_KEY = ("BINDER_DOES_NOT_VERIFY", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC")


class _Asked:
    """What OpenSSL has asked during one handshake, and was answered."""

    __slots__ = ("_keys", "identity", "unknown")

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys
        self.identity: str | None = None  # which has a key; a client may offer several (TLS 1.3)
        self.unknown: str | None = None

    def psk_server_callback(self, identity: str | None) -> bytes:
        """The key of `identity`, as ssl and sslpsk3 call it. It must not raise."""
        key = self._keys.get(identity or "", NO_KEY)
        if key:
            self.identity = identity
        else:
            self.unknown = identity or ""
        return key


class PskLayer(TlsLayer):
    """A TLS layer with a context of its own: so no session of another connection is resumed, of
    which OpenSSL would not say whose it was.

    Args:
        options: without its files, which are loaded in `keys`.
        keys:    by identity.
    """

    __slots__ = ("_asked",)

    def __init__(self, options: TlsOptions, keys: Mapping[str, bytes]) -> None:
        self._asked = asked = _Asked(keys)
        context = psk_context(options)
        native: Any = getattr(context, "set_psk_server_callback", None)
        if native is not None:
            native(asked.psk_server_callback, options.psk_hint or None)
        super().__init__(context)
        if native is None:
            _set_callback(self._tls, asked, options.psk_hint)

    def _shake(self) -> None:
        try:
            super()._shake()
        except SystemError as error:  # of Python before 3.13
            self._over = True
            raise TlsFailure(NOT_UTF_8) from error

    def _shaken(self) -> None:
        super()._shaken()
        # `ciphers` may allow others, which know nobody.
        if not (self._tls.session_reused or "PSK" in self.cipher) or self._asked.identity is None:
            self._over = True
            self.handshake_done = False
            raise TlsFailure("the client has not used a pre-shared key")
        self.peer_common_name = self.peer_subject = self._asked.identity

    def _words(self, error: ssl.SSLError) -> str:
        asked = self._asked
        if not self.handshake_done:
            if asked.identity is None and asked.unknown is not None:
                return f"there is no pre-shared key for {asked.unknown!r}"
            if asked.identity is not None and error.reason in WRONG_KEY:
                return f"the client has another pre-shared key for {asked.identity!r}"
            if error.reason == "PSK_IDENTITY_NOT_FOUND":  # nobody has asked us for it
                return NOT_UTF_8
            if error.reason in ("NO_SHARED_CIPHER", "NO_SUITABLE_SIGNATURE_ALGORITHM"):
                return "the client offers no pre-shared key that can be used here"
        return super()._words(error)


def _set_callback(end: Any, asked: _Asked, hint: str) -> None:
    from sslpsk3.sslpsk3 import _sslpsk3, get_ssl_socket, psk_contexts

    inner = get_ssl_socket(end)
    _sslpsk3.sslpsk3_set_accept_state(inner)
    _sslpsk3.sslpsk3_use_psk_identity_hint(inner, hint)
    address = _sslpsk3.sslpsk3_set_psk_server_callback(inner)
    psk_contexts[address] = asked
    # The package keeps them for ever, and the next connection may have the same address.
    weakref.finalize(end, psk_contexts.pop, address, None).atexit = False


def psk_layers(options: TlsOptions, keys: Mapping[str, bytes]) -> Callable[[], PskLayer]:
    """What makes the layers of a listener.

    Raises:
        TlsConfigError: an option that cannot be had, or this Python has no PSK after all.
    """

    def make() -> PskLayer:
        return PskLayer(options, keys)

    try:
        make()
    except (ImportError, AttributeError, NotImplementedError) as error:
        raise TlsConfigError(
            "psk_hint", f"TLS-PSK cannot be had from this Python: {error}"
        ) from None
    return make
