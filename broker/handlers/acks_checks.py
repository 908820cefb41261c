"""What PUBACK, PUBREC, PUBREL and PUBCOMP tell of the client that sent them (4.3, 4.4, 4.6).

As `broker/handlers/conduct_checks.py` does of the other packets.
"""

from broker.conduct import REMEMBERED, Conduct
from broker.connection import Connection
from broker.handlers.conduct_checks import is_first, not_discarded
from broker.session.session import Session
from broker.session.states import AWAITS_PUBACK, AWAITS_PUBCOMP, AWAITS_PUBREC
from formats.errors import Rule
from formats.mqtt import rules
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from oracle import facts


def saw_puback(
    connection: Connection, session: Session, puback: Puback, data: bytes, pos: int, end: int
) -> int:
    """A PUBACK that is not the next in turn; the one that will be, 0 while every one is looked
    at, negative if that is so as long as nothing else is in flight."""
    conduct = connection.conduct
    packet_id = puback.packet_id
    if conduct is None:
        return packet_id + 1
    connection.witness(facts.of_puback(puback), data, pos, end)
    outgoing = session.inflight.get(packet_id)
    if outgoing is None or outgoing.state != AWAITS_PUBACK:
        _saw_unexpected(connection, conduct, session, packet_id, "PUBACK", data, pos, end)
        return 0
    connection.witness(facts.ACKNOWLEDGED_QOS_1 | facts.RECEIVED_QOS_1, data, pos, end)
    first = _overtakes(conduct, session, packet_id, AWAITS_PUBACK)
    if first:
        seen = f"packet identifier {packet_id} before {first}"
        connection.notice(rules.PUBACK_ORDER, seen, data, pos, end)
    after = _after(conduct, packet_id)
    if not after and conduct.record.facts & facts.SEVERAL_IN_FLIGHT_TO_IT:
        return 0  # the look below takes long where many were acknowledged already
    if _another_waits(session, packet_id, AWAITS_PUBACK):
        connection.witness(facts.SEVERAL_IN_FLIGHT_TO_IT, data, pos, end)
        return after
    return -after


def _after(conduct: Conduct, packet_id: int) -> int:
    """The packet id that is in turn after this one; 0 where one before it may still wait."""
    return 0 if conduct.overtaken or packet_id in conduct.inherited else packet_id + 1


def _another_waits(session: Session, packet_id: int, state: int) -> bool:
    return any(one.state == state and key != packet_id for key, one in session.inflight.items())


def _overtakes(conduct: Conduct, session: Session, packet_id: int, state: int) -> int:
    """The first packet sent that should have been acknowledged before this one, 0 for none.

    What is overtaken once is not held against later acknowledgements again.
    """
    if conduct.overtaken and conduct.overtaken.pop(packet_id, None) is not None:
        return 0
    if packet_id in conduct.inherited:
        return 0  # it may be about the PUBLISH of an earlier connection
    first = 0
    for key, one in session.inflight.items():
        if key == packet_id:
            break
        if one.state == state and not (conduct.overtaken and key in conduct.overtaken):
            first = first or key
            if conduct.overtaken is None:
                conduct.overtaken = {}
            if len(conduct.overtaken) < REMEMBERED:
                conduct.overtaken[key] = state
    return first


def saw_pubrec(
    connection: Connection, session: Session, pubrec: Pubrec, data: bytes, pos: int, end: int
) -> int:
    """A PUBREC that is not the next in turn, before it is acted on; which one will be, 0 while
    every one is looked at."""
    conduct = connection.conduct
    packet_id = pubrec.packet_id
    if conduct is None:
        return packet_id + 1
    shown = facts.of_pubrec(pubrec)
    outgoing = session.inflight.get(packet_id)
    if outgoing is None or outgoing.state == AWAITS_PUBACK:
        connection.witness(shown, data, pos, end)
        _saw_unexpected(connection, conduct, session, packet_id, "PUBREC", data, pos, end)
        # It is answered by a PUBREL, which is due a PUBCOMP.
        conduct.inherited = {*conduct.inherited, packet_id}
        return 0
    if outgoing.state == AWAITS_PUBCOMP:
        connection.witness(shown | facts.RECORDED_AGAIN, data, pos, end)
        if packet_id not in conduct.inherited:
            seen = f"PUBREC of packet identifier {packet_id} again"
            connection.notice(rules.ACKNOWLEDGEMENT_UNKNOWN, seen, data, pos, end)
            conduct.inherited = {*conduct.inherited, packet_id}  # the same
        return 0
    several = facts.SEVERAL_QOS_2_IN_FLIGHT_TO_IT
    shown |= facts.RECORDED_QOS_2 | facts.RECEIVED_QOS_2
    if not conduct.record.facts & several and _another_waits(session, packet_id, AWAITS_PUBREC):
        shown |= several
    connection.witness(shown, data, pos, end)
    first = _overtakes(conduct, session, packet_id, AWAITS_PUBREC)
    if first:
        seen = f"packet identifier {packet_id} before {first}"
        connection.notice(rules.PUBREC_ORDER, seen, data, pos, end)
    return _after(conduct, packet_id) if conduct.record.facts & several else 0


