"""The HTTP that opens a WebSocket (RFC 6455, section 4; RFC 7230, section 3), for both ends.

Strict where leniency lets two readers differ: no folded headers, no bare line feeds, no space
before a colon, no body. The path is of no account (6: "The WebSocket URI ... has no impact on the
MQTT protocol").
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from formats.errors import ProtocolViolation, Rule

MAXIMUM_HEAD = 8192  # bytes
MAXIMUM_HEADERS = 100
# The best first; `mqttv3.1` is what clients of 3.1 offered before `mqtt` was registered.
SUBPROTOCOLS = ("mqtt", "mqttv3.1")
WEBSOCKET_VERSION = "13"
ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

BAD_REQUEST = 400
FORBIDDEN = 403
METHOD_NOT_ALLOWED = 405
UPGRADE_REQUIRED = 426
HEAD_TOO_LARGE = 431
VERSION_NOT_SUPPORTED = 505

REASONS = {
    BAD_REQUEST: "Bad Request",
    FORBIDDEN: "Forbidden",
    METHOD_NOT_ALLOWED: "Method Not Allowed",
    UPGRADE_REQUIRED: "Upgrade Required",
    HEAD_TOO_LARGE: "Request Header Fields Too Large",
    VERSION_NOT_SUPPORTED: "HTTP Version Not Supported",
}
EXTRA_HEADERS = {
    METHOD_NOT_ALLOWED: "Allow: GET\r\n",
    UPGRADE_REQUIRED: (f"Upgrade: websocket\r\nSec-WebSocket-Version: {WEBSOCKET_VERSION}\r\n"),
}

HTTP_HANDSHAKE = Rule(0x81, "", "", "HTTP that opens no WebSocket")
HTTP_SUBPROTOCOL = Rule(
    0x81, "MQTT-6.0.0-3", "MQTT-6.0.0-3", "WebSocket request without the subprotocol mqtt"
)
HTTP_SUBPROTOCOL_ANSWER = Rule(
    0x81, "MQTT-6.0.0-4", "MQTT-6.0.0-4", "WebSocket answer without the subprotocol mqtt"
)

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rf"({TOKEN}) ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)")
STATUS_LINE = re.compile(r"HTTP/1\.1 (\d\d\d)(?: .*)?")
HEADER = re.compile(rf"({TOKEN}):[ \t]*(.*?)[ \t]*")
# No part of a head: control characters, and line ends of one character.
FORBIDDEN_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")


class HttpError(ProtocolViolation):
    """What arrived does not open a WebSocket; a server answers with `status` and these words."""

    def __init__(self, status: int, reason: str, rule: Rule = HTTP_HANDSHAKE) -> None:
        super().__init__(rule, reason)
        self.status = status
        self.reason = reason


class Head(NamedTuple):
    """Headers in their order, names in lower case."""

    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def tokens(self, name: str) -> list[str]:
        """The items of a header that is a list, in one line or in several."""
        items = ",".join(self.values(name)).split(",")
        return [item.strip(" \t") for item in items if item.strip(" \t")]


class Request(NamedTuple):
    """The head of a request; `length` is its size in bytes, with the empty line."""

    method: str
    target: str
    version: str
    head: Head
    length: int


class Accepted(NamedTuple):
    """A server's agreement; `length` is the size of its head in bytes, with the empty line."""

    subprotocol: str
    length: int


def _read_lines(data: bytes, limit: int) -> tuple[list[str], int] | None:
    """The lines of a head and its size; None while it is not whole."""
    stop = data.find(b"\r\n\r\n", 0, limit)
    head = data[:stop] if stop >= 0 else data[:limit]
    found = FORBIDDEN_BYTES.search(head)
    if found:
        raise HttpError(BAD_REQUEST, f"byte 0x{head[found.start()]:02x} in the head of HTTP")
    if stop >= 0:
        return head.decode("latin-1").split("\r\n"), stop + 4
    if len(data) >= limit:
        raise HttpError(HEAD_TOO_LARGE, f"head of HTTP over {limit} bytes")
    return None


