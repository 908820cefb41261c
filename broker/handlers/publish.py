"""PUBLISH from a client (5.0 and 3.1.1, sections 3.3 and 4.3).

The broker takes ownership of a message when it passes it on, which is before the PUBACK or PUBREC
leaves.
"""

import logging

from broker.access import NOT_AUTHORIZED
from broker.connection import Connection
from broker.durable_output import QUOTA_EXCEEDED
from broker.handlers.checks import is_utf8
from broker.handlers.conduct_checks import (
    publish_refused,
    saw_publish,
)
from broker.handlers.over_limits import publish_over_limits
from broker.logging_setup import quoted
from broker.message import NEVER, Message
from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.acks import Puback, Pubrec
from formats.mqtt.properties import (
    MESSAGE_EXPIRY_INTERVAL,
    PAYLOAD_FORMAT_INDICATOR,
    REASON_STRING,
    SUBSCRIPTION_IDENTIFIER,
    TOPIC_ALIAS,
)
from formats.mqtt.publish import Publish, decode_publish
from formats.mqtt.publish_properties import without_alias
from oracle import facts

log = logging.getLogger("touchstone")

NO_MATCHING_SUBSCRIBERS = 0x10
TOPIC_NAME_INVALID = 0x90
PAYLOAD_FORMAT_INVALID = 0x99


