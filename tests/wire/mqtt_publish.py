"""PUBLISH and its acknowledgements on the wire."""

from formats.mqtt import rules
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.properties import (
    PAYLOAD_FORMAT_INDICATOR,
    REASON_STRING,
    SUBSCRIPTION_IDENTIFIER,
    TOPIC_ALIAS,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from tests.wire.mqtt import ALL, Wire

V3 = (3, 4)

PUBLISH = (
    Wire("QoS 0, all bytes", V3, "30 07  0003 612f62  6869", Publish("a/b", b"hi")),
    Wire("QoS 0, all bytes", (5,), "30 08  0003 612f62  00  6869", Publish("a/b", b"hi")),
    Wire("QoS 1, retain", V3, '33 .. "a/b" 0007 6869', Publish("a/b", b"hi", 1, True, packet_id=7)),
    Wire("QoS 1, retain", (5,), '33 .. "a/b" 0007 [] 6869',
         Publish("a/b", b"hi", 1, True, packet_id=7)),
    Wire("QoS 2 again", V3, '3c .. "a/b" ffff', Publish("a/b", b"", 2, False, True, 65535)),
    Wire("QoS 2 again", (5,), '3c .. "a/b" ffff []', Publish("a/b", b"", 2, False, True, 65535)),
    Wire("200 bytes", V3, '30 .. "a" ' + "78" * 200, Publish("a", b"x" * 200)),
    Wire("20,000 bytes", (5,), '30 .. "a" [] ' + "78" * 20_000, Publish("a", b"x" * 20_000)),
    Wire("levels without name", V3, '30 .. "//" 00', Publish("//", b"\0")),
    Wire("not ASCII", V3, '30 .. "Tür/屋/😀"', Publish("Tür/屋/😀", b"")),
    Wire("alias with name", (5,), '30 .. "a" [ 23 0001 ]',
         Publish("a", b"", properties={TOPIC_ALIAS: 1})),
    Wire("alias alone", (5,), '30 .. "" [ 23 ffff ] 00',
         Publish("", b"\0", properties={TOPIC_ALIAS: 65535})),
    Wire("identifiers", (5,), '30 .. "a" [ 0b 01 0b ffffff7f ]',
         Publish("a", b"", properties={SUBSCRIPTION_IDENTIFIER: [1, 268_435_455]})),
    Wire("user properties in order", (5,), '30 .. "a" [ 01 01 26 "b" "1" 26 "a" "2" 26 "b" "1" ]',
         Publish("a", b"", properties={PAYLOAD_FORMAT_INDICATOR: 1,
                                       USER_PROPERTY: [("b", "1"), ("a", "2"), ("b", "1")]})),
    Wire("DUP at QoS 0", (3,), '38 .. "a"', Publish("a", b"", dup=True)),
    Wire("DUP at QoS 0", (4,), '38 .. "a"', rules.PUBLISH_DUP_QOS_0),
    Wire("DUP at QoS 0", (5,), '38 .. "a" []', rules.PUBLISH_DUP_QOS_0),
    Wire("both QoS bits", V3, '36 .. "a" 0001', rules.PUBLISH_QOS_3),
    Wire("both QoS bits", (5,), '36 .. "a" 0001 []', rules.PUBLISH_QOS_3),
    Wire("packet identifier 0", V3, '32 .. "a" 0000', rules.PACKET_ID_ZERO),
    Wire("packet identifier 0", (5,), '34 .. "a" 0000 []', rules.PACKET_ID_ZERO),
    Wire("packet identifier cut", ALL, '32 .. "a" 00', rules.TRUNCATED),
    Wire("topic past the end", ALL, "30 03  0002 61", rules.TRUNCATED),
    Wire("topic length cut", ALL, "30 01 00", rules.TRUNCATED),
    Wire("nothing", ALL, "30 00", rules.TRUNCATED),
    Wire("no properties", (5,), '30 .. "a"', rules.TRUNCATED),
    Wire("properties past the end", (5,), '30 .. "a" 05 0101', rules.TRUNCATED),
    Wire("property past the properties", (5,), '30 .. "a" 01 01 01', rules.TRUNCATED),
    Wire("multi-level wildcard", V3, '30 .. "a/#"', rules.PUBLISH_WILDCARD),
    Wire("single-level wildcard", (5,), '30 .. "+" []', rules.PUBLISH_WILDCARD),
    Wire("no topic", V3, '30 .. ""', rules.TOPIC_EMPTY),
    Wire("no topic, no alias", (5,), '30 .. "" []', rules.TOPIC_MISSING),
    Wire("ill-formed topic", V3, "30 .. 0002 c328", rules.TEXT_NOT_UTF_8),
    Wire("surrogate", (5,), "30 .. 0003 eda080 []", rules.TEXT_NOT_UTF_8),
    Wire("overlong form", (5,), "30 .. 0002 c080 []", rules.TEXT_NOT_UTF_8),
    Wire("U+0000", V3, "30 .. 0003 610062", rules.TEXT_WITH_NULL),
    Wire("U+0000", (5,), "30 .. 0003 610062 []", rules.TEXT_WITH_NULL),
    Wire("U+0000 in a pair", (5,), '30 .. "a" [ 26 "b" 0001 00 ]', rules.TEXT_WITH_NULL),
    Wire("Property Length not minimal", (5,), '30 .. "a" 8000', rules.VARIABLE_NOT_MINIMAL),
    Wire("Property Length of 5 bytes", (5,), '30 .. "a" 8080808001', rules.VARIABLE_TOO_LONG),
    Wire("unknown property", (5,), '30 .. "a" [ 04 00 ]', rules.PROPERTY_UNKNOWN),
    Wire("property of two bytes", (5,), '30 .. "a" [ 8001 00 ]', rules.PROPERTY_UNKNOWN),
    Wire("response topic with wildcard", (5,), '30 .. "a" [ 08 "b/#" ]',
         rules.RESPONSE_TOPIC_WILDCARD),
    Wire("response topic empty", (5,), '30 .. "a" [ 08 "" ]', rules.TOPIC_EMPTY),
)  # fmt: skip


def _acknowledgements(packet, byte1, reason, reason_rule):
    """The lines of one of the four; `reason` is one that it may carry."""
    return (
        Wire("short, all bytes", ALL, f"{byte1} 02 0007", packet(7)),
        Wire("highest packet identifier", ALL, f"{byte1} 02 ffff", packet(65535)),
        Wire("reason alone", (5,), f"{byte1} 03 0007 {reason:02x}", packet(7, reason)),
        Wire("reason 0 written", (5,), f"{byte1} 03 0007 00", packet(7), False),
        Wire("Property Length 0 written", (5,), f"{byte1} 04 0007 {reason:02x} 00",
             packet(7, reason), False),
        Wire("properties", (5,), f'{byte1} .. 0007 {reason:02x} [ 1f "why" 26 "a" "b" ]',
             packet(7, reason, {REASON_STRING: "why", USER_PROPERTY: [("a", "b")]})),
        Wire("properties of a success", (5,), f'{byte1} .. 0007 00 [ 1f "" ]',
             packet(7, 0, {REASON_STRING: ""})),
        Wire("packet identifier 0", ALL, f"{byte1} 02 0000", rules.ACKNOWLEDGED_ID_ZERO),
        Wire("packet identifier cut", ALL, f"{byte1} 01 00", rules.TRUNCATED),
        Wire("nothing", ALL, f"{byte1} 00", rules.TRUNCATED),
        Wire("reason of another packet", (5,), f"{byte1} 03 0007 8e", reason_rule),
        Wire("unknown reason", (5,), f"{byte1} 03 0007 ff", reason_rule),
        Wire("property of another packet", (5,), f"{byte1} .. 0007 00 [ 21 0001 ]",
             rules.PROPERTY_NOT_ALLOWED),
        Wire("bytes left", (3, 4), f"{byte1} 03 0007 00", rules.TRAILING_BYTES),
        Wire("bytes left", (5,), f"{byte1} 05 0007 00 00 00", rules.TRAILING_BYTES),
    )  # fmt: skip


PUBACK = (
    *_acknowledgements(Puback, "40", 0x10, rules.PUBACK_REASON),
    Wire("3.1 unused flags", (3,), "4f 02 0007", Puback(7), False),
    Wire("flags", (4, 5), "42 02 0007", rules.FLAGS_RESERVED),
)  # fmt: skip
PUBREC = (
    *_acknowledgements(Pubrec, "50", 0x91, rules.PUBREC_REASON),
    Wire("3.1 unused flags", (3,), "58 02 0007", Pubrec(7), False),
    Wire("flags", (4, 5), "51 02 0007", rules.FLAGS_RESERVED),
)  # fmt: skip
PUBREL = (
    *_acknowledgements(Pubrel, "62", 0x92, rules.PUBREL_REASON),
    Wire("3.1 again", (3,), "6a 02 0007", Pubrel(7), False),
    Wire("3.1 unused flag", (3,), "63 02 0007", Pubrel(7), False),
    Wire("QoS 0", ALL, "60 02 0007", rules.PUBREL_FLAGS),
    Wire("DUP", (4, 5), "6a 02 0007", rules.PUBREL_FLAGS),
    Wire("RETAIN", (4, 5), "63 02 0007", rules.PUBREL_FLAGS),
)  # fmt: skip
PUBCOMP = (
    *_acknowledgements(Pubcomp, "70", 0x92, rules.PUBCOMP_REASON),
    Wire("3.1 unused flags", (3,), "72 02 0007", Pubcomp(7), False),
    Wire("flags", (4, 5), "78 02 0007", rules.FLAGS_RESERVED),
)  # fmt: skip
