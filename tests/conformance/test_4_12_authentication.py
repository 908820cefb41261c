"""4.12 Enhanced authentication and 3.15 AUTH (5.0 only)."""

import logging

import pytest

from formats.mqtt.connect import Connack
from formats.mqtt.control import Auth, Disconnect
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    MAXIMUM_PACKET_SIZE,
    REASON_STRING,
    USER_PROPERTY,
)
from formats.mqtt.publish import Publish
from tests.broker.scram_client import ScramClient

CONTINUE, RE_AUTHENTICATE = 0x18, 0x19
PROTOCOL_ERROR, NOT_AUTHORIZED, BAD_METHOD = 0x82, 0x87, 0x8C

METHODS = pytest.mark.configuration(
    "allow_anonymous false",
    "auth_method SCRAM-SHA-1",
    "auth_method SCRAM-SHA-256",
    "auth_method CHALLENGE",
    "auth_user anna secret",
    "auth_user otto another",
    "auth_challenge first one",
    "auth_challenge second two",
)
SCRAM = pytest.mark.parametrize("method", ["SCRAM-SHA-1", "SCRAM-SHA-256"])

pytestmark = [pytest.mark.versions(5), METHODS]


def properties(method, data=None, **more):
    named = {AUTHENTICATION_METHOD: method}
    if data is not None:
        named[AUTHENTICATION_DATA] = data
    return {**named, **more}


def data_of(packet):
    return (packet.properties or {}).get(AUTHENTICATION_DATA)




def scram_connect(one, method="SCRAM-SHA-256", user="anna", password="secret", client_id="anna"):
    """CONNECT and the whole exchange; returns the SCRAM client and the CONNACK."""
    scram = ScramClient(method, user, password)
    one.send(connect_packet(client_id, properties(method, scram.first())))
    challenge = one.receive(Auth)
    one.send(Auth(CONTINUE, properties(method, scram.final(data_of(challenge)))))
    return scram, one.receive(Connack)
