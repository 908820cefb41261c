"""Packets of every version as they stand on the wire, however they arrive."""

from contextlib import suppress

import pytest

from formats.errors import ProtocolViolation, Rule
from formats.mqtt.codec import decode, encode
from formats.mqtt.stream import PacketReader
from tests.wire.mqtt import cases
from tests.wire.mqtt_connect import CONNACK, CONNECT
from tests.wire.mqtt_control import AUTH, DISCONNECT, PING
from tests.wire.mqtt_publish import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from tests.wire.mqtt_subscribe import SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE
from tests.wire.reading import LIMIT, decode_all

TABLES = (
    *(CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP),
    *(SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PING, DISCONNECT, AUTH),
)
PUBACKS = bytes.fromhex("40020001 40020002")  # something that goes before
PACKETS = [case for table in TABLES for case in cases(table, object)]


@pytest.mark.statement("MQTT5-1.5.4-3", "MQTT3-1.5.3-3")
@pytest.mark.parametrize(("version", "wire"), PACKETS)
def test_wire_means_the_packet_however_it_arrives(version, wire):
    data = wire.data
    assert decode_all([data], version) == [wire.means]
    if len(data) < 1000:
        assert decode_all([data[i : i + 1] for i in range(len(data))], version) == [wire.means]
    assert decode_all([data + data[:3], data[3:]], version) == [wire.means] * 2
    assert decode_all([data[:-1], data[-1:] + data + data], version) == [wire.means] * 3


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-2.2.1-2",
    "MQTT5-2.2.2-1",
    "MQTT5-3.1.2-9",
    "MQTT5-3.1.3-1",
    "MQTT5-3.1.3-3",
    "MQTT5-3.1.3-11",
    "MQTT5-3.1.3-12",
    "MQTT5-3.2.2-1",
    "MQTT5-3.3.2-1",
    "MQTT5-3.6.1-1",
    "MQTT3-2.2.2-1",
    "MQTT3-2.3.1-5",
    "MQTT3-3.1.2-9",
    "MQTT3-3.1.3-1",
    "MQTT3-3.1.3-3",
    "MQTT3-3.1.3-10",
    "MQTT3-3.1.3-11",
    "MQTT3-3.3.2-1",
    "MQTT3-3.6.1-1",
)
@pytest.mark.parametrize(
    ("version", "wire"), [case for case in PACKETS if case.values[1].canonical]
)
def test_packet_is_written_as_the_wire(version, wire):
    assert encode(wire.means, version) == wire.data


@pytest.mark.parametrize(("version", "wire"), PACKETS)
def test_part_of_a_packet_is_awaited(version, wire):
    data = wire.data
    for length in range(min(len(data), 300)):
        assert decode_all([data[:length]], version) == []


@pytest.mark.parametrize(("version", "wire"), PACKETS)
def test_body_cut_anywhere_is_a_packet_or_a_violation(version, wire):
    ((byte1, data, pos, end),) = PacketReader(LIMIT, version).feed(wire.data)
    for stop in range(pos, min(end, pos + 300)):
        with suppress(ProtocolViolation):
            decode(byte1, data, pos, stop, version)


def assert_names_its_rule(version, wire):
    """Wherever in the stream the packet stands, and always at the same byte of it."""
    with pytest.raises(ProtocolViolation) as alone:
        decode_all([wire.data], version)
    with pytest.raises(ProtocolViolation) as behind:
        decode_all([PUBACKS, PUBACKS + wire.data], version)
    for caught in (alone.value, behind.value):
        assert caught.rule is wire.means
        assert -1 <= caught.offset <= len(wire.data)
    assert str(behind.value) == str(alone.value)


