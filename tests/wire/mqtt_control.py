"""PINGREQ, PINGRESP, DISCONNECT, AUTH and what is no packet, on the wire."""

from formats.mqtt import rules
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    REASON_STRING,
    SESSION_EXPIRY_INTERVAL,
)
from tests.wire.mqtt import ALL, Wire

PING = (
    Wire("PINGREQ", ALL, "c0 00", Pingreq()),
    Wire("PINGRESP", ALL, "d0 00", Pingresp()),
    Wire("3.1 unused flags PINGREQ", (3,), "cf 00", Pingreq(), False),
    Wire("3.1 unused flags PINGRESP", (3,), "d8 00", Pingresp(), False),
    Wire("flags PINGREQ", (4, 5), "c1 00", rules.FLAGS_RESERVED),
    Wire("flags PINGRESP", (4, 5), "d8 00", rules.FLAGS_RESERVED),
    Wire("PINGREQ with body", ALL, "c0 01 00", rules.TRAILING_BYTES),
    Wire("PINGRESP with body", ALL, "d0 01 00", rules.TRAILING_BYTES),
)  # fmt: skip

DISCONNECT = (
    Wire("short", ALL, "e0 00", Disconnect()),
    Wire("with will", (5,), "e0 01 04", Disconnect(0x04)),
    Wire("reason 0 written", (5,), "e0 01 00", Disconnect(), False),
    Wire("Property Length 0 written", (5,), "e0 02 8e 00", Disconnect(0x8E), False),
    Wire("properties", (5,), 'e0 .. 00 [ 11 00000000 1f "bye" ]',
         Disconnect(0, {SESSION_EXPIRY_INTERVAL: 0, REASON_STRING: "bye"})),
    Wire("3.1 unused flags", (3,), "e2 00", Disconnect(), False),
    Wire("flags", (4, 5), "e1 00", rules.DISCONNECT_FLAGS),
    Wire("body", (3, 4), "e0 01 00", rules.TRAILING_BYTES),
    Wire("bytes left", (5,), "e0 03 00 00 00", rules.TRAILING_BYTES),
    Wire("reason of another packet", (5,), "e0 01 01", rules.DISCONNECT_REASON),
    Wire("unknown reason", (5,), "e0 01 ff", rules.DISCONNECT_REASON),
)  # fmt: skip

AUTH = (
    Wire("short", (5,), "f0 00", Auth()),
    Wire("all bytes", (5,), "f0 0a 18 08 15 0001 6d 16 0001 ff",
         Auth(0x18, {AUTHENTICATION_METHOD: "m", AUTHENTICATION_DATA: b"\xff"})),
    Wire("success", (5,), 'f0 .. 00 [ 15 "m" ]', Auth(0, {AUTHENTICATION_METHOD: "m"})),
    Wire("again", (5,), 'f0 .. 19 [ 15 "m" ]', Auth(0x19, {AUTHENTICATION_METHOD: "m"})),
    Wire("flags", (5,), 'f1 .. 18 [ 15 "m" ]', rules.AUTH_FLAGS),
    Wire("reason of another packet", (5,), 'f0 .. 87 [ 15 "m" ]', rules.AUTH_REASON),
    Wire("no method", (5,), "f0 .. 18 [ 16 0001 ff ]", rules.AUTH_METHOD_MISSING),
    Wire("no properties", (5,), "f0 02 18 00", rules.AUTH_METHOD_MISSING),
    Wire("no Property Length", (5,), "f0 01 18", rules.TRUNCATED),
    Wire("bytes left", (5,), 'f0 .. 18 [ 15 "m" ] 00', rules.TRAILING_BYTES),
    Wire("3.x", (3, 4), "f0 00", rules.PACKET_TYPE_RESERVED),
    Wire("type 0", ALL, "00 00", rules.PACKET_TYPE_RESERVED),
)  # fmt: skip
