"""PUBLISH from a client (5.0 and 3.1.1, sections 3.3 and 4.3).

The broker takes ownership of a message when it passes it on, which is before the PUBACK or PUBREC
leaves.
"""

import logging

from broker.access import NOT_AUTHORIZED
from broker.conduct import start_of
from broker.connection import Connection
from broker.durable_output import QUOTA_EXCEEDED
from broker.handlers.checks import is_utf8
from broker.handlers.conduct_checks import id_in_use, publish_refused, saw_publish
from broker.handlers.over_limits import publish_over_limits
from broker.logging_setup import quoted
from broker.message import NEVER, Message
from broker.output import PLAIN_3, PLAIN_5
from broker.topics.tree import Route
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
from oracle import facts

log = logging.getLogger("touchstone")

NO_MATCHING_SUBSCRIBERS = 0x10
TOPIC_NAME_INVALID = 0x90
PAYLOAD_FORMAT_INVALID = 0x99


def handle_publish(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """Accept a PUBLISH; the most frequent kinds take a short way.

    These are QoS 0 and 1 without DUP, RETAIN and properties, to a topic that was checked and routed
    before. Skipping what cannot apply to them takes a third of the time (benchmarks/micro.py).
    """
    if not flags:
        shortcut = connection.shortcut_qos0
    else:
        shortcut = connection.shortcut_qos1 if flags == 2 else 0
    if shortcut and end - pos > 2:
        after = pos + 2 + (data[pos] << 8 | data[pos + 1])
        route = connection.context.tree.by_bytes.get(data[pos + 2 : after])
        if route is not None and route.open:
            payload = after
            if flags:
                payload += 2
            if shortcut == PLAIN_5:
                payload += 1
            if payload <= end and (shortcut == PLAIN_3 or not data[payload - 1]):
                if not flags:
                    if _pass_on_qos0(connection, route, shortcut, data, pos, payload, end):
                        return
                elif (data[after] or data[after + 1]) and not connection.worker.failing:
                    _pass_on_qos1(connection, route, data, pos, after, payload, end)
                    return
    _handle_any(connection, flags, data, pos, end)


def handle_guarded_publish(
    connection: Connection, flags: int, data: bytes, pos: int, end: int
) -> None:
    """Accept a PUBLISH of a client that may not publish everything.

    What it has published before may take the short way; `_refusal` looks at the rest.
    """
    session = connection.session
    rights = session.rights if session is not None else None
    if end - pos > 2 and rights is not None:
        after = pos + 2 + (data[pos] << 8 | data[pos + 1])
        if rights.remembers(data[pos + 2 : after]):
            handle_publish(connection, flags, data, pos, end)
            return
    _handle_any(connection, flags, data, pos, end)


def _pass_on_qos0(
    connection: Connection,
    route: Route,
    shortcut: int,
    data: bytes,
    pos: int,
    payload: int,
    end: int,
) -> bool:
    """The short way of QoS 0: the packet goes out as it came in. False when it cannot."""
    start = start_of(pos, end)
    if data[start] != 0x30:
        return False  # 3.x: a Remaining Length that is longer than need be
    worker, router = connection.worker, connection.context.router
    statistics = worker.statistics
    statistics.publish_received += 1
    statistics.publish_bytes_received += end - payload
    left = router.route_plain(route, data[start:end], end - payload, shortcut, worker)
    if left or route.groups:
        message = Message(route.topic, data[payload:end], 0, False, None, connection.client_id)
        rest = Route(route.topic, tuple(left), route.groups)
        router.route(rest, message, worker, connection.session)
    return True


def _pass_on_qos1(
    connection: Connection, route: Route, data: bytes, pos: int, after: int, payload: int, end: int
) -> None:
    """The short way of QoS 1; the packet id is at `after`."""
    worker = connection.worker
    statistics = worker.statistics
    statistics.publish_received += 1
    statistics.publish_bytes_received += end - payload
    id_bytes = data[after : after + 2]
    open_ids = connection.open_ids
    if id_bytes in open_ids:
        id_in_use(connection, int.from_bytes(id_bytes, "big"), data, pos, end)
    open_ids[id_bytes] = None
    settings = connection.settings
    if len(open_ids) + connection.unanswered > settings.receive_maximum:
        _check_receive_maximum(connection)
    if not settings.maximum_qos:
        raise _qos_not_supported(connection, 1)
    message = Message(route.topic, data[payload:end], 1, False, None, connection.client_id)
    start = start_of(pos, end)
    if data[start] == 0x32:
        message.came_as(connection.version, data[start:after], data[after + 2 : end])
    journal = worker.journal
    noted = journal.count if journal is not None else 0
    taken = connection.context.router.route(route, message, worker, connection.session)
    if taken or connection.version != 5:  # [MQTT5-4.3.2-4] [MQTT3-4.3.2-2]
        puback = b"\x40\x02" + id_bytes
    else:
        puback = b"\x40\x03" + id_bytes + b"\x10"
    if journal is None:
        connection.write(puback)
    else:
        connection.acknowledge(puback, noted)


def _handle_any(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
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
            raise _qos_not_supported(connection, qos)
        _count_unanswered(connection, publish)
    if publish.retain and not connection.settings.retain_available:
        raise ProtocolViolation(rules.RETAIN_NOT_SUPPORTED, f"topic {publish.topic!r}")
    expires_at = NEVER
    properties = publish.properties
    if properties is not None:
        properties = dict(properties)
        if SUBSCRIPTION_IDENTIFIER in properties:
            raise ProtocolViolation(rules.SUBSCRIPTION_IDENTIFIER_FROM_CLIENT, publish.topic)
        alias = properties.pop(TOPIC_ALIAS, None)
        if alias is not None:
            aliases = connection.received_aliases
            if aliases is None:
                raise ProtocolViolation(rules.TOPIC_ALIAS_INVALID, f"alias {alias}, maximum 0")
            publish.topic = aliases.resolve(alias, publish.topic)
        interval = properties.get(MESSAGE_EXPIRY_INTERVAL)
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
        properties or None,
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
        _check_receive_maximum(connection)


def _qos_not_supported(connection: Connection, qos: int) -> ProtocolViolation:
    return ProtocolViolation(
        rules.QOS_NOT_SUPPORTED, f"QoS {qos}, maximum {connection.settings.maximum_qos}"
    )


def _check_receive_maximum(connection: Connection) -> None:
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
