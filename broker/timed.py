"""What a connection does not wait for: a CONNECT in time, and packets within the keep alive.

Threads: belongs to the connection's worker.
"""

from collections.abc import Callable

from broker.conduct import Observed
from broker.output import Transport
from broker.settings import Settings
from broker.timers import Timer, cancel
from broker.worker import Worker
from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from oracle import facts


class Timed(Observed):
    """A connection that ends when its client is silent for too long.

    Attributes:
        connected: a CONNACK with success was sent.
        held:      packets wait, unparsed, for a session on its way here.
        last_in:   when bytes last arrived before those that are handled now, on the worker's clock.
    """

    __slots__ = ("_timer", "connected", "held", "keep_alive_s", "last_in")

    def __init__(
        self, worker: Worker, settings: Settings, transport: Transport, address: str
    ) -> None:
        super().__init__(worker, settings, transport, address)
        self.connected = False
        self.held = False
        self.keep_alive_s = 0
        self.last_in = worker.now
        self._timer: Timer = worker.timers.at(
            worker.now + settings.connect_timeout_s, self._check_connected
        )

    def violated(
        self,
        violation: ProtocolViolation,
        data: bytes = b"",
        start: int = 0,
        stop: int = 0,
        mqtt: bool = True,
    ) -> None:
        """The client broke a rule, in data[start:stop] if anywhere, and the connection ends."""

    def failed(self) -> None:
        """A bug of ours, the exception being handled, ends the connection."""

    def attempt(self, call: Callable[[], None]) -> None:
        """Make a call that a post or a journal makes for this connection alone."""
        try:
            call()
        except Exception:
            self.failed()

    def _check_connected(self, _now: float) -> None:
        if not self.connected and not self.ended and not self.held:
            self.worker.statistics.limits["connect_timeout_s"] += 1
            violation = ProtocolViolation(
                rules.NO_CONNECT_IN_TIME, f"{self.settings.connect_timeout_s:g} s"
            )
            self.violated(violation)

    def watch_no_more(self) -> None:
        """The connection has ended; a timer would keep it until it comes up."""
        cancel(self._timer)

    def watch_keep_alive(self, keep_alive_s: int) -> None:
        """Close when nothing arrives for one and a half times so long [MQTT5-3.1.2-22]
        [MQTT3-3.1.2-24]."""
        cancel(self._timer)
        self.keep_alive_s = keep_alive_s
        if keep_alive_s:
            patience_s = min(self._patience_s(), 1.5 * keep_alive_s)
            self._timer = self.worker.timers.at(
                self.worker.now + patience_s, self._check_keep_alive
            )

    def _patience_s(self) -> float:
        """How long a silence is first looked at; 1.5 times the keep alive ends the connection.

        A PINGREQ that is late by less than a second may have been held up on its way.
        """
        return self.keep_alive_s + max(1.0, self.keep_alive_s / 4)

    def _check_keep_alive(self, now: float) -> None:
        try:
            self._look_at_silence(now)
        except Exception:
            self.failed()

    def _look_at_silence(self, now: float) -> None:
        if self.ended:
            return
        if self.held_back:
            self.last_in = now  # what it has sent is not read: its silence is ours
        due = self.last_in + 1.5 * self.keep_alive_s
        late = self.last_in + self._patience_s()
        if now < due:
            if now >= late:
                self._saw_silence(now)
            else:
                due = min(late, due)
            self._timer = self.worker.timers.at(due, self._check_keep_alive)
            return
        self.violated(self._silence(rules.KEEP_ALIVE_TIMEOUT, now))

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