@pytest.mark.statement(
    "MQTT5-1.5.4-1",
    "MQTT5-2.1.3-1",
    "MQTT5-3.1.2-1",
    "MQTT5-3.1.2-2",
    "MQTT5-3.1.2-3",
    "MQTT5-3.1.2-9",
    "MQTT5-3.1.2-11",
    "MQTT5-3.1.2-12",
    "MQTT5-3.1.2-13",
    "MQTT5-3.1.2-16",
    "MQTT5-3.1.2-17",
    "MQTT5-3.1.2-18",
    "MQTT5-3.1.2-19",
    "MQTT5-3.1.3-3",
    "MQTT5-3.1.3-4",
    "MQTT5-3.1.4-1",
    "MQTT5-4.7.0-1",
    "MQTT5-4.7.3-1",
    "MQTT3-1.5.3-1",
    "MQTT3-2.2.2-1",
    "MQTT3-2.2.2-2",
    "MQTT3-3.1.2-2",
    "MQTT3-3.1.2-3",
    "MQTT3-3.1.2-9",
    "MQTT3-3.1.2-11",
    "MQTT3-3.1.2-13",
    "MQTT3-3.1.2-14",
    "MQTT3-3.1.2-15",
    "MQTT3-3.1.2-18",
    "MQTT3-3.1.2-19",
    "MQTT3-3.1.2-20",
    "MQTT3-3.1.2-21",
    "MQTT3-3.1.2-22",
    "MQTT3-3.1.3-3",
    "MQTT3-3.1.3-4",
    "MQTT3-3.1.4-1",
    "MQTT3-4.7.1-1",
    "MQTT3-4.7.3-1",
    "U5-1.5.4-1",
    "U5-2.1.3-1",
    "U5-3.1.2.3-1",
    "U5-3.1.2.6-1",
    "U5-3.1.2.11.10-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(CONNECT, Rule))
def test_broken_connect_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-3.2.2-1",
    "MQTT5-3.2.2-6",
    "MQTT5-3.2.2-8",
    "MQTT3-2.2.2-1",
    "MQTT3-3.2.2-4",
    "MQTT3-3.2.2-6",
    "U311-3.2.2.1-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(CONNACK, Rule))
def test_broken_connack_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-1.5.4-1",
    "MQTT5-1.5.4-2",
    "MQTT5-1.5.5-1",
    "MQTT5-1.5.7-1",
    "MQTT5-2.2.1-3",
    "MQTT5-3.3.1-2",
    "MQTT5-3.3.1-4",
    "MQTT5-3.3.2-1",
    "MQTT5-3.3.2-2",
    "MQTT5-3.3.2-14",
    "MQTT5-4.7.3-1",
    "MQTT5-4.7.3-2",
    "MQTT3-1.5.3-1",
    "MQTT3-1.5.3-2",
    "MQTT3-2.3.1-1",
    "MQTT3-3.3.1-2",
    "MQTT3-3.3.1-4",
    "MQTT3-3.3.2-1",
    "MQTT3-3.3.2-2",
    "MQTT3-4.7.3-1",
    "MQTT3-4.7.3-2",
    "U5-1.5.4-1",
    "U5-1.5.4-2",
    "U5-1.5.7-1",
    "U5-2.2.2.2-1",
    "U5-3.3.1.2-2",
    "U5-3.3.2.1-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(PUBLISH, Rule))
def test_broken_publish_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-2.2.1-5",
    "MQTT5-3.4.2-1",
    "MQTT3-2.2.2-1",
    "MQTT3-2.3.1-6",
    "U5-2.2.2.2-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(PUBACK, Rule))
def test_broken_puback_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-2.2.1-5",
    "MQTT5-3.5.2-1",
    "MQTT3-2.2.2-1",
    "MQTT3-2.3.1-6",
    "U5-2.2.2.2-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(PUBREC, Rule))
def test_broken_pubrec_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.2.1-5",
    "MQTT5-3.6.1-1",
    "MQTT5-3.6.2-1",
    "MQTT3-2.3.1-6",
    "MQTT3-3.6.1-1",
    "U5-2.2.2.2-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(PUBREL, Rule))
def test_broken_pubrel_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-2.2.1-5",
    "MQTT5-3.7.2-1",
    "MQTT3-2.2.2-1",
    "MQTT3-2.3.1-6",
    "U5-2.2.2.2-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(PUBCOMP, Rule))
def test_broken_pubcomp_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-1.5.4-1",
    "MQTT5-2.2.1-3",
    "MQTT5-3.8.1-1",
    "MQTT5-3.8.3-1",
    "MQTT5-3.8.3-2",
    "MQTT5-3.8.3-4",
    "MQTT5-3.8.3-5",
    "MQTT5-4.7.1-1",
    "MQTT5-4.7.1-2",
    "MQTT5-4.7.3-1",
    "MQTT5-4.8.2-1",
    "MQTT5-4.8.2-2",
    "MQTT3-1.5.3-1",
    "MQTT3-2.3.1-1",
    "MQTT3-3.8.1-1",
    "MQTT3-3.8.3-1",
    "MQTT3-3.8.3-3",
    "MQTT3-3.8.3-4",
    "MQTT3-4.7.1-2",
    "MQTT3-4.7.1-3",
    "MQTT3-4.7.3-1",
    "U5-3.8.2.1.2-2",
    "U5-3.8.3-1",
    "U5-3.8.3.1-1",
    "U5-3.8.3.1-2",
)
@pytest.mark.parametrize(("version", "wire"), cases(SUBSCRIBE, Rule))
def test_broken_subscribe_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-2.2.1-6",
    "MQTT5-3.8.4-6",
    "MQTT5-3.9.3-2",
    "MQTT3-2.2.2-1",
    "MQTT3-2.3.1-7",
    "MQTT3-3.8.4-5",
    "MQTT3-3.9.3-2",
)
@pytest.mark.parametrize(("version", "wire"), cases(SUBACK, Rule))
def test_broken_suback_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-1.5.4-1",
    "MQTT5-2.2.1-3",
    "MQTT5-3.10.1-1",
    "MQTT5-3.10.3-1",
    "MQTT5-3.10.3-2",
    "MQTT5-4.7.1-2",
    "MQTT5-4.8.2-2",
    "MQTT3-1.5.3-1",
    "MQTT3-2.3.1-1",
    "MQTT3-3.10.1-1",
    "MQTT3-3.10.3-1",
    "MQTT3-3.10.3-2",
    "MQTT3-4.7.1-2",
    "U5-3.10.3-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(UNSUBSCRIBE, Rule))
def test_broken_unsubscribe_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT5-2.2.1-6",
    "MQTT5-3.11.3-2",
    "MQTT3-2.2.2-1",
    "MQTT3-2.3.1-7",
)
@pytest.mark.parametrize(("version", "wire"), cases(UNSUBACK, Rule))
def test_broken_unsuback_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-2.1.3-1",
    "MQTT3-2.2.2-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(PING, Rule))
def test_broken_ping_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-3.14.1-1",
    "MQTT5-3.14.2-1",
    "MQTT3-3.14.1-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(DISCONNECT, Rule))
def test_broken_disconnect_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)


@pytest.mark.statement(
    "MQTT5-3.15.1-1",
    "MQTT5-3.15.2-1",
    "U5-3.15.2.2.2-1",
)
@pytest.mark.parametrize(("version", "wire"), cases(AUTH, Rule))
def test_broken_auth_names_its_rule(version, wire):
    assert_names_its_rule(version, wire)
