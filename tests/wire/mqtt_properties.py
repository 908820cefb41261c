"""Every property of MQTT 5.0 on the wire, and the packets it can stand in."""

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth, Disconnect
from formats.mqtt.packet_types import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    WILL,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

# Identifier: (as on the wire, value, another as on the wire).
SAMPLES = {
    0x01: ("01 01", 1, "01 00"),
    0x02: ("02 ffffffff", 4_294_967_295, "02 00000000"),
    0x03: ('03 "text/plain"', "text/plain", '03 ""'),
    0x08: ('08 "answers/1"', "answers/1", '08 "b"'),
    0x09: ("09 0003 00ff80", b"\0\xff\x80", "09 0000"),
    0x0B: ("0b 8001", [128], "0b 01"),
    0x11: ("11 0000ffff", 65_535, "11 00000000"),
    0x12: ('12 "given"', "given", '12 ""'),
    0x13: ("13 003c", 60, "13 0000"),
    0x15: ('15 "SCRAM-SHA-256"', "SCRAM-SHA-256", '15 "b"'),
    0x16: ("16 0001 ff", b"\xff", "16 0000"),
    0x17: ("17 00", 0, "17 01"),
    0x18: ("18 00000001", 1, "18 00000000"),
    0x19: ("19 01", 1, "19 00"),
    0x1A: ('1a "answers/"', "answers/", '1a ""'),
    0x1C: ('1c "a:1883 b"', "a:1883 b", '1c ""'),
    0x1F: ('1f "weil"', "weil", '1f ""'),
    0x21: ("21 0014", 20, "21 ffff"),
    0x22: ("22 0000", 0, "22 ffff"),
    0x23: ("23 0100", 256, "23 0001"),
    0x24: ("24 01", 1, "24 00"),
    0x25: ("25 00", 0, "25 01"),
    0x26: ('26 "name" ""', [("name", "")], '26 "name" "again"'),
    0x27: ("27 00000001", 1, "27 ffffffff"),
    0x28: ("28 00", 0, "28 01"),
    0x29: ("29 01", 1, "29 00"),
    0x2A: ("2a 00", 0, "2a 01"),
}

# Identifier: values the standard does not allow, on the wire.
OUT_OF_RANGE = {
    0x01: ("01 02", "01 ff"),
    0x0B: ("0b 00",),
    0x17: ("17 02",),
    0x19: ("19 ff",),
    0x21: ("21 0000",),
    0x23: ("23 0000",),
    0x24: ("24 02",),
    0x25: ("25 02",),
    0x27: ("27 00000000",),
    0x28: ("28 02",),
    0x29: ("29 ff",),
    0x2A: ("2a 02",),
}

# Packet type: (a packet with its properties as %s, the packet for those properties).
PLACES = {
    CONNECT: ('10 .. "MQTT" 05 02 0000 [ %s ] "c"', lambda some: Connect(5, "c", properties=some)),
    WILL: (
        '10 .. "MQTT" 05 06 0000 [] "c" [ %s ] "w" 0000',
        lambda some: Connect(5, "c", will=Will("w", b"", properties=some)),
    ),
    CONNACK: ("20 .. 00 00 [ %s ]", lambda some: Connack(False, 0, some)),
    PUBLISH: ('30 .. "t" [ %s ]', lambda some: Publish("t", b"", properties=some)),
    PUBACK: ("40 .. 0001 00 [ %s ]", lambda some: Puback(1, 0, some)),
    PUBREC: ("50 .. 0001 00 [ %s ]", lambda some: Pubrec(1, 0, some)),
    PUBREL: ("62 .. 0001 00 [ %s ]", lambda some: Pubrel(1, 0, some)),
    PUBCOMP: ("70 .. 0001 00 [ %s ]", lambda some: Pubcomp(1, 0, some)),
    SUBSCRIBE: ('82 .. 0001 [ %s ] "t" 00', lambda some: Subscribe(1, [Subscription("t")], some)),
    SUBACK: ("90 .. 0001 [ %s ] 00", lambda some: Suback(1, [0], some)),
    UNSUBSCRIBE: ('a2 .. 0001 [ %s ] "t"', lambda some: Unsubscribe(1, ["t"], some)),
    UNSUBACK: ("b0 .. 0001 [ %s ] 00", lambda some: Unsuback(1, [0], some)),
    DISCONNECT: ("e0 .. 00 [ %s ]", lambda some: Disconnect(0, some)),
    AUTH: ("f0 .. 18 [ %s ]", lambda some: Auth(0x18, some)),
}

# Table 2-4: what may be where.
ALLOWED = {
    CONNECT: {0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27},
    WILL: {0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26},
    CONNACK: {
        *(0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26),
        *(0x27, 0x28, 0x29, 0x2A),
    },
    PUBLISH: {0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26},
    PUBACK: {0x1F, 0x26},
    PUBREC: {0x1F, 0x26},
    PUBREL: {0x1F, 0x26},
    PUBCOMP: {0x1F, 0x26},
    SUBSCRIBE: {0x0B, 0x26},
    SUBACK: {0x1F, 0x26},
    UNSUBSCRIBE: {0x26},
    UNSUBACK: {0x1F, 0x26},
    DISCONNECT: {0x11, 0x1C, 0x1F, 0x26},
    AUTH: {0x15, 0x16, 0x1F, 0x26},
}
