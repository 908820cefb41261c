"""The client's end of a connection that never waits: TCP, TLS, WebSocket, and that over TLS."""

import contextlib
import os
import selectors
import socket
import ssl

from formats.http import upgrade_request
from formats.websocket import BINARY, CLOSE, FrameReader, encode_frame

TRANSPORTS = ("tcp", "ws", "tls", "wss")
READ_SIZE = 1 << 16
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LIMIT = 1 << 28


class Wire:
    """One network connection.

    Args:
        selector: watches its socket, with `owner` as the data.
        tls:      a context of the client's, for "tls" and "wss".
    """

    def __init__(self, selector, owner, transport, port, tls):
        self._selector = selector
        self.owner = owner
        self.transport = transport
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self._out = bytearray()
        self._tls = None
        if transport in ("tls", "wss"):
            self._from_peer, self._to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = tls.wrap_bio(self._from_peer, self._to_peer, server_hostname="localhost")
        self._shaken = self._tls is None
        self._early = b""  # until the handshake of TLS is done
        self._frames = None
        self._head = None
        if transport in ("ws", "wss"):
            self._frames = FrameReader(LIMIT, masked_expected=False)
            self._head = b""
            self._down(upgrade_request("localhost", "/mqtt", KEY, ("mqtt",)))
        self._interest = selectors.EVENT_READ
        self._paused = False
        self._finishing = False
        selector.register(self.sock, self._interest, self)
        self._shake()
        self.flush()

    def _watch(self):
        if self.sock.fileno() < 0:
            return
        interest = (0 if self._paused else selectors.EVENT_READ) | (
            selectors.EVENT_WRITE if self._out else 0
        )
        if interest == self._interest:
            return
        if not interest:
            self._selector.unregister(self.sock)
        elif not self._interest:
            self._selector.register(self.sock, interest, self)
        else:
            self._selector.modify(self.sock, interest, self)
        self._interest = interest

    def pause(self, paused):
        """Read nothing for a while, or go on."""
        self._paused = paused
        self._watch()

    def send(self, data):
        """Bytes of MQTT."""
        if self._frames is not None:
            data = encode_frame(BINARY, data, mask=os.urandom(4))
        self._down(data)
        self.flush()

    def _down(self, data):
        if self._tls is None:
            self._out += data
        elif not self._shaken:
            self._early += data
        else:
            self._tls.write(data)
            self._out += self._to_peer.read()

    def _shake(self):
        if self._shaken:
            return
        try:
            self._tls.do_handshake()
            self._shaken = True
        except ssl.SSLWantReadError:
            pass
        self._out += self._to_peer.read()
        if self._shaken and self._early:
            early, self._early = self._early, b""
            self._down(early)

    def flush(self):
        """Send what the network takes now."""
        with contextlib.suppress(BlockingIOError):
            try:
                while self._out:
                    del self._out[: self.sock.send(self._out)]
                if self._finishing:
                    self._finishing = False
                    self.sock.shutdown(socket.SHUT_WR)
            except (ConnectionResetError, BrokenPipeError):
                self._out.clear()  # reading tells
            except OSError:
                pass  # the broker has closed before the shutdown
        self._watch()

    def finish(self):
        """Send no more after what was sent; what comes is still read."""
        self._finishing = True
        self.flush()

    def receive(self):
        """Bytes of MQTT that have come; None once the broker has closed."""
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            return None
        if not data:
            return None
        if self._tls is not None:
            data = self._decrypted(data)
        return self._unframed(data) if data and self._frames is not None else data

    def _decrypted(self, data):
        self._from_peer.write(data)
        self._shake()
        parts = []
        if self._shaken:
            try:
                while part := self._tls.read(READ_SIZE):
                    parts.append(part)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                pass
        self.flush()
        return b"".join(parts)

    def _unframed(self, data):
        if self._head is not None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return b""
            assert b" 101 " in head.splitlines()[0], head
            self._head = None
        plain = self._frames.feed(data) if data else b""
        closed = any(control.opcode == CLOSE for control in self._frames.take_controls())
        return plain if plain or not closed else None

    def close(self):
        """The network fails, as far as the broker can tell."""
        if self.sock.fileno() >= 0:
            if self._interest:
                self._selector.unregister(self.sock)
            self.sock.close()
