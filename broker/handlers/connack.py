"""The terms of a connection: what CONNECT asks for and the listener allows (3.1.2.11, 3.2.2.3)."""

from broker.authentication.method import Success as Authenticated
from broker.connection import Connection
from broker.settings import expiry_from_wire, expiry_to_wire
from broker.topics.aliases import ReceivedAliases, SentAliases
from formats.mqtt.connect import Connect
from formats.mqtt.properties import (
    ASSIGNED_CLIENT_IDENTIFIER,
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    RECEIVE_MAXIMUM,
    REQUEST_RESPONSE_INFORMATION,
    RESPONSE_INFORMATION,
    SERVER_KEEP_ALIVE,
    SESSION_EXPIRY_INTERVAL,
    TOPIC_ALIAS_MAXIMUM,
    Properties,
)


def session_expiry(connection: Connection, connect: Connect) -> float:
    """Seconds that the session outlives its connection (3.1.2.11.2; 3.1.1: CleanSession)."""
    settings = connection.settings
    if connect.version != 5:  # [MQTT3-3.1.2-4] [MQTT3-3.1.2-5] [MQTT3-3.1.2-6]
        return 0.0 if connect.clean_start else settings.persistent_client_expiration_s
    wanted = expiry_from_wire((connect.properties or {}).get(SESSION_EXPIRY_INTERVAL, 0))
    connection.may_prolong = wanted > 0
    return min(wanted, settings.max_session_expiry_s)  # [MQTT5-3.1.2-23]


def send_quota(connection: Connection, connect: Connect) -> int:
    """How many PUBLISH packets may await acknowledgement (4.9) [MQTT5-3.3.4-9]
    [MQTT5-4.9.0-1]."""
    quota, properties = 65_535, connect.properties
    if properties:
        quota = properties.get(RECEIVE_MAXIMUM, quota)
    maximum = connection.settings.max_inflight_messages
    return maximum if 0 < maximum < quota else quota


def connack_properties(
    connection: Connection, connect: Connect, authenticated: Authenticated | None
) -> Properties | None:
    """What a 5.0 client must know (3.2.2.3), and the keep alive put in force for all."""
    keep_alive_s = connect.keep_alive_s
    if connect.version != 5:
        connection.watch_keep_alive(keep_alive_s)
        return None
    settings = connection.settings
    wanted = connect.properties or {}
    properties = dict(settings.announced)
    session = connection.session
    assert session is not None
    if expiry_from_wire(wanted.get(SESSION_EXPIRY_INTERVAL, 0)) != session.expiry_interval_s:
        properties[SESSION_EXPIRY_INTERVAL] = expiry_to_wire(session.expiry_interval_s)
    if not connect.client_id:  # [MQTT5-3.1.3-7] [MQTT5-3.2.2-16]
        properties[ASSIGNED_CLIENT_IDENTIFIER] = connection.client_id
    if settings.server_keep_alive_s and keep_alive_s > settings.server_keep_alive_s:
        keep_alive_s = settings.server_keep_alive_s
        properties[SERVER_KEEP_ALIVE] = keep_alive_s
    connection.watch_keep_alive(keep_alive_s)  # [MQTT5-3.2.2-22]
    if settings.response_information and wanted.get(REQUEST_RESPONSE_INFORMATION):
        # [MQTT5-3.1.2-28] only to whom asked for it
        properties[RESPONSE_INFORMATION] = settings.response_information.replace(
            "%c", connection.client_id
        )
    if authenticated is not None:
        properties.update(auth_properties(connection, authenticated.data))
    if settings.topic_alias_maximum:
        connection.received_aliases = ReceivedAliases(settings.topic_alias_maximum)
    aliases = min(wanted.get(TOPIC_ALIAS_MAXIMUM, 0), settings.max_topic_alias_broker)
    if aliases:  # [MQTT5-3.1.2-27] otherwise none are sent
        connection.sent_aliases = SentAliases(aliases)
    return properties or None


def auth_properties(connection: Connection, data: bytes | None) -> Properties:
    """Authentication Method and Data for AUTH and CONNACK [MQTT5-4.12.0-5] [MQTT5-4.12.0-6]."""
    properties: Properties = {}
    if connection.authentication_method:
        properties[AUTHENTICATION_METHOD] = connection.authentication_method
    if data is not None:
        properties[AUTHENTICATION_DATA] = data
    return properties
