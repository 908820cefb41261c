"""The report as one self-contained HTML page, which needs neither network nor server.

The page is oracle/reports/page/: a frame, a style sheet and a script. The script draws everything
from one block of JSON lines, when it is asked for, so that a thousand clients open at once. The
first line is all but the packets, which have a line for each client, parsed when one of its
violations is opened. Rows that come by the ten thousand are arrays, in the order of the tuples
below, and statements are named by their place in one list, which has each text once.

Strings from the network get onto the page as text nodes only. The Content Security Policy allows
this script and this style by their hashes and nothing else.
"""

import base64
import hashlib
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from oracle.reports.lookup import by_reference, label_of, reference_of
from oracle.reports.standing import VIOLATION, Client, Report, Violation, is_advisory, stands
from oracle.reports.text import escaped_surrogates, name_of, remarks, verdict_of, visible
from oracle.statements import DOCUMENTS, TITLES, load

PAGE = Path(__file__).parent / "page"

STATEMENT = ("document", "label", "section", "level", "text", "observable", "note")
EXAMPLE = ("time", "packet", "bytes")
PACKET = ("seconds", "received", "packet", "words", "bytes", "size", "count", "broken")

# What would end the script element, and what old engines take for a line's end.
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(report: Report, fail_on: str = VIOLATION) -> str:
    style, script = _file("page.css"), _file("page.js")
    return Template(_file("page.html")).substitute(
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        data=embedded_lines(page_data(report, fail_on), *map(_packets, report["clients"])),
        script=script,
    )


@cache
def _file(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def embedded_lines(*values: Any) -> str:
    return "\n".join(map(embedded, values))


def embedded(value: Any) -> str:
    """JSON in one line that may stand in a script element."""
    text = escaped_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    for character, escape in UNSAFE.items():
        text = text.replace(character, escape)
    return text


def page_data(report: Report, fail_on: str) -> dict[str, Any]:
    places: dict[str, int] = {}  # reference -> place in the list
    statements = _statements(report, places)
    return {
        "fields": {"statement": STATEMENT, "example": EXAMPLE, "packet": PACKET},
        "titles": TITLES,
        "verdict": verdict_of(report, fail_on),
        "remarks": remarks(report),
        "broker": report["broker"],
        "coverage": report["coverage"],
        "ignored": [
            [label_of(entry["document"], entry["statement"]), visible(entry["reason"])]
            for entry in report["ignored"]
        ],
        "statements": statements,
        "clients": [_client(client, places, fail_on) for client in report["clients"]],
    }


def _statements(report: Report, places: dict[str, int]) -> list[list[Any]]:
    """Those that bind a client, and any other that the report names. Fills `places`."""
    rows: list[list[Any]] = []
    for document in DOCUMENTS:
        for statement in load(document):
            if statement.binds_client:
                places[reference_of(document, statement.id)] = len(rows)
                rows.append(_statement(reference_of(document, statement.id)))
    for client in report["clients"]:
        broken = (reference_of(v["document"], v["statement"]) for v in client["violations"])
        for reference in (*client["exercised"], *broken):
            if reference not in places:
                places[reference] = len(rows)
                rows.append(_statement(reference))
    return rows


def _statement(reference: str) -> list[Any]:
    statement = by_reference().get(reference)
    document, _, name = reference.partition(":")
    if statement is None:
        return [document, label_of(document, name), "", "", "", True, ""]
    section = f"{statement.section} {statement.section_title}"
    return [
        document,
        statement.key,
        section,
        statement.level.upper(),
        statement.text,
        statement.observable,
        statement.observed_note,
    ]


def _client(client: Client, places: dict[str, int], fail_on: str) -> dict[str, Any]:
    examples: dict[tuple[str, ...], int] = {}  # one packet is often the first of many statements
    exercised = []  # place of the statement, place of the example
    for reference in client["exercised"]:
        exercised.append(places[reference])
        example = client["examples"].get(reference)
        fields = tuple(visible(example[name]) for name in EXAMPLE) if example else ()
        exercised.append(examples.setdefault(fields, len(examples)) if fields else -1)
    return {
        "name": name_of(client),
        "address": visible(client["address"]),
        "protocols": client["protocols"],
        "transports": client["transports"],
        "connections": client["connections"],
        "first": client["first_seen"],
        "last": client["last_seen"],
        "packets": [client["packets_received"], client["packets_sent"]],
        "bytes": [client["bytes_received"], client["bytes_sent"]],
        "exercised": exercised,
        "examples": list(examples),
        "violations": [_violation(v, places, fail_on) for v in client["violations"]],
    }


def _violation(violation: Violation, places: dict[str, int], fail_on: str) -> dict[str, Any]:
    if stands(violation, fail_on):
        verdict = "violated"
    elif violation["silenced"] is not None:
        verdict = "silenced"
    else:
        verdict = "advice" if is_advisory(violation) else "tolerated"
    return {
        "statement": places[reference_of(violation["document"], violation["statement"])],
        "level": violation["level"],
        "summary": visible(violation["summary"]),
        "count": violation["count"],
        "verdict": verdict,
        "silenced": visible(violation["silenced"] or ""),
        "packet": visible(violation["first"]["packet"]),
        "seen": visible(violation["first"]["seen"]),
    }


def _packets(client: Client) -> list[dict[str, Any]]:
    """What each violation of the client shows once it is opened."""
    return [_evidence(violation) for violation in client["violations"]]


def _evidence(violation: Violation) -> dict[str, Any]:
    first = violation["first"]
    statement = by_reference().get(reference_of(violation["document"], violation["statement"]))
    known = statement.text if statement else ""  # which the list of statements has
    start = datetime.fromisoformat(first["time"])
    return {
        "time": first["time"],
        "connection": first["connection"],
        "direction": first["direction"],
        "bytes": first["bytes"],
        "size": first["size"],
        "offset": first["offset"],
        "expected": "" if first["expected"] == known else visible(first["expected"]),
        "sequence": [_packet(row, start) for row in violation["sequence"]],
    }


def _packet(row: dict[str, Any], start: datetime) -> list[Any]:
    return [
        round((datetime.fromisoformat(row["time"]) - start).total_seconds(), 6),
        int(row["direction"] == "received"),
        visible(row["packet"]),
        visible(row["words"]),
        row["bytes"],
        row["size"],
        row["count"],
        int(row["broken"]),
    ]
