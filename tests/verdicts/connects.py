"""Rules that a CONNECT breaks, or what comes in its place."""

from tests.verdicts.support import ALL, V3, V4, V5, Case

LAWFUL = '10 .. {mqtt} 02 0000 {p} "c"'


def not_connect(stage):
    one = stage.raw()
    one.send("c0 00")
    return b"\xc0\0"


CONNECTS = (
    Case("NOT_CONNECT_FIRST", ALL, not_connect, LAWFUL, known=False, seen="PINGREQ"),
    Case("FLAGS_RESERVED", V4, '11 .. {mqtt} 02 0000 {p} "c"', LAWFUL, "0001", 0),
    Case("VARIABLE_NOT_MINIMAL", V5, '10 8e00 "MQTT" 05 02 003c 00 0001 63', LAWFUL,
         "Remaining Length ends with a 0", 1),
    Case("CONNECT_RESERVED_FLAG", V4, '10 .. {mqtt} 03 0000 {p} "c"', LAWFUL, "00000011", 9),
    Case("WILL_QOS_WITHOUT_WILL", V4, '10 .. {mqtt} 0a 0000 {p} "c"', LAWFUL, "00001010", 9),
    Case("WILL_QOS_3", ALL, '10 .. {mqtt} 1e 0000 {p} "c" {p} "w" 0000',
         '10 .. {mqtt} 16 0000 {p} "c" {p} "w" 0000', "00011110", (11, 9, 9)),
    Case("WILL_RETAIN_WITHOUT_WILL", V4, '10 .. {mqtt} 22 0000 {p} "c"', LAWFUL, "00100010", 9),
    Case("WILL_MISSING", ALL, '10 .. {mqtt} 06 0000 {p} "c"',
         '10 .. {mqtt} 06 0000 {p} "c" {p} "w" 0000', "", (17, 15, 16)),
    Case("USER_NAME_WITHOUT_FLAG", ALL, '10 .. {mqtt} 02 0000 {p} "c" "u"',
         '10 .. {mqtt} 82 0000 {p} "c" "u"', "3 bytes", (17, 15, 16)),
    Case("USER_NAME_MISSING", V4, '10 .. {mqtt} 82 0000 {p} "c"',
         '10 .. {mqtt} 82 0000 {p} "c" ""', "", (15, 16)),
    Case("PASSWORD_WITHOUT_FLAG", ALL, '10 .. {mqtt} 82 0000 {p} "c" "u" 0001 70',
         '10 .. {mqtt} c2 0000 {p} "c" "u" 0001 70', "3 bytes", (20, 18, 19)),
    Case("PASSWORD_MISSING", V4, '10 .. {mqtt} c2 0000 {p} "c" "u"',
         '10 .. {mqtt} c2 0000 {p} "c" "u" 0000', "", (18, 19)),
    Case("PASSWORD_WITHOUT_USER_NAME", V3, '10 .. {mqtt} 42 0000 "c" 0001 70',
         '10 .. {mqtt} c2 0000 "c" "u" 0001 70', "01000010", (11, 9)),
    Case("TRAILING_BYTES", ALL, '10 .. {mqtt} c2 0000 {p} "c" "u" 0001 70 ff',
         '10 .. {mqtt} c2 0000 {p} "c" "u" 0001 70', "1 bytes", (23, 21, 22)),
    Case("AUTHENTICATION_DATA_WITHOUT_METHOD", V5, '10 .. {mqtt} 02 0000 [ 16 0001 ff ] "c"',
         '10 .. {mqtt} 02 0000 [] "c"'),
    Case("CLIENT_ID_MISSING", ALL, "10 .. {mqtt} 02 0000 {p}", LAWFUL, "", (14, 12, 13)),
    Case("CLIENT_ID_EMPTY", (4,), '10 .. {mqtt} 00 0000 ""', '10 .. {mqtt} 02 0000 ""'),
    Case("WILL_PAYLOAD_NOT_UTF_8", V5, '10 .. {mqtt} 06 0000 [] "c" [ 01 01 ] "w" 0001 ff',
         '10 .. {mqtt} 06 0000 [] "c" [ 01 01 ] "w" 0002 c3a8'),
    Case("TOPIC_WILDCARD", ALL, '10 .. {mqtt} 06 0000 {p} "c" {p} "w/#" 0000',
         '10 .. {mqtt} 06 0000 {p} "c" {p} "w/" 0000', "w/#"),
)  # fmt: skip