def handle_any_publish(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """Check the packet against what the CONNACK allowed, then accept it."""
    worker = connection.worker
    statistics = worker.statistics
    publish = decode_publish(flags, data, pos, end, connection.version)
    statistics.publish_received += 1
    statistics.publish_bytes_received += len(publish.payload)
    if connection.conduct is not None:
        saw_publish(connection, publish, data, pos, end)
    qos = publish.qos
    if qos:
        if qos > connection.settings.maximum_qos:
            raise qos_not_supported(connection, qos)
        _count_unanswered(connection, publish)
    if publish.retain and not connection.settings.retain_available:
        raise ProtocolViolation(rules.RETAIN_NOT_SUPPORTED, f"topic {publish.topic!r}")
    expires_at = NEVER
    properties = publish.properties
    if properties is not None:
        if SUBSCRIPTION_IDENTIFIER in properties:
            raise ProtocolViolation(rules.SUBSCRIPTION_IDENTIFIER_FROM_CLIENT, publish.topic)
        alias = properties.get(TOPIC_ALIAS)
        interval = properties.get(MESSAGE_EXPIRY_INTERVAL)
        if alias is not None:
            properties = without_alias(properties)
            aliases = connection.received_aliases
            if aliases is None:
                raise ProtocolViolation(rules.TOPIC_ALIAS_INVALID, f"alias {alias}, maximum 0")
            publish.topic = aliases.resolve(alias, publish.topic)
        if interval is not None:
            expires_at = worker.now + interval
    for behaviour in connection.context.behaviours.publish_received:
        if behaviour(connection, publish):
            if publish.qos and not connection.ended:
                publish_refused(connection, publish.packet_id)
            return
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    if qos == 2 and publish.packet_id in session.received:
        # [MQTT5-4.3.3-10] [MQTT3-4.3.3-2] acknowledged again, not passed on again
        pubrec = b"\x50\x02%c%c" % (publish.packet_id >> 8, publish.packet_id & 0xFF)
        connection.acknowledge(pubrec, worker.journal.count if worker.journal is not None else 0)
        return
    reason = _refusal(connection, publish)
    if reason:
        if reason == PAYLOAD_FORMAT_INVALID and connection.conduct is not None:
            connection.notice(rules.PAYLOAD_NOT_UTF_8, publish.topic, data, pos, end)
        _refuse(connection, publish, reason)
        return
    over = publish_over_limits(connection, publish)
    if over is not None:
        _refuse(connection, publish, *over)
        return
    journal = worker.journal
    noted = journal.count if journal is not None else 0
    if qos == 2:
        # Of QoS 1 nothing is remembered: the same packet id is a new message [MQTT5-4.3.2-5].
        # It is until PUBREL, however soon the message expires [MQTT5-4.3.3-13].
        session.received[publish.packet_id] = publish.topic
        if session.number and journal is not None:
            journal.received(session.number, publish.packet_id, publish.topic)
    message = Message(
        publish.topic,
        publish.payload,
        qos,
        publish.retain,
        properties,
        connection.client_id,
        expires_at,
    )
    # [MQTT5-4.5.0-1] [MQTT3-4.5.0-1] and, as each is passed on before the next is read, in their
    # order [MQTT5-4.6.0-5] [MQTT5-4.6.0-6] [MQTT3-4.6.0-5] [MQTT3-4.6.0-6]
    taken = connection.context.router.publish(message, worker, session)
    if qos:  # [MQTT5-3.3.4-1] [MQTT3-3.3.4-1]
        _acknowledge(connection, publish, taken, noted)


def _count_unanswered(connection: Connection, publish: Publish) -> None:
    """Hold the client to the Receive Maximum (3.3.4); a repeated QoS 2 PUBLISH counts once."""
    session = connection.session
    if publish.qos == 2 and session is not None and publish.packet_id in session.received:
        return
    if publish.qos == 1:
        connection.open_ids[publish.packet_id.to_bytes(2, "big")] = None
    else:
        connection.unanswered += 1
    if len(connection.open_ids) + connection.unanswered >= connection.settings.receive_maximum:
        check_receive_maximum(connection)


def qos_not_supported(connection: Connection, qos: int) -> ProtocolViolation:
    return ProtocolViolation(
        rules.QOS_NOT_SUPPORTED, f"QoS {qos}, maximum {connection.settings.maximum_qos}"
    )


def check_receive_maximum(connection: Connection) -> None:
    """Of 3.1.1 there is none [MQTT5-3.3.4-7]."""
    maximum = connection.settings.receive_maximum
    unanswered = len(connection.open_ids) - connection.open_subscribes + connection.unanswered
    if connection.version != 5:
        return
    if unanswered > maximum:
        raise ProtocolViolation(
            rules.RECEIVE_MAXIMUM_EXCEEDED, f"{unanswered} unanswered, maximum {maximum}"
        )
    if unanswered == maximum:
        connection.witness(facts.RECEIVE_MAXIMUM_REACHED, b"", 0, 0)


def _acknowledge(connection: Connection, publish: Publish, taken: int, noted: int) -> None:
    """PUBACK [MQTT5-4.3.2-4] [MQTT3-4.3.2-2] or PUBREC [MQTT5-4.3.3-8] [MQTT3-4.3.3-2]."""
    packet_id = publish.packet_id  # [MQTT5-2.2.1-5] [MQTT3-2.3.1-6]
    byte1 = 0x40 if publish.qos == 1 else 0x50
    if taken or connection.version != 5:
        packet = b"%c\x02%c%c" % (byte1, packet_id >> 8, packet_id & 0xFF)
    else:
        packet = b"%c\x03%c%c%c" % (
            byte1,
            packet_id >> 8,
            packet_id & 0xFF,
            NO_MATCHING_SUBSCRIBERS,
        )
    connection.acknowledge(packet, noted)


def _refusal(connection: Connection, publish: Publish) -> int:
    """Why this message is not taken, 0 when it is.

    A reason code that both PUBACK [MQTT5-3.4.2-1] and PUBREC [MQTT5-3.5.2-1] have.
    """
    if publish.topic[0] == "$":  # 4.7.2: such names are the server's own
        return TOPIC_NAME_INVALID
    properties = publish.properties
    if (
        properties is not None
        and properties.get(PAYLOAD_FORMAT_INDICATOR)
        and not is_utf8(publish.payload)
    ):
        return PAYLOAD_FORMAT_INVALID
    session = connection.session
    rights = session.rights if session is not None else None
    if rights is not None and not rights.may_publish(publish.topic):
        return NOT_AUTHORIZED
    if publish.qos and connection.version == 5 and connection.worker.failing:
        route = connection.context.tree.route(publish.topic)
        if publish.retain or route.kept:
            return QUOTA_EXCEEDED
    return 0


_WORDS = {
    TOPIC_NAME_INVALID: "topic names that begin with $ are the server's",
    PAYLOAD_FORMAT_INVALID: "payload is not UTF-8, Payload Format Indicator 1",
    NOT_AUTHORIZED: "not authorized",
    QUOTA_EXCEEDED: "the database cannot be written",
}


def _refuse(connection: Connection, publish: Publish, reason: int, over: str = "") -> None:
    """Tell a 5.0 client; a 3.x client is answered as if nothing were wrong [MQTT3-3.3.5-2]."""
    words = over or _WORDS[reason]
    if not over:  # otherwise it is logged
        topic = quoted(publish.topic)
        log.warning("%s: PUBLISH to %s refused: %s", connection.name, topic, words)
    if not publish.qos:
        return
    if connection.version != 5:
        if publish.qos == 2 and connection.session is not None:
            connection.session.received[publish.packet_id] = publish.topic
        journal = connection.worker.journal
        _acknowledge(connection, publish, 1, journal.count if journal is not None else 0)
        return
    publish_refused(connection, publish.packet_id)
    kind = Puback if publish.qos == 1 else Pubrec  # [MQTT5-4.3.3-9] the packet id is free again
    connection.send(kind(publish.packet_id, reason, {REASON_STRING: words}))
