"""What carries the packets: TCP, TLS 1.3, WebSocket, with one interface.

Where a selector waits, READ_SIZE bytes are asked for: that is room for all that one read of the
kernel brings, decrypted or out of its frames, so that nothing is left over that no selector sees.
"""

import os
import socket
import ssl
import struct
import sys
from typing import Protocol

from benchmarks.wire import READ_SIZE
from formats.websocket import BINARY, FrameReader, encode_frame

TCP, OTHER, TLS, WEBSOCKET = "tcp", "other", "tls", "websocket"  # keys of a broker's ports
STALL_S = 10.0  # a broker that says nothing for so long has lost something
RECORD_SIZE = 17 * 1024  # bytes, more than a TLS record has
TLS_ROOM = READ_SIZE - RECORD_SIZE  # asked of the kernel at once: part of a record may be there


class Connection(Protocol):
    """What the generator does with a connection; the names and errors are those of a socket."""

    def send(self, data: bytes | bytearray | memoryview, /) -> int: ...
    def send_encoded(self, data: bytes | bytearray | memoryview, /) -> int:
        """Send what is framed already."""

    def unsent(self) -> bool:
        """Whether something that was taken by `send` is still here, after trying to send it."""

    def sendall(self, data: bytes | bytearray, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def recv_into(self, buffer: memoryview, /) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def settimeout(self, value: float | None, /) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class TcpConnection(socket.socket):
    """A socket."""

    def send_encoded(self, data: bytes | bytearray | memoryview, /) -> int:
        return self.send(data)

    def unsent(self) -> bool:
        return False


class Wrapped:
    """What TLS and WebSocket have in common: bytes go through `_outward` and `_inward`."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self.out = b""
        self.plain = b""
        self.fileno = raw.fileno
        self.setblocking = raw.setblocking
        self.settimeout = raw.settimeout
        self.close = raw.close

    def _outward(self, data: bytes | bytearray | memoryview) -> bytes:
        raise NotImplementedError

    def _inward(self, data: bytes) -> bytes:
        raise NotImplementedError

    def send(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take all of `data`; what the kernel does not take waits for `unsent`."""
        if self.unsent():
            raise BlockingIOError
        self.out = self._outward(data)
        self.unsent()
        return len(data)

    send_encoded = send

    def unsent(self) -> bool:
        try:
            while self.out:
                self.out = self.out[self.raw.send(self.out) :]
        except BlockingIOError:
            return True
        return False

    def sendall(self, data: bytes | bytearray, /) -> None:
        self.raw.sendall(self.out + (self._outward(data) if data else b""))
        self.out = b""

    def recv(self, size: int, /) -> bytes:
        """Some bytes; b"" at the end of the connection.

        Raises:
            BlockingIOError: nothing yet, or not enough of it.
        """
        while not self.plain:
            arrived = self.raw.recv(TLS_ROOM)
            if not arrived:
                return b""
            self.plain = self._inward(arrived)
        taken, self.plain = self.plain[:size], self.plain[size:]
        return taken

    def recv_into(self, buffer: memoryview, /) -> int:
        taken = self.recv(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)


class TlsConnection(Wrapped):
    """TLS 1.3 in memory, so that many records cost one system call; nobody is verified."""

    def __init__(self, raw: socket.socket) -> None:
        super().__init__(raw)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(self.outgoing.read())
                self.incoming.write(raw.recv(READ_SIZE) or b"\0")
        raw.sendall(self.outgoing.read())

    def _outward(self, data: bytes | bytearray | memoryview) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()

    def _inward(self, data: bytes) -> bytes:
        self.incoming.write(data)
        parts = []
        try:
            while part := self.tls.read(RECORD_SIZE):
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        return b"".join(parts)


class WebSocketConnection(Wrapped):
    """MQTT in binary frames; what `send` gets is one frame, with a mask of its own."""

    REQUEST = (
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )

    def __init__(self, raw: socket.socket) -> None:
        super().__init__(raw)
        self.reader = FrameReader(2**30, masked_expected=False)
        raw.sendall(self.REQUEST)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = raw.recv(1)  # no byte more than the head, so that frames are left to `recv`
            if not part:
                break
            answer += part
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"no WebSocket: {answer[:60]!r}")

    def _outward(self, data: bytes | bytearray | memoryview) -> bytes:
        return encode_frame(BINARY, bytes(data), mask=os.urandom(4))

    def _inward(self, data: bytes) -> bytes:
        return self.reader.feed(data)

    def send_encoded(self, data: bytes | bytearray | memoryview, /) -> int:
        if self.unsent():
            raise BlockingIOError
        return self.raw.send(data)


def framed(packets: list[bytes]) -> list[bytes]:
    """Each packet in a frame, as a client sends it."""
    return [encode_frame(BINARY, packet, mask=os.urandom(4)) for packet in packets]


def open_connection(port: int, transport: str = TCP) -> Connection:
    """A connection to loopback, ready for a CONNECT."""
    raw = open_tcp(port)
    if transport == TLS:
        return TlsConnection(raw)
    return WebSocketConnection(raw) if transport == WEBSOCKET else raw


def open_tcp(port: int) -> TcpConnection:
    """A TCP connection to loopback without Nagle's delay."""
    raw = TcpConnection()
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "win32":
        raw.settimeout(STALL_S)
    else:  # the kernel's own time limit; `settimeout` would add a poll to every call
        limit = struct.pack("ll", int(STALL_S), 0)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    raw.connect(("127.0.0.1", port))
    return raw
