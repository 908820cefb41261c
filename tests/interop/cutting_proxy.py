"""A TCP proxy that breaks the connection of a client at a packet that the test has chosen.

It looks into MQTT and into WebSocket frames, not into TLS. A client chooses for itself, by a
PUBLISH to `cut/N` that passes the proxy, or the test does, with `arm`. What arms it arrives.

Threads: one accepts; each connection has two, one for each direction.
"""

import contextlib
import socket
import threading
from typing import NamedTuple

from tests.interop.broker_process import DEADLINE_S

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ = 2, 3, 4, 5, 6, 7, 12
CLIENT, BROKER = "client", "broker"
COMMAND = b"\x05cut/"  # in a PUBLISH: a topic of five characters, the last of them a number


class Cut(NamedTuple):
    """The connection breaks at the `number`-th packet of this type from this side, counted from
    when it was armed; the packet is lost with all behind it, or the last that arrives."""

    sender: str
    packet_type: int
    number: int = 2
    arrives: bool = False


# Every packet of the flows of QoS 1 and 2 that can be lost, and one connection that ends between
# two packets, in both directions.
CUTS = (
    Cut(BROKER, PUBACK),
    Cut(BROKER, PUBREC),
    Cut(BROKER, PUBCOMP),
    Cut(CLIENT, PUBREL),
    Cut(CLIENT, PUBACK),
    Cut(CLIENT, PUBREC),
    Cut(CLIENT, PUBCOMP),
    Cut(BROKER, PUBREL, 3, arrives=True),
    Cut(CLIENT, PUBLISH, 5),
)

CUTS_ANEW = (0, 2)  # of those: for a client whose session is gone when it comes back


class CuttingProxy:
    """In front of one port of a broker, in a `with` block.

    Attributes:
        port: where clients connect.
        fired: the cuts that were made, in order.
    """

    def __init__(self, broker_port):
        self._broker_port = broker_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.fired = []
        self._changed = threading.Condition()
        self._seen = {}  # (sender, packet type) -> how many
        self._cut, self._left = None, 0
        self._sockets = set()
        self._threads = []

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_error):
        # On Linux a close alone does not wake up who accepts.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in list(self._sockets):
            _break(one)
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self._broker_port)) as broker:
            pair = client, broker
            self._sockets.update(pair)
            for one in pair:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pass_on, args=(BROKER, broker, client))
            back.start()
            self._pass_on(CLIENT, client, broker)
            back.join()
            self._sockets.difference_update(pair)

    def _pass_on(self, sender, source, target):
        units = Units()
        try:
            while data := source.recv(65_536):
                for unit, packets in units.feed(data):
                    arrives, breaks = self._look(sender, packets)
                    if arrives:
                        target.sendall(unit)
                    if breaks:
                        return
        except OSError:
            pass
        finally:
            for one in (source, target):
                _break(one)

    def _look(self, sender, packets):
        """Whether packets arrive, and whether the connection breaks behind them."""
        with self._changed:
            arrives, breaks = True, False
            for packet_type, start in packets:
                self._seen[sender, packet_type] = self._seen.get((sender, packet_type), 0) + 1
                cut = self._cut
                if cut and (cut.sender, cut.packet_type) == (sender, packet_type):
                    self._left -= 1
                    if not self._left:
                        self._cut = None
                        self.fired.append(cut)
                        arrives, breaks = cut.arrives, True
                place = start.find(COMMAND)
                if packet_type == PUBLISH and sender == CLIENT and place >= 0:
                    self._arm(CUTS[int(start[place + len(COMMAND) :][:1])])
            self._changed.notify_all()
            return arrives, breaks

    def _arm(self, cut):
        self._cut, self._left = cut, cut.number

    def arm(self, cut):
        with self._changed:
            self._arm(cut)

    def await_packets(self, sender, packet_type, number):
        """Wait until so many packets of this type have passed."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._seen.get((sender, packet_type), 0) >= number, DEADLINE_S
            ), self._seen


def _break(one):
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


class Units:
    """What one side sends, in pieces that arrive or get lost as a whole: MQTT packets, or frames of
    WebSocket; each with the (type, first bytes) of the packets that end in it."""

    def __init__(self):
        self._data = bytearray()
        self._websocket = None
        self._mqtt = bytearray()

    def feed(self, data):
        self._data += data
        if self._websocket is None:
            self._websocket = self._data[:1] in (b"G", b"H")
            if self._websocket:
                self._next = self._head
        next_unit = self._next
        while (unit := next_unit()) is not None:
            yield unit
            next_unit = self._next

    def _next(self):
        size = _packet_size(self._data)
        if not size:
            return None
        packet = _take(self._data, size)
        return packet, [(packet[0] >> 4, packet[:16])]

    def _head(self):
        """Request or response, which end with an empty line."""
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        self._next = self._frame
        return _take(self._data, end + 4), []

    def _frame(self):
        data = self._data
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length > 125:
            start = 4 if length == 126 else 10
            if len(data) < start:
                return None
            length = int.from_bytes(data[2:start], "big")
        mask = b""
        if data[1] & 0x80:
            mask, start = data[start : start + 4], start + 4
        if len(data) < start + length:
            return None
        frame = _take(data, start + length)
        if frame[0] & 15 > 2:  # close, ping, pong
            return frame, []
        payload = frame[start:]
        if mask:
            key = (bytes(mask) * (length // 4 + 1))[:length]
            whole = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
            payload = whole.to_bytes(length, "big")
        self._mqtt += payload
        packets = []
        while size := _packet_size(self._mqtt):
            packet = _take(self._mqtt, size)
            packets.append((packet[0] >> 4, packet[:16]))
        return frame, packets


def _take(data, size):
    taken = bytes(data[:size])
    del data[:size]
    return taken


def _packet_size(data):
    """Of the first packet; 0 while it is not whole."""
    size = 0
    for place in range(1, min(len(data), 5)):
        size |= (data[place] & 0x7F) << 7 * (place - 1)
        if not data[place] & 0x80:
            size += place + 1
            return size if len(data) >= size else 0
    return 0
