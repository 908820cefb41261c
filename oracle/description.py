"""One MQTT packet described: its name, a line of words and its fields.

For charts, traces and the packets around a breach in a report. Everything is bounded in length.
"""

from typing import NamedTuple

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.codec import Packet, decode
from formats.mqtt.packet_types import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PINGREQ,
    PINGRESP,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
)
from formats.mqtt.publish import Publish
from formats.mqtt.stream import read_remaining_length
from oracle.packet_words import (
    VERSION_NAMES,
    Fields,
    bytes_in_words,
    one_line,
    packet_in_words,
)

FROM_CLIENTS = (CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ)  # table 2-1: only these send them
FROM_SERVERS = (CONNACK, SUBACK, UNSUBACK, PINGRESP)
NAMES_OF_LEVELS = ((b"\x00\x06MQIsdp\x03", 3), (b"\x00\x04MQTT\x04", 4), (b"\x00\x04MQTT\x05", 5))

NOTHING = "no packet"  # the name of no bytes at all
LONGEST_WORDS = 240  # characters


class Description(NamedTuple):
    """A packet for people.

    Attributes:
        name:   "PUBLISH"; what byte 1 says, where the rest is wrong.
        words:  its content on one line, "" where the name says it all.
        fields: its content as JSON has it, by the standard's words. With "error", what is wrong,
            and nothing else for what is no packet.
    """

    name: str
    words: str
    fields: Fields


def describe(packet: bytes, version: int, to_client: bool, size: int = 0) -> Description:
    """Describe one packet, or what should have been one. It raises nothing.

    Args:
        packet:    its bytes from byte 1 of the fixed header on.
        version:   protocol level 3, 4 or 5; 0 while it is not known. A CONNECT says its own.
        to_client: whether the server sent it.
        size:      of the whole packet, where `packet` is only its beginning.
    """
    if not packet:
        return _failed(NOTHING, "no bytes")
    packet_type = packet[0] >> 4
    name = PACKET_NAMES[packet_type]
    if packet_type == CONNECT:
        version = version_of(packet)
    try:
        if version in VERSION_NAMES:
            decoded, missing = _decoded(packet, version, size)
        else:
            decoded, missing, version = _decoded_somehow(packet, size)
    except ProtocolViolation as violation:
        return _failed(name, str(violation))
    words, fields = packet_in_words(decoded, version)
    if missing and isinstance(decoded, Publish):
        _correct_payload(words, fields, len(decoded.payload) + missing)
    if stray := _stray(packet_type, version, to_client):
        words.append(stray)
        fields["error"] = stray
    return Description(name, one_line(", ".join(words), LONGEST_WORDS), fields)


def version_of(packet: bytes) -> int:
    """The protocol level that a CONNECT names, whatever else is wrong with it; 0 if none."""
    if not packet or packet[0] >> 4 != CONNECT:
        return 0
    try:
        _, pos = read_remaining_length(packet, 1, len(packet))
    except ProtocolViolation:
        return 0
    for name, level in NAMES_OF_LEVELS:
        if packet.startswith(name, pos):
            return level
    return 0


def _failed(name: str, error: str) -> Description:
    error = one_line(error, LONGEST_WORDS)
    return Description(name, error, {"error": error})


def _decoded(packet: bytes, version: int, size: int) -> tuple[Packet, int]:
    """The packet, and how many bytes of a PUBLISH's payload it lacks."""
    end = len(packet)
    length, pos = read_remaining_length(packet, 1, end, version) if end > 1 else (-1, 1)
    if length < 0:
        raise ProtocolViolation(rules.TRUNCATED, f"{bytes_in_words(end)} of a fixed header")
    missing = pos + length - end
    if missing < 0:
        raise ProtocolViolation(rules.TRAILING_BYTES, bytes_in_words(-missing), pos + length)
    if missing and not (size == pos + length and packet[0] >> 4 == PUBLISH):
        raise ProtocolViolation(rules.TRUNCATED, f"{end} of {pos + length} bytes")
    return decode(packet[0], packet, pos, end, version), missing


def _decoded_somehow(packet: bytes, size: int) -> tuple[Packet, int, int]:
    """The same where nobody knows the version, and the one that makes sense of it."""
    try:
        return *_decoded(packet, 4, size), 4
    except ProtocolViolation as violation:
        try:
            return *_decoded(packet, 5, size), 5
        except ProtocolViolation:
            raise violation from None


def _correct_payload(words: list[str], fields: Fields, size: int) -> None:
    """Have a PUBLISH that was only seen in part say how long its payload is."""
    words[words.index(bytes_in_words(fields["payload_size"]))] = bytes_in_words(size)
    fields["payload_size"] = size


def _stray(packet_type: int, version: int, to_client: bool) -> str:
    """What is wrong with its direction; "" for nothing."""
    if to_client:
        if packet_type in FROM_CLIENTS or (packet_type == DISCONNECT and version < 5):
            return "which only a client sends"
    elif packet_type in FROM_SERVERS:
        return "which only a server sends"
    return ""
