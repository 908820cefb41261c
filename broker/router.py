"""From a published message to the sessions that are due it.

Threads: called on the publisher's worker. A session of the same worker gets the message at once,
any other through its inbox.
"""

from struct import pack

from broker.message import Message
from broker.session.link import Delivery
from broker.session.outgoing import Outgoing
from broker.session.session import Session, Subscription
from broker.session.states import AWAITS_PUBACK, FIRST_STATE
from broker.topics.retained import RetainedStore
from broker.topics.tree import Route, SubscriptionTree, Target
from broker.worker import Worker


class Router:
    """Joins the subscription tree, the retained store and the sessions."""

    def __init__(
        self, tree: SubscriptionTree, retained: RetainedStore, upgrade_qos: bool = False
    ) -> None:
        self.tree = tree
        self.retained = retained
        self._upgrade_qos = upgrade_qos  # deliver with the granted QoS even if that is higher

    def publish(self, message: Message, worker: Worker, publisher: Session | None) -> int:
        """Retain the message if it says so, and pass it on.

        Returns how many sessions got it; 0 is reason code 0x10, no matching subscribers (3.4.2.1).
        """
        if message.retain:  # [MQTT5-3.3.1-8] [MQTT3-3.3.1-12] otherwise nothing is stored
            limit = self.retained.keep(message, worker.now)
            if limit:
                worker.limited(limit, f"not retained: {message.topic!r} of {message.origin!r}")
            if worker.journal is not None:
                worker.journal.count += 1  # noted under the lock of the store, to be in its order
        return self.route(self.tree.route(message.topic), message, worker, publisher)

    def route(
        self, route: Route, message: Message, worker: Worker, publisher: Session | None
    ) -> int:
        """Pass the message on to every session that the route names."""
        taken = 0
        published_qos = message.qos
        for target in route.targets:
            session = target.session
            if target.no_local and session is publisher:
                found = self._without_no_local(target)
                if found is None:
                    continue  # [MQTT5-3.8.3-3]
                target = found
            qos = target.qos  # [MQTT5-3.8.4-8] [MQTT3-3.8.4-6] the lower of the two
            if qos > published_qos and not self._upgrade_qos:
                qos = published_qos
            # [MQTT5-3.3.1-12] [MQTT5-3.3.1-13] [MQTT3-3.3.1-9]
            retain = message.retain and target.retain_as_published
            if session.worker is worker:
                if session.inbox:
                    session.drain_inbox(worker)  # what the publisher sent from elsewhere is older
                session.deliver(message, qos, retain, target.identifiers)
            else:
                self._put(session, message, qos, retain, target.identifiers, "", worker)
            taken += 1
        for group in route.groups:
            member = group.choose(message.topic)
            if member is not None:
                self._deliver_shared(member, message, worker)
                taken += 1
        return taken

    def qos(self, granted: int, published: int) -> int:
        """What a message goes out with; `route` has it in its loop, for speed."""
        return granted if self._upgrade_qos else min(granted, published)

    def route_plain(
        self,
        route: Route,
        packets: bytes,
        count: int,
        payload_size: int,
        plain: int,
        worker: Worker,
    ) -> "tuple[Target, ...] | list[Target]":
        """Pass on a QoS 0 PUBLISH without properties, or several of one size, as the bytes that
        came in.

        Only to who can have just these bytes: the router's shortest way, which most messages go. A
        call and an object less for each message and receiver halve the cost of both
        (benchmarks/micro.py).

        Returns the targets that it did not serve, for `route`.
        """
        if self._upgrade_qos:
            return route.targets
        left: list[Target] | None = None
        touched = worker.touched
        size = len(packets) if count == 1 else len(packets) // count
        receivers = 0
        for target in route.targets:
            session = target.session
            connection = session.connection
            if (
                connection is None
                or connection.plain != plain
                or session.worker is not worker
                or session.inbox
                or target.particular
                or size > connection.maximum_out
            ):
                if left is None:
                    left = []
                left.append(target)
                continue
            receivers += 1
            if count > 1:
                connection.write_run(packets, count)
                continue
            out = connection.out
            if not out:
                touched.append(connection)
            out.append(packets)
        statistics = worker.statistics
        statistics.publish_sent += receivers * count
        statistics.publish_bytes_sent += receivers * count * payload_size
        return left or ()

    def route_as_it_came(
        self, route: Route, message: Message, head: bytes, tail: bytes, plain: int, worker: Worker
    ) -> "tuple[Target, ...] | list[Target]":
        """`route_plain` for QoS 1 and 2: pass on the bytes around the packet id that it came with.

        Returns the targets that it did not serve, for `route`.
        """
        if self._upgrade_qos:
            return route.targets
        left: list[Target] | None = None
        touched, journal = worker.touched, worker.journal
        sent = 0
        qos = message.qos
        size = len(head) + 2 + len(tail)
        for target in route.targets:
            session = target.session
            connection = session.connection
            packet_id = session.last_packet_id + 1
            if (
                connection is None
                or connection.plain != plain
                or session.worker is not worker
                or target.qos < qos
                or target.particular
                or (session.number and qos == 2)  # which waits until it is durable
                or session.send_quota <= 0
                or session.inbox
                or session.queue
                or session.resend
                or packet_id in session.inflight
                or packet_id > 65_535
                or size > connection.maximum_out
                or (message.large and session.is_too_much(message))
            ):
                if left is None:
                    left = []
                left.append(target)
                continue
            # What `Session.deliver` comes to, in a third of the time.
            place = journal.next_place() if session.number and journal is not None else 0
            session.inflight[packet_id] = outgoing = Outgoing(
                message, qos, False, (), "", place, packet_id, FIRST_STATE[qos]
            )
            if place and journal is not None:
                journal.outgoing(session.number, outgoing)
            if message.large:
                session.hold(outgoing)
            session.last_packet_id = packet_id
            session.send_quota -= 1  # [MQTT5-4.9.0-2]
            out = connection.out
            if not out:
                touched.append(connection)
            out.append(head + packet_id.to_bytes(2, "big") + tail)
            sent += 1
        statistics = worker.statistics
        statistics.publish_sent += sent
        statistics.publish_bytes_sent += sent * len(message.payload)
        return left or ()

    def route_run(
        self,
        route: Route,
        messages: list[Message],
        packets: memoryview,
        id_at: int,
        plain: int,
        worker: Worker,
    ) -> "tuple[Target, ...] | list[Target]":
        """`route_as_it_came` for several messages whose packets are of one size, with their packet
        ids at `id_at`; one copy for each session.

        Returns the targets that it did not serve, for `route`.
        """
        if self._upgrade_qos:
            return route.targets
        left: list[Target] = []
        count, qos, large = len(messages), messages[0].qos, messages[0].large
        size = len(packets) // count
        for target in route.targets:
            session = target.session
            connection = session.connection
            first = session.last_packet_id + 1
            ids = range(first, first + count)
            if (
                connection is None
                or connection.plain != plain
                or session.worker is not worker
                or target.qos < qos
                or target.particular
                or (session.number and qos == 2)  # which waits until it is durable
                or session.send_quota < count
                or session.inbox
                or session.queue
                or session.resend
                or ids[-1] > 65_535
                or size > connection.maximum_out
                or not session.inflight.keys().isdisjoint(ids)
                or (large and session.is_too_much(messages[0], count))
            ):
                left.append(target)
                continue
            session.send_run(messages, ids)
            encoded = pack(f">{count}H", *ids)
            run = bytearray(packets)
            run[id_at::size] = encoded[::2]
            run[id_at + 1 :: size] = encoded[1::2]
            connection.write_run(bytes(run), count)
        statistics = worker.statistics
        sent = (len(route.targets) - len(left)) * count
        statistics.publish_sent += sent
        statistics.publish_bytes_sent += sent * len(messages[0].payload)
        return left

    def _without_no_local(self, target: Target) -> Target | None:
        """What the publisher itself is due when some of its subscriptions are No Local."""
        behind = tuple(one for one in target.behind if not one.no_local)
        return Target(target.session, behind) if behind else None

    def _deliver_shared(self, member: Subscription, message: Message, worker: Worker) -> None:
        session = member.session
        qos = self.qos(member.qos, message.qos)  # [MQTT5-4.8.2-3]
        retain = message.retain and member.retain_as_published
        identifiers = (member.identifier,) if member.identifier else ()
        if session.worker is worker:
            if session.inbox:
                session.drain_inbox(worker)
            session.deliver(message, qos, retain, identifiers, member.share)
        else:
            self._put(session, message, qos, retain, identifiers, member.share, worker)

    def _put(
        self,
        session: Session,
        message: Message,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        share: str,
        worker: Worker,
    ) -> None:
        """Leave a message to a session of another worker; if that is kept, so is the message from
        now on, as the publisher's acknowledgement goes with what this worker has noted."""
        journal = worker.journal
        number = session.number
        if qos and number and journal is not None:
            place = journal.next_place()
            delivery = Delivery(message, qos, retain, identifiers, share, place)
            journal.outgoing_elsewhere(session, number, delivery)
        else:
            session.put(Delivery(message, qos, retain, identifiers, share, 0))

    def pass_on(self, session: Session, worker: Worker) -> None:
        """Give what an ending session did not deliver of its shared subscriptions to other
        members."""
        for outgoing in undelivered_shared(session):  # [U5-4.8.2-2]
            if outgoing.message.expires_at <= worker.now:
                continue
            group = self.tree.group(outgoing.share)
            member = group.choose(outgoing.message.topic) if group is not None else None
            if member is not None:
                self._deliver_shared(member, outgoing.message, worker)


def undelivered_shared(session: Session) -> list[Outgoing]:
    """Messages of shared subscriptions that another member may get when a session ends.

    Not a QoS 2 message that was sent already [MQTT5-4.8.2-5].
    """
    return [
        outgoing
        for outgoing in (*session.inflight.values(), *session.queue)
        if outgoing.share
        and (outgoing.packet_id == 0 or outgoing.state == AWAITS_PUBACK)
        and outgoing.qos > 0
    ]
