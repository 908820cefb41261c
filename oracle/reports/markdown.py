"""The report as Markdown for the job summary of a CI system: short, whatever happened.

GitHub takes 1 MiB for one step; this stays far below it. Each table has a number of rows and of
bytes that it may have, and says how much was left out. Strings from the network are written with
character references, which Markdown never takes for its own marks, tables and links.
"""

from collections.abc import Iterable, Iterator, Sequence

from oracle.reports.groups import Group, grouped
from oracle.reports.standing import VIOLATION, Client, Report, standing, stands
from oracle.reports.text import counted, name_of, remarks, shortened, spaced, verdict_of, visible
from oracle.statements import TITLES

TABLE_ROWS = 100
TABLE_BYTES = 100_000
CELL = 120  # characters
BYTES_SHOWN = 16  # of a packet

# Of ASCII's punctuation, what never means anything within a table's cell.
PLAIN = frozenset(" -.,;/?%'\"()=+")


def render(report: Report, fail_on: str = VIOLATION) -> str:
    mark = "❌" if standing(report, fail_on) else "✅"
    parts = [
        f"## {mark} {verdict_of(report, fail_on)}",
        *remarks(report),
        *_coverage(report),
        *_clients(report, fail_on),
        *_violations(report, fail_on),
    ]
    version = escaped(f"{report['broker']['name']} {report['broker']['version']}")
    parts.append(f"{version}, written {escaped(report['broker']['written'])}")
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, short enough for a cell."""
    references = "".join(
        c if c.isalnum() or c in PLAIN or c > "\x7f" else f"&#{ord(c)};"
        for c in shortened(visible(text), CELL)
    )
    return references.replace("www.", "www&#46;")  # which GitHub would make a link


def _coverage(report: Report) -> Iterator[str]:
    rows = [
        (
            TITLES[document],
            f"{coverage['exercised']} of {coverage['observable']}",
            str(coverage["violated"]),
        )
        for document, coverage in report["coverage"].items()
    ]
    if rows:
        yield table(("Document", "Statements exercised", "Violated"), rows)


def _clients(report: Report, fail_on: str) -> Iterator[str]:
    yield f"### {counted(len(report['clients']), 'client')}"
    head = ("", "Client", "Protocols", "Transports", "Connections", "Exercised", "Violations")
    ranked = sorted((_rank(client, fail_on), at) for at, client in enumerate(report["clients"]))
    clients = (report["clients"][at] for _rank_, at in ranked)
    if report["clients"]:
        yield table(head, (_client_row(client, fail_on) for client in clients), len(ranked))


def _rank(client: Client, fail_on: str) -> int:
    """Clients whose violations stand come first: they must not be among those left out."""
    return 0 if any(stands(v, fail_on) for v in client["violations"]) else 1


def _client_row(client: Client, fail_on: str) -> tuple[str, ...]:
    return (
        "✅" if _rank(client, fail_on) else "❌",
        escaped(name_of(client)),
        ", ".join(client["protocols"]),
        ", ".join(client["transports"]),
        f"{client['connections']:,}",
        f"{len(client['exercised']):,}",
        f"{len(client['violations']):,}",
    )


def _violations(report: Report, fail_on: str) -> Iterator[str]:
    groups = grouped(report, fail_on)
    if not groups:
        return
    head = ("", "Statement", "Level", "Count", "Summary", "Client", "First bytes")
    yield "### Violations"
    yield table(head, map(_group_row, groups), len(groups))


def _group_row(group: Group) -> tuple[str, ...]:
    example = group.example
    summary = escaped(example["summary"])
    if example["silenced"] is not None:
        summary += f"<br>silenced: {escaped(example['silenced'])}"
    hexadecimal = spaced(example["first"]["bytes"], BYTES_SHOWN)
    return (
        ("❌", "⚠️", "🔇")[group.rank],
        escaped(group.label),
        example["level"],
        f"{group.times:,}",
        summary,
        escaped(group.who),
        f"`{hexadecimal}`" if hexadecimal else "",
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], total: int = 0) -> str:
    """A table of as many rows as there is room for. `total` is how many there are."""
    lines = [_line(head), _line(["---"] * len(head))]
    size = 0
    for number, row in enumerate(rows):
        line = _line(row)
        size += len(line.encode()) + 1
        if number == TABLE_ROWS or size > TABLE_BYTES:
            lines.append(
                f"\n… and {total - number:,} more, which the other forms of the report have"
            )
            break
        lines.append(line)
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
