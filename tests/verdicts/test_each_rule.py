"""Each rule that a client can break: the report of one that does, and of one that nearly does."""

import pytest

from formats import http, websocket
from formats.errors import Rule
from formats.mqtt import rules
from formats.mqtt.packet_types import PACKET_NAMES
from oracle.ledger import KEPT_BYTES, KEPT_FRAMES, is_breach
from oracle.statements import MQTT_3_1_1, MQTT_5_0, load
from oracle.trace.masking import masked
from tests.verdicts.connects import CONNECTS
from tests.verdicts.deliveries import DELIVERIES
from tests.verdicts.layers import LAYERS
from tests.verdicts.limits import LIMITS
from tests.verdicts.packets import PACKETS
from tests.verdicts.properties import ONLY_SERVERS, PROPERTIES, RULES
from tests.verdicts.support import NAMES, Stage

CASES = (*PACKETS, *CONNECTS, *PROPERTIES, *DELIVERIES, *LIMITS, *LAYERS)
NAMED = {
    **{
        name: rule
        for module in (rules, websocket, http)
        for name, rule in vars(module).items()
        if isinstance(rule, Rule) and name != "TOPIC_ALIAS_ZERO"  # 0x23, out of range in PUBLISH
    },
    **RULES,
}


def each(cases):
    """Parameters for every case and version, numbered where a rule has several."""
    seen = {}
    parameters = []
    for case in cases:
        number = seen[case.rule] = seen.get(case.rule, 0) + 1
        for version in case.versions:
            name = f"{case.rule}-{NAMES[version]}" + (f"-{number}" if number > 1 else "")
            parameters.append(pytest.param(case, version, id=name))
    return parameters


def level_of(document, statement):
    return next(one.level.upper() for one in load(document) if one.id == statement)


@pytest.mark.parametrize(("case", "version"), each(CASES))
def test_breaking(case, version):
    rule = NAMED[case.rule]
    document = MQTT_5_0 if version == 5 or not case.known else MQTT_3_1_1
    with Stage(version, case.configuration, case.transport) as stage:
        packet = stage.perform(case.broken)
        violations = stage.violations()
    others = {NAMED[name].summary for name in case.also}
    assert {one["summary"] for one in violations} == {rule.summary, *others}
    (violation,) = (one for one in violations if one["summary"] == rule.summary)
    statement = rule.v5 if document == MQTT_5_0 else rule.v3
    assert (violation["document"], violation["statement"]) == (document, statement)
    assert violation["level"] == level_of(document, statement)
    assert (violation["count"], violation["silenced"]) == (1, None)
    first = violation["first"]
    assert first["direction"] == "received"
    assert first["size"] == len(packet)
    assert (first["seen"], first["offset"]) == (case.seen, case.offset_in(version))
    broken = [row for row in violation["sequence"] if row["broken"]]
    if case.transport != "memory":
        assert first["bytes"] == packet[:KEPT_FRAMES].hex()
        assert (first["packet"], broken) == ("", [])
    elif packet:
        assert first["bytes"] == masked(packet[:KEPT_BYTES], version).hex()
        assert first["packet"] == PACKET_NAMES[packet[0] >> 4]
        assert broken == violation["sequence"][-1:]
        assert (broken[0]["bytes"], broken[0]["packet"]) == (first["bytes"], first["packet"])
    else:
        assert (first["bytes"], first["packet"], broken) == ("", "", [])


@pytest.mark.parametrize(("case", "version"), each(CASES))
def test_keeping(case, version):
    with Stage(version, case.configuration, case.transport) as stage:
        stage.perform(case.lawful)
        assert stage.summaries() == []


# Where the decoders are content, and why.
LENIENT = {
    **dict.fromkeys(
        (
            *("FLAGS_RESERVED", "DISCONNECT_FLAGS", "SUBSCRIBE_RESERVED_BITS"),
            *("CONNECT_RESERVED_FLAG", "WILL_QOS_WITHOUT_WILL", "WILL_RETAIN_WITHOUT_WILL"),
            "PUBLISH_DUP_QOS_0",
        ),
        "3.1 does not use these bits, and says nothing of them",
    ),
    "USER_NAME_MISSING": "3.1: the Remaining Length takes precedence",
    "PASSWORD_MISSING": "3.1: the Remaining Length takes precedence",
    "CLIENT_ID_EMPTY": "3.1 has CLIENT_ID_REFUSED, for any empty one",
}
# What no client can be seen to break, or not by these tables.
OUT_OF_REACH = {
    "TOPIC_WITH_NULL": "whatever has a U+0000 breaks TEXT_WITH_NULL first",
    "NOT_CLOSED_AFTER_OWN_DISCONNECT": "takes a socket and time: test_endings",
    "NOT_CLOSED_AFTER_DISCONNECT": "takes a socket and time: test_endings",
}
ONLY_SERVERS_SEND = {
    **dict.fromkeys(
        (
            *("CONNACK_FLAGS_RESERVED", "SESSION_PRESENT_IN_REFUSAL", "CONNACK_REASON"),
            *("SUBACK_EMPTY", "SUBACK_REASON", "UNSUBACK_EMPTY", "UNSUBACK_REASON"),
            "SUBSCRIPTION_ACKNOWLEDGED_ID_ZERO",
        ),
        "a packet that only servers send: from a client it breaks SERVER_ONLY_PACKET",
    ),
    **dict.fromkeys(
        ("NOT_CONNACK_FIRST", "SECOND_CONNACK", "CLIENT_ONLY_PACKET"),
        "what a client checks, or a proxy",
    ),
    "SESSION_EXPIRY_FROM_SERVER": "binds the server's DISCONNECT",
    "PROBLEM_INFORMATION_UNWANTED": "binds the server's answers",
    "MASKED_FRAME": "what a client checks of a server's frames",
    "HTTP_SUBPROTOCOL_ANSWER": "what a client checks of a server's answer",
    **dict.fromkeys(ONLY_SERVERS, "a property that only servers send in this packet"),
}


def held_to(rule, version):
    return is_breach(rule, MQTT_5_0 if version == 5 else MQTT_3_1_1)


@pytest.mark.parametrize("version", [3, 4, 5], ids=NAMES.get)
def test_no_rule_is_without_a_client_that_breaks_it(version):
    """And each such case has its lawful neighbour."""
    broken = {case.rule for case in CASES if version in case.versions}
    excused = OUT_OF_REACH.keys() | ONLY_SERVERS_SEND.keys()
    if version == 3:
        excused |= LENIENT.keys()
    due = {name for name, rule in NAMED.items() if held_to(rule, version)}
    assert due - excused - broken == set()
    assert broken - due == set()


def test_what_is_excused_is_not_in_the_tables():
    names = {case.rule for case in CASES}
    assert names.isdisjoint(OUT_OF_REACH.keys() | ONLY_SERVERS_SEND.keys())
    assert OUT_OF_REACH.keys() | ONLY_SERVERS_SEND.keys() | LENIENT.keys() <= NAMED.keys()
