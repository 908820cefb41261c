"""Each rule that a client can break names the statement of each document that it breaks."""

import pytest

from formats import http, websocket
from formats.errors import Rule
from formats.mqtt import property_rules, rules
from formats.mqtt.packet_types import AUTH, CONNACK, DISCONNECT, PACKET_NAMES, SUBACK, UNSUBACK
from oracle.exercises import EXERCISES
from oracle.statements import MQTT_3_1_1, MQTT_5_0, PREFIXES, by_key

# Only servers send these packets, or these properties in them.
OF_SERVERS = {
    *("CLIENT_ONLY_PACKET", "SUBSCRIPTION_ACKNOWLEDGED_ID_ZERO", "PROBLEM_INFORMATION_UNWANTED"),
    *("NOT_CONNACK_FIRST", "SECOND_CONNACK", "CONNACK_FLAGS_RESERVED"),
    *("SESSION_PRESENT_IN_REFUSAL", "CONNACK_REASON", "SUBACK_EMPTY", "SUBACK_REASON"),
    *("UNSUBACK_EMPTY", "UNSUBACK_REASON", "SESSION_EXPIRY_FROM_SERVER"),
    *("HTTP_SUBPROTOCOL_ANSWER", "MASKED_FRAME"),
}
SENT_BY_SERVERS = (CONNACK, SUBACK, UNSUBACK)
SERVER_REFERENCE_IN_DISCONNECT = (DISCONNECT, 0x1C)

# A server refuses what no sentence forbids: the statement it names, if any, binds the server.
REFUSED = {
    MQTT_5_0: {
        "UNSUPPORTED_VERSION": "another version may be spoken elsewhere",
        "WILL_TOPIC_RESERVED": "4.7.2 leaves it to the server to prevent it",
        "CLIENT_ID_REFUSED": "what the server does not like of what is allowed",
        "NO_CONNECT_IN_TIME": "the documents set the client no time",
        "WILL_QOS_NOT_SUPPORTED": "nothing has told the client before it connects",
        "WILL_RETAIN_NOT_SUPPORTED": "nothing has told the client before it connects",
        "FRAME_TOO_LARGE": "the limit is the server's own",
        "HTTP_HANDSHAKE": "who asks need not be an MQTT client at all",
    },
    MQTT_3_1_1: {
        "UNSUPPORTED_VERSION": "another version may be spoken elsewhere",
        "WILL_TOPIC_RESERVED": "4.7.2 leaves it to the server to prevent it",
        "CLIENT_ID_REFUSED": "what the server does not like of what is allowed",
        "NO_CONNECT_IN_TIME": "the documents set the client no time",
        "WILDCARDS_NOT_SUPPORTED": "the server has no way to tell the client before",
        "QOS_NOT_SUPPORTED": "a server of 3.1.1 cannot tell a Maximum QoS",
        "WILL_QOS_NOT_SUPPORTED": "a server of 3.1.1 cannot tell a Maximum QoS",
        "RETAIN_NOT_SUPPORTED": "a server of 3.1.1 cannot tell that it retains nothing",
        "WILL_RETAIN_NOT_SUPPORTED": "a server of 3.1.1 cannot tell that it retains nothing",
        "PACKET_TOO_LARGE": "a server of 3.1.1 cannot tell a Maximum Packet Size",
        "FRAME_TOO_LARGE": "the limit is the server's own",
        "HTTP_HANDSHAKE": "who asks need not be an MQTT client at all",
    },
}