def _read_headers(lines: list[str]) -> Head:
    if len(lines) > MAXIMUM_HEADERS:
        raise HttpError(HEAD_TOO_LARGE, f"{len(lines)} headers, limit {MAXIMUM_HEADERS}")
    headers = []
    for line in lines:
        match = HEADER.fullmatch(line)
        if match is None:
            raise HttpError(BAD_REQUEST, f"no header: {line[:80]!r}")
        headers.append((match[1].lower(), match[2]))
    return Head(tuple(headers))


def parse_request(data: bytes, limit: int = MAXIMUM_HEAD) -> Request | None:
    """The request that `data` begins with; None while its head is not whole.

    Raises:
        HttpError: it is no HTTP/1 request, or has more than `limit` bytes.
    """
    read = _read_lines(data, limit)
    if read is None:
        return None
    lines, length = read
    line = REQUEST_LINE.fullmatch(lines[0])
    if line is None:
        raise HttpError(BAD_REQUEST, f"no request line of HTTP: {lines[0][:80]!r}")
    if line[3] != "1":
        raise HttpError(VERSION_NOT_SUPPORTED, f"HTTP/{line[3]}.{line[4]}")
    head = _read_headers(lines[1:])
    return Request(line[1], line[2], f"HTTP/1.{line[4]}", head, length)


def accept_key(key: str) -> str:
    """What Sec-WebSocket-Accept says to Sec-WebSocket-Key (4.2.2)."""
    digest = hashlib.sha1(key.encode("latin-1") + ACCEPT_SUFFIX, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def choose_subprotocol(request: Request, subprotocols: Sequence[str] = SUBPROTOCOLS) -> str | None:
    """The first of `subprotocols` that the client offers, so `mqtt` whenever it does."""
    offered = request.head.tokens("sec-websocket-protocol")
    return next((name for name in subprotocols if name in offered), None)


def upgrade_response(
    request: Request,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    origins: Sequence[str] = (),
) -> bytes:
    """The answer that opens the WebSocket; no extension is ever accepted.

    Args:
        origins: who may ask, as Origin says it; empty for anybody.

    Raises:
        HttpError: the request is not for a WebSocket with one of `subprotocols`.
    """
    head = request.head
    _check_upgrade(request)
    if head.values("sec-websocket-version") != [WEBSOCKET_VERSION]:
        versions = ", ".join(head.values("sec-websocket-version"))
        raise HttpError(UPGRADE_REQUIRED, f"Sec-WebSocket-Version {versions or 'is missing'}")
    keys = head.values("sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HttpError(BAD_REQUEST, f"Sec-WebSocket-Key {', '.join(keys)[:80] or 'is missing'}")
    if origins and not set(head.values("origin")) & set(origins):
        origin = ", ".join(head.values("origin"))[:80]
        raise HttpError(FORBIDDEN, f"Origin {origin or 'is missing'}")
    subprotocol = choose_subprotocol(request, subprotocols)
    if subprotocol is None:  # [MQTT5-6.0.0-3] [MQTT3-6.0.0-3]
        offered = ", ".join(head.tokens("sec-websocket-protocol"))[:80] or "nothing"
        raise HttpError(
            BAD_REQUEST,
            f"Sec-WebSocket-Protocol offers {offered}, expected {subprotocols[0]}",
            HTTP_SUBPROTOCOL,
        )
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(keys[0])}\r\n"
        f"Sec-WebSocket-Protocol: {subprotocol}\r\n"  # [MQTT5-6.0.0-4] [MQTT3-6.0.0-4]
        "\r\n"
    ).encode("latin-1")


