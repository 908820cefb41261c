"""Properties (5.0, 2.2.2): each of them in each packet."""

import pytest

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.codec import encode
from formats.mqtt.packet_types import AUTH, CONNECT, PUBLISH, SUBSCRIBE
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    PROPERTIES,
    SUBSCRIPTION_IDENTIFIER,
    USER_PROPERTY,
    property_name,
    read_properties,
    write_properties,
)
from formats.mqtt.property_rules import OUT_OF_RANGE, REPEATED
from tests.wire.mqtt_properties import ALLOWED, PLACES, SAMPLES
from tests.wire.mqtt_properties import OUT_OF_RANGE as BAD_VALUES
from tests.wire.notation import wire_bytes
from tests.wire.reading import decode_all

METHOD = '15 "m" '
EVERYWHERE = [(place, identifier) for place in PLACES for identifier in SAMPLES]


def needs_method(place, identifier):
    """AUTH always has a method, and Authentication Data is nothing without one."""
    if identifier == AUTHENTICATION_METHOD:
        return False
    return place == AUTH or (place == CONNECT and identifier == AUTHENTICATION_DATA)


def in_packet(place, identifier, notation):
    prefix = METHOD if needs_method(place, identifier) else ""
    return wire_bytes(PLACES[place][0] % (prefix + notation))


def names(place, identifier):
    return f"{place}-{property_name(identifier)}"


def allowed(place, identifier):
    return identifier in ALLOWED[place]


GOOD = [pytest.param(*one, id=names(*one)) for one in EVERYWHERE if allowed(*one)]
FOREIGN = [pytest.param(*one, id=names(*one)) for one in EVERYWHERE if not allowed(*one)]
SINGLE = [
    pytest.param(*one, id=names(*one))
    for one in EVERYWHERE
    if allowed(*one)
    and one not in ((PUBLISH, SUBSCRIPTION_IDENTIFIER),)
    and one[1] != USER_PROPERTY
]
BAD = [
    pytest.param(place, identifier, value, id=f"{names(place, identifier)}-{value}")
    for place, identifier in EVERYWHERE
    if allowed(place, identifier)
    for value in BAD_VALUES.get(identifier, ())
]


def test_table_has_the_rows_of_table_2_4():
    assert {row.identifier for row in PROPERTIES} == set(SAMPLES)
    for place, identifiers in ALLOWED.items():
        assert {row.identifier for row in PROPERTIES if place in row.packets} == identifiers


@pytest.mark.statement(
    "MQTT5-3.3.2-13", "MQTT5-3.3.2-18", "MQTT5-3.3.2-19", "MQTT5-3.1.3-10", "MQTT5-1.5.5-1"
)
@pytest.mark.parametrize(("place", "identifier"), GOOD)
def test_property_is_read_and_written(place, identifier):
    notation, value, _ = SAMPLES[identifier]
    data = in_packet(place, identifier, notation)
    properties = {identifier: value}
    if needs_method(place, identifier):
        properties = {AUTHENTICATION_METHOD: "m", **properties}
    packet = PLACES[place][1](properties)
    assert decode_all([data], 5) == [packet]
    assert decode_all([data[i : i + 1] for i in range(len(data))], 5) == [packet]
    assert encode(packet, 5) == data


@pytest.mark.statement("U5-2.2.2.2-1")
@pytest.mark.parametrize(("place", "identifier"), FOREIGN)
def test_property_of_another_packet_is_malformed(place, identifier):
    with pytest.raises(ProtocolViolation) as caught:
        decode_all([in_packet(place, identifier, SAMPLES[identifier][0])], 5)
    assert caught.value.rule is rules.PROPERTY_NOT_ALLOWED
    assert property_name(identifier) in caught.value.seen


