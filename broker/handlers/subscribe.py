"""SUBSCRIBE and UNSUBSCRIBE (5.0 and 3.1.1, sections 3.8 to 3.11)."""

from functools import partial

from broker.access import NOT_AUTHORIZED
from broker.behaviours import user_properties
from broker.connection import Connection
from broker.durable_output import QUOTA_EXCEEDED
from broker.handlers.conduct_checks import saw_subscribe
from broker.handlers.over_limits import (
    ends_over_user_properties,
    subscription_over_limits,
    user_properties_over,
)
from broker.keeping import subscription_row
from broker.session.session import Session
from broker.session.session import Subscription as Granted
from broker.topics.filters import has_wildcard
from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.properties import SUBSCRIPTION_IDENTIFIER, Properties
from formats.mqtt.subscribe import (
    FAILURE,
    Suback,
    Subscription,
    Unsuback,
    decode_subscribe,
    decode_unsubscribe,
)
from formats.mqtt.topics import parse_shared
from persistence.records import SUBSCRIPTIONS, Delete, Put

NO_SUBSCRIPTION_EXISTED = 0x11
PACKET_TOO_LARGE = 0x95
FLUSHED_AFTER = 1_000  # packets of retained messages
RETAIN_AT_SUBSCRIBE, RETAIN_IF_NEW = 0, 1  # Retain Handling (3.8.3.1); 2 sends none


