"""The client's end of a network connection: memory, TCP, TLS, WebSocket over either.

A wire has `send(data)`, `receive() -> bytes` (b"" once the broker has closed; waits with a
deadline) and `close()`.
"""

import contextlib
import os
import socket
import ssl

from broker.connection import Connection
from broker.entrance import Entrance
from formats.http import accept_key, upgrade_request
from formats.websocket import BINARY, CLOSE, FrameReader, encode_close, encode_frame

DEADLINE_S = 10.0


class MemoryWire:
    """No sockets: bytes go straight into the connection, on the test's own thread."""

    def __init__(self, site, index):
        self._site = site
        self._arrived = bytearray()
        self.unsent = 0
        self._shut = False
        self._paused = False
        self._waiting = []
        worker = site.workers[index]
        self.connection = Connection(
            worker, site.context, site.settings[index], self, f"memory:{id(self)}", site.handlers
        )
        self._entrance = Entrance(self.connection, None)

    # For the connection: a transport.

    def transport_send(self, data):
        if not self._shut:
            self._arrived += data

    def send_parts(self, parts, size):
        data = b"".join(parts)
        assert len(data) == size
        self.transport_send(data)

    def finish(self):
        self._shut = True

    def pause(self):
        self._paused = True

    def resume(self):
        self._paused = False

    # For the test.

    def send(self, data):
        if self._shut:
            return
        if self._paused:
            self._waiting.append(data)
        else:
            self.connection.worker.silence()
            self._entrance.received(data)
        self._site.settle()
        while self._waiting and not self._paused:
            self._entrance.received(self._waiting.pop(0))
            self._site.settle()

    def receive(self):
        self._site.settle()
        data = bytes(self._arrived)
        self._arrived.clear()
        if not data and not self._shut:
            raise AssertionError("nothing arrived, and nothing will")
        return data

    def close(self):
        if not self._shut:
            self._shut = True
            self.connection.lost("closed by the client")
            self._site.settle()


class _AsTransport:
    """A `MemoryWire` as its connection sees it: `send` there is the other direction."""

    def __init__(self, wire):
        self._wire = wire
        self.unsent = 0
        self.finish = wire.finish
        self.pause = wire.pause
        self.resume = wire.resume
        self.send = wire.transport_send
        self.send_parts = wire.send_parts


def memory_wire(site, index):
    wire = MemoryWire(site, index)
    wire.connection.transport = _AsTransport(wire)
    return wire


class SocketWire:
    """TCP, or TLS with a context."""

    def __init__(self, site, port, context=None):
        self._site = site
        raw = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = (
            raw if context is None else context.wrap_socket(raw, server_hostname="localhost")
        )

    def send(self, data):
        with contextlib.suppress(OSError):  # the broker has closed; `receive` tells
            self._sock.sendall(data)

    def receive(self):
        try:
            return self._sock.recv(65_536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return b""
        except TimeoutError:
            raise AssertionError(f"nothing arrived in {DEADLINE_S} s") from None

    def close(self):
        self._sock.close()


class WebSocketWire:
    """MQTT in binary frames over another wire."""

    def __init__(self, wire):
        self._wire = wire
        self._reader = FrameReader(1 << 30, masked_expected=False)
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        wire.send(upgrade_request("localhost", "/mqtt", key, ("mqtt",)))
        head = b""
        while b"\r\n\r\n" not in head:
            head += wire.receive()
        head, _, rest = head.partition(b"\r\n\r\n")
        assert b" 101 " in head.splitlines()[0]
        assert accept_key(key).encode() in head
        self._rest = rest

    def send(self, data):
        self._wire.send(encode_frame(BINARY, data, mask=os.urandom(4)))

    def send_raw(self, data):
        """Bytes below the frames."""
        self._wire.send(data)

    def receive(self):
        while True:
            data, self._rest = self._rest or self._wire.receive(), b""
            if not data:
                return b""
            plain = self._reader.feed(data)
            if plain:
                self._rest = b""
                return plain
            if any(control.opcode == CLOSE for control in self._reader.take_controls()):
                return b""

    def close(self):
        self._wire.close()

    def say_goodbye(self):
        """A close frame, without an MQTT DISCONNECT."""
        self._wire.send(encode_frame(CLOSE, encode_close(1000, b"")[2:], mask=b"\0\0\0\0"))
