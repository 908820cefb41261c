"""Which packet may come when, and who handles it: a row for each packet type (5.0, 2.1.2).

Three states: nothing has come yet; the CONNECT is being authenticated (5.0, 4.12); connected.
"""

from broker.connection import Connection, Handler, Handlers
from broker.handlers.acks import handle_puback, handle_pubcomp, handle_pubrec, handle_pubrel
from broker.handlers.connect import ConnectHandler
from broker.handlers.control import AuthHandler, handle_disconnect, handle_pingreq
from broker.handlers.publish_short import handle_guarded_publish, handle_publish
from broker.handlers.subscribe import handle_subscribe, handle_unsubscribe
from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.codec import PACKET_NAMES


def refuse(rule: Rule, packet_type: int) -> Handler:
    """A handler for a packet that may not come now."""

    def handler(_connection: Connection, _flags: int, _data: bytes, _pos: int, _end: int) -> None:
        raise ProtocolViolation(rule, PACKET_NAMES[packet_type])

    return handler


def build() -> Handlers:
    """The handlers of a new connection; those of the later states are reached from its CONNECT."""
    early, never = rules.PACKET_BEFORE_CONNACK, rules.SERVER_ONLY_PACKET
    malformed, second = rules.PACKET_TYPE_RESERVED, rules.SECOND_CONNECT
    connect = ConnectHandler((), ())
    auth = AuthHandler(connect)
    # state:           authenticating                  connected
    rows: tuple[tuple[Handler, Handler], ...] = (
        (refuse(malformed, 0), refuse(malformed, 0)),
        (refuse(second, 1), refuse(second, 1)),  # CONNECT [MQTT5-3.1.0-2] [MQTT3-3.1.0-2]
        (refuse(never, 2), refuse(never, 2)),  # CONNACK
        (refuse(early, 3), handle_publish),
        (refuse(early, 4), handle_puback),
        (refuse(early, 5), handle_pubrec),
        (refuse(early, 6), handle_pubrel),
        (refuse(early, 7), handle_pubcomp),
        (refuse(early, 8), handle_subscribe),
        (refuse(never, 9), refuse(never, 9)),  # SUBACK
        (refuse(early, 10), handle_unsubscribe),
        (refuse(never, 11), refuse(never, 11)),  # UNSUBACK
        (refuse(early, 12), handle_pingreq),
        (refuse(never, 13), refuse(never, 13)),  # PINGRESP
        (handle_disconnect, handle_disconnect),
        (auth.before_connack, auth.connected),
    )
    connect.authenticating = tuple(row[0] for row in rows)
    connected = connect.connected = tuple(row[1] for row in rows)
    connect.guarded = (*connected[:3], handle_guarded_publish, *connected[4:])
    first = rules.NOT_CONNECT_FIRST  # [MQTT5-3.1.0-1] [MQTT3-3.1.0-1]
    return tuple(connect.handle if kind == 1 else refuse(first, kind) for kind in range(16))
