"""The handlers of a connection that came when there were too many: its CONNECT is answered."""

from broker.connection import Connection, Handlers
from broker.handlers.checks import version_of
from broker.handlers.conduct_checks import saw_connect
from formats.mqtt.connect import decode_connect
from formats.mqtt.packet_types import CONNECT
from formats.mqtt.properties import MAXIMUM_PACKET_SIZE, REQUEST_PROBLEM_INFORMATION


def refusing(handlers: Handlers, reason: int, words: str) -> Handlers:
    """`handlers` of a new connection, with a CONNECT that is refused."""

    def handle(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
        connection.version = version_of(data, pos, end)
        connect = decode_connect(flags, data, pos, end)
        connection.version = connect.version
        properties = connect.properties or {}
        connection.maximum_out = properties.get(MAXIMUM_PACKET_SIZE, connection.maximum_out)
        connection.problem_information = bool(properties.get(REQUEST_PROBLEM_INFORMATION, 1))
        saw_connect(connection, connect, data, pos, end)
        connection.refuse(reason, words, logged=True)

    return (*handlers[:CONNECT], handle, *handlers[CONNECT + 1 :])
