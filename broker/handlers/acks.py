"""PUBACK, PUBREC, PUBREL and PUBCOMP from a client (5.0 and 3.1.1, sections 3.4 to 3.7)."""

import logging

from broker.connection import Connection
from broker.handlers.ack_runs import puback_run, pubcomp_run, pubrec_run, pubrel_run
from broker.handlers.acks_checks import saw_puback, saw_pubcomp, saw_pubrec, saw_pubrel
from broker.handlers.over_limits import ends_over_user_properties
from broker.session.states import GOT_PUBCOMP
from formats.mqtt.acks import (
    Pubcomp,
    Pubrel,
    decode_puback,
    decode_pubcomp,
    decode_pubrec,
    decode_pubrel,
)

log = logging.getLogger("touchstone")

PACKET_IDENTIFIER_NOT_FOUND = 0x92
ACK_SIZE = 4  # bytes of an acknowledgement that is nothing but a packet id


def handle_puback(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """The client has a QoS 1 message (4.3.2)."""
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    if end - pos == 2 and not flags:  # what most of them are: nothing but a packet id
        packet_id = data[pos] << 8 | data[pos + 1]
        if packet_id == session.next_puback and session.acknowledged_qos1(packet_id):
            session.next_puback += 1
            if end < len(data):
                connection.skip(puback_run(session, data, end), ACK_SIZE)
            return
        if (
            packet_id == -session.next_puback
            and len(session.inflight) == 1
            and session.acknowledged_qos1(packet_id)
        ):
            session.next_puback -= 1
            return
    puback = decode_puback(flags, data, pos, end, connection.version)
    if puback.properties and ends_over_user_properties(connection, puback.properties):
        return
    packet_id = puback.packet_id
    session.next_puback = saw_puback(connection, session, puback, data, pos, end)
    # [MQTT5-4.4.0-2] [MQTT5-4.8.2-6] with whatever reason code, the message is done with
    if not session.acknowledged_qos1(packet_id):
        _unexpected(connection, "PUBACK", packet_id)


def handle_pubrec(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """The client has a QoS 2 message; or refuses it, which ends it (4.3.3)."""
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    if session.next_pubrec:
        count = pubrec_run(connection, session, data, pos - 2)
        if count:
            connection.skip(count - 1, ACK_SIZE)
            return
    pubrec = decode_pubrec(flags, data, pos, end, connection.version)
    if pubrec.properties and ends_over_user_properties(connection, pubrec.properties):
        return
    packet_id = pubrec.packet_id
    session.next_pubrec = saw_pubrec(connection, session, pubrec, data, pos, end)
    if session.recorded(packet_id, pubrec.reason):
        # [MQTT5-4.3.3-4] [MQTT3-4.3.3-1]
        connection.send_pubrel(packet_id, session.number != 0)
    elif pubrec.reason < 0x80:
        _unexpected(connection, "PUBREC", packet_id)
        if connection.version == 5:
            connection.send(Pubrel(packet_id, PACKET_IDENTIFIER_NOT_FOUND))  # [MQTT5-3.6.2-1]
        else:
            connection.send_pubrel(packet_id)


def handle_pubrel(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """The client releases a QoS 2 message that it published: its packet id is free again
    (4.3.3)."""
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    if session.next_pubrel:
        count = pubrel_run(connection, session, data, pos - 2)
        if count:
            connection.skip(count - 1, ACK_SIZE)
            return
    pubrel = decode_pubrel(flags, data, pos, end, connection.version)
    if pubrel.properties and ends_over_user_properties(connection, pubrel.properties):
        return
    packet_id = pubrel.packet_id
    session.next_pubrel = saw_pubrel(connection, session, pubrel, data, pos, end)
    topic = session.received.pop(packet_id, None)  # [MQTT5-4.3.3-12]
    journal = connection.worker.journal
    noted = journal.count if journal is not None else 0
    if topic is not None and session.number and journal is not None:
        journal.received_gone(session.number, packet_id)
    session.carried.discard(packet_id)
    if topic is not None:
        for behaviour in connection.context.behaviours.before_pubcomp:
            pubcomp = behaviour(topic, pubrel) if connection.version == 5 else None
            if pubcomp is not None:
                connection.send(pubcomp)
                return
    if topic is None and connection.version == 5:
        connection.send(Pubcomp(packet_id, PACKET_IDENTIFIER_NOT_FOUND))  # [MQTT5-3.7.2-1]
    else:  # [MQTT5-4.3.3-11] [MQTT3-4.3.3-2]
        connection.acknowledge(b"\x70\x02%c%c" % (packet_id >> 8, packet_id & 0xFF), noted)


def handle_pubcomp(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """A QoS 2 message is complete (4.3.3)."""
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    if session.next_pubcomp:
        count = pubcomp_run(session, data, pos - 2)
        if count:
            connection.skip(count - 1, ACK_SIZE)
            return
    pubcomp = decode_pubcomp(flags, data, pos, end, connection.version)
    if pubcomp.properties and ends_over_user_properties(connection, pubcomp.properties):
        return
    session.next_pubcomp = saw_pubcomp(connection, session, pubcomp, data, pos, end)
    if not session.acknowledged(pubcomp.packet_id, GOT_PUBCOMP):
        _unexpected(connection, "PUBCOMP", pubcomp.packet_id)


def _unexpected(connection: Connection, packet: str, packet_id: int) -> None:
    log.info("%s: %s for packet id %d, which awaits none", connection.name, packet, packet_id)
