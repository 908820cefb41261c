"""Whatever the bytes and whatever the packet: nothing but packets and violations."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import ProtocolViolation
from formats.mqtt import connect as connecting
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.codec import decode, encode
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
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
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    BINARY,
    BYTE,
    FOUR_BYTES,
    PAIR,
    PROPERTIES,
    RESPONSE_TOPIC,
    TEXT,
    TWO_BYTES,
    VARIABLE,
)
from formats.mqtt.publish import Publish
from formats.mqtt.reasons import ALLOWED
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from tests.formats.test_mqtt_wire import PACKETS
from tests.wire.reading import decode_all

EXAMPLES = settings(max_examples=150, deadline=None, database=None)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
topics = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=20
)
levels = st.one_of(st.just("+"), topics)
topic_filters = st.lists(levels, min_size=1, max_size=4).map("/".join)
shared_filters = topic_filters.map("$share/g/{}/#".format)
plain_filters = topic_filters.filter(lambda name: not name.startswith("$share/"))
ids = st.integers(1, 65_535)
blobs = st.binary(max_size=40)
VALUES = {
    BYTE: st.integers(0, 255),
    TWO_BYTES: st.integers(0, 65_535),
    FOUR_BYTES: st.integers(0, 0xFFFFFFFF),
    VARIABLE: st.integers(0, 268_435_455),
    TEXT: texts,
    BINARY: blobs,
    PAIR: st.tuples(texts, texts),
}


def values(row, place):
    one = VALUES[row.type]
    if row.low is not None:
        one = st.integers(row.low, row.high)
    if row.identifier == RESPONSE_TOPIC:
        one = topics
    if row.type in (PAIR, VARIABLE):
        return st.lists(one, min_size=1, max_size=4 if place in row.repeats else 1)
    return one


def properties(place):
    rows = {row.identifier: values(row, place) for row in PROPERTIES if place in row.packets}
    some = st.fixed_dictionaries({}, optional=rows)
    if place == CONNECT:
        some = some.filter(
            lambda has: AUTHENTICATION_DATA not in has or AUTHENTICATION_METHOD in has
        )
    if place == AUTH:
        some = some.filter(lambda has: AUTHENTICATION_METHOD in has)
    return some.map(lambda has: has or None)


def reasons(place):
    return st.sampled_from(sorted(ALLOWED[place]))


def build(*arguments):
    return st.builds(*arguments)


wills = build(Will, topics, blobs, st.integers(0, 2), st.booleans(), properties(WILL))
subscriptions = st.one_of(
    build(Subscription, plain_filters, st.integers(0, 2), st.booleans(), st.booleans(),
          st.integers(0, 2)),
    build(Subscription, shared_filters, st.integers(0, 2), st.just(False), st.booleans(),
          st.integers(0, 2)),
)  # fmt: skip
flags = st.booleans()

PACKETS_OF_5 = st.one_of(
    build(Connect, st.just(5), texts, flags, st.integers(0, 65_535), st.none() | texts,
          st.none() | blobs, st.none() | wills, properties(CONNECT)),
    build(Connack, flags, st.just(0), properties(CONNACK)),
    build(Connack, st.just(False), reasons(CONNACK), properties(CONNACK)),
    build(Publish, topics, blobs, st.just(0), flags, st.just(False), st.just(0),
          properties(PUBLISH)),
    build(Publish, topics, blobs, st.integers(1, 2), flags, flags, ids, properties(PUBLISH)),
    build(Puback, ids, reasons(PUBACK), properties(PUBACK)),
    build(Pubrec, ids, reasons(PUBREC), properties(PUBREC)),
    build(Pubrel, ids, reasons(PUBREL), properties(PUBREL)),
    build(Pubcomp, ids, reasons(PUBCOMP), properties(PUBCOMP)),
    build(Subscribe, ids, st.lists(subscriptions, min_size=1, max_size=4), properties(SUBSCRIBE)),
    build(Suback, ids, st.lists(reasons(SUBACK), min_size=1), properties(SUBACK)),
    build(Unsubscribe, ids, st.lists(shared_filters | plain_filters, min_size=1, max_size=4),
          properties(UNSUBSCRIBE)),
    build(Unsuback, ids, st.lists(reasons(UNSUBACK), min_size=1), properties(UNSUBACK)),
    build(Pingreq),
    build(Pingresp),
    build(Disconnect, reasons(DISCONNECT), properties(DISCONNECT)),
    build(Auth, reasons(AUTH), properties(AUTH)),
)  # fmt: skip


def wills_of_3():
    return build(Will, topics, blobs, st.integers(0, 2), flags)


def packets_of_3(version):
    return st.one_of(
        build(Connect, st.just(version), texts, flags, st.integers(0, 65_535), texts,
              st.none() | blobs, st.none() | wills_of_3()),
        build(Connack, flags if version == 4 else st.just(False), st.just(0)),
        build(Connack, st.just(False), st.integers(0, 5)),
        build(Publish, topics, blobs, st.just(0), flags),
        build(Publish, topics, blobs, st.integers(1, 2), flags, flags, ids),
        *(build(kind, ids) for kind in (Puback, Pubrec, Pubrel, Pubcomp)),
        build(Subscribe, ids, st.lists(build(Subscription, topic_filters, st.integers(0, 2)),
                                       min_size=1)),
        build(Suback, ids, st.lists(st.integers(0, 2), min_size=1)),
        build(Unsubscribe, ids, st.lists(topic_filters, min_size=1)),
        build(Unsuback, ids, st.just([])),
        build(Disconnect),
    )  # fmt: skip


@EXAMPLES
@given(st.lists(PACKETS_OF_5, max_size=4), st.integers(1, 50))
def test_packets_of_5_0_come_back(packets, size):
    assert_come_back(packets, size, 5)


@pytest.mark.parametrize("version", [3, 4])
def test_packets_of_3_x_come_back(version):
    @EXAMPLES
    @given(st.lists(packets_of_3(version), max_size=4), st.integers(1, 50))
    def come_back(packets, size):
        assert_come_back(packets, size, version)

    come_back()


def assert_come_back(packets, size, version):
    data = b"".join(encode(packet, version) for packet in packets)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert decode_all(chunks, version) == packets
    assert decode_all([data], version) == packets


@EXAMPLES
@given(st.integers(0, 255), st.binary(max_size=60), st.sampled_from([3, 4, 5]))
def test_any_body_is_a_packet_or_a_violation(byte1, body, version):
    with suppress(ProtocolViolation):
        decode(byte1, body, 0, len(body), version)


@EXAMPLES
@given(st.binary(max_size=100), st.sampled_from([3, 4, 5]))
def test_any_stream_is_packets_or_a_violation(data, version):
    with suppress(ProtocolViolation):
        decode_all([data[:50], data[50:]], version)


@EXAMPLES
@given(
    st.sampled_from([case.values for case in PACKETS if len(case.values[1].data) < 200]),
    st.data(),
)
def test_packet_with_bytes_changed_is_a_packet_or_a_violation(case, draw):
    version, wire = case
    data = bytearray(wire.data)
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(data) - 1))
        data[place] = draw.draw(st.integers(0, 255))
    try:
        packets = decode_all([bytes(data)], version)
    except ProtocolViolation:
        return
    for packet in packets:  # what was accepted can be written, and means the same again
        assert decode_all([encode(packet, version)], version) == [packet]


def outcome(decode_one, *arguments):
    try:
        return decode_one(*arguments)
    except ProtocolViolation as violation:
        return violation.rule, violation.seen, violation.offset


@settings(EXAMPLES, max_examples=600)
@given(
    st.sampled_from([4, 5]),
    st.sampled_from([0, 2, 1, 6]),
    st.booleans(),
    st.one_of(st.binary(max_size=4), st.text("a\0é", max_size=3).map(str.encode)),
    st.lists(st.tuples(st.integers(0, 16), st.integers(0, 255)), max_size=1),
    st.sampled_from([0, -1, 1]),
)
def test_a_plain_connect_is_decoded_as_any_other(
    version, connect_flags, odd, client_id, changes, more
):
    body = bytearray(b"\0\4MQTT" + bytes((version, connect_flags, 0, 60)))
    if odd == (version == 4):  # no properties where there have to be some, or the other way
        body.append(0)
    body += len(client_id).to_bytes(2, "big") + client_id
    for place, value in changes:
        body[place % len(body)] = value
    end = 2 + len(body) + min(more, 0)
    arguments = 0, b"\x10\x00" + body + bytes(max(more, 0)), 2, end
    assert outcome(connecting.decode_connect, *arguments) == outcome(connecting._decode, *arguments)
