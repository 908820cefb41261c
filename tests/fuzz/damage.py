"""Bytes that are nearly right: valid ones with a few things wrong."""

from hypothesis import strategies as st

from formats.mqtt.fields import framed
from tests.formats.test_mqtt_wire import PACKETS

LONGEST = 300  # bytes; a long payload makes examples slow, and no new mistakes

# (protocol level, bytes) of one packet each, of every type.
VALID = [
    (version, wire.data)
    for version, wire in (case.values for case in PACKETS)
    if len(wire.data) <= LONGEST
]

places = st.integers(0, LONGEST)
odd_bytes = st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
odd_lengths = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF]) | st.integers(0, 400)
steps = st.one_of(
    st.tuples(st.just("flip"), places, st.integers(0, 7)),
    st.tuples(st.just("set"), places, odd_bytes),
    st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=5)),
    st.tuples(st.just("delete"), places, st.integers(1, 5)),
    st.tuples(st.just("repeat"), places, st.integers(1, 40)),
    st.tuples(st.just("lie"), places, odd_lengths),  # two bytes that may be a length
    st.tuples(st.just("cut"), places, st.just(0)),
)


def damaged(data, changes):
    """`data` after the changes, each (kind, place, what)."""
    out = bytearray(data)
    for kind, place, what in changes:
        place %= len(out) or 1
        if kind == "insert":
            out[place:place] = what
        elif kind == "repeat":
            out[place:place] = out[place : place + what]
        elif kind == "delete":
            del out[place : place + what]
        elif kind == "cut":
            del out[place:]
        elif kind == "lie":
            out[place : place + 2] = what.to_bytes(2, "big")
        elif place < len(out):
            out[place] = out[place] ^ 1 << what if kind == "flip" else what
    return bytes(out)


def with_true_length(packet):
    """The packet with the Remaining Length that it should have, so that a decoder gets to what is
    wrong behind it."""
    pos = 1
    while pos < min(len(packet), 4) and packet[pos] & 0x80:
        pos += 1
    return framed(packet[0], bytearray(packet[pos + 1 :])) if packet else packet


changes = st.lists(steps, min_size=1, max_size=4)


@st.composite
def nearly_valid(draw, valid=VALID):
    """(protocol level, bytes of a packet that was valid before its damage)."""
    version, data = draw(st.sampled_from(valid))
    data = damaged(data, draw(changes))
    return version, with_true_length(data) if draw(st.booleans()) else data
