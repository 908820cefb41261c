"""Rules of WebSocket, which carries MQTT, and of the HTTP that opens it."""

from formats.http import upgrade_request
from formats.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    encode_close,
    encode_frame,
)
from tests.harness.wires import SocketWire
from tests.verdicts.support import ALL, Case

MASK = b"\x01\x02\x03\x04"
PINGREQ = b"\xc0\0"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def frames(*parts):
    """A client that is connected sends these; the broker closes, or answers."""

    def act(stage):
        one = stage.client()
        for part in parts:
            one.wire.send_raw(part)
        one.wire.receive()
        return parts[-1]

    return act


def frame(opcode, payload=PINGREQ, fin=True, mask=MASK, reserved=0, length_size=0):
    return encode_frame(opcode, payload, fin, mask, reserved, length_size)


def upgrade(*subprotocols):
    def act(stage):
        wire = SocketWire(stage.site, stage.site.broker.ports[0])
        request = upgrade_request("localhost", "/mqtt", KEY, subprotocols)
        wire.send(request)
        wire.receive()
        wire.close()
        return request

    return act


LAWFUL = frames(frame(BINARY))
PONGS = frames(frame(PING) + frame(BINARY))
FRAGMENTS = frames(frame(BINARY, b"\xc0", fin=False), frame(CONTINUATION, b"\0"))

FRAMES = tuple(
    Case(rule, ALL, broken, lawful, seen, transport="ws")
    for rule, broken, lawful, seen in (
        ("UNMASKED_FRAME", frames(frame(BINARY, mask=None)), LAWFUL, ""),
        ("RESERVED_BITS", frames(frame(BINARY, reserved=4)), LAWFUL, "first byte 0xc2"),
        ("RESERVED_OPCODE", frames(frame(3)), LAWFUL, "opcode 3"),
        ("FRAGMENTED_CONTROL", frames(frame(PING, fin=False)), PONGS, "opcode 9"),
        (
            "CONTROL_TOO_LONG",
            frames(frame(PING, bytes(126))),
            frames(frame(PING, bytes(125)) + frame(BINARY)),
            "opcode 9",
        ),
        ("LONE_CONTINUATION", frames(frame(CONTINUATION)), FRAGMENTS, ""),
        (
            "UNFINISHED_MESSAGE",
            frames(frame(BINARY, b"\xc0", fin=False) + frame(BINARY, b"\0")),
            FRAGMENTS,
            "",
        ),
        ("TEXT_FRAME", frames(frame(TEXT)), LAWFUL, ""),
        ("LENGTH_NOT_MINIMAL", frames(frame(BINARY, length_size=2)), LAWFUL, "2 in 2 bytes"),
        (
            "LENGTH_HIGH_BIT",
            frames(b"\x82\xff\x80" + bytes(7) + MASK),
            LAWFUL,
            "0x8000000000000000",
        ),
        (
            "CLOSE_LENGTH",
            frames(frame(CLOSE, b"\x03")),
            frames(encode_close(1000, mask=MASK)),
            "",
        ),
        (
            "CLOSE_CODE",
            frames(encode_close(1006, mask=MASK)),
            frames(encode_close(1001, mask=MASK)),
            "1006",
        ),
        (
            "CLOSE_REASON",
            frames(encode_close(1000, b"\xff", MASK)),
            frames(encode_close(1000, b"bye", MASK)),
            "ff",
        ),
    )
)

LAYERS = (
    *FRAMES,
    Case(
        "HTTP_SUBPROTOCOL",
        ALL,
        upgrade("chat"),
        upgrade("chat", "mqtt"),
        "Sec-WebSocket-Protocol offers chat, expected mqtt",
        transport="tcp",
        known=False,
    ),
)
