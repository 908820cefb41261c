"""Words for people: what comes from the network is made visible and kept short.

Client ids, topics and what was seen are chosen by whoever connects. Whatever is not printable
(control characters, line ends, marks that turn the direction of text, lone surrogates) is written
as its escape, as in Python's string literals. What remains is allowed in XML 1.0 and in UTF-8.
"""

import re
from collections.abc import Iterator

from oracle.reports.standing import Client, Report, Violation, is_advisory, standing, stands

SURROGATE = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def shortened(text: str, length: int) -> str:
    """At most so many characters, the last of them an ellipsis if there were more."""
    return text if len(text) <= length else text[: length - 1] + "…"


def counted(number: int, thing: str) -> str:
    """`1 client`, `2,000 clients`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def name_of(client: Client) -> str:
    """The client id, or the address where there is none."""
    return visible(client["client_id"] or client["address"])


def spaced(hexadecimal: str, limit: int) -> str:
    """`10 0c 00`: so many bytes at most."""
    pairs = [hexadecimal[at : at + 2] for at in range(0, len(hexadecimal), 2)]
    return " ".join(pairs[:limit]) + (" …" if len(pairs) > limit else "")


def escaped_surrogates(json_text: str) -> str:
    """JSON text that can be written as UTF-8: surrogates stand in its strings only."""
    return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


def verdict_of(report: Report, fail_on: str) -> str:
    """`3 clients: no violation stands; 1 violation of advice, 2 violations silenced`."""
    number = len(standing(report, fail_on))
    verdict = f"{counted(number, 'violation')} stand{'s' * (number == 1)}"
    if not number:
        verdict = "no violation stands"
    others = [v for v in _violations(report) if not stands(v, fail_on)]
    silenced = sum(v["silenced"] is not None for v in others)
    advisory = sum(v["silenced"] is None and is_advisory(v) for v in others)
    tolerated = len(others) - silenced - advisory
    rest = [
        f"{counted(count, 'violation')} {of_what}"
        for count, of_what in (
            (tolerated, "tolerated"),
            (advisory, "of advice"),
            (silenced, "silenced"),
        )
        if count
    ]
    start = f"{counted(len(report['clients']), 'client')}: {verdict}"
    return f"{start}; {', '.join(rest)}" if rest else start


def _violations(report: Report) -> Iterator[Violation]:
    for client in report["clients"]:
        yield from client["violations"]


def remarks(report: Report) -> list[str]:
    """What a reader must know before believing the numbers."""
    found = []
    if not report["broker"]["complete"]:
        found.append("The broker was still running when this was written.")
    if dropped := report["dropped"]["clients"]:
        found.append(f"{counted(dropped, 'client')} beyond the number that is kept not counted.")
    return found
