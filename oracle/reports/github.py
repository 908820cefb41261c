"""Workflow commands of GitHub Actions: `::error::` for what stands, `::warning::` for the rest.

GitHub shows ten of each for a step, so no more are written; the last says how many are missing.
What is silenced has no line.
"""

from oracle.reports.groups import Group, grouped
from oracle.reports.standing import VIOLATION, Report
from oracle.reports.text import counted, shortened, visible

SHOWN = 10  # annotations of a kind
MESSAGE = 500  # characters

# https://docs.github.com/actions/reference/workflow-commands-for-github-actions: what would end
# the data, and in a property the property, too. The percent sign first.
DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
PROPERTY = (*DATA, (":", "%3A"), (",", "%2C"))


def render(report: Report, fail_on: str = VIOLATION) -> str:
    groups = [group for group in grouped(report, fail_on) if group.example["silenced"] is None]
    errors = [group for group in groups if group.stands]
    warnings = [group for group in groups if not group.stands]
    lines = _commands("error", errors) + _commands("warning", warnings)
    return "".join(line + "\n" for line in lines)


def command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_escaped(title, PROPERTY)}::{_escaped(message, DATA)}"


def _escaped(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    for character, escape in escapes:
        text = text.replace(character, escape)
    return text


def _commands(kind: str, groups: list[Group]) -> list[str]:
    shown = groups if len(groups) <= SHOWN else groups[: SHOWN - 1]
    lines = [_group_command(kind, group) for group in shown]
    if missing := len(groups) - len(shown):
        rest = f"and {counted(missing, 'more kind')} of violation: see the report"
        lines.append(command(kind, "Conformance", rest))
    return lines


def _group_command(kind: str, group: Group) -> str:
    example = group.example
    first = example["first"]
    parts = [
        f"{example['level']}: {visible(example['summary'])}",
        f"by {group.who}, {counted(group.times, 'time')}",
        f"seen: {visible(first['seen'])}",
        f"expected: {visible(first['expected'])}",
    ]
    message = "\n".join(shortened(part, MESSAGE) for part in parts)
    return command(kind, group.label, message)
