"""PUBLISH packets that come one after the other and differ only in packet id and payload.

A client that publishes much to one topic has many of them read at once. The first takes the short
way (`broker/handlers/publish_short.py`), and those behind it are handled here all together: as far
as they have its topic, its size and its flags, show nothing new of the client, and stay within its
limits. With the first that does not, the run ends, and the ordinary way begins.
"""

from collections.abc import Iterator

from broker.connection import Connection
from broker.handlers.conduct_checks import saw_new_qos2
from broker.message import Message
from broker.output import PLAIN_5
from broker.topics.tree import Route

PUBACK, PUBREC = b"\x40", b"\x50"
NO_ID = b"\0\0"
MOST = 1 << 30  # more than one read brings


class Shape:
    """What the packets of a run have in common.

    Attributes:
        plain:   PLAIN_3 or PLAIN_5.
        qos:     0 to 2.
        head:    the bytes before the packet id.
        size:    of a packet, bytes.
        id_at:   where in a packet its packet id is; at QoS 0 there is none.
        payload: where in a packet its payload begins.
    """

    __slots__ = ("head", "id_at", "payload", "plain", "qos", "size")

    def __init__(self, plain: int, qos: int, head: bytes, size: int, payload: int) -> None:
        self.plain = plain
        self.qos = qos
        self.head = head
        self.size = size
        self.id_at = len(head)
        self.payload = payload


def publish_run(connection: Connection, route: Route, shape: Shape, data: bytes, pos: int) -> None:
    """Handle the packets of this shape from data[pos] on, where one starts; one before it has been
    handled just now. The connection skips them.

    With copies for each subscription, or for members of shared ones, the copies of each message
    have to be together (4.6).
    """
    if connection.held or route.groups or not connection.context.tree.single:
        return
    if not shape.qos:
        count = sum(1 for _ in _follow(shape, data, pos))
        if count:
            _pass_on_qos0(connection, route, shape, data, pos, count)
            connection.skip(count, shape.size)
        return
    journal = connection.worker.journal
    if journal is not None and journal.failing:
        return
    ids = (_new_ids if shape.qos == 1 else _new_qos2_ids)(connection, route, shape, data, pos)
    if not ids:
        return
    connection.skip(len(ids), shape.size)
    noted = journal.count if journal is not None else 0
    taken = _pass_on(connection, route, shape, data, pos, len(ids))
    byte1 = PUBACK if shape.qos == 1 else PUBREC
    # [MQTT5-4.3.2-4] [MQTT3-4.3.2-2] [MQTT5-4.3.3-8] [MQTT3-4.3.3-2]
    packets = [byte1 + b"\x02" + packet_id for packet_id in ids]
    if shape.plain == PLAIN_5 and not all(taken):
        packets = [
            packet if some else byte1 + b"\x03" + packet[2:] + b"\x10"
            for packet, some in zip(packets, taken, strict=True)
        ]
    if journal is None:
        connection.write_run(b"".join(packets), len(packets))
    else:
        connection.acknowledge_all(packets, noted)


def _follow(shape: Shape, data: bytes, pos: int, most: int = MOST) -> Iterator[int]:
    """Where each packet of this shape starts, one behind the other from data[pos] on. Looks at none
    that is not asked for, so that every look is at a packet that is handled."""
    head, size = shape.head, shape.size
    properties = shape.payload - 1  # their length, which has to be 0
    starts, v5 = data.startswith, shape.plain == PLAIN_5
    for at in range(pos, min(len(data) - size + 1, pos + most * size), size):
        if not starts(head, at) or (v5 and data[at + properties]):
            return
        yield at


def _room(connection: Connection) -> int:
    """How many more may be unanswered; reaching the Receive Maximum is for the ordinary way, and of
    3.1.1 there is none."""
    if connection.version != 5:
        return MOST
    unanswered = len(connection.open_ids) + connection.unanswered
    return max(0, connection.settings.receive_maximum - unanswered - 1)


def _new_ids(
    connection: Connection, route: Route, shape: Shape, data: bytes, pos: int
) -> list[bytes]:
    """The packet ids, two bytes each, of QoS 1 messages; from here on they are open."""
    open_ids, id_at = connection.open_ids, shape.id_at
    ids = []
    for at in _follow(shape, data, pos, _room(connection)):
        packet_id = data[at + id_at : at + id_at + 2]
        if packet_id in open_ids or packet_id == NO_ID:
            break
        open_ids[packet_id] = None
        ids.append(packet_id)
    return ids


def _new_qos2_ids(
    connection: Connection, route: Route, shape: Shape, data: bytes, pos: int
) -> list[bytes]:
    """The same of QoS 2 messages that are no repetitions, and are recorded as received."""
    session, conduct, journal = connection.session, connection.conduct, connection.worker.journal
    if (
        session is None
        or (journal is not None and session.number)
        or (conduct is not None and conduct.refused)
    ):
        return []
    received, open_ids, id_at = session.received, connection.open_ids, shape.id_at
    topic = route.topic
    ids = []
    for at in _follow(shape, data, pos, _room(connection)):
        id_bytes = data[at + id_at : at + id_at + 2]
        packet_id = int.from_bytes(id_bytes, "big")
        if packet_id in received or id_bytes in open_ids or not packet_id:
            break
        if conduct is not None:
            saw_new_qos2(conduct, session, packet_id)
        received[packet_id] = topic  # [MQTT5-4.3.3-10] [MQTT3-4.3.3-2]
        ids.append(id_bytes)
    connection.unanswered += len(ids)
    return ids


def _pass_on_qos0(
    connection: Connection, route: Route, shape: Shape, data: bytes, pos: int, count: int
) -> None:
    """They go out as they came in."""
    worker, router = connection.worker, connection.context.router
    payload_size = shape.size - shape.payload
    statistics = worker.statistics
    statistics.publish_received += count
    statistics.publish_bytes_received += count * payload_size
    packets = data[pos : pos + count * shape.size]
    left = router.route_plain(route, packets, count, payload_size, shape.plain, worker)
    if left:
        rest = Route(route.topic, tuple(left), ())
        for message in _messages(connection, route, shape, data, pos, count):
            router.route(rest, message, worker, connection.session)


def _pass_on(
    connection: Connection, route: Route, shape: Shape, data: bytes, pos: int, count: int
) -> list[int]:
    """Pass on messages of QoS 1 or 2; to how many sessions each."""
    worker, router = connection.worker, connection.context.router
    size = shape.size
    messages = _messages(connection, route, shape, data, pos, count)
    statistics = worker.statistics
    statistics.publish_received += count
    statistics.publish_bytes_received += count * (size - shape.payload)
    packets = memoryview(data)[pos : pos + count * size]
    left = router.route_run(route, messages, packets, shape.id_at, shape.plain, worker)
    taken = len(route.targets) - len(left)
    if not left:
        return [taken] * count
    rest = Route(route.topic, tuple(left), ())
    tail_at = shape.id_at + 2
    each = []
    for at, message in zip(range(pos, pos + count * size, size), messages, strict=True):
        tail = data[at + tail_at : at + size] if shape.plain == PLAIN_5 else message.payload
        message.came_as(connection.version, shape.head, tail)
        each.append(taken + router.route(rest, message, worker, connection.session))
    return each


def _messages(
    connection: Connection, route: Route, shape: Shape, data: bytes, pos: int, count: int
) -> list[Message]:
    topic, qos, origin = route.topic, shape.qos, connection.client_id
    size, payload = shape.size, shape.payload
    return [
        Message(topic, data[at + payload : at + size], qos, False, None, origin)
        for at in range(pos, pos + count * size, size)
    ]
