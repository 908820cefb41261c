"""The short ways of a PUBLISH: what most of them are goes through as few steps as can be.

These are packets without DUP, RETAIN and properties, to a topic that was checked and routed before,
from a client of which such a packet shows nothing new. Skipping what cannot apply to them takes a
third of the time (`benchmarks/micro.py`). Every other one is for `broker/handlers/publish.py`.
"""

from broker.conduct import start_of
from broker.connection import Connection
from broker.handlers.conduct_checks import id_in_use, saw_new_qos2
from broker.handlers.publish import (
    check_receive_maximum,
    handle_any_publish,
    qos_not_supported,
)
from broker.handlers.publish_runs import Shape, publish_run
from broker.message import Message
from broker.output import PLAIN_3, PLAIN_5
from broker.topics.tree import Route


def handle_publish(connection: Connection, flags: int, data: bytes, pos: int, end: int) -> None:
    """Accept a PUBLISH."""
    if not flags:
        shortcut = connection.shortcut_qos0
    elif flags == 2:
        shortcut = connection.shortcut_qos1
    else:
        shortcut = connection.shortcut_qos2 if flags == 4 else 0
    if shortcut and end - pos > 2:
        after = pos + 2 + (data[pos] << 8 | data[pos + 1])
        route = connection.context.tree.by_bytes.get(data[pos + 2 : after])
        if route is not None and route.open:
            payload = after
            if flags:
                payload += 2
            if shortcut == PLAIN_5:
                payload += 1
            if payload <= end and (shortcut == PLAIN_3 or not data[payload - 1]):
                if not flags:
                    taken = _pass_on_qos0(connection, route, shortcut, data, pos, payload, end)
                elif not (data[after] or data[after + 1]):
                    taken = False  # 0 is no packet id
                else:
                    pass_on = _pass_on_qos1 if flags == 2 else _pass_on_qos2
                    taken = pass_on(connection, route, shortcut, data, pos, after, payload, end)
                if taken:
                    if end < len(data):
                        start = start_of(pos, end)
                        head = data[start:after]
                        # 3.x: a Remaining Length that is longer than need be begins earlier.
                        if data.startswith(head, end) and head[0] == 0x30 | flags:
                            shape = Shape(shortcut, flags >> 1, head, end - start, payload - start)
                            publish_run(connection, route, shape, data, end)
                    return
    handle_any_publish(connection, flags, data, pos, end)


def handle_guarded_publish(
    connection: Connection, flags: int, data: bytes, pos: int, end: int
) -> None:
    """Accept a PUBLISH of a client that may not publish everything.

    What it has published before may take the short way; `_refusal` looks at the rest.
    """
    session = connection.session
    rights = session.rights if session is not None else None
    if end - pos > 2 and rights is not None:
        after = pos + 2 + (data[pos] << 8 | data[pos + 1])
        if rights.remembers(data[pos + 2 : after]):
            handle_publish(connection, flags, data, pos, end)
            return
    handle_any_publish(connection, flags, data, pos, end)


def _pass_on_qos0(
    connection: Connection,
    route: Route,
    shortcut: int,
    data: bytes,
    pos: int,
    payload: int,
    end: int,
) -> bool:
    """The short way of QoS 0: the packet goes out as it came in. False when it cannot."""
    start = start_of(pos, end)
    if data[start] != 0x30:
        return False  # 3.x: a Remaining Length that is longer than need be
    worker, router = connection.worker, connection.context.router
    statistics = worker.statistics
    statistics.publish_received += 1
    statistics.publish_bytes_received += end - payload
    left = router.route_plain(route, data[start:end], 1, end - payload, shortcut, worker)
    if left or route.groups:
        message = Message(route.topic, data[payload:end], 0, False, None, connection.client_id)
        rest = Route(route.topic, tuple(left), route.groups)
        router.route(rest, message, worker, connection.session)
    return True


