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
from broker.logging_setup import printable
from broker.output import QUOTA_EXCEEDED, Output, Transport
from broker.session.session import Session
from broker.settings import Settings
from broker.timers import Timer, cancel
from broker.topics.aliases import ReceivedAliases
from broker.worker import Worker
from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.codec import PACKET_NAMES
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import REASON_STRING, Properties
from formats.mqtt.reasons import reason_name

log = logging.getLogger("touchstone")

IMPLEMENTATION_SPECIFIC_ERROR = 0x83
# Reasons of a refusal that none of the return codes of 3.1 and 3.1.1 says (table 3.1).
WITHOUT_RETURN_CODE = frozenset((0x80, 0x81, 0x82, 0x83, 0x90, 0x95, 0x99, 0x9A, 0x9B))

# Called with (connection, flags, data, pos, end) for the packet body data[pos:end].
Handler = Callable[["Connection", int, bytes, int, int], None]
Handlers = tuple[Handler, ...]  # by packet type, 0 to 15


class Connection(Output):
    """The state of one network connection.

    Attributes:
        handlers:    what each packet type means now; replaced as the state changes.
        session:     the session it has opened; None before, and when it has lost it.
        shortcut:    PLAIN_3 or PLAIN_5 where a plain PUBLISH may take the short way in; 0 where
                     access control looks at each.
        unanswered:  QoS 1 and 2 PUBLISH packets whose acknowledgement has not left yet (3.3.4).
        last_in:     when bytes last arrived, on the worker's clock.
        may_prolong: its CONNECT had a Session Expiry Interval, so DISCONNECT may, too (3.14.2.2.2).
    """

    __slots__ = (
        "_partial",
        "_partial_size",
        "_timer",
        "_wanted",
        "authentication_method",
        "client",
        "connect",
        "connected",
        "context",
        "handlers",
        "held",
        "keep_alive_s",
        "last_in",
        "maximum_in",
        "may_prolong",
        "method",
        "received_aliases",
        "session",
        "shortcut",
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
        super().__init__(worker, settings, transport, address)
        self.context = context
        self.transport_name = "tcp"
        self.tls_identity: str | None = None  # where it stands for the user name
        self.handlers = handlers
        self.client: Client | None = None
        self.connect: Connect | None = None  # while it is not answered
        self.connected = False  # a CONNACK with success was sent
        self.method: Method | None = None  # the exchange under way (5.0, 4.12)
        self.authentication_method = ""  # of the CONNECT
        self.session: Session | None = None
        self.held = False  # packets wait, unparsed, for a session on its way here
        self.keep_alive_s = 0
        self.last_in = worker.now
        self.maximum_in = settings.maximum_packet_size
        self.may_prolong = False
        self.received_aliases: ReceivedAliases | None = None
        self.unanswered = 0
        self.shortcut = 0
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._wanted = 0  # bytes that `_partial` needs before it is worth a look
        self._timer: Timer = worker.timers.at(
            worker.now + settings.connect_timeout_s, self._check_connected
        )

    # Bytes in.

    def received(self, data: bytes) -> None:
        """Handle every whole packet in what has arrived, MQTT bytes; keep the rest."""
        self.last_in = self.worker.now
        if self._partial:
            self._partial.append(data)
            self._partial_size += len(data)
            if self._partial_size < self._wanted:
                return
            data = b"".join(self._partial)
            self._partial.clear()
        pos, end, packets = 0, len(data), 0
        try:
            while not self.held and end - pos >= 2:
                length = data[pos + 1]
                body = pos + 2
                if length & 0x80:
                    length, body = self._long_length(data, pos + 1, end)
                    if length < 0:
                        break
                stop = body + length
                if stop - pos > self.maximum_in:
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
        except ProtocolViolation as violation:
            self.violated(violation)
        except Exception:
            self.failed()
        self.worker.statistics.messages_received += packets
        if not self.ended and pos < end:
            self._keep(data[pos:] if pos else data)

    def _long_length(self, data: bytes, pos: int, end: int) -> tuple[int, int]:
        """A Remaining Length of two to four bytes at `pos`; -1 while bytes are missing (2.1.4)."""
        length = data[pos] & 0x7F
        for place in (1, 2, 3):
            if pos + place >= end:
                return -1, pos
            byte = data[pos + place]
            length |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                if not byte and self.version == 5:  # of CONNECT: see its handler
                    raise ProtocolViolation(
                        rules.VARIABLE_NOT_MINIMAL,
                        f"Remaining Length {data[pos : pos + place + 1].hex()}",
                    )
                return length, pos + place + 1
        raise ProtocolViolation(
            rules.VARIABLE_TOO_LONG, f"Remaining Length {data[pos : pos + 4].hex()}"
        )

    def _keep(self, rest: bytes) -> None:
        """Remember the beginning of a packet; join again only once it can be whole."""
        self._partial.append(rest)
        self._partial_size = len(rest)
        self._wanted = 2
        if len(rest) >= 5 and not self.held:
            length, body = rest[1], 2
            if length & 0x80:
                length, body = self._long_length(rest, 1, len(rest))
            self._wanted = body + length

    def hold(self) -> None:
        """Handle no more packets until `release`: the CONNECT is not answered yet."""
        self.held = True
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
        if self.unanswered and self.session is not None:
            received = len(self.session.received) - len(self.session.carried)
            self.unanswered = received + self.pledged_answers
        Output.flush(self)
        if self.overrun:
            self.bound_output()

    def bound_output(self) -> None:
        """Disconnect a client that goes on asking and does not read the answers."""
        if self.overrun > self.settings.max_output_bytes:
            self.disconnect(QUOTA_EXCEEDED, None, f"{self.transport.unsent} bytes wait unread")

    def not_taken(self, packet_id: int) -> None:
        session, journal = self.session, self.worker.journal
        if session is None or session.received.pop(packet_id, None) is None:
            return
        if session.number and journal is not None:
            journal.received_gone(session.number, packet_id)

    def drained(self) -> None:
        """The transport has sent all it had."""
        if self.congested and self.connected:
            self.congested = False
            self.overrun = 0
            self.settle_plain()
            if self.session is not None:
                self.session.pump()

    def violated(self, violation: ProtocolViolation) -> None:
        """The client broke a rule: tell it as its document allows, and close (4.13, 3.1.1: 4.8)."""
        # [MQTT5-4.13.1-1] [MQTT3-4.8.0-1]
        self.record(violation)
        self.disconnect(violation.rule.reason, None, str(violation), logged=True)

    def record(self, violation: ProtocolViolation) -> None:
        """Log and count what the client did: who, which rule, what was seen."""
        rule = violation.rule
        document, statement = ("3", rule.v3) if self.version in (3, 4) else ("5", rule.v5)
        if statement:
            statement = f" [{statement.replace('MQTT-', f'MQTT{document}-')}]"
        log.warning("%s: %s%s", self.name, printable(str(violation)), statement)
        self.worker.statistics.violations += 1

    def failed(self) -> None:
        """A bug of ours, the exception being handled: it ends this connection and no other.

        [MQTT3-4.8.0-2] [U311-4.8-1]
        """
        log.exception("%s: a bug of the broker ends this connection", self.name)
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
        Output.flush(self)
        self._lose_session()
        for place in range(len(self.layers) - 1, -1, -1):
            self.send_down(self.layers[place].close(), place)
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
        cancel(self._timer)  # which would keep this connection until it comes up
        self.plain = 0
        self.out = []
        self._partial.clear()
        session, self.session = self.session, None
        if session is not None:
            self.context.lifetime.disconnected(session, self.worker)

    # Time.

    def _check_connected(self, _now: float) -> None:
        if not self.connected and not self.ended and not self.held:
            violation = ProtocolViolation(
                rules.NO_CONNECT_IN_TIME, f"{self.settings.connect_timeout_s:g} s"
            )
            self.violated(violation)

    def watch_keep_alive(self, keep_alive_s: int) -> None:
        """Close when nothing arrives for one and a half times so long [MQTT5-3.1.2-22]
        [MQTT3-3.1.2-24]."""
        cancel(self._timer)
        self.keep_alive_s = keep_alive_s
        if keep_alive_s:
            self._timer = self.worker.timers.at(
                self.worker.now + 1.5 * keep_alive_s, self._check_keep_alive
            )

    def _check_keep_alive(self, now: float) -> None:
        if self.ended:
            return
        due = self.last_in + 1.5 * self.keep_alive_s
        if now < due:
            self._timer = self.worker.timers.at(due, self._check_keep_alive)
            return
        silence = f"nothing for {now - self.last_in:g} s, keep alive {self.keep_alive_s} s"
        self.violated(ProtocolViolation(rules.KEEP_ALIVE_TIMEOUT, silence))
