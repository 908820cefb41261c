"""MQTT over WebSocket (chapter 6; RFC 6455): the server's end of one connection."""

from collections import deque
from collections.abc import Sequence

from formats.errors import ProtocolViolation, Rule
from formats.http import (
    HTTP_HANDSHAKE,
    MAXIMUM_HEAD,
    HttpError,
    Request,
    choose_subprotocol,
    error_response,
    parse_request,
    upgrade_response,
)
from formats.websocket import (
    BINARY,
    CLOSE,
    CLOSE_CODES,
    MAXIMUM_CONTROL,
    NORMAL,
    PING,
    PONG,
    FrameReader,
    encode_close,
    encode_frame,
)

# A peer that pings and does not read gets the latest only, as it is allowed (RFC 6455, 5.5.3).
PONGS = 16


class HandshakeRefused(ProtocolViolation):
    """The peer asked for no WebSocket, or for one that is not for MQTT."""

    def __init__(self, words: str, rule: Rule = HTTP_HANDSHAKE) -> None:
        super().__init__(rule, words)


class WebSocketLayer:
    """A layer, as `broker.layers.layer.Layer` has it.

    Attributes:
        request:     what the client asked for, for the log; None before it is whole.
        subprotocol: what was agreed; "" before.
    """

    __slots__ = (
        "_answer",
        "_close_sent",
        "_closing",
        "_head",
        "_maximum_frame",
        "_maximum_head",
        "_origins",
        "_over",
        "_pongs",
        "_reader",
        "closed_by_peer",
        "request",
        "salvaged",
        "subprotocol",
    )

    def __init__(
        self, maximum_frame: int, maximum_head: int = MAXIMUM_HEAD, origins: Sequence[str] = ()
    ) -> None:
        """`maximum_frame` and `maximum_head` are bytes; `origins` empty takes any."""
        self.closed_by_peer = False
        self.request: Request | None = None
        self.salvaged = b""
        self.subprotocol = ""
        self._maximum_frame = maximum_frame
        self._maximum_head = maximum_head
        self._origins = origins
        self._head = b""
        self._reader: FrameReader | None = None  # None before the handshake
        self._over = False  # nothing that arrives counts
        self._answer = b""
        self._pongs: deque[bytes] = deque(maxlen=PONGS)
        self._closing = b""  # a close frame that is still here, so that data may go before it
        self._close_sent = False

    def received(self, data: bytes) -> bytes:
        """The bytes of MQTT in `data`.

        Raises:
            HandshakeRefused: `pending` has the answer of HTTP.
            ProtocolViolation: a rule of `formats.websocket`; `pending` has the close frame.
        """
        if self._over:
            return b""
        reader = self._reader
        if reader is None:
            reader, data = self._shake_hands(data)
            if reader is None:
                return b""
        try:
            plain = reader.feed(data)
        except ProtocolViolation as violation:
            self._over = True
            self.salvaged = reader.salvaged
            self._answer_controls(reader)
            if self._close_sent:
                return b""
            self._queue_close(CLOSE_CODES[violation.rule], violation.rule.summary)
            raise
        if reader.controls:
            self._answer_controls(reader)
        return b"" if self._close_sent else plain  # after ours, only the peer's close counts

    def to_send(self, data: bytes) -> bytes:
        if not data or self._reader is None or self._close_sent:
            return b""
        frame = encode_frame(BINARY, data)  # [MQTT5-6.0.0-1] [MQTT3-6.0.0-1]
        return self._replies() + frame if self._answer or self._pongs else frame

    def pending(self) -> bytes:
        if self._closing:
            self._close_sent = True
        waiting = self._replies() + self._closing
        self._closing = b""
        return waiting

    def close(self, code: int = NORMAL, reason: str = "") -> bytes:
        """What is pending, and a close frame if none was sent; its code is that of a violation."""
        if self._reader is not None:
            self._queue_close(code, reason)
        else:
            self._over = True
        return self.pending()

    def _shake_hands(self, data: bytes) -> tuple[FrameReader | None, bytes]:
        self._head += data
        try:
            request = self.request = parse_request(self._head, self._maximum_head)
            if request is None:
                return None, b""
            self._answer = upgrade_response(request, origins=self._origins)
        except HttpError as error:
            self._over = True
            self._head = b""
            self._answer = error_response(error)
            raise HandshakeRefused(error.reason, error.rule) from None
        self.subprotocol = choose_subprotocol(request) or ""
        self._reader = FrameReader(self._maximum_frame)
        frames = self._head[request.length :]
        self._head = b""
        return self._reader, frames

    def _replies(self) -> bytes:
        replies = self._answer + b"".join(self._pongs)
        self._answer = b""
        self._pongs.clear()
        return replies

    def _answer_controls(self, reader: FrameReader) -> None:
        for control in reader.take_controls():
            if control.opcode == PING and not self._close_sent:
                self._pongs.append(encode_frame(PONG, control.payload))
            elif control.opcode == CLOSE:
                self.closed_by_peer = self._over = True
                self._queue_close(control.code, "")

    def _queue_close(self, code: int, reason: str) -> None:
        if not self._closing and not self._close_sent:
            shortened = reason.encode("utf-8")[: MAXIMUM_CONTROL - 2].decode("utf-8", "ignore")
            self._closing = encode_close(code, shortened.encode("utf-8"))
