"""One network connection: bytes in, packets to their handlers, packets out, and how it ends.

A connection is created by its listener, which feeds it what arrived through the layers and takes
what it has to send once a round. It knows no socket: `Transport` is all it needs of one.

Threads: belongs to the worker that accepted it, like its session.
"""

import logging
from collections.abc import Callable

from broker.access import Client
from broker.authentication.method import Method
from broker.context import Context
from broker.durable_output import PUBACK_BYTE, QUOTA_EXCEEDED
from broker.logging_setup import printable
from broker.output import Output, Transport
from broker.session.session import Session
from broker.settings import Settings
from broker.timed import PROGRESS, Timed
from broker.topics.aliases import ReceivedAliases
from broker.worker import Worker
from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.codec import PACKET_NAMES
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import REASON_STRING, Properties
from formats.mqtt.reasons import reason_name
from formats.mqtt.stream import read_remaining_length
from oracle import facts

log = logging.getLogger("touchstone")

IMPLEMENTATION_SPECIFIC_ERROR = 0x83
SERVER_UNAVAILABLE = 0x88
# Reasons of a refusal that none of the return codes of 3.1 and 3.1.1 says (table 3.1).
WITHOUT_RETURN_CODE = frozenset((0x80, 0x81, 0x82, 0x83, 0x90, 0x95, 0x99, 0x9A, 0x9B))

# Called with (connection, flags, data, pos, end) for the packet body data[pos:end].
Handler = Callable[["Connection", int, bytes, int, int], None]
Handlers = tuple[Handler, ...]  # by packet type, 0 to 15


