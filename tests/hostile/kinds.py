"""Connections that take a place and give nothing: what each of them sends, and how slowly."""

from dataclasses import dataclass

from formats.http import upgrade_request
from formats.mqtt import codec
from formats.mqtt.connect import Connect

CONNECT = codec.encode(Connect(5, "slow", True, 0), 5)
UPGRADE = upgrade_request("localhost", "/mqtt", "dGhlIHNhbXBsZSBub25jZQ==", ("mqtt",))
# The header of a TLS record with a ClientHello of 512 bytes, and where that begins (RFC 8446, 4).
CLIENT_HELLO = bytes.fromhex("16 0301 0200 01 0001fc 0303") + bytes(508)


@dataclass(frozen=True)
class Kind:
    """Who does not get as far as a CONNECT.

    Attributes:
        transport: of the listener that it knocks at, as `Site` has it.
        first:     what it sends at once.
        drip:      what it sends of this one byte a second, and it never comes to the end.
    """

    name: str
    transport: str = "tcp"
    first: bytes = b""
    drip: bytes = b""


KINDS = (
    Kind("says nothing"),
    Kind("half a CONNECT", first=CONNECT[:7]),
    Kind("a CONNECT, one byte a second", drip=bytes((0x10, 0xFF, 0x01)) + CONNECT[2:] * 10),
    Kind("half a WebSocket upgrade", first=UPGRADE[:-2]),
    Kind("a WebSocket upgrade, one byte a second", drip=UPGRADE),
    Kind("a WebSocket that says nothing", first=UPGRADE),
    Kind("a WebSocket frame that never ends", first=UPGRADE + b"\x82\xff" + bytes(6) + b"\x10"),
    Kind("nothing at a TLS listener", "tls"),
    Kind("half a TLS handshake", "tls", CLIENT_HELLO[:100]),
    Kind("a TLS handshake, one byte a second", "tls", drip=CLIENT_HELLO),
)
