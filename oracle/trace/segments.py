"""TCP segments made up around bytes that came out of TLS, WebSocket or plain TCP.

IPv4 (RFC 791), IPv6 (RFC 8200) and TCP (RFC 9293) headers with the right numbers and checksums, so
that a protocol analyser can put the streams together again. What never was on a wire in this form
is made up: the server's address, handshake and end, the sizes of segments.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

SEGMENT = 32_768  # bytes of data at most in one
WINDOW_SHIFT = 14  # both sides allow 1 GiB, so nothing has to wait for an acknowledgement
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
TCP = 6  # the protocol's number
HEADER = 20  # bytes of a TCP header without options
# Maximum Segment Size, No-Operation, Window Scale (RFC 9293, 3.2; RFC 7323, 2.2)
SYN_OPTIONS = b"\x02\x04" + SEGMENT.to_bytes(2, "big") + b"\x01\x03\x03" + bytes([WINDOW_SHIFT])

Address = IPv4Address | IPv6Address

# For clients whose address is not one, and for a server whose clients come from other machines:
# addresses for documentation (RFC 5737, RFC 3849).
NOBODY = IPv4Address("192.0.2.2")
SERVER_4, SERVER_6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
LOOPBACK_4, LOOPBACK_6 = IPv4Address("127.0.0.1"), IPv6Address("::1")


def parse_address(address: str) -> tuple[Address, int]:
    """IP address and port of "host:port", with or without brackets; port 0 where there is none."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]").partition("%")[0]
    try:
        found: Address = ip_address(host)
    except ValueError:
        return NOBODY, 0
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found, int(port) & 0xFFFF if port.isdecimal() else 0


def server_for(client: Address) -> Address:
    """An address for the server, of the client's kind."""
    if isinstance(client, IPv4Address):
        return LOOPBACK_4 if client.is_loopback else SERVER_4
    return LOOPBACK_6 if client.is_loopback else SERVER_6


class Stream:
    """Both directions of one TCP connection.

    `number` makes its sequence numbers differ from those of others between the same ports.
    """

    __slots__ = ("_address", "_next", "_port")

    def __init__(
        self, number: int, client: tuple[Address, int], server: tuple[Address, int]
    ) -> None:
        # By direction: 0 from the client, 1 from the server.
        self._address = (client[0], server[0])
        self._port = (client[1], server[1])
        self._next = [number * 0x9E3779B1 & 0xFFFFFFFF, number * 0x85EBCA6B & 0xFFFFFFFF]

    def open(self) -> list[tuple[int, bytes]]:
        """The handshake. Like the others it gives (direction, IP packet) of each segment."""
        return [
            (0, self._segment(0, SYN, b"", SYN_OPTIONS)),
            (1, self._segment(1, SYN | ACK, b"", SYN_OPTIONS)),
            (0, self._segment(0, ACK, b"")),
        ]

    def send(self, direction: int, data: bytes) -> list[tuple[int, bytes]]:
        """Data from the client (0) or from the server (1)."""
        return [
            (direction, self._segment(direction, PSH | ACK, data[start : start + SEGMENT]))
            for start in range(0, len(data), SEGMENT)
        ]

    def close(self) -> list[tuple[int, bytes]]:
        """The end, as if the server had begun it."""
        return [
            (1, self._segment(1, FIN | ACK, b"")),
            (0, self._segment(0, FIN | ACK, b"")),
            (1, self._segment(1, ACK, b"")),
        ]

    def _segment(self, direction: int, flags: int, data: bytes, options: bytes = b"") -> bytes:
        source, target = self._address[direction], self._address[1 - direction]
        header = bytearray()
        header += self._port[direction].to_bytes(2, "big")
        header += self._port[1 - direction].to_bytes(2, "big")
        header += self._next[direction].to_bytes(4, "big")
        header += (self._next[1 - direction] if flags & ACK else 0).to_bytes(4, "big")
        header += bytes(((HEADER + len(options)) // 4 << 4, flags))
        header += b"\xff\xff\x00\x00\x00\x00"  # window, checksum, urgent pointer
        header += options
        length = len(header) + len(data)
        pseudo = source.packed + target.packed + length.to_bytes(4, "big") + TCP.to_bytes(4, "big")
        header[16:18] = checksum(pseudo + header + data)
        used = len(data) + (1 if flags & (SYN | FIN) else 0)
        self._next[direction] = self._next[direction] + used & 0xFFFFFFFF
        return ip_header(source, target, length) + bytes(header) + data


def ip_header(source: Address, target: Address, length: int) -> bytes:
    """The header for `length` bytes of TCP: don't fragment, 64 hops."""
    if isinstance(source, IPv6Address):
        head = b"\x60\x00\x00\x00" + length.to_bytes(2, "big") + bytes((TCP, 64))
        return head + source.packed + target.packed
    header = bytearray(b"\x45\x00" + (length + 20).to_bytes(2, "big") + b"\x00\x00\x40\x00")
    header += bytes((64, TCP, 0, 0)) + source.packed + target.packed
    header[10:12] = checksum(header)
    return bytes(header)


def checksum(data: bytes | bytearray) -> bytes:
    """The Internet checksum (RFC 1071): as 2^16 is 1 modulo 65,535, the sum is a remainder."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    return (0xFFFF - int.from_bytes(data, "big") % 0xFFFF).to_bytes(2, "big")