def _check_upgrade(request: Request) -> None:
    """It is a whole request to become a WebSocket, and not for a page."""
    head = request.head
    if request.method != "GET":
        raise HttpError(METHOD_NOT_ALLOWED, f"HTTP {request.method}; a WebSocket opens with GET")
    if "websocket" not in [token.lower() for token in head.tokens("upgrade")]:
        raise HttpError(UPGRADE_REQUIRED, f"HTTP GET {request.target[:80]} without Upgrade")
    if request.version != "HTTP/1.1":
        raise HttpError(VERSION_NOT_SUPPORTED, f"{request.version}; a WebSocket needs HTTP/1.1")
    if "upgrade" not in [token.lower() for token in head.tokens("connection")]:
        raise HttpError(BAD_REQUEST, "Connection does not say Upgrade")
    if len(head.values("host")) != 1:
        raise HttpError(BAD_REQUEST, f"{len(head.values('host'))} Host headers")
    # What came after such a head would be a body to one reader and frames to another.
    if head.values("transfer-encoding") or set(head.values("content-length")) - {"0"}:
        raise HttpError(BAD_REQUEST, "a request with a body")


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def error_response(error: HttpError) -> bytes:
    """The answer to a request that opens no WebSocket, for a person with a browser to read."""
    body = (
        "This is an MQTT broker. It speaks MQTT over WebSocket (subprotocol mqtt) here.\n"
        f"{error.reason}\n"
    ).encode()
    connection = "Upgrade, close" if error.status == UPGRADE_REQUIRED else "close"
    return (
        f"HTTP/1.1 {error.status} {REASONS[error.status]}\r\n"
        f"{EXTRA_HEADERS.get(error.status, '')}"
        f"Connection: {connection}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\n"
        "\r\n"
    ).encode("latin-1") + body


def upgrade_request(
    host: str, path: str, key: str, subprotocols: Sequence[str] = SUBPROTOCOLS[:1]
) -> bytes:
    """A client's request; `key` is base64 of 16 random bytes. Nothing is checked."""
    offered = f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}\r\n" if subprotocols else ""
    return (
        f"GET {path} HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Version: {WEBSOCKET_VERSION}\r\n"
        f"{offered}"
        "\r\n"
    ).encode("latin-1")


def check_upgrade_response(
    data: bytes,
    key: str,
    subprotocols: Sequence[str] = SUBPROTOCOLS[:1],
    limit: int = MAXIMUM_HEAD,
) -> Accepted | None:
    """What the server has agreed to, for the request with `key`; None while it is not whole.

    Raises:
        HttpError: it refuses, or agrees to something else (4.1). `status` is the server's.
    """
    read = _read_lines(data, limit)
    if read is None:
        return None
    lines, length = read
    line = STATUS_LINE.fullmatch(lines[0])
    if line is None:
        raise HttpError(BAD_REQUEST, f"no status line of HTTP/1.1: {lines[0][:80]!r}")
    status = int(line[1])
    if status != 101:
        raise HttpError(status, f"the server answers {lines[0][9:89]}")
    head = _read_headers(lines[1:])
    if [token.lower() for token in head.tokens("upgrade")] != ["websocket"]:
        raise HttpError(status, "Upgrade of the answer is not websocket")
    if "upgrade" not in [token.lower() for token in head.tokens("connection")]:
        raise HttpError(status, "Connection of the answer does not say Upgrade")
    if head.values("sec-websocket-accept") != [accept_key(key)]:
        raise HttpError(status, "Sec-WebSocket-Accept is not for our key")
    if head.values("sec-websocket-extensions"):
        raise HttpError(status, "the answer accepts an extension that was not offered")
    chosen = head.values("sec-websocket-protocol")
    if len(chosen) != 1 or chosen[0] not in subprotocols:
        raise HttpError(
            status, f"subprotocol {', '.join(chosen) or 'is missing'}", HTTP_SUBPROTOCOL_ANSWER
        )
    return Accepted(chosen[0], length)
