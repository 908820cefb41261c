"""What lies between the bytes of a network connection and those of MQTT.

Plain TCP has no layer, TLS one, WebSocket over TLS two. A layer knows no socket and never waits:
it is given what arrived, and says what is to be sent.
"""

from typing import Protocol


class Layer(Protocol):
    """One end of one connection.

    After it has raised or said `closed_by_peer`, or after `close`, `received` has nothing more for
    the layer above. Until `close`, and until `pending` has handed out a closing frame, last words
    may still be sent.
    """

    @property
    def closed_by_peer(self) -> bool:
        """The peer has said, in the layer's own words, that it sends nothing more."""

    @property
    def salvaged(self) -> bytes:
        """What the `received` that raised had found for the layer above before the failure."""

    def received(self, data: bytes) -> bytes:
        """Bytes for the layer above, b"" until there are some.

        Raises:
            ProtocolViolation: the peer broke the layer's rules; `pending` has our last words.
        """

    def to_send(self, data: bytes) -> bytes:
        """Bytes for the layer below that carry `data`, and what was pending before them.

        b"" for b"", and when the layer can carry nothing: before its handshake, after its close.
        """

    def pending(self) -> bytes:
        """Bytes that the layer itself wants to send, such as a handshake reply, taken out."""

    def close(self) -> bytes:
        """The layer's last bytes: what is pending, and how it says goodbye. b"" the second time."""
