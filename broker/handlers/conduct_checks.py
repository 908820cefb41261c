"""What packets tell of the client that sent them: for the ledger, not for their answers.

Handlers call these where a connection has a `Conduct`. What is against a rule here lets the server
go on by the documents; `Connection.notice` notes it, and ends the connection where the listener
enforces. Repetitions of what is always alike are not looked at: a plain PUBLISH or PUBACK comes
here until it can show nothing new, and then again when it is out of turn.

Only what cannot be otherwise is reported. Where a packet of ours may still be on its way, or what
the client does may be about an earlier connection, it has the benefit of the doubt.
"""

import re
from collections.abc import Iterable

from broker.conduct import REMEMBERED, Conduct
from broker.connection import Connection
from broker.output import PLAIN_3, PLAIN_5
from broker.session.session import Session
from broker.session.states import AWAITS_PUBCOMP
from formats.errors import Rule
from formats.mqtt import rules
from formats.mqtt.connect import Connect
from formats.mqtt.control import Auth, Disconnect
from formats.mqtt.properties import (
    ASSIGNED_CLIENT_IDENTIFIER,
    MAXIMUM_PACKET_SIZE,
    MAXIMUM_QOS,
    RETAIN_AVAILABLE,
    SERVER_KEEP_ALIVE,
    SHARED_SUBSCRIPTION_AVAILABLE,
    SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    TOPIC_ALIAS_MAXIMUM,
    WILDCARD_SUBSCRIPTION_AVAILABLE,
    Properties,
)
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Unsubscribe
from oracle import facts
from oracle.ledger import KEPT_CLIENT_ID

