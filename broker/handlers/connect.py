"""CONNECT: from the packet to a session and a CONNACK (5.0 and 3.1.1, section 3.1.4).

The steps are check, authenticate, claim, open. Authentication may take further packets (AUTH) or a
slow hash on a thread of its own, a claim may take a turn through another listener's thread;
meanwhile the connection handles nothing else.

Threads: the connection's worker, but for `release_session`, which the owner of the session runs.
"""

import logging
import os
import sys
from collections.abc import Callable

from broker.access import NOT_AUTHORIZED, PENDING, SUCCESS, Client
from broker.authentication.method import Continue, Failure, Step
from broker.authentication.method import Success as Authenticated
from broker.conduct import start_of
from broker.connection import Connection, Handlers
from broker.handlers.checks import is_utf8, version_of
from broker.handlers.conduct_checks import greeted, saw_connect
from broker.handlers.connack import auth_properties, connack_properties, send_quota, session_expiry
from broker.handlers.over_limits import connect_over_limits
from broker.output import PLAIN_3, PLAIN_5
from broker.session.session import Session
from broker.worker import Worker
from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.connect import Connack, Connect, decode_connect, encode_connack
from formats.mqtt.control import Auth
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    MAXIMUM_PACKET_SIZE,
    PAYLOAD_FORMAT_INDICATOR,
    REQUEST_PROBLEM_INFORMATION,
)
from oracle import facts

log = logging.getLogger("touchstone")

SERVER_BUSY = 0x89
BAD_AUTHENTICATION_METHOD = 0x8C
SESSION_TAKEN_OVER = 0x8E
CONTINUE_AUTHENTICATION = 0x18
# CONNACK with Success for 3.1 and 3.1.1; 3.1 does not say that a session is present.
ACCEPTED_3 = encode_connack(Connack(False), 4)
RESUMED_3_1_1 = encode_connack(Connack(True), 4)
MAXIMUM_CLIENT_ID_3_1 = 23  # characters (3.1, section 3.1)


