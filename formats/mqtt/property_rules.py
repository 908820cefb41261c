"""Rules about single properties of 5.0: which must not repeat, and which values they have.

The standard says it in the section of each packet, in unnumbered sentences (`U5-`, ids of ours), so
the rules are found by packet type and property identifier. Where the section of a packet is silent
(Payload Format Indicator and Message Expiry Interval in PUBLISH, 3.3.2.3.2 and 3.3.2.3.3; a Payload
Format Indicator above 1) what a Protocol Error is (1.2) decides.
"""

from formats.errors import Rule
from formats.mqtt.packet_types import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    WILL,
)

PROTOCOL_ERROR = "U5-1.2-2"  # "data that is not allowed by the protocol"

# (packet, property identifier): the sentence that forbids the property to be there twice.
_REPEATED_IDS = {
    (CONNECT, 0x11): "U5-3.1.2.11.2-1",
    (CONNECT, 0x21): "U5-3.1.2.11.3-1",
    (CONNECT, 0x27): "U5-3.1.2.11.4-1",
    (CONNECT, 0x22): "U5-3.1.2.11.5-1",
    (CONNECT, 0x19): "U5-3.1.2.11.6-1",
    (CONNECT, 0x17): "U5-3.1.2.11.7-1",
    (CONNECT, 0x15): "U5-3.1.2.11.9-1",
    (CONNECT, 0x16): "U5-3.1.2.11.10-2",
    (WILL, 0x18): "U5-3.1.3.2.2-1",
    (WILL, 0x01): "U5-3.1.3.2.3-2",
    (WILL, 0x02): "U5-3.1.3.2.4-1",
    (WILL, 0x03): "U5-3.1.3.2.5-1",
    (WILL, 0x08): "U5-3.1.3.2.6-1",
    (WILL, 0x09): "U5-3.1.3.2.7-1",
    (CONNACK, 0x11): "U5-3.2.2.3.2-1",
    (CONNACK, 0x21): "U5-3.2.2.3.3-1",
    (CONNACK, 0x24): "U5-3.2.2.3.4-1",
    (CONNACK, 0x25): "U5-3.2.2.3.5-1",
    (CONNACK, 0x27): "U5-3.2.2.3.6-1",
    (CONNACK, 0x12): "U5-3.2.2.3.7-1",
    (CONNACK, 0x22): "U5-3.2.2.3.8-1",
    (CONNACK, 0x1F): "U5-3.2.2.3.9-2",
    (CONNACK, 0x28): "U5-3.2.2.3.11-1",
    (CONNACK, 0x29): "U5-3.2.2.3.12-1",
    (CONNACK, 0x2A): "U5-3.2.2.3.13-1",
    (CONNACK, 0x13): "U5-3.2.2.3.14-1",
    (CONNACK, 0x1A): "U5-3.2.2.3.15-1",
    (CONNACK, 0x1C): "U5-3.2.2.3.16-1",
    (CONNACK, 0x15): "U5-3.2.2.3.17-1",
    (CONNACK, 0x16): "U5-3.2.2.3.18-1",
    (PUBLISH, 0x01): PROTOCOL_ERROR,
    (PUBLISH, 0x02): PROTOCOL_ERROR,
    (PUBLISH, 0x23): "U5-3.3.2.3.4-1",
    (PUBLISH, 0x08): "U5-3.3.2.3.5-1",
    (PUBLISH, 0x09): "U5-3.3.2.3.6-1",
    (PUBLISH, 0x03): "U5-3.3.2.3.9-1",
    (PUBACK, 0x1F): "U5-3.4.2.2.2-1",
    (PUBREC, 0x1F): "U5-3.5.2.2.2-2",
    (PUBREL, 0x1F): "U5-3.6.2.2.2-2",
    (PUBCOMP, 0x1F): "U5-3.7.2.2.2-2",
    (SUBSCRIBE, 0x0B): "U5-3.8.2.1.2-2",
    (SUBACK, 0x1F): "U5-3.9.2.1.2-2",
    (UNSUBACK, 0x1F): "U5-3.11.2.1.2-2",
    (DISCONNECT, 0x11): "U5-3.14.2.2.2-1",
    (DISCONNECT, 0x1F): "U5-3.14.2.2.3-2",
    (DISCONNECT, 0x1C): "U5-3.14.2.2.5-1",
    (AUTH, 0x15): "U5-3.15.2.2.2-1",
    (AUTH, 0x16): "U5-3.15.2.2.3-1",
    (AUTH, 0x1F): "U5-3.15.2.2.4-2",
}

# (packet, property identifier): the sentence that limits the value.
_RANGE_IDS = {
    (CONNECT, 0x21): "U5-3.1.2.11.3-1",
    (CONNECT, 0x27): "U5-3.1.2.11.4-1",
    (CONNECT, 0x19): "U5-3.1.2.11.6-1",
    (CONNECT, 0x17): "U5-3.1.2.11.7-1",
    (WILL, 0x01): PROTOCOL_ERROR,
    (CONNACK, 0x21): "U5-3.2.2.3.3-1",
    (CONNACK, 0x24): "U5-3.2.2.3.4-1",
    (CONNACK, 0x25): "U5-3.2.2.3.5-1",
    (CONNACK, 0x27): "U5-3.2.2.3.6-1",
    (CONNACK, 0x28): "U5-3.2.2.3.11-1",
    (CONNACK, 0x29): "U5-3.2.2.3.12-1",
    (CONNACK, 0x2A): "U5-3.2.2.3.13-1",
    (PUBLISH, 0x01): PROTOCOL_ERROR,
    (PUBLISH, 0x0B): "U5-3.3.2.3.8-1",
    (SUBSCRIBE, 0x0B): "U5-3.8.2.1.2-1",
}

_PLACES = ("Will Properties", *PACKET_NAMES[1:])  # by packet type; WILL is 0

REPEATED: dict[tuple[int, int], Rule] = {
    (packet, identifier): Rule(0x82, "", v5, f"property repeated in {_PLACES[packet]}")
    for (packet, identifier), v5 in _REPEATED_IDS.items()
}

TOPIC_ALIAS_ZERO = Rule(0x94, "", "MQTT-3.3.2-8", "Topic Alias is 0")

OUT_OF_RANGE: dict[tuple[int, int], Rule] = {
    (packet, identifier): Rule(0x82, "", v5, f"property value out of range in {_PLACES[packet]}")
    for (packet, identifier), v5 in _RANGE_IDS.items()
}
OUT_OF_RANGE[PUBLISH, 0x23] = TOPIC_ALIAS_ZERO

ALL: tuple[Rule, ...] = (*REPEATED.values(), *OUT_OF_RANGE.values())