# Control characters and non-characters (Unicode, 23.7).
DISALLOWED = re.compile(
    "[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
LONG_WAYS = 64  # QoS 1 PUBLISH packets that are looked at before the short way opens
TOLD = (
    (MAXIMUM_QOS, facts.MAXIMUM_QOS_LIMITED),
    (RETAIN_AVAILABLE, facts.RETAIN_UNAVAILABLE_TOLD),
    (MAXIMUM_PACKET_SIZE, facts.MAXIMUM_PACKET_SIZE_GIVEN),
    (ASSIGNED_CLIENT_IDENTIFIER, facts.ASSIGNED_CLIENT_ID_GIVEN),
    (TOPIC_ALIAS_MAXIMUM, facts.TOPIC_ALIAS_ALLOWED),
    (WILDCARD_SUBSCRIPTION_AVAILABLE, facts.WILDCARDS_UNAVAILABLE_TOLD),
    (SUBSCRIPTION_IDENTIFIER_AVAILABLE, facts.SUBSCRIPTION_IDENTIFIERS_UNAVAILABLE_TOLD),
    (SHARED_SUBSCRIPTION_AVAILABLE, facts.SHARED_UNAVAILABLE_TOLD),
    (SERVER_KEEP_ALIVE, facts.SERVER_KEEP_ALIVE_GIVEN),
)
TOPIC_ALIAS_INVALID = 0x94
BY_TRANSPORT = {
    "tcp": 0,
    "tls": facts.OVER_TLS,
    "ws": facts.OVER_WEBSOCKET,
    "wss": facts.OVER_TLS | facts.OVER_WEBSOCKET,
}
ALONE = {name: (name,) for name in BY_TRANSPORT}  # a tuple each would take room


# 3.1, 3.2 CONNECT, CONNACK


def saw_connect(connection: Connection, connect: Connect, data: bytes, pos: int, end: int) -> None:
    """A CONNECT that could be decoded."""
    conduct = connection.conduct
    if conduct is None:
        return
    client_id, user_name, will = connect.client_id, connect.user_name, connect.will
    transport_name = connection.transport_name
    conduct.asked_old = not connect.clean_start
    record = conduct.record
    record.version = connect.version
    record.transports = ALONE[transport_name]
    record.client_id = client_id[:KEPT_CLIENT_ID] or None
    shown = facts.of_connect(connect) | BY_TRANSPORT[transport_name]
    record.witness(shown, connection.worker.now, data[:end])  # it is the first packet
    if not client_id.isprintable() or user_name or will is not None:
        texts = (client_id, user_name, will.topic if will is not None else None)
        _saw_text(connection, texts, data, pos, end)
    if end < len(data):  # it cannot have waited for the CONNACK
        connection.witness(facts.SENT_BEFORE_CONNACK, data, pos, end)


def _saw_text(
    connection: Connection, texts: Iterable[str | None], data: bytes, pos: int, end: int
) -> None:
    """Strings should have no control characters and no non-characters (1.5.4; 3.1.1: 1.5.3)."""
    for text in texts:
        if text and not text.isprintable() and DISALLOWED.search(text):
            connection.notice(rules.TEXT_DISALLOWED, repr(text), data, pos, end)


def greeted(
    connection: Connection, session: Session, present: bool, properties: Properties | None
) -> None:
    """The CONNACK that accepts it leaves, with these properties."""
    conduct = connection.conduct
    if conduct is None:
        return
    conduct.record.client_id = connection.client_id[:KEPT_CLIENT_ID]  # perhaps assigned
    shown = facts.CONNECTED
    if properties:
        for identifier, fact in TOLD:
            if identifier in properties:
                shown |= fact
    if not shown & facts.TOPIC_ALIAS_ALLOWED:
        shown |= facts.TOPIC_ALIAS_REFUSED
    if present:
        shown |= facts.RESUMED
        conduct.resumed = True
        conduct.carried = {packet_id: place for place, packet_id in enumerate(session.received)}
        conduct.inherited = set(session.inflight)
    elif conduct.asked_old:
        shown |= facts.STARTED_ANEW
    conduct.record.witness(shown, connection.worker.now, b"")


# 3.3 PUBLISH


def saw_publish(connection: Connection, publish: Publish, data: bytes, pos: int, end: int) -> None:
    """A PUBLISH that came the long way."""
    conduct = connection.conduct
    assert conduct is not None  # the caller has looked
    connection.witness(facts.of_publish(publish), data, pos, end)
    _saw_text(connection, (publish.topic,), data, pos, end)
    plain = PLAIN_5 if connection.version == 5 else PLAIN_3
    if not publish.qos:
        if connection.opens_shortcuts and publish.properties is None:
            connection.shortcut_qos0 = plain
        return
    packet_id = publish.packet_id
    session = connection.session
    if session is None:
        return
    if publish.dup:
        _saw_repetition(connection, conduct, session, publish, data, pos, end)
    elif publish.qos == 2 and packet_id in session.carried:
        connection.notice(rules.DUP_MISSING, f"packet identifier {packet_id}", data, pos, end)
    else:
        if packet_id in session.received or packet_id.to_bytes(2, "big") in connection.open_ids:
            id_in_use(connection, packet_id, data, pos, end)
        if publish.qos == 2:
            saw_new_qos2(conduct, session, packet_id)
        conduct.new_published = True
        if conduct.refused:
            conduct.refused.discard(packet_id)
        if packet_id in conduct.used:
            connection.witness(facts.REUSED_PACKET_ID, data, pos, end)
    conduct.published += 1
    if len(conduct.used) < REMEMBERED:
        if not conduct.used:
            conduct.used = set()
        conduct.used.add(packet_id)
    if conduct.published > LONG_WAYS and connection.opens_shortcuts:
        if publish.qos == 1:
            connection.shortcut_qos1 = plain
        elif not publish.dup:
            connection.shortcut_qos2 = plain


def saw_new_qos2(conduct: Conduct, session: Session, packet_id: int) -> None:
    """A QoS 2 PUBLISH that is no repetition, before it is recorded."""
    if not session.received:
        conduct.scrambled = False
        if session.next_pubrel:
            session.next_pubrel = packet_id  # the first that may be released, whatever came before
    elif packet_id != conduct.next_published:
        conduct.scrambled = True
        session.next_pubrel = 0
    conduct.next_published = packet_id % 65_535 + 1
    if conduct.released:
        conduct.released.discard(packet_id)


def id_in_use(connection: Connection, packet_id: int, data: bytes, pos: int, end: int) -> None:
    """A packet has the id of one that is not acknowledged yet (2.2.1; 3.1.1: 2.3.1)."""
    connection.notice(rules.PACKET_ID_IN_USE, f"packet identifier {packet_id}", data, pos, end)


def _saw_repetition(
    connection: Connection,
    conduct: Conduct,
    session: Session,
    publish: Publish,
    data: bytes,
    pos: int,
    end: int,
) -> None:
    """A PUBLISH with DUP (3.3.1.1, 4.4)."""
    packet_id = publish.packet_id
    seen = f"packet identifier {packet_id}"
    if conduct.refused and packet_id in conduct.refused:
        connection.notice(rules.RESENT_AFTER_REFUSAL, seen, data, pos, end)
    elif publish.qos == 2 and conduct.released and packet_id in conduct.released:
        connection.notice(rules.PUBLISH_AFTER_PUBREL, seen, data, pos, end)
    elif publish.qos == 2 and packet_id in session.carried:
        _saw_carried(connection, conduct, packet_id, data, pos, end)
    elif connection.version == 5 and packet_id in conduct.used:
        connection.notice(rules.RESENT_WHILE_CONNECTED, seen, data, pos, end)
    elif conduct.resumed:
        # Of QoS 1 nothing is remembered of what was answered on the last connection.
        fact = facts.RESENT_PUBLISH
        if conduct.record.facts & fact:
            fact |= facts.RESENT_SEVERAL
        connection.witness(fact, data, pos, end)
    elif is_first(connection, conduct, packet_id):
        rule = not_discarded(connection, conduct)
        if rule is not None:
            connection.notice(rule, seen, data, pos, end)


def is_first(connection: Connection, conduct: Conduct, packet_id: int) -> bool:
    """Whether no PUBLISH on this connection had the packet id, as far as all were looked at."""
    short = connection.shortcut_qos1 or connection.shortcut_qos2
    looked_at_all = not short and len(conduct.used) < REMEMBERED
    return looked_at_all and packet_id not in conduct.used


def not_discarded(connection: Connection, conduct: Conduct) -> Rule | None:
    """The rule that is broken by going on with a session that is no more, if any is.

    A 3.1.1 client that is told that its session is not present may go on with its own half (3.1.1,
    3.2.2.2), and one of 5.0 that does not wait for the CONNACK does not know.
    """
    if conduct.asked_old:
        told = connection.version == 5 and not conduct.record.facts & facts.SENT_BEFORE_CONNACK
        return rules.STATE_NOT_DISCARDED if told else None
    if conduct.record.facts & facts.DISCARDED_SESSION:
        return rules.STATE_REUSED_AFTER_CLEAN_START
    return rules.DUP_ON_FIRST_SENDING


def _saw_carried(
    connection: Connection, conduct: Conduct, packet_id: int, data: bytes, pos: int, end: int
) -> None:
    """A QoS 2 message that was under way when the client connected comes again (4.4, 4.6)."""
    if conduct.repeated is None:
        conduct.repeated = set()
    elif packet_id in conduct.repeated:
        if connection.version == 5:  # 3.1.1 does not forbid it
            seen = f"packet identifier {packet_id}"
            connection.notice(rules.RESENT_WHILE_CONNECTED, seen, data, pos, end)
        return
    connection.witness(
        facts.RESENT_PUBLISH | (facts.RESENT_SEVERAL if conduct.repeated else 0), data, pos, end
    )
    conduct.repeated.add(packet_id)
    latest, places = conduct.latest, conduct.carried
    if latest and places[packet_id] < places[latest]:
        seen = f"packet identifier {packet_id} after {latest}"
        connection.notice(rules.RESEND_ORDER, seen, data, pos, end)
    else:
        conduct.latest = packet_id


def publish_refused(connection: Connection, packet_id: int) -> None:
    """A PUBLISH was answered with a Reason Code of 0x80 or more."""
    conduct = connection.conduct
    if conduct is not None:
        connection.witness(facts.PUBLISH_REFUSED, b"", 0, 0)
        conduct.refused = remember(conduct.refused, packet_id)


def remember(some: set[int] | None, packet_id: int) -> set[int]:
    if some is None or len(some) >= REMEMBERED:
        some = set()
    some.add(packet_id)
    return some


# 3.8, 3.10 SUBSCRIBE, UNSUBSCRIBE


def saw_subscribe(
    connection: Connection,
    session: Session,
    packet: Subscribe | Unsubscribe,
    data: bytes,
    pos: int,
    end: int,
) -> None:
    """A SUBSCRIBE or UNSUBSCRIBE."""
    if connection.conduct is None:
        return
    if isinstance(packet, Subscribe):
        shown = facts.of_subscribe(packet)
        filters = [one.topic_filter for one in packet.subscriptions]
    else:
        shown = facts.of_unsubscribe(packet)
        filters = packet.topic_filters
    connection.witness(shown, data, pos, end)
    _saw_text(connection, filters, data, pos, end)
    _saw_while_full(connection, data, pos, end)
    packet_id = packet.packet_id
    id_bytes = packet_id.to_bytes(2, "big")
    if packet_id in session.received or id_bytes in connection.open_ids:
        # 3.x does not forbid to ask again while there is no answer.
        if connection.version == 5 or data.find(data[pos:end], 0, pos) < 0:
            id_in_use(connection, packet_id, data, pos, end)
    elif connection.worker.journal is None:  # which holds back answers, and nobody knows which
        connection.open_ids[id_bytes] = None
        connection.open_subscribes += 1


def _saw_while_full(connection: Connection, data: bytes, pos: int, end: int) -> None:
    """A packet other than PUBLISH, which need not wait for the Receive Maximum (3.3.4)."""
    unanswered = len(connection.open_ids) - connection.open_subscribes + connection.unanswered
    if connection.version == 5 and unanswered >= connection.settings.receive_maximum:
        connection.witness(facts.SENT_AT_RECEIVE_MAXIMUM, data, pos, end)


# 3.12, 3.14, 3.15 PINGREQ, DISCONNECT, AUTH


def saw_pingreq(connection: Connection, data: bytes, pos: int, end: int) -> None:
    """A PINGREQ."""
    if connection.conduct is None:
        return
    shown = facts.PINGREQ
    idle_s = connection.worker.now - connection.last_in
    if connection.keep_alive_s and idle_s >= connection.keep_alive_s / 2:
        shown |= facts.WAS_IDLE_AND_PINGED
        if connection.conduct.record.facts & facts.SERVER_KEEP_ALIVE_GIVEN:
            shown |= facts.SERVER_KEEP_ALIVE_KEPT
    connection.witness(shown, data, pos, end)
    _saw_while_full(connection, data, pos, end)


def saw_auth(connection: Connection, auth: Auth, data: bytes, pos: int, end: int) -> None:
    """An AUTH packet that was due."""
    if connection.conduct is None:
        return
    shown = facts.of_auth(auth)
    if auth.reason == 0x19:
        shown |= facts.REAUTHENTICATED
    else:
        shown |= facts.ANSWERED_CHALLENGE | facts.CHALLENGED
    connection.witness(shown, data, pos, end)


def saw_disconnect(
    connection: Connection, disconnect: Disconnect, data: bytes, pos: int, end: int
) -> None:
    """The client leaves in order: what it owes by now it will not send any more."""
    conduct, session = connection.conduct, connection.session
    if conduct is None:
        return
    conduct.left = True
    connection.witness(facts.of_disconnect(disconnect), data, pos, end)
    if disconnect.reason == TOPIC_ALIAS_INVALID and connection.sent_aliases is not None:
        connection.notice(rules.TOPIC_ALIAS_NOT_ACCEPTED, "DISCONNECT 0x94", data, pos, end)
    if session is None:
        return
    if not (conduct.unreleased or conduct.overtaken or conduct.new_published):
        return
    for packet_id in conduct.unreleased or ():
        if packet_id in session.received:
            seen = f"packet identifier {packet_id}"
            connection.notice(rules.PUBREL_MISSING, seen, data, pos, end)
    for packet_id, state in (conduct.overtaken or {}).items():
        seen = f"packet identifier {packet_id}"
        outgoing = session.inflight.get(packet_id)
        if outgoing is not None and outgoing.state == state:
            late = state == AWAITS_PUBCOMP
            if late and session.expiry_interval_s:
                continue  # it may come on the next connection
            rule = rules.PUBCOMP_MISSING if late else rules.ACKNOWLEDGEMENT_MISSING
            connection.notice(rule, seen, data, pos, end)
    if conduct.new_published:  # so it had begun to publish again
        left_out = session.carried - (conduct.repeated or set())
        if left_out:
            seen = f"packet identifier {min(left_out, key=conduct.carried.__getitem__)}"
            connection.notice(rules.RESEND_INCOMPLETE, seen, data, pos, end)
