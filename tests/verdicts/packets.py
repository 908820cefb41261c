"""Rules that one packet breaks by itself, after a CONNECT and a CONNACK."""

from tests.verdicts.support import ALL, V3, V4, V5, Case

PACKETS = (
    # 1.5 Data representation
    Case("TRUNCATED", ALL, "30 03 0002 61", '30 .. "aa" {p}', "1 of 2 bytes", 2),
    Case("TEXT_NOT_UTF_8", ALL, "30 .. 0002 c328 {p}", "30 .. 0002 c3a8 {p}", "c3", 4),
    Case("TEXT_WITH_NULL", ALL, "30 .. 0003 610062 {p}", "30 .. 0003 613062 {p}", "'a\\x00b'", 5),
    Case("VARIABLE_NOT_MINIMAL", V5, '30 .. "a" 8000', '30 .. "a" 00', "8000", 5),
    Case("VARIABLE_NOT_MINIMAL", V5, "c0 8000", "c0 00", "Remaining Length 8000", 1),
    Case("VARIABLE_TOO_LONG", ALL, "30 ffffffff", '30 .. "a" {p}' + "00" * 20_000,
         "Remaining Length ffffffff", 1),
    # 2.1, 2.2 Structure of a packet
    Case("PACKET_TYPE_RESERVED", ALL, "00 00", "c0 00", "type 0"),
    Case("PACKET_TYPE_RESERVED", V3, "f0 00", "c0 00", "AUTH", 0),
    Case("FLAGS_RESERVED", V4, "c1 00", "c0 00", "0001", 0),
    Case("TRAILING_BYTES", ALL, "c0 01 00", "c0 00", "1 bytes", 2),
    Case("SERVER_ONLY_PACKET", ALL, "d0 00", "c0 00", "PINGRESP"),
    Case("PACKET_ID_ZERO", ALL, '32 .. "a" 0000 {p}', '32 .. "a" 0001 {p}', "PUBLISH", 5),
    Case("TEXT_DISALLOWED", ALL, "30 .. 0003 611f62 {p}", "30 .. 0003 612062 {p}", "'a\\x1fb'"),
    Case("ACKNOWLEDGED_ID_ZERO", ALL, "40 02 0000", "c0 00", "PUBACK", 2),
    Case("ACKNOWLEDGEMENT_UNKNOWN", ALL, "50 02 0007", "c0 00", "PUBREC of packet identifier 7"),
    Case("PROPERTY_UNKNOWN", V5, '30 .. "a" [ 04 00 ]', '30 .. "a" [ 01 00 ]', "0x04", 6),
    Case("PROPERTY_NOT_ALLOWED", V5, '30 .. "a" [ 21 0001 ]', '30 .. "a" [ 26 "a" "b" ]',
         "Receive Maximum in PUBLISH", 6),
    Case("SECOND_CONNECT", ALL, lambda stage: second_connect(stage), "c0 00", "CONNECT"),
    # 3.3 PUBLISH
    Case("PUBLISH_DUP_QOS_0", V4, '38 .. "a" {p}', '30 .. "a" {p}', "", 0),
    Case("PUBLISH_QOS_3", ALL, '36 .. "a" 0001 {p}', '34 .. "a" 0001 {p}', "0110", 0),
    Case("TOPIC_MISSING", V5, '30 .. "" []', '30 .. "a" []', "", 2),
    Case("TOPIC_EMPTY", V3, '30 .. ""', '30 .. "/"', "PUBLISH", 2),
    Case("PUBLISH_WILDCARD", ALL, '30 .. "a/#" {p}', '30 .. "a/b" {p}', "a/#", 2),
    Case("PAYLOAD_NOT_UTF_8", V5, '30 .. "a" [ 01 01 ] c328', '30 .. "a" [ 01 01 ] c3a8', "a"),
    Case("PAYLOAD_NOT_UTF_8", V5, '32 .. "a" 0001 [ 01 01 ] ff', '32 .. "a" 0001 [ 01 00 ] ff',
         "a"),
    Case("RESPONSE_TOPIC_WILDCARD", V5, '30 .. "a" [ 08 "b/#" ]', '30 .. "a" [ 08 "b/c" ]',
         "b/#", 6),
    Case("SUBSCRIPTION_IDENTIFIER_FROM_CLIENT", V5, '30 .. "a" [ 0b 01 ]', '30 .. "a" []', "a"),
    # 3.4 to 3.7 Acknowledgements
    Case("PUBACK_REASON", V5, "40 03 0007 92", "c0 00", "0x92", 4),
    Case("PUBREC_REASON", V5, "50 03 0007 92", "c0 00", "0x92", 4),
    Case("PUBREL_REASON", V5, "62 03 0007 91", "c0 00", "0x91", 4),
    Case("PUBCOMP_REASON", V5, "70 03 0007 91", "c0 00", "0x91", 4),
    Case("PUBREL_FLAGS", ALL, "60 02 0007", "c0 00", "0000", 0),
    # 3.8 to 3.11 SUBSCRIBE, UNSUBSCRIBE
    Case("SUBSCRIBE_FLAGS", ALL, '80 .. 0007 {p} "a" 00', '82 .. 0007 {p} "a" 00', "0000", 0),
    Case("SUBSCRIBE_EMPTY", ALL, "82 .. 0007 {p}", '82 .. 0007 {p} "a" 00', "", (4, 4, 5)),
    Case("SUBSCRIBE_QOS_3", ALL, '82 .. 0007 {p} "a" 03', '82 .. 0007 {p} "a" 02',
         "00000011", (7, 7, 8)),
    Case("SHARED_NO_LOCAL", V5, '82 .. 0007 [] "$share/g/a" 04', '82 .. 0007 [] "$share/g/a" 00',
         "$share/g/a", 17),
    Case("RETAIN_HANDLING_3", V5, '82 .. 0007 [] "a" 30', '82 .. 0007 [] "a" 20', "00110000", 8),
    Case("SUBSCRIBE_RESERVED_BITS", V4, '82 .. 0007 {p} "a" 80', '82 .. 0007 {p} "a" 01',
         "10000000", (7, 8)),
    Case("UNSUBSCRIBE_FLAGS", ALL, 'a0 .. 0007 {p} "a"', 'a2 .. 0007 {p} "a"', "0000", 0),
    Case("UNSUBSCRIBE_EMPTY", ALL, "a2 .. 0007 {p}", 'a2 .. 0007 {p} "a"', "", (4, 4, 5)),
    Case("FILTER_MULTI_LEVEL", ALL, '82 .. 0007 {p} "a#" 00', '82 .. 0007 {p} "a/#" 00',
         "a#", (4, 4, 5)),
    Case("FILTER_SINGLE_LEVEL", ALL, '82 .. 0007 {p} "a/+b" 00', '82 .. 0007 {p} "+/+" 00',
         "a/+b", (4, 4, 5)),
    Case("TOPIC_EMPTY", ALL, '82 .. 0007 {p} "" 00', '82 .. 0007 {p} "/" 00', "", (4, 4, 5)),
    Case("SHARE_NAME_MISSING", V5, '82 .. 0007 [] "$share//a" 00',
         '82 .. 0007 [] "$share/g/a" 00', "$share//a"),
    Case("SHARE_MALFORMED", V5, '82 .. 0007 [] "$share/g" 00', '82 .. 0007 [] "$share/g//" 00',
         "$share/g"),
    # 3.14 DISCONNECT
    Case("DISCONNECT_FLAGS", V4, "e1 00", "e0 00", "0001", 0),
    Case("DISCONNECT_REASON", V5, "e0 01 01", "e0 01 04", "0x01", 2),
    Case("DISCONNECT_REASON_OF_SERVER", V5, "e0 01 8e", "e0 01 93", "reason code 0x8e"),
    Case("SESSION_EXPIRY_CHANGED_FROM_ZERO", V5, "e0 .. 00 [ 11 00000001 ]",
         "e0 .. 00 [ 11 00000000 ]", "Session Expiry Interval 1"),
    # 3.15 AUTH
    Case("AUTH_FLAGS", V5, 'f1 .. 18 [ 15 "m" ]', "c0 00", "0001", 0),
    Case("AUTH_REASON", V5, 'f0 .. 87 [ 15 "m" ]', "c0 00", "0x87", 2),
    Case("AUTH_METHOD_MISSING", V5, "f0 02 18 00", "c0 00"),
    Case("AUTH_WITHOUT_METHOD", V5, 'f0 .. 18 [ 15 "m" ]', "c0 00", "method 'm'"),
)  # fmt: skip


def second_connect(stage):
    one = stage.client()
    again = stage.bytes_of('10 .. {mqtt} 02 0000 {p} "c"')
    one.send(again)
    return again
