"""What the fixture `mqtt_verdict` gives a test: what the client under test did and broke.

Everything here waits first until the broker has handled what clients have sent by then. What a
client has not sent yet, because a thread of its own is about to, is not known: let it disconnect
first.

Statements are named as in docs/conformance.md, `MQTT5-3.1.0-2`, or as in the reports,
`mqtt-5.0:MQTT-3.1.0-2`.

Threads: the test's own.
"""

from collections.abc import Iterable
from typing import Any

from broker.testing.fixture import Identity, MqttBroker, identity_of
from broker.testing.violation_text import in_full, one_line
from oracle.reports import standing
from oracle.reports.lookup import by_reference, label_of, reference_of
from oracle.reports.standing import Report
from oracle.reports.text import counted
from oracle.statements import by_key


class ViolationError(AssertionError):
    """A client broke what it must keep; the message shows how."""


class StatedViolation:
    """One statement that one client broke, once or more often."""

    __slots__ = ("_client", "_violation", "identity")

    def __init__(self, client: dict[str, Any], violation: dict[str, Any]) -> None:
        self._client = client
        self._violation = violation
        self.identity: Identity = identity_of(client, violation)

    @property
    def client_id(self) -> str | None:
        """None where no CONNECT gave one."""
        name: str | None = self._client["client_id"]
        return name

    @property
    def statement(self) -> str:
        """`MQTT5-3.1.0-2`"""
        return label_of(self._violation["document"], self._violation["statement"])

    @property
    def level(self) -> str:
        """`MUST NOT`, `SHOULD`, `PROTOCOL ERROR`, ..."""
        level: str = self._violation["level"]
        return level

    @property
    def summary(self) -> str:
        """The breach in few words: `second CONNECT`."""
        summary: str = self._violation["summary"]
        return summary

    @property
    def count(self) -> int:
        count: int = self._violation["count"]
        return count

    @property
    def silenced(self) -> str | None:
        """Why, if `conformance_ignore` has it."""
        reason: str | None = self._violation["silenced"]
        return reason

    @property
    def first(self) -> dict[str, Any]:
        """The first time: `packet`, `bytes`, `offset`, `seen`, `expected`, ... as in the reports
        (docs/report.schema.json)."""
        first: dict[str, Any] = self._violation["first"]
        return first

    @property
    def packet(self) -> bytes:
        """The packet that broke it, the first 256 bytes; b"" if it was none."""
        return bytes.fromhex(self.first["bytes"])

    def stands(self, fail_on: str) -> bool:
        return standing.stands(self._violation, fail_on)

    def __str__(self) -> str:
        return in_full(self._client, self._violation)

    def __repr__(self) -> str:
        return f"<{one_line(self._client, self._violation)}>"


class ClientVerdict:
    """What one client was seen to do.

    Attributes:
        seen: all of it, as in the reports.
    """

    __slots__ = ("seen",)

    def __init__(self, seen: dict[str, Any]) -> None:
        self.seen = seen

    @property
    def client_id(self) -> str | None:
        name: str | None = self.seen["client_id"]
        return name

    @property
    def protocols(self) -> list[str]:
        """Of `3.1`, `3.1.1`, `5.0`."""
        return list(self.seen["protocols"])

    @property
    def transports(self) -> list[str]:
        """Of `tcp`, `tls`, `ws`, `wss`."""
        return list(self.seen["transports"])

    @property
    def connections(self) -> int:
        connections: int = self.seen["connections"]
        return connections

    @property
    def exercised(self) -> set[str]:
        """Statements that it gave occasion to be seen keeping or breaking."""
        return {label_of(*name.split(":", 1)) for name in self.seen["exercised"]}

    @property
    def violations(self) -> list[StatedViolation]:
        """All of its violations, those that are advice or silenced, too."""
        return [StatedViolation(self.seen, each) for each in self.seen["violations"]]

    def __repr__(self) -> str:
        return f"<client {self.client_id!r}: {counted(len(self.seen['violations']), 'violation')}>"


