"""The report as JUnit XML: a test suite for each client, a test case for each statement.

The cases of a client are the statements that a broker can observe, of the documents of the
protocols it spoke, and whatever else it broke. A case failed if the statement was broken, passed
if it was exercised and not broken, and was skipped if it was not exercised or was silenced.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from oracle.reports.lookup import (
    by_reference,
    documents_of,
    observable,
    reference_of,
)
from oracle.reports.standing import Client, Report, Violation
from oracle.reports.text import counted, name_of, visible
from oracle.statements import Statement

FAILED = "failed"
SKIPPED = "skipped"
PASSED = "passed"


def render(report: Report) -> str:
    openings: dict[str, str] = {}  # reference -> start tag, the same in every suite
    suites = [_Suite(client, openings) for client in report["clients"]]
    counts = _counts(
        sum(suite.tests for suite in suites),
        sum(suite.failures for suite in suites),
        sum(suite.skipped for suite in suites),
    )
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="Touchstone" {counts}>']
    for suite in suites:
        lines += suite.lines()
    lines.append("</testsuites>\n")
    return "\n".join(lines)


class _Suite:
    """One client."""

    def __init__(self, client: Client, openings: dict[str, str]) -> None:
        self.client = client
        self.tests = self.failures = self.skipped = 0
        self._cases = list(self._render_cases(openings))

    def lines(self) -> Iterator[str]:
        client = self.client
        counts = _counts(self.tests, self.failures, self.skipped)
        timestamp = _attribute(client["first_seen"])
        yield f"<testsuite name={_attribute(name_of(client))} {counts} timestamp={timestamp}>"
        yield "<properties>"
        for name in ("address", "protocols", "transports", "connections"):
            value = client[name]
            text = ", ".join(value) if isinstance(value, list) else str(value)
            yield f"<property name={_attribute(name)} value={_attribute(text)}/>"
        yield "</properties>"
        yield from self._cases
        yield "</testsuite>"

    def _render_cases(self, openings: dict[str, str]) -> Iterator[str]:
        exercised = set(self.client["exercised"])
        broken: dict[str, list[Violation]] = {}
        for violation in self.client["violations"]:
            reference = reference_of(violation["document"], violation["statement"])
            broken.setdefault(reference, []).append(violation)
        for reference in self._references(broken):
            opening = openings.get(reference)
            if opening is None:
                opening = openings[reference] = _opening(reference)
            verdict, inner = _inner(reference, broken.get(reference, ()), reference in exercised)
            self.tests += 1
            self.failures += verdict == FAILED
            self.skipped += verdict == SKIPPED
            yield f"{opening}>{inner}</testcase>" if inner else f"{opening}/>"

    def _references(self, broken: dict[str, list[Violation]]) -> list[str]:
        owed = [
            reference_of(document, statement.id)
            for document in documents_of(self.client)
            for statement in observable(document)
        ]
        return owed + sorted(broken.keys() - set(owed))


def _counts(tests: int, failures: int, skipped: int) -> str:
    return f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}" time="0"'


def _opening(reference: str) -> str:
    statement = by_reference().get(reference)
    document, _, name = reference.partition(":")
    if statement:
        name = f"{statement.id} {statement.section_title}"
    return f'<testcase classname={_attribute(document)} name={_attribute(name)} time="0"'


def _inner(
    reference: str, violations: list[Violation] | tuple[()], exercised: bool
) -> tuple[str, str]:
    """The verdict, and the element that says it."""
    standing = [v for v in violations if v["silenced"] is None]
    if standing:
        first = standing[0]
        text = escape("\n\n".join(map(_description, standing)))
        start = f"<failure type={_attribute(first['level'])} message={_message(first)}>"
        return FAILED, f"{start}{text}</failure>"
    if violations:
        reason = violations[0]["silenced"]
        return SKIPPED, f"<skipped message={_attribute(f'silenced: {reason}')}/>"
    if exercised:
        return PASSED, ""
    statement = by_reference().get(reference)
    return SKIPPED, f"<skipped message={_attribute(_not_exercised(statement))}/>"


def _not_exercised(statement: Statement | None) -> str:
    note = statement.observed_note if statement else ""
    return f"not exercised: {note}" if note else "not exercised"


def _message(violation: Violation) -> str:
    times = f" ({counted(violation['count'], 'time')})" if violation["count"] != 1 else ""
    return _attribute(violation["summary"] + times)


def _description(violation: Violation) -> str:
    first = violation["first"]
    shown = len(first["bytes"]) // 2
    offset = first["offset"]
    sequence = [
        f"  {'*' if row['broken'] else ' '} {row['time']} {row['direction']} {row['packet']}"
        f"{' x ' + str(row['count']) if row['count'] != 1 else ''} {row['words']}"
        for row in violation["sequence"]
    ]
    lines = [
        f"{violation['level']}: {violation['summary']}",
        f"seen: {first['seen']}",
        f"expected: {first['expected']}",
        f"first: {first['time']}, connection {first['connection']}, "
        f"{first['direction']} {first['packet']}".rstrip(),
        f"bytes ({shown} of {first['size']}): {first['bytes']}",
        f"offset: {'none' if offset is None else offset}",
        *(["sequence:", *sequence] if sequence else []),
    ]
    return "\n".join(map(visible, lines))


def _attribute(text: str) -> str:
    return quoteattr(visible(text))
