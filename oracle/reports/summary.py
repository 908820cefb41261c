"""The end of a run on the terminal: plain text, one line for each thing.

Lines start with words of ours and strings from the network are made visible, so that nobody who
connects can move the cursor or give orders to a CI system that reads its commands from the output.
"""

from collections.abc import Iterator

from oracle.reports.lookup import label_of
from oracle.reports.standing import VIOLATION, Client, Report, Violation, stands
from oracle.reports.text import counted, name_of, remarks, shortened, verdict_of, visible
from oracle.statements import TITLES

CLIENTS = 50  # lines
VIOLATIONS = 200  # lines
LINE = 240  # characters

# How Azure Pipelines and old GitHub runners start a command anywhere in a line.
COMMAND = "##["


def render(report: Report, fail_on: str = VIOLATION) -> str:
    broker = report["broker"]
    lines = [f"{broker['name']} {broker['version']}, {verdict_of(report, fail_on)}"]
    lines += remarks(report)
    lines += _coverage(report)
    lines += _clients(report["clients"])
    lines += _violations(report, fail_on)
    return "".join(_safe(line) + "\n" for line in lines)


def _safe(line: str) -> str:
    return shortened(visible(line), LINE).replace(COMMAND, "#\\x23[")


def _coverage(report: Report) -> Iterator[str]:
    for document, coverage in report["coverage"].items():
        yield (
            f"  {TITLES[document]}: {coverage['exercised']} of {coverage['observable']} "
            f"observable statements exercised, {coverage['violated']} violated"
        )


def _clients(clients: list[Client]) -> Iterator[str]:
    for client in clients[:CLIENTS]:
        spoken = ", ".join([*client["protocols"], *client["transports"]])
        yield (
            f"  client {shortened(name_of(client), 80)} ({spoken or 'no protocol'}): "
            f"{counted(client['connections'], 'connection')}, "
            f"{counted(len(client['exercised']), 'statement')} exercised, "
            f"{counted(len(client['violations']), 'violation')}"
        )
    if len(clients) > CLIENTS:
        yield f"  and {counted(len(clients) - CLIENTS, 'more client')}"


def _violations(report: Report, fail_on: str) -> Iterator[str]:
    found = [(client, v) for client in report["clients"] for v in client["violations"]]
    found.sort(key=lambda pair: _rank(pair[1], fail_on))
    for client, violation in found[:VIOLATIONS]:
        yield _violation_line(client, violation, fail_on)
    if len(found) > VIOLATIONS:
        yield f"  and {counted(len(found) - VIOLATIONS, 'more violation')}"


def _rank(violation: Violation, fail_on: str) -> int:
    if stands(violation, fail_on):
        return 0
    return 1 if violation["silenced"] is None else 2


def _violation_line(client: Client, violation: Violation, fail_on: str) -> str:
    word = ("violation", "warning", "silenced")[_rank(violation, fail_on)]
    times = f" ({counted(violation['count'], 'time')})" if violation["count"] != 1 else ""
    reason = violation["silenced"]
    return (
        f"  {word} {label_of(violation['document'], violation['statement'])} "
        f"{violation['level']}: {shortened(violation['summary'], 100)}{times}, "
        f"by {shortened(name_of(client), 60)}" + (f", because {reason}" if reason else "")
    )