class Verdict:
    """What the clients of one test did.

    Args:
        broker:  the one they used.
        fail_on: which violations stand: `violation`, `should` or `never`.
    """

    def __init__(self, broker: MqttBroker, fail_on: str = standing.VIOLATION) -> None:
        self._broker = broker
        self._fail_on = fail_on
        self._expected: set[Identity] = set()

    @property
    def report(self) -> Report:
        """The whole report, as `--report` would write it."""
        return self._broker.report()

    @property
    def clients(self) -> list[ClientVerdict]:
        return [ClientVerdict(client) for client in self.report["clients"]]

    def client(self, client_id: str) -> ClientVerdict:
        """What the client of this id did.

        Raises:
            AssertionError: no such client was seen; says which were.
        """
        clients = self.clients
        for client in clients:
            if client.client_id == client_id:
                return client
        seen = ", ".join(repr(client.client_id) for client in clients) or "none"
        raise AssertionError(f"no client {client_id!r} was seen; seen: {seen}")

    @property
    def exercised(self) -> set[str]:
        """Statements that the clients gave occasion to be seen keeping or breaking."""
        return {name for client in self.clients for name in client.exercised}

    @property
    def violations(self) -> list[StatedViolation]:
        """What stands: neither silenced, nor only advice (unless that counts), nor expected."""
        return self.standing(self._fail_on)

    def standing(self, fail_on: str) -> list[StatedViolation]:
        """As `violations`, for another idea of what stands."""
        return [
            each
            for each in self._made()
            if each.stands(fail_on) and each.identity not in self._expected
        ]

    def _made(self) -> list[StatedViolation]:
        """The violations of this test."""
        counted_before = self._broker.counted
        return [
            each
            for client in self.clients
            for each in client.violations
            if each.count > counted_before.get(each.identity, 0)
        ]

    def assert_clean(self, allow: Iterable[str] = ()) -> None:
        """No violation stands, but of the statements that are allowed.

        What is allowed here does not fail the test at its end either.

        Raises:
            ViolationError: says everything about each.
        """
        __tracebackhide__ = True
        allowed = {_named(statement) for statement in _several(allow)}
        found = self.violations
        self._expected |= {each.identity for each in found if each.statement in allowed}
        found = [each for each in found if each.statement not in allowed]
        if found:
            raise ViolationError(text_of(found))

    def expect(self, statement: str) -> StatedViolation:
        """A client broke this statement, as the test wants it; that stands no more.

        Raises:
            AssertionError: none did; says what was broken instead.
        """
        __tracebackhide__ = True
        name = _named(statement)
        made = self._made()
        found = [each for each in made if each.statement == name]
        if not found:
            broken = ", ".join(f"{each.statement} ({each.summary})" for each in made) or "nothing"
            raise AssertionError(f"{name} was not broken; broken: {broken}")
        self._expected |= {each.identity for each in found}
        return found[0]

    def account(self, fail_on: str) -> str:
        """What stands, in full, and has not been told before; "" if nothing does."""
        found = self.standing(fail_on)
        self._expected |= {each.identity for each in found}
        return text_of(found) if found else ""

    def has_told(self, error: BaseException) -> bool:
        """Whether the message of an exception says already what stands."""
        return isinstance(error, ViolationError)

    def __bool__(self) -> bool:
        """Whether no violation stands."""
        return not self.violations

    def __repr__(self) -> str:
        found = self.violations
        words = "; ".join(map(repr, found)) or "no violation stands"
        return f"<mqtt_verdict: {words}>"


def text_of(violations: list[StatedViolation]) -> str:
    """All of them in full."""
    number = len(violations)
    title = f"{counted(number, 'violation')} stand{'s' * (number == 1)}"
    return "\n\n".join([title, *map(str, violations)])


def _several(statements: Iterable[str]) -> Iterable[str]:
    return (statements,) if isinstance(statements, str) else statements


def _named(statement: str) -> str:
    """The key of a statement, `MQTT5-3.1.0-2`, from one of its names."""
    if statement in by_key():
        return statement
    found = by_reference().get(statement)
    if found is None:
        raise ValueError(
            f"there is no statement {statement!r}; names are as MQTT5-3.1.0-2 or "
            f"{reference_of('mqtt-5.0', 'MQTT-3.1.0-2')}"
        )
    return found.key
