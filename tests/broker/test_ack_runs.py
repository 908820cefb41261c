"""Acknowledgements that come many at once: the same becomes of them as of one after the other.

Two brokers get the same packets. One reads them in bursts, the other each by itself, and it is made
to forget which one comes next in turn, so that each takes the ordinary way.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.handlers.conduct_checks import LONG_WAYS
from broker.session.states import AWAITS_PUBACK, AWAITS_PUBCOMP
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.codec import encode
from formats.mqtt.control import Pingreq
from formats.mqtt.publish import Publish
from tests.broker.side import Side, with_needless_byte


class Pair(Side):
    """A client that publishes and one that subscribes."""

    def __init__(self, version, in_bursts):
        super().__init__(version, in_bursts)
        self.subscriber = self.joined("to")
        self.subscriber.subscribe("t", qos=2)


ANSWER = {AWAITS_PUBACK: Puback, AWAITS_PUBCOMP: Pubcomp}


def answers(session, skipped, count, swapped):
    """What the client owes for some of what is in flight to it."""
    ids = list(session.inflight)[skipped : skipped + count]
    if swapped:
        ids[-2:] = ids[:-3:-1]
    return [ANSWER.get(session.inflight[packet_id].state, Pubrec)(packet_id) for packet_id in ids]


def releases(session, skipped, count, swapped):
    ids = list(session.received)[skipped : skipped + count]
    if swapped:
        ids[-2:] = ids[:-3:-1]
    return [Pubrel(packet_id) for packet_id in ids]


few = st.integers(0, 3)
some = st.integers(1, 12)
seldom = st.integers(0, 5).map(lambda number: number == 0)
STEPS = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 2), some, seldom),
    st.tuples(st.just("acknowledge"), few, some, seldom),
    st.tuples(st.just("acknowledge"), st.just(0), st.just(100), st.just(False)),
    st.tuples(st.just("release"), few, some, seldom),
    st.tuples(st.just("release"), st.just(0), st.just(100), st.just(False)),
    st.tuples(
        st.just("wrong"),
        st.sampled_from((Puback, Pubrec, Pubcomp, Pubrel)),
        st.integers(1, 90),
        st.sampled_from((0, 0, 0x92)),
    ),
    st.tuples(st.just("in turn"), st.sampled_from((Puback, Pubrec, Pubcomp, Pubrel)), some),
    st.tuples(st.just("publish again"), few, some),
    st.tuples(st.just("needlessly long"), st.sampled_from(("acknowledge", "release")), some),
)
# A run that meets what awaits another packet.
MIXED = [("publish", 2, 3, False), ("publish", 1, 2, False), ("publish", 2, 3, False)]
HALF = [("publish", 2, 5, False), ("acknowledge", 0, 3, False)]
TWO = [("publish", 1, 2, False)]
LONG = ("needlessly long", "acknowledge", 9)
NEXT = {
    Puback: "next_puback",
    Pubrec: "next_pubrec",
    Pubcomp: "next_pubcomp",
    Pubrel: "next_pubrel",
}


class Script:
    """Steps turned into packets, by what the broker that reads bursts has in flight."""

    def __init__(self):
        self.next_id = 0

    def packets(self, side, step):
        """(who says it, what)."""
        verb, *arguments = step
        if verb == "publish":
            qos, count, again = arguments
            ids = [(self.next_id + place) % 65_535 + 1 for place in range(count)]
            self.next_id += count + again  # now and then one is left out
            return "publisher", [Publish("t", b"x", qos, packet_id=one) for one in ids]
        if verb == "acknowledge":
            return "subscriber", answers(side.session(side.subscriber), *arguments)
        if verb == "release":
            return "publisher", releases(side.session(side.publisher), *arguments)
        if verb == "needlessly long":
            verb, count = arguments
            who, packets = self.packets(side, (verb, 0, count, False))
            packets = [encode(packet, side.version) for packet in packets]
            if packets and side.version == 4:
                packets[0] = with_needless_byte(packets[0])
            return who, [*packets, Pingreq()]
        if verb == "publish again":
            place, count = arguments
            ids = list(side.session(side.publisher).received)[place : place + count]
            return "publisher", [Publish("t", b"y", 2, packet_id=one) for one in ids]
        if verb == "in turn":  # whatever it is that awaits this, and then what is another one's
            kind, count = arguments
            who = "publisher" if kind is Pubrel else "subscriber"
            first = abs(getattr(side.session(getattr(side, who)), NEXT[kind])) or 1
            ids = [*range(first, first + count), first + count + 256]
            return who, [kind(packet_id) for packet_id in ids if packet_id < 65_536]
        kind, packet_id, reason = arguments
        if reason and (side.version != 5 or kind not in (Pubcomp, Pubrel)):
            reason = 0
        who = "publisher" if kind is Pubrel else "subscriber"
        return who, [kind(packet_id, reason)]


@pytest.mark.parametrize("version", [4, 5])
@settings(max_examples=40)
@example(steps=[*TWO, *TWO, *MIXED, ("in turn", Pubrec, 7)], first=0)
@example(steps=[*TWO, *TWO, *TWO, *MIXED, ("in turn", Puback, 7)], first=0)
@example(steps=[*TWO, *TWO, *HALF, ("in turn", Pubcomp, 5)], first=0)
@example(
    steps=[
        *TWO,
        *TWO,
        ("wrong", Pubrec, 4, 0),
        *TWO,
        ("publish", 1, 3, False),
        ("acknowledge", 3, 2, False),
    ],
    first=65_534,
)
@example(steps=[*TWO, *TWO, ("publish", 1, 9, False), LONG], first=0)
@example(steps=[*MIXED, ("publish again", 0, 2), ("release", 0, 9, False)], first=0)
@given(steps=st.lists(STEPS, min_size=8, max_size=40), first=st.sampled_from((0, 65_520)))
def test_a_burst_is_as_good_as_one_after_the_other(version, steps, first):
    sides = Pair(version, True), Pair(version, False)
    script = Script()
    for qos in (1, 2):  # until the client's PUBLISH takes the short way
        steps = [("publish", qos, LONG_WAYS + 2, False), *steps]
    whole = [("release", 0, 1_000, False), *[("acknowledge", 0, 1_000, False)] * 3]
    for place, step in enumerate([*steps[:2], *whole, *steps[2:], *whole]):
        if place == 2 and first:
            for side in sides:
                side.session(side.subscriber).last_packet_id = first
            script.next_id = first
        who, packets = script.packets(sides[0], step)
        if not packets:
            continue
        for side in sides:
            side.say(getattr(side, who), packets)
        burst, each = (side.seen() for side in sides)
        assert burst == each
        if any(
            client.wire.connection.ended for client in (sides[0].publisher, sides[0].subscriber)
        ):
            break
    for side in sides:
        side.site.close()


@pytest.mark.statement("MQTT5-4.6.0-4", "MQTT3-4.6.0-4")
def test_pubrel_in_the_order_of_the_numbers_is_not_that_of_the_pubrecs():
    side = Pair(4, True)
    publisher = side.publisher
    side.say(publisher, [Publish("t", b"x", 2, packet_id=one) for one in (1, 2, 3)])
    side.say(publisher, [Pubrel(one) for one in (1, 2, 3)])
    side.say(publisher, [Publish("t", b"x", 2, packet_id=one) for one in (4, 6, 5)])
    side.say(publisher, [Pubrel(one) for one in (4, 5, 6)])
    record = publisher.wire.connection.conduct.record
    assert [rule.v3 for _, rule in record.breaches] == ["MQTT-4.6.0-4"]
    side.site.close()


@pytest.mark.statement("MQTT5-4.6.0-4", "MQTT3-4.6.0-4")
def test_packet_ids_that_are_used_again_do_not_hide_the_order():
    side = Pair(4, True)
    publisher = side.publisher
    side.say(publisher, [Publish("t", b"x", 2, packet_id=one) for one in (1, 2)])
    side.say(publisher, [Pubrel(one) for one in (1, 2)])
    side.say(publisher, [Publish("t", b"x", 2, packet_id=one) for one in (2, 3)])
    side.say(publisher, [Pubrel(one) for one in (3, 2)])
    record = publisher.wire.connection.conduct.record
    assert [rule.v3 for _, rule in record.breaches] == ["MQTT-4.6.0-4"]
    side.site.close()


def test_what_is_shown_before_a_breach_are_packets_each_by_itself():
    side = Pair(4, True)
    publisher = side.publisher
    ids = range(1, 6)
    side.say(publisher, [Publish("t", b"x", 2, packet_id=one) for one in ids])
    side.say(publisher, [Pubrel(one) for one in ids])
    ids = range(6, 11)
    side.say(publisher, [Publish("t", b"x", 2, packet_id=one) for one in ids])
    publisher.send(b"".join(encode(Pubrel(one), 4) for one in ids) + b"\xd0\x00")
    (breach,) = publisher.wire.connection.conduct.record.breaches.values()
    assert [one.data for one in breach.sequence[-5:]] == [encode(Pubcomp(one), 4) for one in ids]
    side.site.close()
