"""Which violations of a report stand, which is what the exit code of a run depends on.

A silenced violation never stands. Of the others, `violation` lets all stand but those of what the
documents only advise, `should` lets these stand, too, and `never` lets none stand.
"""

from typing import Any

Report = dict[str, Any]
Client = dict[str, Any]
Violation = dict[str, Any]

VIOLATION = "violation"
SHOULD = "should"
NEVER = "never"
FAIL_ON = (VIOLATION, SHOULD, NEVER)

ADVISORY = ("SHOULD", "SHOULD NOT", "MAY")  # levels


def is_advisory(violation: Violation) -> bool:
    return violation["level"] in ADVISORY


def stands(violation: Violation, fail_on: str) -> bool:
    if fail_on not in FAIL_ON:
        raise ValueError(f"fail-on is {fail_on!r}, not one of {', '.join(FAIL_ON)}")
    if fail_on == NEVER or violation["silenced"] is not None:
        return False
    return fail_on == SHOULD or not is_advisory(violation)


def standing(report: Report, fail_on: str) -> list[tuple[Client, Violation]]:
    """The violations that stand, each with the client that did it, in the order of the report."""
    return [
        (client, violation)
        for client in report["clients"]
        for violation in client["violations"]
        if stands(violation, fail_on)
    ]
