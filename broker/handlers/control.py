"""PINGREQ, DISCONNECT and AUTH from a client (5.0: 3.12, 3.14, 3.15, 4.12; 3.1.1: 3.12, 3.14)."""

import logging

from broker.authentication.method import NOT_AUTHORIZED, Continue, Failure, Success
from broker.connection import Connection
from broker.handlers.conduct_checks import saw_auth, saw_disconnect, saw_pingreq
from broker.handlers.connack import auth_properties
from broker.handlers.connect import CONTINUE_AUTHENTICATION, ConnectHandler
from broker.handlers.over_limits import ends_over_user_properties
from broker.settings import expiry_from_wire
from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.control import (
    PINGRESP_BYTES,
    Auth,
    Disconnect,
    decode_auth,
    decode_disconnect,
    decode_pingreq,
)
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    SESSION_EXPIRY_INTERVAL,
)
from formats.mqtt.reasons import reason_name

log = logging.getLogger("touchstone")

NORMAL_DISCONNECTION = 0x00
NORMAL = Disconnect(NORMAL_DISCONNECTION)  # without reason code and properties
# "Sent by: Server" in table 3-10.
REASONS_OF_SERVER = frozenset(
    (0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, *range(0x9A, 0xA3)),
)
RE_AUTHENTICATE = 0x19


def handle_pingreq(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """PINGRESP [MQTT5-3.12.4-1] [MQTT3-3.12.4-1]."""
    decode_pingreq(flags, data, pos, end, connection.version)
    saw_pingreq(connection, data, pos, end)
    connection.write(PINGRESP_BYTES)


def handle_disconnect(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """The client leaves; only with reason code 0x00 is its will discarded (3.14.4)."""
    if pos == end and not flags:
        disconnect = NORMAL  # as nearly all are
    else:
        disconnect = decode_disconnect(flags, data, pos, end, connection.version)
        if disconnect.reason in REASONS_OF_SERVER:
            raise ProtocolViolation(
                rules.DISCONNECT_REASON_OF_SERVER, f"reason code 0x{disconnect.reason:02x}"
            )
    session, properties = connection.session, disconnect.properties
    if session is not None:
        interval = properties.get(SESSION_EXPIRY_INTERVAL) if properties else None
        if interval is not None:
            if interval and not connection.may_prolong:  # [U5-3.14.2.2.2-2] [U5-3.14.2.2.2-3]
                raise ProtocolViolation(
                    rules.SESSION_EXPIRY_CHANGED_FROM_ZERO, f"Session Expiry Interval {interval}"
                )
            session.expiry_interval_s = min(
                expiry_from_wire(interval), connection.settings.max_session_expiry_s
            )
        if disconnect.reason == NORMAL_DISCONNECTION:
            # [MQTT5-3.14.4-3] [MQTT3-3.14.4-3] [MQTT5-3.1.2-10] [MQTT3-3.1.2-10]
            session.will = None
    saw_disconnect(connection, disconnect, data, pos, end)
    if connection.settings.connection_messages and log.isEnabledFor(logging.INFO):
        words = reason_name(disconnect.reason) if disconnect.reason else "normal disconnection"
        log.info("%s: left, %s", connection.name, words)
    connection.close()  # [MQTT3-3.14.4-1] [MQTT3-3.14.4-2]


class AuthHandler:
    """AUTH, before and after the CONNACK (4.12)."""

    def __init__(self, connect: ConnectHandler) -> None:
        self._connect = connect

    def before_connack(
        self, connection: Connection, flags: int, data: bytes, pos: int, end: int
    ) -> None:
        """The next step of the authentication that CONNECT began."""
        auth = self._decode(connection, flags, data, pos, end)
        if ends_over_user_properties(connection, auth.properties):
            return
        if auth.reason != CONTINUE_AUTHENTICATION:
            raise ProtocolViolation(
                rules.AUTH_REASON_FROM_CLIENT, f"reason code 0x{auth.reason:02x}"
            )
        saw_auth(connection, auth, data, pos, end)
        self._connect.proceed(connection, (auth.properties or {}).get(AUTHENTICATION_DATA))

    def connected(
        self, connection: Connection, flags: int, data: bytes, pos: int, end: int
    ) -> None:
        """Re-authentication (4.12.1); other packets flow on meanwhile."""
        auth = self._decode(connection, flags, data, pos, end)
        if ends_over_user_properties(connection, auth.properties):
            return
        answer = (auth.properties or {}).get(AUTHENTICATION_DATA)
        saw_auth(connection, auth, data, pos, end)
        if auth.reason == RE_AUTHENTICATE:
            method = connection.context.methods.create(connection.authentication_method)
            connection.method = method
            if method is None:
                raise ProtocolViolation(rules.AUTH_METHOD_CHANGED, "no longer offered")
            step = method.start(answer)
        elif auth.reason == CONTINUE_AUTHENTICATION and connection.method is not None:
            step = connection.method.proceed(answer)
        else:
            raise ProtocolViolation(
                rules.AUTH_REASON_FROM_CLIENT, f"reason code 0x{auth.reason:02x}"
            )
        if isinstance(step, Continue):
            connection.send(Auth(CONTINUE_AUTHENTICATION, auth_properties(connection, step.data)))
            return
        client = connection.client
        if (
            isinstance(step, Success)
            and client is not None
            and step.user_name not in (None, client.user_name)
        ):
            # 4.12.1 lets us refuse; what was granted and is kept belongs to the first user.
            step = Failure(NOT_AUTHORIZED, "re-authentication may not change the user")
        if isinstance(step, Failure):  # [MQTT5-4.12.1-2]
            connection.disconnect(step.reason, None, step.words)
            return
        connection.send(Auth(0, auth_properties(connection, step.data)))
        connection.method = None

    def _decode(self, connection: Connection, flags: int, data: bytes, pos: int, end: int) -> Auth:
        """An AUTH packet with the method of the CONNECT, and no other [U5-3.15-1]."""
        auth = decode_auth(flags, data, pos, end, connection.version)
        method = (auth.properties or {}).get(AUTHENTICATION_METHOD)
        if not connection.authentication_method:
            raise ProtocolViolation(rules.AUTH_WITHOUT_METHOD, f"method {method!r}")
        if method != connection.authentication_method:
            raise ProtocolViolation(
                rules.AUTH_METHOD_CHANGED,
                f"{method!r}, CONNECT had {connection.authentication_method!r}",
            )
        return auth