def handle_subscribe(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """Grant each filter in turn [MQTT5-3.8.4-5] [MQTT3-3.8.4-4], answer once, send what is
    retained."""
    subscribe = decode_subscribe(flags, data, pos, end, connection.version)
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    saw_subscribe(connection, session, subscribe, data, pos, end)
    identifier = _identifier(connection, subscribe.properties)
    for wanted in subscribe.subscriptions:
        _check_available(connection, wanted)
    over = user_properties_over(connection, subscribe.properties)
    reasons: list[int] = []
    due: list[Granted] = []  # retained messages, in the order of the filters
    for wanted in subscribe.subscriptions:
        reason = QUOTA_EXCEEDED if over else _refusal(connection, session, wanted)
        if reason:
            # 3.1 knows no failure: acknowledged as if granted (3.1, section 3.8)
            reasons.append(0 if connection.version == 3 else reason)
            continue
        reason = _grant(connection, wanted)
        if reason < FAILURE:
            granted, existed = _subscribe(connection, session, wanted, reason, identifier)
            if _sends_retained(connection, wanted, granted, existed):
                due.append(granted)
        reasons.append(reason)
    echoed = _echo(connection, subscribe.properties)
    # [MQTT5-3.8.4-1] [MQTT5-3.8.4-2] [MQTT5-3.8.4-6] [MQTT5-3.8.4-7] [MQTT5-3.9.3-1]
    # [MQTT5-2.2.1-6] [MQTT3-3.8.4-1] [MQTT3-3.8.4-2] [MQTT3-3.8.4-5] [MQTT3-3.9.3-1]
    # [MQTT3-2.3.1-7]
    suback = Suback(subscribe.packet_id, reasons, echoed)
    if session.number:  # the answer is a promise then
        connection.when_durable(partial(_answer, connection, session, suback, due))
    else:
        _answer(connection, session, suback, due)


def _answer(connection: Connection, session: Session, suback: Suback, due: list[Granted]) -> None:
    if connection.session is not session:
        return
    if not connection.send(suback):
        _unanswerable(connection, "SUBACK")
        return
    for granted in due:
        _send_retained(connection, session, granted)


def _identifier(connection: Connection, properties: Properties | None) -> int:
    identifiers = (properties or {}).get(SUBSCRIPTION_IDENTIFIER)
    if not identifiers:
        return 0
    if not connection.settings.identifiers_available:
        raise ProtocolViolation(
            rules.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, f"identifier {identifiers[0]}"
        )
    identifier: int = identifiers[0]
    return identifier


def _check_available(connection: Connection, wanted: Subscription) -> None:
    """A client that was told what is not available does not ask for it (3.2.2.3.11, 3.2.2.3.13)."""
    settings = connection.settings
    if connection.version != 5:
        return
    if not settings.wildcards_available and has_wildcard(wanted.topic_filter):
        raise ProtocolViolation(rules.WILDCARDS_NOT_SUPPORTED, wanted.topic_filter)
    if not settings.shared_available and parse_shared(wanted.topic_filter):
        raise ProtocolViolation(rules.SHARED_NOT_SUPPORTED, wanted.topic_filter)


def _refusal(connection: Connection, session: Session, wanted: Subscription) -> int:
    """Why this filter is not granted, 0 when nothing is against it."""
    if not connection.settings.wildcards_available and has_wildcard(wanted.topic_filter):
        return FAILURE  # [MQTT3-3.8.3-2] a 5.0 client does not get this far
    rights = session.rights
    if rights is not None:
        shared = parse_shared(wanted.topic_filter) if connection.version == 5 else None
        if not rights.may_subscribe(shared[1] if shared else wanted.topic_filter):
            return NOT_AUTHORIZED
    return subscription_over_limits(connection, session, wanted)


def _grant(connection: Connection, wanted: Subscription) -> int:
    """The QoS granted, or what a behaviour answers instead."""
    # [MQTT5-3.2.2-10] asking for more than there is is no error
    qos = min(wanted.qos, connection.settings.maximum_qos)
    for behaviour in connection.context.behaviours.before_suback:
        reason = behaviour(wanted.topic_filter, qos)
        if reason is not None:
            return reason
    return qos


def _subscribe(
    connection: Connection, session: Session, wanted: Subscription, qos: int, identifier: int
) -> tuple[Granted, bool]:
    shared = parse_shared(wanted.topic_filter) if connection.version == 5 else None
    granted = Granted(
        session,
        shared[1] if shared else wanted.topic_filter,
        qos,
        wanted.no_local,
        wanted.retain_as_published and connection.settings.retain_available,
        identifier,
        wanted.topic_filter if shared else "",
    )
    before = session.subscriptions.get(wanted.topic_filter)
    if before is None:
        connection.context.subscribed.add(wanted.topic_filter)
    elif before.share != granted.share:
        # `$share/...` of a session that was 3.1.1 before, or 5.0: another place in the tree
        connection.context.tree.unsubscribe(before)
        before = None
    session.subscriptions[wanted.topic_filter] = granted
    connection.context.tree.subscribe(granted)
    journal = connection.worker.journal
    if session.number and journal is not None:
        key = (session.number, wanted.topic_filter)
        journal.note(Put(SUBSCRIPTIONS, key, subscription_row(granted)))
    return granted, before is not None


def _sends_retained(
    connection: Connection, wanted: Subscription, granted: Granted, existed: bool
) -> bool:
    """Whether retained messages are due (3.3.1.3); never for a shared subscription (4.8.2)."""
    if granted.share or not connection.settings.retain_available:
        return False
    if wanted.retain_handling == RETAIN_AT_SUBSCRIBE:  # [MQTT5-3.3.1-9] [MQTT3-3.3.1-6]
        return True
    # [MQTT5-3.3.1-10] [MQTT5-3.3.1-11]
    return wanted.retain_handling == RETAIN_IF_NEW and not existed


def _send_retained(connection: Connection, session: Session, granted: Granted) -> None:
    """Send what is retained, with RETAIN 1 [MQTT3-3.3.1-8] and the identifier of the
    subscription.

    All of it is due: what cannot leave now waits, at QoS 0, too. One subscription may take the
    queue beyond its maximum so, but not one after the other.
    """
    identifiers = (granted.identifier,) if granted.identifier else ()
    rights = session.rights
    full = session.full
    for message in connection.context.retained.match(granted.topic_filter, connection.worker.now):
        if granted.no_local and message.origin == session.client_id:
            continue  # [MQTT5-3.8.3-3]
        if rights is not None and not rights.may_receive(message.topic):
            continue
        qos = connection.context.router.qos(granted.qos, message.qos)
        if not full and _waits(connection, session, qos):
            session.wait(message, qos, True, identifiers)
        else:
            session.deliver(message, qos, True, identifiers)
        if len(connection.out) >= FLUSHED_AFTER:
            connection.flush()  # shows whether the client reads what it asked for
            if connection.ended:
                return


def _waits(connection: Connection, session: Session, qos: int) -> bool:
    """Whether a message has to wait in the session."""
    if connection.congested:
        return True
    return qos > 0 and (session.send_quota <= 0 or bool(session.queue or session.resend))


def handle_unsubscribe(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """Delete each subscription that is exactly as named; always answer.

    [MQTT5-3.10.4-1] [MQTT5-3.10.4-4] [MQTT5-3.10.4-5] [MQTT5-3.10.4-6] [MQTT5-3.11.3-1]
    [MQTT3-3.10.4-1] [MQTT3-3.10.4-4] [MQTT3-3.10.4-5] [MQTT3-3.10.4-6]
    What was queued or sent before stays on its way [MQTT5-3.10.4-3] [MQTT3-3.10.4-3].
    """
    unsubscribe = decode_unsubscribe(flags, data, pos, end, connection.version)
    if ends_over_user_properties(connection, unsubscribe.properties):
        return
    session = connection.session
    assert session is not None  # these handlers are in force only with a session
    saw_subscribe(connection, session, unsubscribe, data, pos, end)
    reasons: list[int] = []
    for topic_filter in unsubscribe.topic_filters:
        granted = session.subscriptions.pop(topic_filter, None)
        if granted is None:
            reasons.append(NO_SUBSCRIPTION_EXISTED)
        else:
            connection.context.tree.unsubscribe(granted)
            connection.context.subscribed.remove((topic_filter,))
            reasons.append(0)
            if session.number and connection.worker.journal is not None:
                key = (session.number, topic_filter)
                connection.worker.journal.note(Delete(SUBSCRIPTIONS, key))
    echoed = _echo(connection, unsubscribe.properties)
    if not connection.send(Unsuback(unsubscribe.packet_id, reasons, echoed), session.number != 0):
        _unanswerable(connection, "UNSUBACK")


def _unanswerable(connection: Connection, answer: str) -> None:
    """End a connection whose client would wait for ever: the answer it asked for is larger than it
    allows."""
    connection.disconnect(
        PACKET_TOO_LARGE, None, f"{answer} is over the client's Maximum Packet Size"
    )


def _echo(connection: Connection, properties: Properties | None) -> Properties | None:
    if connection.version == 5 and connection.context.behaviours.echo_user_properties:
        return user_properties(properties)
    return None
