"""Reason codes (5.0, section 2.4) and what 3.1 and 3.1.1 have in their place."""

from typing import NamedTuple

from formats.mqtt.packet_types import (
    AUTH,
    CONNACK,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
)


class ReasonCode(NamedTuple):
    """A row of table 2-6: a code, its name and the packets that may carry it."""

    code: int
    name: str
    packets: tuple[int, ...]


_PUB = (PUBACK, PUBREC)
_SUB = (SUBACK, UNSUBACK)

REASON_CODES: tuple[ReasonCode, ...] = (
    ReasonCode(0x00, "Success", (CONNACK, *_PUB, PUBREL, PUBCOMP, *_SUB, DISCONNECT, AUTH)),
    ReasonCode(0x01, "Granted QoS 1", (SUBACK,)),
    ReasonCode(0x02, "Granted QoS 2", (SUBACK,)),
    ReasonCode(0x04, "Disconnect with Will Message", (DISCONNECT,)),
    ReasonCode(0x10, "No matching subscribers", _PUB),
    ReasonCode(0x11, "No subscription existed", (UNSUBACK,)),
    ReasonCode(0x18, "Continue authentication", (AUTH,)),
    ReasonCode(0x19, "Re-authenticate", (AUTH,)),
    ReasonCode(0x80, "Unspecified error", (CONNACK, *_PUB, *_SUB, DISCONNECT)),
    ReasonCode(0x81, "Malformed Packet", (CONNACK, DISCONNECT)),
    ReasonCode(0x82, "Protocol Error", (CONNACK, DISCONNECT)),
    ReasonCode(0x83, "Implementation specific error", (CONNACK, *_PUB, *_SUB, DISCONNECT)),
    ReasonCode(0x84, "Unsupported Protocol Version", (CONNACK,)),
    ReasonCode(0x85, "Client Identifier not valid", (CONNACK,)),
    ReasonCode(0x86, "Bad User Name or Password", (CONNACK,)),
    ReasonCode(0x87, "Not authorized", (CONNACK, *_PUB, *_SUB, DISCONNECT)),
    ReasonCode(0x88, "Server unavailable", (CONNACK,)),
    ReasonCode(0x89, "Server busy", (CONNACK, DISCONNECT)),
    ReasonCode(0x8A, "Banned", (CONNACK,)),
    ReasonCode(0x8B, "Server shutting down", (DISCONNECT,)),
    # Table 2-6 has DISCONNECT here, table 3-10 has not: neither use is wrong.
    ReasonCode(0x8C, "Bad authentication method", (CONNACK, DISCONNECT)),
    ReasonCode(0x8D, "Keep Alive timeout", (DISCONNECT,)),
    ReasonCode(0x8E, "Session taken over", (DISCONNECT,)),
    ReasonCode(0x8F, "Topic Filter invalid", (*_SUB, DISCONNECT)),
    ReasonCode(0x90, "Topic Name invalid", (CONNACK, *_PUB, DISCONNECT)),
    ReasonCode(0x91, "Packet Identifier in use", (*_PUB, *_SUB)),
    ReasonCode(0x92, "Packet Identifier not found", (PUBREL, PUBCOMP)),
    ReasonCode(0x93, "Receive Maximum exceeded", (DISCONNECT,)),
    ReasonCode(0x94, "Topic Alias invalid", (DISCONNECT,)),
    ReasonCode(0x95, "Packet too large", (CONNACK, DISCONNECT)),
    ReasonCode(0x96, "Message rate too high", (DISCONNECT,)),
    ReasonCode(0x97, "Quota exceeded", (CONNACK, *_PUB, SUBACK, DISCONNECT)),
    ReasonCode(0x98, "Administrative action", (DISCONNECT,)),
    ReasonCode(0x99, "Payload format invalid", (CONNACK, *_PUB, DISCONNECT)),
    ReasonCode(0x9A, "Retain not supported", (CONNACK, DISCONNECT)),
    ReasonCode(0x9B, "QoS not supported", (CONNACK, DISCONNECT)),
    ReasonCode(0x9C, "Use another server", (CONNACK, DISCONNECT)),
    ReasonCode(0x9D, "Server moved", (CONNACK, DISCONNECT)),
    ReasonCode(0x9E, "Shared Subscriptions not supported", (SUBACK, DISCONNECT)),
    ReasonCode(0x9F, "Connection rate exceeded", (CONNACK, DISCONNECT)),
    ReasonCode(0xA0, "Maximum connect time", (DISCONNECT,)),
    ReasonCode(0xA1, "Subscription Identifiers not supported", (SUBACK, DISCONNECT)),
    ReasonCode(0xA2, "Wildcard Subscriptions not supported", (SUBACK, DISCONNECT)),
)

_NAMES = {row.code: row.name for row in REASON_CODES}

# By packet type: the codes it may carry.
ALLOWED: tuple[frozenset[int], ...] = tuple(
    frozenset(row.code for row in REASON_CODES if packet_type in row.packets)
    for packet_type in range(16)
)

# CONNACK return codes of 3.1 and 3.1.1 (table 3.1) for 5.0 reason codes: 1 unacceptable protocol
# version, 2 identifier rejected, 3 server unavailable, 4 bad user name or password, 5 not
# authorized. Five codes have a return code of their own sense; who is banned, or has no method the
# server knows, is not authorized; for all else the server is "unavailable", which says the least.
CONNACK_RETURN_CODES: dict[int, int] = {
    0x00: 0,
    0x80: 3,
    0x81: 3,
    0x82: 3,
    0x83: 3,
    0x84: 1,
    0x85: 2,
    0x86: 4,
    0x87: 5,
    0x88: 3,
    0x89: 3,
    0x8A: 5,
    0x8C: 5,
    0x90: 3,
    0x95: 3,
    0x97: 3,
    0x99: 3,
    0x9A: 3,
    0x9B: 3,
    0x9C: 3,
    0x9D: 3,
    0x9F: 3,
}


def reason_name(code: int) -> str:
    """The standard's name of a reason code, or its number."""
    return _NAMES.get(code) or f"reason code 0x{code:02x}"