class Connection(Timed):
    """The state of one network connection.

    Attributes:
        handlers:    what each packet type means now; replaced as the state changes.
        session:     the session it has opened; None before, and when it has lost it.
        opens_shortcuts: a plain PUBLISH may take the short way, once one has come the long way.
        shortcut_qos0, shortcut_qos1, shortcut_qos2: PLAIN_3 or PLAIN_5 where it may now, or 0.
        unanswered:  QoS 2 PUBLISH packets that are not completed yet, and what is pledged for those
                     that are; with `open_ids`, what counts for the Receive Maximum (3.3.4).
        open_subscribes: packets in `open_ids` that are no PUBLISH.
        may_prolong: its CONNECT had a Session Expiry Interval, so DISCONNECT may, too (3.14.2.2.2).
    """

    __slots__ = (
        "_partial",
        "_progress_at",
        "_skipped",
        "_skipped_size",
        "_wanted",
        "authentication_method",
        "client",
        "connect",
        "context",
        "handlers",
        "maximum_in",
        "may_prolong",
        "method",
        "open_subscribes",
        "opens_shortcuts",
        "received_aliases",
        "session",
        "shortcut_qos0",
        "shortcut_qos1",
        "shortcut_qos2",
        "tls_identity",
        "transport_name",
        "unanswered",
    )

    def __init__(
        self,
        worker: Worker,
        context: Context,
        settings: Settings,
        transport: Transport,
        address: str,
        handlers: Handlers,
    ) -> None:
        Timed.__init__(self, worker, settings, transport, address)  # `super` would be a call more
        self.context = context
        self.transport_name = "tcp"
        self.tls_identity: str | None = None  # where it stands for the user name
        self.handlers = handlers
        self.client: Client | None = None
        self.connect: Connect | None = None  # while it is not answered
        self.method: Method | None = None  # the exchange under way (5.0, 4.12)
        self.authentication_method = ""  # of the CONNECT
        self.session: Session | None = None
        self.maximum_in = settings.maximum_packet_size
        self.may_prolong = self.opens_shortcuts = False
        self.received_aliases: ReceivedAliases | None = None
        self.unanswered = self.open_subscribes = self._skipped = self._skipped_size = 0
        self.shortcut_qos0 = self.shortcut_qos1 = self.shortcut_qos2 = 0
        if self.conduct is not None:
            context.ledger.open(self.conduct.record)
        self._partial = bytearray()  # what has come in how many pieces ever costs no more
        self._progress_at = 0  # bytes of `_partial` that are a sign of life
        self._wanted = 0  # bytes that `_partial` needs before it is worth a look

    # Bytes in.

    def received(self, data: bytes) -> None:
        """Handle every whole packet in what has arrived, MQTT bytes; keep the rest."""
        if self._partial:
            if len(self._partial) + len(data) < self._wanted:
                self._partial += data
                self.last_in = self.worker.now
                if len(self._partial) >= self._progress_at:
                    self._progressed()
                return
            data = b"".join((self._partial, data))
            self._partial.clear()
        pos, end, packets = stop, _, _ = 0, len(data), 0
        try:
            while not self.held and end - pos >= 2:
                length = data[pos + 1]
                body = pos + 2
                if length & 0x80:
                    length, body = read_remaining_length(data, pos + 1, end, self.version)
                    if length < 0:
                        break
                stop = body + length
                if stop - pos > self.maximum_in:
                    self.worker.statistics.limits["maximum_packet_size"] += 1
                    raise ProtocolViolation(
                        rules.PACKET_TOO_LARGE,
                        f"{PACKET_NAMES[data[pos] >> 4]} of {stop - pos} bytes, "
                        f"maximum {self.maximum_in}",
                    )
                if stop > end:
                    break
                byte1 = data[pos]
                packets += 1
                self.handlers[byte1 >> 4](self, byte1 & 15, data, body, stop)
                pos = stop
                if self._skipped:
                    packets += self._skipped
                    pos += self._skipped * self._skipped_size
                    self._skipped = 0
        except ProtocolViolation as violation:
            self.violated(violation, data, pos, stop if stop > pos else end)
            pos = end
        except Exception:
            self.failed()
            pos = end
        self.worker.statistics.messages_received += packets
        self.last_in = self.worker.now
        if packets:
            self.last_packet = self.last_in
        if self.conduct is not None:
            self.conduct.record.arrived(self.last_in, data, pos, packets)
        if pos < end:
            if self.ended:
                self.went_on(data[pos:])
            else:
                self._keep(data[pos:] if pos else data)

    def skip(self, count: int, size: int) -> None:
        """So many packets behind the one at hand, of so many bytes each, are handled, too."""
        self._skipped, self._skipped_size = count, size

    def _keep(self, rest: bytes) -> None:
        """Remember the beginning of a packet; join again only once it can be whole."""
        self._partial += rest
        self._wanted = 2
        self._progress_at = PROGRESS
        if len(rest) >= PROGRESS:
            self._progressed()
        if self.held:
            self.transport.pause()
        if len(rest) >= 5 and not self.held:
            length, body = rest[1], 2
            if length & 0x80:
                length, body = read_remaining_length(rest, 1, len(rest), self.version)
            self._wanted = body + length

    def _progressed(self) -> None:
        self.last_packet = self.last_in
        self._progress_at = len(self._partial) + PROGRESS

    def hold(self, reading: bool = False) -> None:
        """Handle no more packets until `release`: the CONNECT is not answered yet.

        With `reading` it is still seen that the client goes, until it sends something.
        """
        self.held = True
        if not reading:
            self.transport.pause()

    def release(self) -> None:
        """Go on with what has arrived meanwhile."""
        self.held = False
        self.transport.resume()
        if self._partial and not self.ended:
            self._wanted = 0
            self.received(b"")

    # How it ends.

    def flush(self) -> None:
        """Send what this round has written, acknowledgements among it."""
        try:
            if self.open_ids:
                if not self.pledged_pubacks:
                    self.open_ids.clear()
                else:
                    for packet in self.out:
                        if packet[0] == PUBACK_BYTE:
                            self.open_ids.pop(packet[2:4], None)
                self.open_subscribes = 0
            if self.unanswered and self.session is not None:
                received = len(self.session.received) - len(self.session.carried)
                self.unanswered = received + self.pledged_pubcomps
            Output.flush(self)
            if self.overrun:
                self.bound_output()
        except Exception:
            self.failed()

    def bound_output(self) -> None:
        """Disconnect a client that goes on asking and does not read the answers."""
        if self.overrun > self.settings.max_output_bytes and not self.ended:
            self.worker.statistics.limits["max_connection_output_bytes"] += 1
            self.disconnect(QUOTA_EXCEEDED, None, f"{self.transport.unsent} bytes wait unread")

    def hold_back(self) -> None:
        # An error would have to end the connection [MQTT3-4.8.0-2], and the client would come back
        # with all of it: it waits instead, so that this is the most that it can have waiting.
        if not self.held and not self.ended:
            self.held_back = True
            self.hold()

    def release_back(self) -> None:
        self.held_back = False
        self.last_packet = self.worker.now  # until now it was not read
        self.release()

    def drained(self) -> None:
        """The transport has sent all it had."""
        if self.congested and self.connected:
            self.congested = False
            self.overrun = 0
            self.settle_plain()
            if self.session is not None:
                self.session.pump()

    def violated(
        self,
        violation: ProtocolViolation,
        data: bytes = b"",
        start: int = 0,
        stop: int = 0,
        mqtt: bool = True,
    ) -> None:
        """The client broke a rule, in data[start:stop] if anywhere: tell it as its document allows,
        and close (4.13, 3.1.1: 4.8)."""
        # [MQTT5-4.13.1-1] [MQTT3-4.8.0-1]
        self.broke(violation, data, start, stop, mqtt)
        self.disconnect(violation.rule.reason, None, str(violation), logged=True)

    def failed(self) -> None:
        """A bug of ours, the exception being handled: it ends this connection and no other.
        [MQTT3-4.8.0-2] [U311-4.8-1]"""
        log.exception("%s: a bug of the broker ends this connection", self.name)
        self.give_up()

    def give_up(self) -> None:
        """End what a bug has left in nobody knows which state."""
        self.disconnect(IMPLEMENTATION_SPECIFIC_ERROR, None, "internal error", logged=True)

    def refuse(self, reason: int, words: str, logged: bool = False) -> None:
        """Answer the CONNECT with an error and close [MQTT5-3.2.2-7] [MQTT3-3.2.2-5].

        3.x closes without a CONNACK what no return code of its own fits [MQTT3-3.2.2-6]; the
        reasons of 5.0 are those of its table [MQTT5-3.2.2-8].
        """
        words = printable(words)
        if not logged and self.settings.connection_messages:
            log.info("%s: refused, %s: %s", self.name, reason_name(reason), words)
        if self.version == 5 or (self.version and reason not in WITHOUT_RETURN_CODE):
            properties: Properties | None = {REASON_STRING: words} if self.version == 5 else None
            self.send(Connack(False, reason, properties))  # [MQTT5-3.2.2-6] [MQTT3-3.2.2-4]
        self.close()

    def refuse_to_keep(self) -> None:
        """Refuse a session that cannot be promised."""
        reason = QUOTA_EXCEEDED if self.version == 5 else SERVER_UNAVAILABLE
        self.refuse(reason, "the database cannot be written")

    def disconnect(
        self, reason: int, properties: Properties | None, words: str, logged: bool = False
    ) -> None:
        """End the connection from our side [MQTT5-4.13.2-1]; a 5.0 client is told why, before its
        CONNACK by that.

        The will is published: only a DISCONNECT of the client prevents it. Ours has no Session
        Expiry Interval [MQTT5-3.14.2-2].
        """
        if self.ended:
            return
        words = printable(words)
        if not logged and self.settings.connection_messages:
            log.info("%s: disconnected, %s: %s", self.name, reason_name(reason), words)
        if self.connected:
            if self.version == 5:  # [MQTT5-3.14.0-1] 3.x: the server has none
                self.witness(facts.DISCONNECTED_BY_SERVER, b"", 0, 0)
                if properties is None and words:
                    properties = {REASON_STRING: words}
                self.send(Disconnect(reason, properties))
        elif self.version == 5:  # the CONNECT is not answered yet
            self.send(Connack(False, reason, {REASON_STRING: words} if words else None))
        elif reason == rules.UNSUPPORTED_VERSION.reason:
            # [MQTT3-3.1.2-2] [MQTT5-3.1.2-1] [MQTT5-3.1.2-2] 3.1.1 demands this form, 5.0 allows
            # one
            self.write(b"\x20\x02\x00\x01")
        self.close()

    def close(self) -> None:
        """Close in order: nothing more is handled or written [MQTT5-3.14.4-1] [MQTT5-3.14.4-2]."""
        if self.ended:
            return
        try:  # whatever bug it may be that ends it, it ends
            if self.out:
                Output.flush(self)
        finally:
            try:
                self._lose_session()
                if self.layers:
                    for place in range(len(self.layers) - 1, -1, -1):
                        self.send_down(self.layers[place].close(), place)
            finally:
                self.transport.finish()

    def lost(self, words: str) -> None:
        """The network connection is gone, without a DISCONNECT of the client."""
        if self.ended:
            return
        if self.settings.connection_messages:
            log.info("%s: %s", self.name, words)
        self._lose_session()

    def leave(self, words: str) -> None:
        """Close, because the client has ended the connection without a DISCONNECT."""
        if not self.ended and self.settings.connection_messages:
            log.info("%s: %s", self.name, words)
        self.close()

    def _lose_session(self) -> None:
        # [MQTT5-3.1.4-6] [MQTT3-3.1.4-5] what came behind is not read
        self.ended = self.held = True
        self.watch_no_more()
        self.plain = 0
        if self.out:
            self.out = []
        self._partial.clear()
        session, self.session = self.session, None
        behind, self.behind_connack = self.behind_connack, None
        if session is not None:
            self.context.lifetime.disconnected(session, self.worker)
            for message, retain, identifiers in behind or ():
                session.deliver(message, 0, retain, identifiers)  # which may queue QoS 0

    def gone(self, peer_closed: bool) -> None:
        """Nothing more will come, or leave; the client has closed the connection, or had the time
        to do so."""
        conduct = self.conduct
        if conduct is None:
            return
        record, now = conduct.record, self.worker.now
        if self.sent_aliases is not None and self.sent_aliases.used:
            record.witness(facts.RECEIVED_TOPIC_ALIAS, now, b"")
        told = record.facts & facts.DISCONNECTED_BY_SERVER
        if peer_closed:
            if conduct.left:
                record.witness(facts.CLOSED_AFTER_OWN_DISCONNECT, now, b"")
            elif told:
                record.witness(facts.GOT_SERVER_DISCONNECT_AND_CLOSED, now, b"")
        elif conduct.left:
            self.broke(ProtocolViolation(rules.NOT_CLOSED_AFTER_OWN_DISCONNECT))
        elif told and not self.transport.unsent:
            self.broke(ProtocolViolation(rules.NOT_CLOSED_AFTER_DISCONNECT))
        record.last_at = self.last_in
        if not record.transports:  # there was no CONNECT
            record.transports = (self.transport_name,)
        self.context.ledger.close(record)
