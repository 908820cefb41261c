"""From the bytes of the network to those of MQTT: what is spoken, and through which layers.

The first bytes decide: TLS where the listener has a certificate, then MQTT or an HTTP request for a
WebSocket [MQTT3-7.1.1-1]. Anything else is named in the log, in words, and closed.

Threads: belongs to the connection's worker.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.layers.detect import Kind, detect
from broker.layers.layer import Layer
from broker.layers.websocket import WebSocketLayer
from formats.errors import ProtocolViolation, Rule

if TYPE_CHECKING:
    from broker.layers.tls import TlsLayer

WRONG_PROTOCOL = Rule(0x81, "", "", "wrong protocol")


class Entrance:
    """The way in of one connection, until its layers are known and beyond.

    Args:
        tls:     makes the TLS layer of a listener that has a certificate; None for plain TCP.
        origins: those that a WebSocket client may have; any, if there are none.
    """

    __slots__ = ("_begun", "_connection", "_first", "_origins", "_tls", "_tls_layer")

    def __init__(
        self,
        connection: Connection,
        tls: "Callable[[], TlsLayer] | None",
        origins: tuple[str, ...] = (),
    ) -> None:
        self._connection = connection
        self._tls = tls
        self._tls_layer: TlsLayer | None = None
        self._origins = origins
        self._begun = False  # the protocol above TLS is known
        self._first = b""  # bytes that do not tell yet what they begin

    def received(self, data: bytes) -> None:
        """Take bytes of the network."""
        connection = self._connection
        if connection.ended:
            return
        try:
            if self._tls is not None and self._tls_layer is None:
                data = self._first + data
                kind, words = detect(data, tls=True)
                if kind is Kind.NEED_MORE:
                    self._first = data
                    return
                if kind is not Kind.TLS:
                    raise ProtocolViolation(WRONG_PROTOCOL, words)
                self._first = b""
                self._tls_layer = self._tls()
                connection.transport_name = "tls"
                connection.layers = (self._tls_layer,)
            self._climb(data, 0)
            connection.bound_output()  # pongs and TLS answers leave without a flush
        except ProtocolViolation as violation:
            # What the bytes of a layer show is not for MQTT to read, and of TLS for nobody.
            if self._tls_layer is None:
                connection.violated(violation, data, 0, len(data), mqtt=False)
            else:
                connection.violated(violation)
        except Exception:
            connection.failed()

    def _climb(self, data: bytes, place: int) -> None:
        """Pass bytes up from the layer at `place`."""
        connection = self._connection
        while place < len(connection.layers):
            layer = connection.layers[place]
            place += 1
            try:
                data = layer.received(data)
            except ProtocolViolation:
                try:
                    if layer.salvaged:
                        if layer is self._tls_layer:  # a CONNECT may be in it
                            self._identify(self._tls_layer)
                        self._climb(layer.salvaged, place)
                finally:
                    connection.send_down(layer.pending(), place - 1)
                raise
            connection.send_down(layer.pending(), place - 1)
            if layer is self._tls_layer:
                self._identify(self._tls_layer)
            if layer.closed_by_peer:
                if data:
                    self._climb(data, place)
                connection.leave(f"closed by the client ({connection.transport_name})")
                return
            if not data:
                return
        if self._begun:
            connection.received(data)
        else:
            self._begin(self._first + data)

    def _begin(self, data: bytes) -> None:
        kind, words = detect(data, tls=False)
        if kind is Kind.NEED_MORE:
            self._first = data
            return
        self._first = b""
        self._begun = True
        connection = self._connection
        if kind is Kind.HTTP:
            settings = connection.settings
            layer: Layer = WebSocketLayer(
                settings.maximum_packet_size + 16, settings.websockets_headers_size, self._origins
            )
            connection.layers = (*connection.layers, layer)
            connection.transport_name = "wss" if self._tls_layer is not None else "ws"
            self._climb(data, len(connection.layers) - 1)
        elif kind is Kind.MQTT:
            connection.received(data)
        else:
            raise ProtocolViolation(WRONG_PROTOCOL, words)

    @property
    def plain(self) -> bool:
        """Whether bytes of the network are from now on bytes of MQTT."""
        return self._begun and not self._connection.layers

    def _identify(self, layer: "TlsLayer") -> None:
        settings = self._connection.settings
        if settings.use_subject_as_username or settings.use_identity_as_username:
            self._connection.tls_identity = layer.identity(settings.use_subject_as_username)
