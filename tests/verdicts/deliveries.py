"""Rules that need memory: packet ids, acknowledgements, their order, and what comes again (4.3 to
4.6)."""

from formats.mqtt import codec
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.control import Disconnect
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.verdicts.support import ALL, V5, Case


def publish(packet_id, qos=1, dup=False, topic="t"):
    return Publish(topic, b"", qos, False, dup, packet_id)


def say(one, *packets):
    """Send packets, each in a write of its own; returns the bytes of the last."""
    for packet in packets:
        one.send(packet)
    return packets[-1] if isinstance(packets[-1], bytes) else codec.encode(packets[-1], one.version)


def at_once(one, *packets):
    """Send packets in one write; returns the bytes of the last."""
    one.send(*packets)
    return codec.encode(packets[-1], one.version)


def subscriber(stage, messages, qos, kept=False):
    """A client that has been sent so many messages, and acknowledged none; and their packet ids."""
    one = stage.client("subscriber", kept)
    one.subscribe("t", qos=qos)
    other = stage.client("publisher")
    for _ in range(messages):
        other.publish("t", b"", qos)
    ids = [one.receive(Publish).packet_id for _ in range(messages)]
    return one, ids


def interrupted(stage, *ids):
    """A client that has lost its connection after it published with QoS 2 under these packet ids,
    and is back."""
    one = stage.client("c", kept=True)
    one.send(*(publish(packet_id, 2) for packet_id in ids))
    one.drop()
    return stage.client("c", kept=True)


# 2.2.1 Packet identifiers


def id_in_use(stage):
    return at_once(stage.client(), publish(1), Subscribe(1, [Subscription("t")]))


def id_used_again(stage):
    one = stage.client()
    one.publish("t", b"", 1)
    return say(one, publish(1), Subscribe(1, [Subscription("t")]))


def id_of_qos_2_in_use(stage):
    return say(stage.client(), publish(1, 2), publish(1, 1))


def id_of_qos_2_used_again(stage):
    return say(stage.client(), publish(1, 2), Pubrel(1), publish(1, 1))


def puback_twice(stage):
    one, (packet_id,) = subscriber(stage, 1, 1)
    return say(one, Puback(packet_id), Puback(packet_id))


def puback_once(stage):
    one, (packet_id,) = subscriber(stage, 1, 1)
    say(one, Puback(packet_id))


def pubrec_twice(stage):
    one, (packet_id,) = subscriber(stage, 1, 2)
    packet = say(one, Pubrec(packet_id), Pubrec(packet_id))
    say(one, Pubcomp(packet_id), Pubcomp(packet_id))  # each answers a PUBREL
    return packet


def pubrec_once(stage):
    one, (packet_id,) = subscriber(stage, 1, 2)
    say(one, Pubrec(packet_id), Pubcomp(packet_id))


def pubrel_of_qos_1(stage):
    return say(stage.client(), publish(2), Pubrel(1))


def pubrel(stage):
    return say(stage.client(), publish(1, 2), Pubrel(1))


def pubcomp_unknown(stage):
    return say(stage.client(), Pubcomp(7))


def wrong_kind(stage):
    one, (packet_id,) = subscriber(stage, 1, 2)
    return say(one, Puback(packet_id))


# 3.1, 3.2 What is left of a session


def after_clean_start(stage):
    say(stage.client("c", kept=True), publish(1, 2), Disconnect())
    return say(stage.client("c"), publish(1, 2, True))


def new_after_clean_start(stage):
    say(stage.client("c", kept=True), publish(1, 2), Disconnect())
    return say(stage.client("c"), publish(1, 2))


def not_present(stage):
    return say(stage.client("c", kept=True), publish(1, 1, True))


def new_when_not_present(stage):
    return say(stage.client("c", kept=True), publish(1, 1))


def first_with_dup(stage):
    return say(stage.client(), publish(1), publish(2, 1, True))


def first_without_dup(stage):
    return say(stage.client(), publish(1), publish(2))


# 4.4 Message delivery retry


def again_without_dup(stage):
    return say(interrupted(stage, 1), publish(1, 2))


def again_with_dup(stage):
    return say(interrupted(stage, 1), publish(1, 2, True))


def again_after_pubrel(stage):
    return say(stage.client(), publish(1, 2), Pubrel(1), publish(1, 2, True))


def new_after_pubrel(stage):
    return say(stage.client(), publish(1, 2), Pubrel(1), publish(1, 2))


def again_while_connected(stage):
    return say(stage.client(), publish(1, 2), publish(1, 2, True))


def pubrel_while_connected(stage):
    return say(stage.client(), publish(1, 2), Pubrel(1), Pubrel(1))


def again_when_resumed(stage):
    return say(interrupted(stage, 1), publish(1, 2, True), publish(1, 2, True))


def in_another_order(stage):
    return say(interrupted(stage, 1, 2), publish(2, 2, True), publish(1, 2, True))


def in_order(stage):
    return say(interrupted(stage, 1, 2), publish(1, 2, True), publish(2, 2, True))


def not_all_again(stage):
    one = interrupted(stage, 1, 2)
    return say(one, publish(1, 2, True), publish(3), Disconnect())


def all_again(stage):
    one = interrupted(stage, 1, 2)
    return say(one, publish(1, 2, True), Pubrel(2), publish(3), Disconnect())


