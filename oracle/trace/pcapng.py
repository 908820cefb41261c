"""A trace as a capture file that Wireshark reads: pcapng (draft-ietf-opsawg-pcapng).

It has the MQTT bytes as they left TLS and WebSocket, in TCP segments that are made up. The server's
port is 1883 whatever the listener's, because there Wireshark looks for MQTT without being told; the
listener is the interface of the capture (`frame.interface_name == "listener 8883"`). The first
segment's comment says number, transport and listener of a connection, the last one's why it ended.
As in any capture, passwords can be read.
"""

from pathlib import Path

from oracle.trace.output import RECEIVED, Output, Traced
from oracle.trace.segments import Stream, parse_address, server_for

MQTT_PORT = 1883
LINKTYPE_RAW = 101  # packets begin with an IPv4 or IPv6 header
SECTION_HEADER, INTERFACE_DESCRIPTION, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
# Options: every block has comments, the others are of the blocks named.
END_OF_OPTIONS, COMMENT = 0, 1
USER_APPLICATION = 4  # Section Header
INTERFACE_NAME, TIME_RESOLUTION = 2, 9  # Interface Description
FLAGS = 2  # Enhanced Packet
MICROSECONDS = 6
INBOUND, OUTBOUND = 1, 2  # FLAGS, by direction: from the client, from the server
LONGEST_COMMENT = 1000  # characters


class Pcapng(Output):
    """Writes a pcapng file."""

    wants_packets = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._interfaces: dict[int, int] = {}  # by the listener's port
        self._streams: dict[int, Stream] = {}  # by the connection's number
        self._on_1883: dict[str, int] = {}  # by the client's address, the connection's number
        head = number(BYTE_ORDER_MAGIC, 4) + number(1, 2) + number(0, 2) + b"\xff" * 8
        self.file.write(block(SECTION_HEADER, head, option(USER_APPLICATION, b"Touchstone")))

    def opened(self, connection: Traced, at: float) -> None:
        client, port = parse_address(connection.address)
        if not port:
            port = connection.number % 0xFFFF + 1
        # One client port may be connected to two listeners at the same time.
        owner = self._on_1883.setdefault(connection.address, connection.number)
        server_port = MQTT_PORT if owner == connection.number else connection.listener_port
        stream = Stream(connection.number, (client, port), (server_for(client), server_port))
        self._streams[connection.number] = stream
        comment = (
            f"connection {connection.number}, {connection.transport}, "
            f"listener {connection.listener_port}"
        )
        self._write(connection, at, stream.open(), comment)

    def passed(self, connection: Traced, at: float, direction: str, data: bytes) -> None:
        stream = self._streams.get(connection.number)
        if stream:
            self._write(connection, at, stream.send(0 if direction == RECEIVED else 1, data))

    def ended(self, connection: Traced, at: float, words: str) -> None:
        stream = self._streams.pop(connection.number, None)
        if self._on_1883.get(connection.address) == connection.number:
            del self._on_1883[connection.address]
        if stream:
            self._write(connection, at, stream.close(), words)

    def _write(
        self, connection: Traced, at: float, segments: list[tuple[int, bytes]], comment: str = ""
    ) -> None:
        interface = self._interface(connection.listener_port)
        time = round(at * 1_000_000)
        for direction, packet in segments:
            size = number(len(packet), 4)
            head = number(interface, 4) + number(time >> 32, 4) + number(time & 0xFFFFFFFF, 4)
            options = option(FLAGS, number(OUTBOUND if direction else INBOUND, 4))
            if comment:
                options = option(COMMENT, comment[:LONGEST_COMMENT].encode()) + options
                comment = ""
            self.file.write(block(ENHANCED_PACKET, head + size + size + padded(packet), options))

    def _interface(self, listener_port: int) -> int:
        """The number of a listener's interface, which is described before its first use."""
        interface = self._interfaces.get(listener_port)
        if interface is None:
            interface = self._interfaces[listener_port] = len(self._interfaces)
            head = number(LINKTYPE_RAW, 2) + number(0, 2) + number(0, 4)  # packets of any length
            name = option(INTERFACE_NAME, f"listener {listener_port}".encode())
            options = name + option(TIME_RESOLUTION, bytes([MICROSECONDS]))
            self.file.write(block(INTERFACE_DESCRIPTION, head, options))
        return interface


def number(value: int, size: int) -> bytes:
    """A field of a block."""
    return value.to_bytes(size, "little")


def padded(data: bytes) -> bytes:
    """Filled up to 32 bits."""
    return data + bytes(-len(data) % 4)


def option(code: int, value: bytes) -> bytes:
    """One option of a block."""
    return number(code, 2) + number(len(value), 2) + padded(value)


def block(kind: int, body: bytes, options: bytes) -> bytes:
    """A whole block."""
    if options:
        options += number(END_OF_OPTIONS, 4)
    length = number(12 + len(body) + len(options), 4)
    return number(kind, 4) + length + body + options + length