def saw_pubrel(
    connection: Connection, session: Session, pubrel: Pubrel, data: bytes, pos: int, end: int
) -> int:
    """A PUBREL that is not the next in turn, before it is acted on; which one will be, 0 while
    every one is looked at."""
    conduct = connection.conduct
    packet_id = pubrel.packet_id
    if conduct is None:
        return packet_id + 1
    shown = facts.of_pubrel(pubrel)
    if packet_id not in session.received:
        connection.witness(shown, data, pos, end)
        rule = _of_unexpected_pubrel(connection, conduct, packet_id)
        if rule is not None:
            connection.notice(rule, f"packet identifier {packet_id}", data, pos, end)
        return 0
    shown |= facts.RELEASED_QOS_2
    first = 0
    if packet_id in session.carried:
        shown |= facts.RESENT_PUBREL
        if conduct.repeated is None:
            conduct.repeated = set()
        conduct.repeated.add(packet_id)
    else:
        if any(key != packet_id and key not in session.carried for key in session.received):
            shown |= facts.SEVERAL_IN_FLIGHT_FROM_IT
        first = _released_late(conduct, session, packet_id)
    connection.witness(shown, data, pos, end)
    if first:
        seen = f"packet identifier {packet_id} before {first}"
        connection.notice(rules.PUBREL_ORDER, seen, data, pos, end)
    conduct.remember_released(range(packet_id, packet_id + 1))
    if conduct.unreleased or conduct.scrambled:
        return 0
    return packet_id + 1 if conduct.record.facts & facts.SEVERAL_IN_FLIGHT_FROM_IT else 0


def _released_late(conduct: Conduct, session: Session, packet_id: int) -> int:
    """The first packet id whose PUBREL should have come before this one, 0 for none."""
    unreleased = conduct.unreleased or set()
    if packet_id in unreleased:
        unreleased.discard(packet_id)
        return 0
    first = 0
    for key in session.received:
        if key == packet_id:
            break
        if key not in session.carried and key not in unreleased:
            first = first or key
            unreleased.add(key)
    if first:
        conduct.unreleased = unreleased
    return first


def _of_unexpected_pubrel(connection: Connection, conduct: Conduct, packet_id: int) -> Rule | None:
    """The rule that is broken by a PUBREL of what is not recorded, if any is."""
    if conduct.released and packet_id in conduct.released:
        return rules.RESENT_WHILE_CONNECTED if connection.version == 5 else None
    if conduct.resumed:
        return None  # its PUBCOMP was lost on an earlier connection
    if is_first(connection, conduct, packet_id):
        rule = not_discarded(connection, conduct)
        return rules.PUBREL_UNKNOWN if rule is rules.DUP_ON_FIRST_SENDING else rule
    return rules.PUBREL_UNKNOWN if connection.version == 5 else None


def saw_pubcomp(
    connection: Connection, session: Session, pubcomp: Pubcomp, data: bytes, pos: int, end: int
) -> int:
    """A PUBCOMP that is not the next in turn, before it is acted on; which one will be, 0 while
    every one is looked at."""
    conduct = connection.conduct
    packet_id = pubcomp.packet_id
    if conduct is None:
        return packet_id + 1
    shown = facts.of_pubcomp(pubcomp)
    outgoing = session.inflight.get(packet_id)
    if outgoing is None or outgoing.state != AWAITS_PUBCOMP:
        connection.witness(shown, data, pos, end)
        _saw_unexpected(connection, conduct, session, packet_id, "PUBCOMP", data, pos, end)
        return 0
    connection.witness(shown | facts.COMPLETED_QOS_2, data, pos, end)
    _overtakes(conduct, session, packet_id, AWAITS_PUBCOMP)  # no rule has them in order
    return _after(conduct, packet_id)


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
    elif _may_be_older(connection, conduct, session, packet_id):
        return
    elif packet == "PUBCOMP":
        connection.notice(rules.PUBCOMP_UNKNOWN, seen, data, pos, end)
    else:
        connection.notice(rules.ACKNOWLEDGEMENT_UNKNOWN, seen, data, pos, end)


def _may_be_older(
    connection: Connection, conduct: Conduct, session: Session, packet_id: int
) -> bool:
    """Whether a 3.1.1 client may mean a PUBLISH of the session that it has and the server has
    forgotten (3.1.1, 3.2.2.2)."""
    forgotten = conduct.asked_old and not conduct.resumed and connection.version != 5
    return forgotten and packet_id > session.last_packet_id