class ConnectHandler:
    """CONNECT as the first packet; knows which handlers a connection has afterwards.

    Attributes:
        guarded: those of a client that may not publish everything.
    """

    def __init__(
        self, authenticating: Handlers, connected: Handlers, guarded: Handlers = ()
    ) -> None:
        self.authenticating = authenticating
        self.connected = connected
        self.guarded = guarded

    def handle(self, connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
        """Check the packet and begin (3.1.4)."""
        try:
            connect = decode_connect(flags, data, pos, end)  # [MQTT5-3.1.4-1] [MQTT3-3.1.4-1]
        except ProtocolViolation:  # a 5.0 client learns from a CONNACK what is wrong with it
            connection.version = version_of(data, pos, end)
            raise
        connection.version = version = connect.version
        if version == 5 and not data[pos - 1]:  # [MQTT5-1.5.5-1]
            raise ProtocolViolation(rules.VARIABLE_NOT_MINIMAL, "Remaining Length ends with a 0", 1)
        connection.connect = connect
        properties = connect.properties
        if properties:
            connection.maximum_out = properties.get(MAXIMUM_PACKET_SIZE, connection.maximum_out)
            connection.problem_information = bool(properties.get(REQUEST_PROBLEM_INFORMATION, 1))
        saw_connect(connection, connect, data, pos, end)
        violation = self._check(connection, connect)
        if violation is not None:  # [MQTT5-3.1.4-2] [MQTT3-3.1.4-5]
            connection.broke(violation, data, start_of(pos, end), end)
            connection.refuse(violation.rule.reason, str(violation), logged=True)
            return
        over = connect_over_limits(connection, connect)
        if over is not None:
            connection.refuse(*over, logged=True)
            return
        connection.client_id = connect.client_id or self._assign(connection)
        user_name, password = connect.user_name, connect.password
        identity = connection.tls_identity
        connection.client = Client(
            connection.client_id,
            identity if identity is not None else user_name,
            password,
            sys.intern(connection.address.rpartition(":")[0]),  # one for all from there
            connection.settings.port,
            identity,
            "",
            version,
        )
        name = properties.get(AUTHENTICATION_METHOD) if properties else None
        if name is None:
            self._admit(connection, None)
            return
        assert properties  # the name is one of them
        method = connection.context.methods.create(name)
        if method is None:  # [MQTT5-4.12.0-1]
            connection.refuse(BAD_AUTHENTICATION_METHOD, f"authentication method {name!r}")
            return
        connection.method = method
        connection.authentication_method = name
        self._continue(connection, method.start(properties.get(AUTHENTICATION_DATA)))

    def proceed(self, connection: Connection, data: bytes | None) -> None:
        """An AUTH packet came before the CONNACK (4.12)."""
        assert connection.method is not None  # these handlers are in force only with a method
        self._continue(connection, connection.method.proceed(data))

    def _continue(self, connection: Connection, step: Step) -> None:
        if isinstance(step, Continue):
            connection.handlers = self.authenticating
            connection.send(
                Auth(CONTINUE_AUTHENTICATION, auth_properties(connection, step.data))
            )  # [MQTT5-4.12.0-2]
        elif isinstance(step, Failure):
            connection.refuse(step.reason, step.words)  # [MQTT5-4.12.0-4]
        else:
            self._admit(connection, step)

    def _check(self, connection: Connection, connect: Connect) -> ProtocolViolation | None:
        """What is against the CONNECT, of what no decoder can know; None when nothing is."""
        settings, client_id = connection.settings, connect.client_id
        if connect.version not in settings.versions:
            return ProtocolViolation(
                rules.UNSUPPORTED_VERSION, f"level {connect.version} is not served here"
            )
        # [MQTT5-3.1.3-5] [MQTT3-3.1.3-5] otherwise any client id will do
        if connect.version == 3 and not 0 < len(client_id) <= MAXIMUM_CLIENT_ID_3_1:
            return ProtocolViolation(
                rules.CLIENT_ID_REFUSED, f"{len(client_id)} characters, 3.1 has 1 to 23"
            )
        if not client_id:
            if connect.version == 4 and not connect.clean_start:  # [MQTT3-3.1.3-8]
                return ProtocolViolation(rules.CLIENT_ID_EMPTY)
            if not settings.allow_zero_length_client_id:  # [MQTT5-3.1.3-8] [MQTT3-3.1.3-9]
                return ProtocolViolation(rules.CLIENT_ID_REFUSED, "no characters")
        will = connect.will
        if will is not None:
            if will.qos > settings.maximum_qos:  # [MQTT5-3.2.2-12]
                return ProtocolViolation(
                    rules.WILL_QOS_NOT_SUPPORTED, f"{will.qos}, maximum {settings.maximum_qos}"
                )
            if will.retain and not settings.retain_available:  # [MQTT5-3.2.2-13]
                return ProtocolViolation(rules.WILL_RETAIN_NOT_SUPPORTED)
            if will.topic.startswith("$"):
                return ProtocolViolation(rules.WILL_TOPIC_RESERVED, repr(will.topic))
            if (will.properties or {}).get(PAYLOAD_FORMAT_INDICATOR) and not is_utf8(will.payload):
                return ProtocolViolation(rules.WILL_PAYLOAD_NOT_UTF_8)
        return None

    def _assign(self, connection: Connection) -> str:
        """A client id that nobody has [MQTT5-3.1.3-6] [MQTT5-3.2.2-16] [MQTT3-3.1.3-6]."""
        while True:
            client_id = connection.settings.auto_id_prefix + os.urandom(11).hex()
            if client_id not in connection.context.registry:
                return client_id

    def _admit(self, connection: Connection, authenticated: Authenticated | None) -> None:
        """Ask access control, then for the session."""
        client, connect = connection.client, connection.connect
        access = connection.settings.access
        assert client is not None
        assert connect is not None
        if authenticated is not None:
            client.authenticated_by = connection.authentication_method
            if authenticated.user_name is not None:
                client.user_name = authenticated.user_name
                client.proven = True
        reason = access.connect(client)
        if reason == SUCCESS and connect.will is None:  # nothing is left for `_decided`
            client.password = None
            self._claim(connection, authenticated)
            return
        if reason != PENDING:
            self._decided(connection, client, authenticated, reason)
            return
        connection.hold(reading=True)

        def decided(reason: int) -> None:
            def decide() -> None:
                self._decided(connection, client, authenticated, reason)

            connection.worker.post(lambda: connection.attempt(decide))

        if not access.prove(client, lambda: not connection.ended, decided):
            connection.refuse(SERVER_BUSY, "too many logins wait")

    def _decided(
        self,
        connection: Connection,
        client: Client,
        authenticated: Authenticated | None,
        reason: int,
    ) -> None:
        """Access control has answered."""
        connect = connection.connect
        if connection.ended or connect is None:
            return
        client.password = None
        if reason == SUCCESS and connect.will is not None:
            rights = connection.settings.access.rights(client)
            if rights is not None and not rights.may_publish(connect.will.topic):
                reason = NOT_AUTHORIZED
        if reason != SUCCESS:
            connection.refuse(reason, f"user name {client.user_name!r}")
            return
        self._claim(connection, authenticated)

    # The session.

    def _claim(self, connection: Connection, authenticated: Authenticated | None) -> None:
        """Get hold of the client id's session, here or from the worker that has it.

        A session held elsewhere comes by way of two posts: to its owner, which lets it go, and
        back. The owner may have ended it meanwhile, or given it to somebody else: then this starts
        again.
        """
        worker = connection.worker
        if worker.journal is not None and worker.failing and self._needs_database(connection):
            connection.refuse_to_keep()  # and whoever has the session keeps it
            return
        session, created = connection.context.registry.find_or_create(connection.client_id, worker)
        owner = session.worker
        if owner is worker:
            self._open(connection, session, created, authenticated)
            return
        connection.hold()

        def claim_again() -> None:
            if not connection.ended:
                connection.attempt(lambda: self._claim(connection, authenticated))

        owner.post(lambda: self._let_go(connection, session, owner, claim_again))

    def _needs_database(self, connection: Connection) -> bool:
        """Whether the session has to be durable before the CONNACK, or the end of the last one."""
        connect, registry = connection.connect, connection.context.registry
        if connect is not None and session_expiry(connection, connect):
            return True
        session = registry.find(connection.client_id)
        return session is not None and session.number > 0

    def _let_go(
        self,
        connection: Connection,
        session: Session,
        owner: Worker,
        claim_again: Callable[[], None],
    ) -> None:
        """On the owner's thread: end the old connection and hand the session to the new one's
        worker."""
        try:
            if session.worker is owner and not session.ended:
                take_over(session)
                if owner.journal is not None:
                    owner.journal.submit()  # before anything the next owner, or session, notes
                if not session.ended:
                    session.move(connection.worker)
                    connection.worker.post(
                        lambda: connection.context.lifetime.adopt(session, connection.worker)
                    )
        except Exception:
            log.exception("%s: a bug of the broker ends this connection", connection.name)
            connection.worker.post(connection.give_up)
            return
        connection.worker.post(claim_again)

    def _open(
        self,
        connection: Connection,
        session: Session,
        created: bool,
        authenticated: Authenticated | None,
    ) -> None:
        """Clean Start or resume [MQTT5-3.1.4-4], then CONNACK [MQTT5-3.1.4-5] [MQTT3-3.1.4-4]."""
        context, connect, worker = connection.context, connection.connect, connection.worker
        client = connection.client
        assert connect is not None
        assert client is not None
        if session.connection is not None:
            take_over(session)
        present = not created
        if session.ended:  # the takeover was its end, and somebody else may have begun the next
            self._claim(connection, authenticated)
            return
        kept = session.number > 0
        # [MQTT3-3.1.4-3]
        if connect.clean_start and not created:  # [MQTT5-3.1.2-4] [MQTT3-3.1.2-6]
            fresh = context.registry.make(connection.client_id, worker)
            context.registry.replace(session, fresh)
            context.lifetime.end(session, worker)
            session, present = fresh, False
            connection.witness(facts.DISCARDED_SESSION, b"", 0, 0)
        # [MQTT5-3.1.2-5] [MQTT5-3.1.2-6] [MQTT3-3.1.2-4] otherwise the session goes on, or is new
        context.lifetime.grant(session, connection.settings.access.rights(client), worker)
        connection.session = session
        # [MQTT5-3.1.2-7] [MQTT3-3.1.2-8] [MQTT3-3.1.2-12] no longer that of the connection before
        session.will = connect.will  # [MQTT5-3.1.3-9]
        session.expiry_interval_s = session_expiry(connection, connect)
        session.attach(connection, connect.version, send_quota(connection, connect))
        journal, keeping = worker.journal, context.keeping
        if keeping is not None and session.expiry_interval_s and not session.number:
            session.number = keeping.next_session()
        if journal is None or not (kept or session.number):
            self._greet(connection, session, present, authenticated)
            return
        context.lifetime.note(session, worker)
        # What the CONNACK says of sessions is durable first; until then messages wait.
        connection.wait_for_connack()
        connection.hold()

        def greet() -> None:
            if connection.session is session:
                connection.congested = False
                self._greet(connection, session, present, authenticated)

        def cannot_greet() -> None:
            if connection.session is session:
                session.will = None
                if not present:
                    session.expiry_interval_s = 0.0  # it was promised to nobody
                connection.refuse_to_keep()

        journal.when_durable(
            lambda: connection.attempt(greet), lambda: connection.attempt(cannot_greet)
        )

    def _greet(
        self,
        connection: Connection,
        session: Session,
        present: bool,
        authenticated: Authenticated | None,
    ) -> None:
        """CONNACK, and what is due to the client."""
        connect, worker = connection.connect, connection.worker
        assert connect is not None
        version = connect.version
        connection.connected = True
        connection.handlers = self.connected if session.rights is None else self.guarded
        # [MQTT5-3.2.0-1] [MQTT3-3.2.0-1] nothing but AUTH was sent before; the next one ends the
        # connection [MQTT5-3.2.0-2]
        properties = connack_properties(connection, connect, authenticated)
        # [MQTT5-3.2.2-2] [MQTT5-3.2.2-3] [MQTT3-3.2.2-1] [MQTT3-3.2.2-2] [MQTT3-3.2.2-3]
        if version != 5:  # no properties, so no client to which it is too large
            connection.write(RESUMED_3_1_1 if present and version == 4 else ACCEPTED_3)
        elif not connection.send(Connack(present, 0, properties)):
            # Nothing may be sent without a CONNACK, and this one is over the Maximum Packet Size.
            session.will = None
            connection.connected = False
            connection.close()
            return
        greeted(connection, session, present, properties)
        worker.statistics.connections += 1
        connection.connect = connection.method = None
        connection.settle_plain()
        connection.opens_shortcuts = True
        if connection.conduct is None:  # nothing is looked at the long way first
            plain = PLAIN_5 if version == 5 else PLAIN_3
            connection.shortcut_qos0 = connection.shortcut_qos1 = connection.shortcut_qos2 = plain
        if connection.settings.connection_messages and log.isEnabledFor(logging.INFO):
            log.info(
                "%s: connected, MQTT %s, %s, session %s",
                connection.name,
                {3: "3.1", 4: "3.1.1", 5: "5.0"}[version],
                connection.transport_name,
                "present" if present else "new",
            )
        if session.inflight or session.queue:
            session.resume()
        if connection.behind_connack is not None:
            connection.go_on_after_connack()
        if connection.held:
            connection.release()


def take_over(session: Session) -> None:
    """End the connection that a session has, because its client has made another one.

    [MQTT5-3.1.4-3] [MQTT3-3.1.4-2]
    """
    old = session.connection
    if isinstance(old, Connection) and not old.connected:
        old.leave("the client has connected again")  # and has not had its CONNACK
    elif isinstance(old, Connection):
        old.disconnect(SESSION_TAKEN_OVER, None, "the client has connected again")