def _pass_on_qos1(
    connection: Connection,
    route: Route,
    shortcut: int,
    data: bytes,
    pos: int,
    after: int,
    payload: int,
    end: int,
) -> bool:
    """The short way of QoS 1; the packet id is at `after`. False when it cannot."""
    worker = connection.worker
    journal = worker.journal
    if journal is not None and journal.failing:
        return False  # and not everything can be taken
    id_bytes = data[after : after + 2]
    open_ids = connection.open_ids
    if id_bytes in open_ids:
        id_in_use(connection, int.from_bytes(id_bytes, "big"), data, pos, end)
    open_ids[id_bytes] = None
    settings = connection.settings
    if len(open_ids) + connection.unanswered > settings.receive_maximum:
        check_receive_maximum(connection)
    if not settings.maximum_qos:
        raise qos_not_supported(connection, 1)
    noted = journal.count if journal is not None else 0
    taken = _pass_on(connection, route, shortcut, 1, data, pos, after, payload, end)
    if taken or shortcut == PLAIN_3:  # [MQTT5-4.3.2-4] [MQTT3-4.3.2-2]
        puback = b"\x40\x02" + id_bytes
    else:
        puback = b"\x40\x03" + id_bytes + b"\x10"
    if journal is not None:
        connection.acknowledge(puback, noted)
        return True
    out = connection.out  # `write`, but for a call
    if not out:
        worker.touched.append(connection)
    out.append(puback)
    return True


def _pass_on_qos2(
    connection: Connection,
    route: Route,
    shortcut: int,
    data: bytes,
    pos: int,
    after: int,
    payload: int,
    end: int,
) -> bool:
    """The short way of QoS 2; the packet id is at `after`. False when it cannot."""
    session, conduct, settings = connection.session, connection.conduct, connection.settings
    id_bytes = data[after : after + 2]
    packet_id = data[after] << 8 | data[after + 1]
    assert session is not None  # these handlers are in force only with a session
    received = session.received
    journal = connection.worker.journal
    if (
        packet_id in received
        or id_bytes in connection.open_ids
        or (journal is not None and (session.number or journal.failing))
        or settings.maximum_qos < 2
    ):
        return False
    if conduct is not None:
        if conduct.refused:
            return False
        saw_new_qos2(conduct, session, packet_id)
    connection.unanswered += 1
    if len(connection.open_ids) + connection.unanswered >= settings.receive_maximum:
        check_receive_maximum(connection)
    received[packet_id] = route.topic  # [MQTT5-4.3.3-10] [MQTT3-4.3.3-2]
    noted = journal.count if journal is not None else 0
    taken = _pass_on(connection, route, shortcut, 2, data, pos, after, payload, end)
    if taken or shortcut == PLAIN_3:  # [MQTT5-4.3.3-8] [MQTT3-4.3.3-2]
        pubrec = b"\x50\x02" + id_bytes
    else:
        pubrec = b"\x50\x03" + id_bytes + b"\x10"
    if journal is None:
        connection.write(pubrec)
    else:
        connection.acknowledge(pubrec, noted)
    return True


def _pass_on(
    connection: Connection,
    route: Route,
    shortcut: int,
    qos: int,
    data: bytes,
    pos: int,
    after: int,
    payload: int,
    end: int,
) -> int:
    """Pass on a message of QoS 1 or 2 that has come the short way; to how many sessions."""
    worker, router = connection.worker, connection.context.router
    statistics = worker.statistics
    statistics.publish_received += 1
    statistics.publish_bytes_received += end - payload
    message = Message(route.topic, data[payload:end], qos, False, None, connection.client_id)
    start = pos - 2 if end - pos < 128 else start_of(pos, end)
    if data[start] != 0x30 | qos << 1:  # 3.x: a Remaining Length that is longer than need be
        return router.route(route, message, worker, connection.session)
    head = data[start:after]
    tail = message.payload if shortcut == PLAIN_3 else data[after + 2 : end]
    left = router.route_as_it_came(route, message, head, tail, shortcut, worker)
    taken = len(route.targets) - len(left)
    if left or route.groups:
        message.came_as(connection.version, head, tail)
        if taken:
            route = Route(route.topic, tuple(left), route.groups)
        taken += router.route(route, message, worker, connection.session)
    return taken
