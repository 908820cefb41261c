"""What a connection does not wait for: a CONNECT in time, and packets within the keep alive.

Threads: belongs to the connection's worker.
"""

from collections.abc import Callable

from broker.conduct import Conduct, Observed
from broker.output import UNLIMITED, Transport
from broker.settings import Settings
from broker.timers import Timer, cancel
from broker.worker import Worker
from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.properties import Properties
from oracle import facts
from oracle.ledger import Record

PROGRESS = 1_000  # bytes more of a packet that is not whole yet are a sign of life, too


class Timed(Observed):
    """A connection that ends when its client is silent for too long.

    Attributes:
        connected: a CONNACK with success was sent.
        held:      packets wait, unparsed, for a session on its way here.
        last_in:   when bytes last arrived before those that are handled now, on the worker's clock.
        last_packet: when a packet was last whole, or had grown by PROGRESS.
    """

    __slots__ = ("_timer", "connected", "held", "keep_alive_s", "last_in", "last_packet")

    def __init__(
        self, worker: Worker, settings: Settings, transport: Transport, address: str
    ) -> None:
        # For all the classes below, too: one call instead of four, for each client that comes.
        now = worker.now
        # DurableOutput
        self.worker = worker
        self.version = 0
        self.ended = self.held_back = False
        self.out = []
        self.pledged = self.pledged_pubacks = self.pledged_pubcomps = self.pledged_calls = 0
        self._pledge = []
        # Output
        self.settings = settings
        self.transport = transport
        self.address = address
        self.client_id = ""
        self.maximum_out = UNLIMITED
        self.problem_information = True
        self.congested = False
        self.overrun = self.plain = 0
        self.behind_connack = None
        self._behind_size = 0
        self.sent_aliases = None
        self.layers = ()
        # Observed
        self.open_ids = {}
        self.conduct = (
            Conduct(Record(address, now), settings.enforces) if settings.records else None
        )
        # Timed
        self.connected = False
        self.held = False
        self.keep_alive_s = 0
        self.last_in = self.last_packet = now
        self._timer: Timer = worker.timers.at(now + settings.connect_timeout_s, self._check)

    def violated(
        self,
        violation: ProtocolViolation,
        data: bytes = b"",
        start: int = 0,
        stop: int = 0,
        mqtt: bool = True,
    ) -> None:
        """The client broke a rule, in data[start:stop] if anywhere, and the connection ends."""

    def disconnect(
        self, reason: int, properties: Properties | None, words: str, logged: bool = False
    ) -> None:
        """End the connection, which has broken no rule."""

    def failed(self) -> None:
        """A bug of ours, the exception being handled, ends the connection."""

    def attempt(self, call: Callable[[], None]) -> None:
        """Make a call that a post or a journal makes for this connection alone."""
        try:
            call()
        except Exception:
            self.failed()

    def _check(self, now: float) -> None:
        try:
            if self.connected:
                self._look_at_silence(now)
            elif not self.ended and not self.held:
                self._came_to_nothing()
        except Exception:
            self.failed()

    def _came_to_nothing(self) -> None:
        self.worker.statistics.limits["connect_timeout_s"] += 1
        seen = f"{self.settings.connect_timeout_s:g} s"
        self.violated(ProtocolViolation(rules.NO_CONNECT_IN_TIME, seen))

    def watch_no_more(self) -> None:
        """The connection has ended; a timer would keep it until it comes up."""
        cancel(self._timer)

    def watch_keep_alive(self, keep_alive_s: int) -> None:
        """Close when no packet arrives for one and a half times so long, from now on
        [MQTT5-3.1.2-22] [MQTT3-3.1.2-24].

        A large packet on a slow line is a sign of life as long as it grows.
        """
        self.keep_alive_s = keep_alive_s
        now = self.last_in = self.last_packet = self.worker.now
        if keep_alive_s:
            if now < self._timer[0] <= now + keep_alive_s:
                return  # what waits for the CONNECT comes up in time, and sets itself again
            cancel(self._timer)
            due = now + min(self._patience_s(), 1.5 * keep_alive_s)
            self._timer = self.worker.timers.at(due, self._check)
        else:
            cancel(self._timer)

    def _patience_s(self) -> float:
        """How long a silence is first looked at; 1.5 times the keep alive ends the connection.

        A PINGREQ that is late by less than a second may have been held up on its way.
        """
        return self.keep_alive_s + max(1.0, self.keep_alive_s / 4)

    def _look_at_silence(self, now: float) -> None:
        if self.ended:
            return
        if self.held_back:
            self.last_in = self.last_packet = now  # what it sends is not read: its silence is ours
        due = self.last_packet + 1.5 * self.keep_alive_s
        late = self.last_in + self._patience_s()
        if now < due:
            if now >= late:
                self._saw_silence(now)
            else:
                due = min(late, due)
            self._timer = self.worker.timers.at(due, self._check)
            return
        if self.last_in == self.last_packet:
            self.violated(self._silence(rules.KEEP_ALIVE_TIMEOUT, now))
        else:  # it has begun a packet, and may take its time as far as the documents go
            words = f"a packet is not whole after {now - self.last_packet:g} s"
            reason = rules.KEEP_ALIVE_TIMEOUT.reason
            self.disconnect(reason, None, f"{words}, keep alive {self.keep_alive_s} s")

    def _saw_silence(self, now: float) -> None:
        """It has not kept its keep alive, and has half of it left until it is disconnected."""
        if self.conduct is None:
            return
        violation = self._silence(rules.KEEP_ALIVE_LATE, now)
        if self.settings.enforces:
            self.violated(violation)
        else:
            self.broke(violation)

    def _silence(self, rule: Rule, now: float) -> ProtocolViolation:
        conduct = self.conduct
        if conduct is not None and conduct.record.facts & facts.SERVER_KEEP_ALIVE_GIVEN:
            rule = rules.SERVER_KEEP_ALIVE_LATE  # what it wished for in its CONNECT does not count
        seen = f"nothing for {now - self.last_in:g} s, keep alive {self.keep_alive_s} s"
        return ProtocolViolation(rule, seen)