# What the document has not, or allows.
WITHOUT = {
    MQTT_5_0: {
        "PASSWORD_WITHOUT_USER_NAME": "5.0 allows it (3.1.2.9)",
        "CLIENT_ID_EMPTY": "5.0 allows it (3.1.3.1)",
    },
    MQTT_3_1_1: {
        **dict.fromkeys(
            (
                *("PROPERTY_UNKNOWN", "PROPERTY_NOT_ALLOWED", "RESPONSE_TOPIC_WILDCARD"),
                *("SUBSCRIPTION_IDENTIFIER_FROM_CLIENT", "SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED"),
                *("WILL_PAYLOAD_NOT_UTF_8", "PAYLOAD_NOT_UTF_8", "TOPIC_MISSING"),
                *("TOPIC_ALIAS_ZERO", "TOPIC_ALIAS_INVALID", "TOPIC_ALIAS_UNKNOWN"),
                *("TOPIC_ALIAS_NOT_ACCEPTED", "RECEIVE_MAXIMUM_EXCEEDED", "SERVER_KEEP_ALIVE_LATE"),
                "SESSION_EXPIRY_CHANGED_FROM_ZERO",
            ),
            "3.1.1 has no properties",
        ),
        **dict.fromkeys(
            (
                *("PUBACK_REASON", "PUBREC_REASON", "PUBREL_REASON", "PUBCOMP_REASON"),
                *("DISCONNECT_REASON", "DISCONNECT_REASON_OF_SERVER", "RESENT_AFTER_REFUSAL"),
            ),
            "3.1.1 has reason codes in no packet of a client",
        ),
        **dict.fromkeys(
            (
                *("PACKET_BEFORE_CONNACK", "AUTHENTICATION_DATA_WITHOUT_METHOD", "AUTH_FLAGS"),
                *("AUTH_REASON", "AUTH_METHOD_MISSING", "AUTH_REASON_FROM_CLIENT"),
                *("AUTH_METHOD_CHANGED", "AUTH_WITHOUT_METHOD"),
            ),
            "3.1.1 has no enhanced authentication",
        ),
        **dict.fromkeys(
            ("SHARED_NOT_SUPPORTED", "SHARED_NO_LOCAL", "SHARE_NAME_MISSING", "SHARE_MALFORMED"),
            "3.1.1 has no shared subscriptions",
        ),
        "RETAIN_HANDLING_3": "its bits are reserved in 3.1.1: SUBSCRIBE_RESERVED_BITS",
        "VARIABLE_NOT_MINIMAL": "2.2.3 does not ask for the shortest form",
        "STATE_NOT_DISCARDED": "3.2.2.2 lets the client go on as it likes",
        "NOT_CLOSED_AFTER_DISCONNECT": "a server of 3.1.1 sends no DISCONNECT",
        "RESENT_WHILE_CONNECTED": "4.4 does not forbid it",
    },
}

NAMED = {
    name: rule
    for module in (rules, websocket, http)
    for name, rule in vars(module).items()
    if isinstance(rule, Rule)
}


def statement_of(rule, document):
    """The statement that it names, or None."""
    identifier = rule.v5 if document == MQTT_5_0 else rule.v3
    return by_key()[identifier.replace("MQTT-", PREFIXES[document])] if identifier else None


def is_breach(rule, document):
    statement = statement_of(rule, document)
    return statement is not None and statement.binds_client and statement.observable


@pytest.mark.parametrize("document", [MQTT_5_0, MQTT_3_1_1])
@pytest.mark.parametrize("name", sorted(NAMED.keys() - OF_SERVERS))
def test_a_rule_names_a_statement_that_a_client_can_be_seen_to_break(name, document):
    excused = name in REFUSED[document] or name in WITHOUT[document]
    assert is_breach(NAMED[name], document) != excused


@pytest.mark.parametrize("document", [MQTT_5_0, MQTT_3_1_1])
def test_an_excuse_has_a_rule_and_where_the_document_is_silent_no_statement(document):
    assert REFUSED[document].keys() | WITHOUT[document].keys() <= NAMED.keys() - OF_SERVERS
    for name in WITHOUT[document]:
        assert statement_of(NAMED[name], document) is None, name


@pytest.mark.parametrize("name", sorted(OF_SERVERS - {"MASKED_FRAME", "CLIENT_ONLY_PACKET"}))
def test_rules_of_servers_are_not_held_against_clients(name):
    assert not is_breach(NAMED[name], MQTT_5_0)
    assert not is_breach(NAMED[name], MQTT_3_1_1)


@pytest.mark.parametrize("table", [property_rules.REPEATED, property_rules.OUT_OF_RANGE])
def test_a_rule_of_a_property_is_held_against_clients_where_they_send_it(table):
    for place, rule in table.items():
        of_servers = place[0] in SENT_BY_SERVERS or place == SERVER_REFERENCE_IN_DISCONNECT
        where = f"0x{place[1]:02x} in {PACKET_NAMES[place[0]]}"
        assert is_breach(rule, MQTT_5_0) != of_servers, where
        assert not rule.v3, where
    assert any(place[0] == AUTH for place in property_rules.REPEATED)


def test_what_a_rule_finds_broken_can_be_exercised():
    exercised = {key for _, keys in EXERCISES for key in keys.split()}
    for name in NAMED.keys() - OF_SERVERS:
        for document in (MQTT_5_0, MQTT_3_1_1):
            if is_breach(NAMED[name], document):
                assert statement_of(NAMED[name], document).key in exercised, name
