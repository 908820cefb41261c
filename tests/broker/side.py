"""A broker in memory that gets packets in bursts or each by itself, to be compared with another."""

from broker.journal import Journal
from broker.keeping import Keeping
from formats.mqtt.codec import encode
from persistence.records import Call, Put
from tests.harness.site import Site


def with_needless_byte(packet):
    """The packet with a Remaining Length that is longer than need be, as 3.x allows."""
    at = 1
    while packet[at] & 0x80:
        at += 1
    return packet[:at] + bytes((packet[at] | 0x80, 0)) + packet[at + 1 :]


class Log:
    """A database in memory: what is noted is durable at once.

    Attributes:
        outgoing: (session number, packet id, state, payload) by place.
        rows:     of the other tables.
    """

    failing = False

    def __init__(self):
        self.outgoing = {}
        self.rows = {}

    def submit(self, changes):
        for change in changes:
            if type(change) is tuple:
                outgoing, number, packet_id, state = change
                self.outgoing[outgoing.place] = number, packet_id, state, outgoing.message.payload
            elif isinstance(change, int):
                self.outgoing.pop(change, None)
            elif isinstance(change, Call):
                change.post(change.call)
            elif isinstance(change, Put):
                self.rows[change.table, change.key] = change.row
            else:
                self.rows.pop((change.table, change.key), None)

    def due(self):
        """What each session is due, in the order of its places."""
        due = {}
        for _, (number, *rest) in sorted(self.outgoing.items()):
            due.setdefault(number, []).append(rest)
        return due


class Side:
    """One of the two: a client that publishes, and others that subscribe.

    Args:
        durable: what its sessions hold outlives the broker.
    """

    def __init__(self, version, in_bursts, configuration="", listeners=1, durable=False):
        self.site = Site("memory", configuration, listeners)
        self.version = version
        self.in_bursts = in_bursts
        self.log = Log() if durable else None
        if durable:
            keeping = self.site.context.keeping = Keeping(self.site.clock)
            for worker in self.site._all_workers:
                worker.journal = Journal(self.log, worker.post, keeping.next_place)
        self.clients = {}
        self.publisher = self.joined("from")

    def joined(self, client_id, version=None, listener=0, kept=False, properties=None):
        client = self.site.client(version or self.version, listener)
        (client.resume if kept else client.connect)(client_id, properties=properties)
        self.clients[client_id] = client
        return client

    def session(self, client):
        return client.wire.connection.session

    def say(self, client, packets):
        """Packets, or bytes that are one."""
        encoded = [
            packet if isinstance(packet, bytes) else encode(packet, client.version)
            for packet in packets
        ]
        wire = client.wire
        if self.in_bursts:
            wire.send(b"".join(encoded))
            return
        for packet in encoded:
            session = self.session(client)
            if session is not None:
                session.next_puback = session.next_pubrec = 0
                session.next_pubrel = session.next_pubcomp = 0
                wire._entrance.received(packet)
        self.site.settle()

    def seen(self):
        """All there is to see of it, as far as it is none of the clock's."""
        state = []
        for client in self.clients.values():
            arrived, client.wire._arrived = bytes(client.wire._arrived), bytearray()
            connection = client.wire.connection
            record, session = connection.conduct.record, connection.session
            state.append(
                {
                    "arrived": arrived,
                    "in": record.packets_in,
                    "out": record.packets_out,
                    "facts": record.facts,
                    "breaches": {
                        rule.summary: one.count for (_, rule), one in record.breaches.items()
                    },
                    "unanswered": connection.unanswered,
                    "inflight": session and {i: one.state for i, one in session.inflight.items()},
                    "order": session and list(session.inflight),
                    "queue": session and [one.message.payload for one in session.queue],
                    "received": session and list(session.received),
                    "send_quota": session and session.send_quota,
                    "held": session and session.held,
                }
            )
        state.append([(worker.held_bytes, worker.queued) for worker in self.site.workers])
        numbers = self.site._statistics()
        state.append(
            {
                name: getattr(numbers, name)
                for name in (
                    "messages_sent",
                    "messages_received",
                    "publish_sent",
                    "publish_received",
                    "publish_bytes_sent",
                    "publish_bytes_received",
                    "publish_dropped",
                    "bytes_sent",
                )
            }
        )
        if self.log is not None:
            state.append((self.log.due(), self.log.rows))
        return state
