"""What makes the TLS layers of a listener, and loads its files again while it runs.

Threads: the listener's makes layers; any other may `reload`, one at a time.
"""

from collections.abc import Callable
from functools import partial

from broker.layers.psk import psk_layers
from broker.layers.tls import TlsLayer
from broker.layers.tls_context import TlsConfigError, TlsOptions, server_context
from broker.psk_file import PskError, read_psk_file


class TlsMaker:
    """Called for each connection, it makes the layer of it.

    Raises:
        TlsConfigError: options that cannot be had, or files that cannot be used.
    """

    def __init__(self, options: TlsOptions) -> None:
        self._options = options
        self._make = _load(options)

    def __call__(self) -> TlsLayer:
        return self._make()

    def reload(self) -> str:
        """Load all files again, for connections from now on; sessions of before are not resumed.

        Returns:
            What is wrong with them, and then those of before stay in force; or "".
        """
        try:
            self._make = _load(self._options)
        except TlsConfigError as error:
            return str(error)
        return ""


def _load(options: TlsOptions) -> Callable[[], TlsLayer]:
    if not options.psk_file:
        return partial(TlsLayer, server_context(options))
    try:
        keys = read_psk_file(options.psk_file)
    except PskError as error:
        raise TlsConfigError("psk_file", str(error)) from None
    return psk_layers(options, keys)
