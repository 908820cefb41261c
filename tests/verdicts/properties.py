"""Rules of single properties: each that a client can send, repeated, and out of range."""

from formats.mqtt import property_rules
from formats.mqtt.packet_types import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PUBLISH,
    SUBACK,
    UNSUBACK,
)
from formats.mqtt.properties import property_name
from tests.verdicts.support import V5, Case
from tests.wire.mqtt_properties import OUT_OF_RANGE, PLACES, SAMPLES
from tests.wire.notation import wire_bytes

SERVER_REFERENCE = 0x1C
FROM_SERVERS = (CONNACK, SUBACK, UNSUBACK)
CONFIGURATION = "auth_method CHALLENGE\nauth_challenge first one\ntopic_alias_maximum 500"


# Where what `SAMPLES` has is against another rule.
LAWFUL = {(PUBLISH, 0x0B): '26 "a" "b"', (DISCONNECT, 0x11): "11 00000000"}


def of_servers(place):
    """Whether only a server sends this property in this packet."""
    return place[0] in FROM_SERVERS or place == (DISCONNECT, SERVER_REFERENCE)


def name_of(kind, place):
    packet = PACKET_NAMES[place[0]] if place[0] else "Will Properties"
    return f"{kind} 0x{place[1]:02x} in {packet}"


RULES = {
    **{name_of("REPEATED", place): rule for place, rule in property_rules.REPEATED.items()},
    **{name_of("OUT_OF_RANGE", place): rule for place, rule in property_rules.OUT_OF_RANGE.items()},
}
ONLY_SERVERS = {
    name_of(kind, place)
    for kind, table in (
        ("REPEATED", property_rules.REPEATED),
        ("OUT_OF_RANGE", property_rules.OUT_OF_RANGE),
    )
    for place in table
    if of_servers(place)
}


def _act(packet, shown):
    """The packet with these properties, sent where it may be sent."""
    notation = PLACES[packet][0] % shown
    if packet != AUTH:
        return notation

    def answer(stage):
        one = stage.raw()
        one.send(stage.bytes_of('10 .. {mqtt} 02 0000 [ 15 "CHALLENGE" ] "c"'))
        one.receive()
        data = stage.bytes_of(notation)
        one.send(data)
        return data

    return answer


def _beside(packet, identifier):
    """What has to be there for the property to be all that is wrong."""
    if packet in (CONNECT, AUTH) and identifier != 0x15:
        return '15 "CHALLENGE"'
    return ""


def _case(name, packet, identifier, wrong, seen, shows):
    beside = _beside(packet, identifier)
    sample = SAMPLES[identifier][0]
    if identifier == 0x15:
        sample = '15 "CHALLENGE"'
    lawful = _act(packet, f"{beside} {LAWFUL.get((packet, identifier), sample)}")
    if 4 <= packet <= 7:  # alone it acknowledges nothing that was sent
        lawful = "c0 00"
    data = wire_bytes(PLACES[packet][0] % f"{beside} {wrong}")
    offset = data.rindex(wire_bytes(shows))
    broken = _act(packet, f"{beside} {wrong}")
    return Case(name, V5, broken, lawful, seen, offset, CONFIGURATION)


def _repeated(place):
    packet, identifier = place
    sample = '15 "CHALLENGE"' if identifier == 0x15 else SAMPLES[identifier][0]
    name, seen = name_of("REPEATED", place), property_name(identifier)
    return _case(name, packet, identifier, f"{sample} {sample}", seen, sample)


def _out_of_range(place):
    packet, identifier = place
    wrong = OUT_OF_RANGE[identifier][0]
    seen = f"{property_name(identifier)} {int.from_bytes(wire_bytes(wrong)[1:], 'big')}"
    return _case(name_of("OUT_OF_RANGE", place), packet, identifier, wrong, seen, wrong)


PROPERTIES = (
    *(_repeated(place) for place in property_rules.REPEATED if not of_servers(place)),
    *(_out_of_range(place) for place in property_rules.OUT_OF_RANGE if not of_servers(place)),
)
