"""PUBACK, PUBREC, PUBREL and PUBCOMP that come one after the other, as the broker expects them.

A client with many messages under way acknowledges them in their order, without reason codes, and
many such packets are read at once. They are handled here in one loop for all of them: a tenth of
what a packet each costs (`benchmarks/micro.py`). A run ends, and the ordinary way begins, with the
first packet that is another one than expected.

Each function takes what follows from data[pos] on, where a packet starts, and returns how many
packets it has handled.
"""

from collections.abc import Iterator
from struct import iter_unpack

from broker.connection import Connection
from broker.session.session import Session
from broker.session.states import AWAITS_PUBACK, AWAITS_PUBCOMP, AWAITS_PUBREC

PUBACKS, PUBRECS, PUBRELS, PUBCOMPS = 0x40020000, 0x50020000, 0x62020000, 0x70020000
PUBREL_BYTE, PUBCOMP_BYTE = b"\x62", b"\x70"


def _in_turn(data: bytes, pos: int, expected: int) -> Iterator[int]:
    """Packet identifiers, as long as the packets are `expected` and those that follow it."""
    view = memoryview(data)[pos:]
    for (packet,) in iter_unpack(">I", view[: len(view) & ~3]):
        if packet != expected:
            return
        yield packet & 0xFFFF
        expected += 1  # after 65,535 it is no packet


def puback_run(session: Session, data: bytes, pos: int) -> int:
    """They are `session.next_puback` and those after it."""
    count = _complete(session, data, pos, PUBACKS | session.next_puback, AWAITS_PUBACK)
    session.next_puback += count
    return count


def pubrec_run(connection: Connection, session: Session, data: bytes, pos: int) -> int:
    """They are `session.next_pubrec` and those after it, and are answered by PUBREL each
    [MQTT5-4.3.3-4] [MQTT3-4.3.3-1]."""
    if session.number:
        return 0  # whose PUBREL waits until that is durable
    inflight = session.inflight
    count = 0
    for packet_id in _in_turn(data, pos, PUBRECS | session.next_pubrec):
        outgoing = inflight.get(packet_id)
        if outgoing is None or outgoing.state != AWAITS_PUBREC:
            break
        outgoing.state = AWAITS_PUBCOMP
        del inflight[packet_id]
        inflight[packet_id] = outgoing  # as `Session.acknowledged` does
        count += 1
    if count:
        session.next_pubrec += count
        _answer(connection, PUBREL_BYTE, data, pos, count)
    return count


def pubrel_run(connection: Connection, session: Session, data: bytes, pos: int) -> int:
    """They are `session.next_pubrel` and those after it, and are answered by PUBCOMP each
    [MQTT5-4.3.3-11] [MQTT3-4.3.3-2]."""
    behaviours = connection.context.behaviours
    if session.number or session.carried or connection.pledged or behaviours.before_pubcomp:
        return 0
    received = session.received
    first = session.next_pubrel
    count = 0
    for packet_id in _in_turn(data, pos, PUBRELS | first):
        if received.pop(packet_id, None) is None:
            break
        count += 1
    if count:
        session.next_pubrel += count
        if connection.conduct is not None:
            connection.conduct.remember_released(range(first, first + count))
        _answer(connection, PUBCOMP_BYTE, data, pos, count)
    return count


def pubcomp_run(session: Session, data: bytes, pos: int) -> int:
    """They are `session.next_pubcomp` and those after it."""
    count = _complete(session, data, pos, PUBCOMPS | session.next_pubcomp, AWAITS_PUBCOMP)
    session.next_pubcomp += count
    return count


def _complete(session: Session, data: bytes, pos: int, expected: int, state: int) -> int:
    """Have these end what is in flight in this state."""
    if session.uncounted:
        return 0
    inflight = session.inflight
    counted = []
    count = 0
    for packet_id in _in_turn(data, pos, expected):
        outgoing = inflight.get(packet_id)
        if outgoing is None or outgoing.state != state:
            break
        del inflight[packet_id]
        if outgoing.place:
            counted.append(outgoing)
        count += 1
    if counted:
        session.let_go_all(counted)
    session.give_back(count)
    return count


def _answer(connection: Connection, byte1: bytes, data: bytes, pos: int, count: int) -> None:
    """Send packets that differ from those at data[pos] only in their first byte."""
    packets = bytearray(data[pos : pos + 4 * count])
    packets[::4] = byte1 * count
    connection.write_run(bytes(packets), count)