def again_after_refusal(stage):
    return say(stage.client(), publish(1, topic="$a"), publish(1, 1, True, "$a"))


def other_after_refusal(stage):
    return say(stage.client(), publish(1, topic="$a"), publish(1))


# 4.5, 4.6 Message receipt and ordering


def pubacks_in_another_order(stage):
    one, ids = subscriber(stage, 3, 1)
    return say(one, Puback(ids[1]))


def pubacks_in_order(stage):
    one, ids = subscriber(stage, 3, 1)
    say(one, *map(Puback, ids), Disconnect())


def pubrecs_in_another_order(stage):
    one, ids = subscriber(stage, 3, 2)
    return say(one, Pubrec(ids[2]))


def pubrecs_in_order(stage):
    one, ids = subscriber(stage, 3, 2)
    say(one, *map(Pubrec, ids), *map(Pubcomp, ids), Disconnect())


def pubrels_in_another_order(stage):
    return say(stage.client(), publish(1, 2), publish(2, 2), Pubrel(2))


def pubrels_in_order(stage):
    return say(stage.client(), publish(1, 2), publish(2, 2), Pubrel(1), Pubrel(2), Disconnect())


def puback_missing(stage):
    one, ids = subscriber(stage, 2, 1)
    return say(one, Puback(ids[1]), Disconnect())


def pubcomp_missing(stage):
    one, ids = subscriber(stage, 2, 2)
    return say(one, *map(Pubrec, ids), Pubcomp(ids[1]), Disconnect())


def pubcomps_in_any_order(stage):
    one, ids = subscriber(stage, 2, 2)
    say(one, *map(Pubrec, ids), Pubcomp(ids[1]), Pubcomp(ids[0]), Disconnect())


def pubrel_missing(stage):
    return say(stage.client(), publish(1, 2), publish(2, 2), Pubrel(2), Disconnect())


def pubrel_not_due(stage):
    return say(stage.client(), publish(1, 2), Disconnect())


DELIVERIES = (
    Case("PACKET_ID_IN_USE", ALL, id_in_use, id_used_again, "packet identifier 1"),
    Case("PACKET_ID_IN_USE", ALL, id_of_qos_2_in_use, id_of_qos_2_used_again,
         "packet identifier 1"),
    Case("ACKNOWLEDGEMENT_UNKNOWN", ALL, puback_twice, puback_once,
         "PUBACK of packet identifier 1"),
    Case("ACKNOWLEDGEMENT_UNKNOWN", ALL, pubrec_twice, pubrec_once,
         "PUBREC of packet identifier 1 again"),
    Case("PUBREL_UNKNOWN", ALL, pubrel_of_qos_1, pubrel, "packet identifier 1"),
    Case("PUBCOMP_UNKNOWN", ALL, pubcomp_unknown, pubrec_once, "PUBCOMP of packet identifier 7"),
    Case("ACKNOWLEDGEMENT_KIND", ALL, wrong_kind, pubrec_once, "PUBACK of packet identifier 1"),
    Case("STATE_REUSED_AFTER_CLEAN_START", ALL, after_clean_start, new_after_clean_start,
         "packet identifier 1"),
    Case("STATE_NOT_DISCARDED", V5, not_present, new_when_not_present, "packet identifier 1"),
    Case("DUP_ON_FIRST_SENDING", ALL, first_with_dup, first_without_dup, "packet identifier 2"),
    Case("DUP_MISSING", ALL, again_without_dup, again_with_dup, "packet identifier 1"),
    Case("PUBLISH_AFTER_PUBREL", ALL, again_after_pubrel, new_after_pubrel,
         "packet identifier 1"),
    Case("RESENT_WHILE_CONNECTED", V5, again_while_connected, again_with_dup,
         "packet identifier 1"),
    Case("RESENT_WHILE_CONNECTED", V5, pubrel_while_connected, pubrel, "packet identifier 1"),
    Case("RESENT_WHILE_CONNECTED", V5, again_when_resumed, again_with_dup, "packet identifier 1"),
    Case("RESEND_ORDER", ALL, in_another_order, in_order, "packet identifier 1 after 2"),
    Case("RESEND_INCOMPLETE", ALL, not_all_again, all_again, "packet identifier 2"),
    Case("RESENT_AFTER_REFUSAL", V5, again_after_refusal, other_after_refusal,
         "packet identifier 1"),
    Case("PUBACK_ORDER", ALL, pubacks_in_another_order, pubacks_in_order,
         "packet identifier 2 before 1"),
    Case("PUBREC_ORDER", ALL, pubrecs_in_another_order, pubrecs_in_order,
         "packet identifier 3 before 1"),
    Case("PUBREL_ORDER", ALL, pubrels_in_another_order, pubrels_in_order,
         "packet identifier 2 before 1"),
    Case("ACKNOWLEDGEMENT_MISSING", ALL, puback_missing, pubacks_in_order,
         "packet identifier 1", also=("PUBACK_ORDER",)),
    Case("PUBCOMP_MISSING", ALL, pubcomp_missing, pubcomps_in_any_order, "packet identifier 1"),
    Case("PUBREL_MISSING", ALL, pubrel_missing, pubrel_not_due, "packet identifier 1",
         also=("PUBREL_ORDER",)),
)  # fmt: skip
