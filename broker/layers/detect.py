"""What a peer speaks, by its first bytes, so that the log can say what went wrong in words."""

from enum import Enum, auto
from typing import NamedTuple

CONNECT = 0x10
TLS_HANDSHAKE = b"\x16\x03"  # record type and major version (RFC 8446, section 5.1)
# Byte 1 of the packets that are not CONNECT and have the right flags (2.1.3, 3.1.1: 2.2.2). They
# are MQTT too: that they come too early is the connection's to say.
OTHER_PACKETS = {
    0x20: "CONNACK",
    **{0x30 | flags: "PUBLISH" for flags in range(16) if flags & 6 != 6},
    0x40: "PUBACK",
    0x50: "PUBREC",
    0x62: "PUBREL",
    0x70: "PUBCOMP",
    0x82: "SUBSCRIBE",
    0x90: "SUBACK",
    0xA2: "UNSUBSCRIBE",
    0xB0: "UNSUBACK",
    0xC0: "PINGREQ",
    0xD0: "PINGRESP",
    0xE0: "DISCONNECT",
    0xF0: "AUTH",
}
METHODS = (
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI ",  # HTTP/2
)
# What else is known to knock, longest first where one begins another.
STRANGERS = {
    b"PROXY ": "PROXY protocol header",
    b"\r\n\r\n\x00\r\nQUIT\n": "PROXY protocol header, version 2",
    b"SSH-": "SSH",
    b"RTSP/": "RTSP",
}
SHOWN = 16  # bytes


class Kind(Enum):
    MQTT = auto()
    HTTP = auto()
    TLS = auto()  # where it belongs
    TLS_ON_PLAIN = auto()
    PLAIN_ON_TLS = auto()
    UNKNOWN = auto()
    NEED_MORE = auto()


class Detected(NamedTuple):
    """`words` are for the log, where this kind is not what the port is for; may be empty."""

    kind: Kind
    words: str


NEED_MORE = Detected(Kind.NEED_MORE, "")
MQTT = Detected(Kind.MQTT, "")


def detect(first_bytes: bytes, tls: bool) -> Detected:
    """What a connection begins with.

    Args:
        first_bytes: what has arrived so far, from the beginning.
        tls:         it arrived on a TLS port and is not decrypted. What TLS has decrypted is
                     looked at with False.
    """
    if not first_bytes:
        return NEED_MORE
    if first_bytes[0] == CONNECT and not tls:  # what most of them begin with
        return MQTT
    if first_bytes[:2] == TLS_HANDSHAKE:
        if tls:
            return Detected(Kind.TLS, "")
        return Detected(Kind.TLS_ON_PLAIN, "TLS ClientHello on a plain port")
    if first_bytes == TLS_HANDSHAKE[:1]:
        return NEED_MORE
    found = _detect_plain(first_bytes)
    if tls and found.kind is Kind.MQTT:
        return Detected(Kind.PLAIN_ON_TLS, "plaintext MQTT on a TLS port")
    if tls and found.kind is Kind.HTTP:
        return Detected(Kind.PLAIN_ON_TLS, "plaintext HTTP request on a TLS port")
    return found


def _detect_plain(first_bytes: bytes) -> Detected:
    for method in METHODS:
        if first_bytes.startswith(method):
            name = method[:-1].decode("ascii")
            if name == "GET":
                return Detected(Kind.HTTP, "HTTP request on an MQTT port")
            return Detected(Kind.HTTP, f"HTTP {name} request on an MQTT port")
    for beginning, words in STRANGERS.items():
        if first_bytes.startswith(beginning):
            return Detected(Kind.UNKNOWN, words)
    # Before MQTT: "P" is a PUBREC too, until the next byte.
    if any(text.startswith(first_bytes) for text in (*METHODS, *STRANGERS)):
        return NEED_MORE
    byte1 = first_bytes[0]
    if byte1 & 0xF0 == CONNECT:  # wrong flags are for its decoder to name
        return MQTT
    name = OTHER_PACKETS.get(byte1, "")
    if name:
        return Detected(Kind.MQTT, f"{name} as the first packet")
    return Detected(Kind.UNKNOWN, f"first bytes {first_bytes[:SHOWN].hex(' ')} are no MQTT CONNECT")
