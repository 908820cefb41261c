"""What PUBACK, PUBREC, PUBREL and PUBCOMP tell of the client that sent them (4.3, 4.4, 4.6).

As `broker/handlers/conduct_checks.py` does of the other packets.
"""

from collections.abc import Iterator

from broker.conduct import REMEMBERED, Conduct
from broker.connection import Connection
from broker.handlers.conduct_checks import not_discarded, remember
from broker.session.session import Session
from broker.session.states import AWAITS_PUBACK, AWAITS_PUBCOMP, AWAITS_PUBREC
from formats.mqtt import rules
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from oracle import facts


def saw_puback(
    connection: Connection, session: Session, puback: Puback, data: bytes, pos: int, end: int
) -> int:
    """A PUBACK that is not the next in turn; the one that will be, 0 while every one is looked
    at."""
    conduct = connection.conduct
    packet_id = puback.packet_id
    if conduct is None:
        return packet_id + 1
    connection.witness(facts.of_puback(puback), data, pos, end)
    outgoing = session.inflight.get(packet_id)
    if outgoing is None or outgoing.state != AWAITS_PUBACK:
        _saw_unexpected(connection, conduct, session, packet_id, "PUBACK", data, pos, end)
        return 0
    waiting = _waiting(session, AWAITS_PUBACK)
    connection.witness(facts.ACKNOWLEDGED_QOS_1 | facts.RECEIVED_QOS_1, data, pos, end)
    first = next(waiting)
    if first != packet_id:
        _overtaken(conduct, first, AWAITS_PUBACK)
        seen = f"packet identifier {packet_id} before {first}"
        connection.notice(rules.PUBACK_ORDER, seen, data, pos, end)
    if next(waiting, 0):
        connection.witness(facts.SEVERAL_IN_FLIGHT_TO_IT, data, pos, end)
        return packet_id + 1
    return 0


def _waiting(session: Session, state: int) -> Iterator[int]:
    """Packet ids of what was sent and awaits this acknowledgement, the first sent first."""
    return (key for key, one in session.inflight.items() if one.state == state)


def _overtaken(conduct: Conduct, packet_id: int, state: int) -> None:
    if conduct.overtaken is None:
        conduct.overtaken = {}
    if len(conduct.overtaken) < REMEMBERED:
        conduct.overtaken[packet_id] = state


def saw_pubrec(
    connection: Connection, session: Session, pubrec: Pubrec, data: bytes, pos: int, end: int
) -> None:
    """A PUBREC, before it is acted on."""
    conduct = connection.conduct
    if conduct is None:
        return
    packet_id = pubrec.packet_id
    shown = facts.of_pubrec(pubrec)
    outgoing = session.inflight.get(packet_id)
    if outgoing is None or outgoing.state == AWAITS_PUBACK:
        connection.witness(shown, data, pos, end)
        _saw_unexpected(connection, conduct, session, packet_id, "PUBREC", data, pos, end)
        return
    if outgoing.state == AWAITS_PUBCOMP:
        connection.witness(shown | facts.RECORDED_AGAIN, data, pos, end)
        return
    waiting = _waiting(session, AWAITS_PUBREC)
    first = next(waiting)
    shown |= facts.RECORDED_QOS_2 | facts.RECEIVED_QOS_2
    if first != packet_id or next(waiting, 0):
        shown |= facts.SEVERAL_QOS_2_IN_FLIGHT_TO_IT
    connection.witness(shown, data, pos, end)
    if first != packet_id:
        _overtaken(conduct, first, AWAITS_PUBREC)
        seen = f"packet identifier {packet_id} before {first}"
        connection.notice(rules.PUBREC_ORDER, seen, data, pos, end)


def saw_pubrel(
    connection: Connection, session: Session, pubrel: Pubrel, data: bytes, pos: int, end: int
) -> None:
    """A PUBREL, before it is acted on."""
    conduct = connection.conduct
    if conduct is None:
        return
    packet_id = pubrel.packet_id
    shown = facts.of_pubrel(pubrel)
    if packet_id not in session.received:
        connection.witness(shown, data, pos, end)
        if not conduct.resumed and not conduct.published:
            rule = not_discarded(connection, conduct)
            if rule is rules.DUP_ON_FIRST_SENDING:
                rule = rules.PUBREL_UNKNOWN
            if rule is not None:
                connection.notice(rule, f"packet identifier {packet_id}", data, pos, end)
        elif not conduct.resumed and connection.version == 5:
            released = conduct.released is not None and packet_id in conduct.released
            rule = rules.RESENT_WHILE_CONNECTED if released else rules.PUBREL_UNKNOWN
            connection.notice(rule, f"packet identifier {packet_id}", data, pos, end)
        return
    shown |= facts.RELEASED_QOS_2
    if packet_id in conduct.carried:
        shown |= facts.RESENT_PUBREL
        if conduct.repeated is None:
            conduct.repeated = set()
        conduct.repeated.add(packet_id)
    else:
        waiting = (key for key in session.received if key not in session.carried)
        first = next(waiting)
        if first != packet_id or next(waiting, 0):
            shown |= facts.SEVERAL_IN_FLIGHT_FROM_IT
        if first != packet_id:
            _overtaken(conduct, first, -1)
            seen = f"packet identifier {packet_id} before {first}"
            connection.notice(rules.PUBREL_ORDER, seen, data, pos, end)
    connection.witness(shown, data, pos, end)
    conduct.released = remember(conduct.released, packet_id)


def saw_pubcomp(
    connection: Connection, session: Session, pubcomp: Pubcomp, data: bytes, pos: int, end: int
) -> None:
    """A PUBCOMP, before it is acted on."""
    conduct = connection.conduct
    if conduct is None:
        return
    packet_id = pubcomp.packet_id
    shown = facts.of_pubcomp(pubcomp)
    outgoing = session.inflight.get(packet_id)
    if outgoing is None or outgoing.state != AWAITS_PUBCOMP:
        connection.witness(shown, data, pos, end)
        _saw_unexpected(connection, conduct, session, packet_id, "PUBCOMP", data, pos, end)
        return
    connection.witness(shown | facts.COMPLETED_QOS_2, data, pos, end)
    first = next(_waiting(session, AWAITS_PUBCOMP))
    if first != packet_id:
        _overtaken(conduct, first, AWAITS_PUBCOMP)


def _saw_unexpected(
    connection: Connection,
    conduct: Conduct,
    session: Session,
    packet_id: int,
    packet: str,
    data: bytes,
    pos: int,
    end: int,
) -> None:
    """An acknowledgement of what does not await it."""
    seen = f"{packet} of packet identifier {packet_id}"
    outgoing = session.inflight.get(packet_id)
    if outgoing is not None and (outgoing.qos == 1) != (packet == "PUBACK"):
        connection.notice(rules.ACKNOWLEDGEMENT_KIND, seen, data, pos, end)
    elif packet_id in conduct.inherited:
        return  # answered on the connection before, and here again
    elif packet == "PUBCOMP":
        connection.notice(rules.PUBCOMP_UNKNOWN, seen, data, pos, end)
    else:
        connection.notice(rules.ACKNOWLEDGEMENT_UNKNOWN, seen, data, pos, end)
