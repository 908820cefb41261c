"""What becomes of a message that the broker sends at QoS 1 or 2, as a table (5.0: 4.3.2, 4.3.3).

The whole state machine is `NEXT`, and docs/states.md is drawn from it. A pair that is not in it is
an acknowledgement that fits nothing the broker sent.
"""

from typing import Final

# Plain ints, because the hot path compares them.
AWAITS_PUBACK: Final = 0  # QoS 1 PUBLISH sent [MQTT5-4.3.2-3] [MQTT3-4.3.2-1]
AWAITS_PUBREC: Final = 1  # QoS 2 PUBLISH sent [MQTT5-4.3.3-3] [MQTT3-4.3.3-1]
AWAITS_PUBCOMP: Final = 2  # PUBREL sent [MQTT5-4.3.3-5]
DONE: Final = 3  # the packet identifier is free again

GOT_PUBACK: Final = 0
GOT_PUBREC: Final = 1
GOT_PUBREC_ERROR: Final = 2  # a PUBREC with reason code 0x80 or more (5.0 only)
GOT_PUBCOMP: Final = 3

FIRST_STATE = (DONE, AWAITS_PUBACK, AWAITS_PUBREC)  # of a PUBLISH that was sent, by its QoS

STATE_NAMES = ("awaits PUBACK", "awaits PUBREC", "awaits PUBCOMP", "done")
EVENT_NAMES = ("PUBACK", "PUBREC", "PUBREC with an error", "PUBCOMP")

NEXT: dict[tuple[int, int], int] = {
    (AWAITS_PUBACK, GOT_PUBACK): DONE,
    (AWAITS_PUBREC, GOT_PUBREC): AWAITS_PUBCOMP,
    (AWAITS_PUBREC, GOT_PUBREC_ERROR): DONE,  # [MQTT5-4.4.0-2]
    # It did not see our PUBREL, so it gets another one; never the PUBLISH again [MQTT5-4.3.3-6].
    (AWAITS_PUBCOMP, GOT_PUBREC): AWAITS_PUBCOMP,
    (AWAITS_PUBCOMP, GOT_PUBCOMP): DONE,
}