@pytest.mark.statement(
    "U5-3.1.2.11.2-1",
    "U5-3.1.2.11.3-1",
    "U5-3.1.2.11.4-1",
    "U5-3.1.2.11.5-1",
    "U5-3.1.2.11.6-1",
    "U5-3.1.2.11.7-1",
    "U5-3.1.2.11.9-1",
    "U5-3.1.2.11.10-2",
    "U5-3.1.3.2.2-1",
    "U5-3.1.3.2.3-2",
    "U5-3.1.3.2.4-1",
    "U5-3.1.3.2.5-1",
    "U5-3.1.3.2.6-1",
    "U5-3.1.3.2.7-1",
    "U5-3.3.2.3.4-1",
    "U5-3.3.2.3.5-1",
    "U5-3.3.2.3.6-1",
    "U5-3.3.2.3.9-1",
    "U5-3.4.2.2.2-1",
    "U5-3.5.2.2.2-2",
    "U5-3.6.2.2.2-2",
    "U5-3.7.2.2.2-2",
    "U5-3.8.2.1.2-2",
    "U5-3.14.2.2.2-1",
    "U5-3.14.2.2.3-2",
    "U5-3.14.2.2.5-1",
    "U5-3.15.2.2.2-1",
    "U5-3.15.2.2.3-1",
    "U5-3.15.2.2.4-2",
)
@pytest.mark.parametrize(("place", "identifier"), SINGLE)
def test_property_twice_is_a_protocol_error(place, identifier):
    first, _, second = SAMPLES[identifier]
    for notation in (f"{first} {second}", f'{first} 26 "a" "b" {first}'):
        with pytest.raises(ProtocolViolation) as caught:
            decode_all([in_packet(place, identifier, notation)], 5)
        assert caught.value.rule is REPEATED[place, identifier]
        assert caught.value.rule.reason == 0x82


@pytest.mark.statement(
    "U5-3.1.2.11.3-1",
    "U5-3.1.2.11.4-1",
    "U5-3.1.2.11.6-1",
    "U5-3.1.2.11.7-1",
    "U5-3.3.2.3.8-1",
    "U5-3.8.2.1.2-1",
    "MQTT5-3.3.2-8",
)
@pytest.mark.parametrize(("place", "identifier", "notation"), BAD)
def test_value_out_of_range_is_a_protocol_error(place, identifier, notation):
    with pytest.raises(ProtocolViolation) as caught:
        decode_all([in_packet(place, identifier, notation)], 5)
    assert caught.value.rule is OUT_OF_RANGE[place, identifier]
    assert caught.value.rule.reason == (0x94 if identifier == 0x23 else 0x82)


@pytest.mark.parametrize(("place", "identifier"), GOOD)
def test_value_cut_short_is_malformed(place, identifier):
    data = wire_bytes(SAMPLES[identifier][0])
    for length in range(1, len(data)):
        cut = bytes((length,)) + data[:length] + b"\xff" * 9
        with pytest.raises(ProtocolViolation) as caught:
            read_properties(cut, 0, len(cut), place)
        assert caught.value.rule is rules.TRUNCATED


@pytest.mark.statement("MQTT5-3.3.2-17", "MQTT5-3.3.2-18", "MQTT5-3.1.3-10")
@pytest.mark.parametrize("place", list(PLACES))
def test_user_properties_stay_all_and_in_order(place):
    notation = '26 "b" "1" 26 "a" "2" 26 "b" "1"'
    data = in_packet(place, USER_PROPERTY, notation)
    (packet,) = decode_all([data], 5)
    properties = (packet.will if place == 0 else packet).properties
    assert properties[USER_PROPERTY] == [("b", "1"), ("a", "2"), ("b", "1")]
    assert encode(packet, 5) == data


def test_subscription_identifier_is_a_list_even_alone():
    data = wire_bytes("[ 0b 05 ]")
    for place in (SUBSCRIBE, PUBLISH):
        assert read_properties(data, 0, len(data), place) == ({SUBSCRIPTION_IDENTIFIER: [5]}, 3)


def test_no_properties_are_none():
    assert read_properties(b"\xff\0\xff", 1, 3, CONNECT) == (None, 2)


@pytest.mark.statement("MQTT5-2.2.2-1")
@pytest.mark.parametrize("nothing", [None, {}])
def test_no_properties_are_written_as_length_0(nothing):
    out = bytearray()
    write_properties(out, nothing)
    assert out == b"\0"


def test_faults_can_be_written():
    out = bytearray()
    write_properties(out, {0x21: [1, 2], 0x7E: b"\xff", 0x24: 9})
    assert out == wire_bytes("[ 21 0001 21 0002 7e ff 24 09 ]")
