"""A violation in words, as the message of a test that fails.

    MQTT3-3.1.0-2 MUST: second CONNECT
      client    'sensor-7' at 127.0.0.1:40112 (3.1.1, tcp), connection 1
      expected  A Client can only send the CONNECT Packet once over a Network Connection. ...
      seen      ...
      packet    CONNECT, 22 bytes, wrong at byte 0
                >10 14 00 04 4d 51 54 54 04 02
      packets   received  CONNECT  client id 'sensor-7', clean session
                sent      CONNACK  accepted
                received  CONNECT  client id 'sensor-7', clean session  <-- here

What comes from the network is made visible and kept short: a terminal shows it.
"""

import textwrap
from collections.abc import Iterator
from typing import Any

from oracle.reports.lookup import label_of
from oracle.reports.standing import Client, Violation
from oracle.reports.text import counted, name_of, shortened, visible

BYTES = 32  # of a packet
BEFORE = 8  # of them before the wrong one, where not all are shown
WIDTH = 100
INDENT = " " * 12
WORDS = 120  # characters for a packet in the sequence
SEEN = 500


def headline(violation: Violation) -> str:
    """`MQTT5-3.1.0-2 MUST NOT: second CONNECT`."""
    label = label_of(violation["document"], violation["statement"])
    return f"{label} {violation['level']}: {visible(violation['summary'])}"


def one_line(client: Client, violation: Violation) -> str:
    times = f", {counted(violation['count'], 'time')}" if violation["count"] > 1 else ""
    return f"{headline(violation)} (client {shortened(name_of(client), 60)!r}{times})"


def in_full(client: Client, violation: Violation) -> str:
    """All that is known of it, in several lines."""
    first = violation["first"]
    lines = [headline(violation)]
    lines += _entry("client", _who(client, violation))
    lines += _entry("expected", visible(first["expected"]))
    lines += _entry("seen", shortened(visible(first["seen"]), SEEN) or "-")
    if violation["silenced"] is not None:
        lines += _entry("silenced", visible(violation["silenced"]))
    if first["bytes"]:
        offset = first["offset"]
        where = "" if offset is None else f", wrong at byte {offset}"
        name = first["packet"] or "bytes"
        lines += _entry("packet", f"{name}, {counted(first['size'], 'byte')}{where}")
        lines.append(INDENT + _dump(bytes.fromhex(first["bytes"]), first["size"], offset))
    for number, row in enumerate(violation["sequence"]):
        lines.append(("  packets   " if not number else INDENT) + _row(row))
    return "\n".join(lines)


def _who(client: Client, violation: Violation) -> str:
    spoken = ", ".join([*client["protocols"], *client["transports"]])
    who = "without a client id" if client["client_id"] is None else repr(name_of(client))
    words = f"{who} at {visible(client['address'])}"
    words += f" ({spoken})" if spoken else ""
    words += f", connection {violation['first']['connection']}"
    return words + (f", {counted(violation['count'], 'time')}" if violation["count"] > 1 else "")


def _entry(name: str, text: str) -> Iterator[str]:
    wrapped = textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    if wrapped:
        yield f"  {name:<10}" + wrapped[0].removeprefix(INDENT)
        yield from wrapped[1:]


def _dump(data: bytes, size: int, offset: int | None) -> str:
    """Hex, around the wrong byte if that is known."""
    start = 0
    if offset is not None and offset >= BYTES:
        start = min(offset - BEFORE, max(0, len(data) - BYTES))
    pairs = [
        f">{byte:02x}" if place == offset else f"{byte:02x}"
        for place, byte in enumerate(data[start : start + BYTES], start)
    ]
    before, after = "… " if start else "", " …" if start + len(pairs) < size else ""
    return before + " ".join(pairs) + after


def _row(row: dict[str, Any]) -> str:
    number = f"{row['count']} x " if row["count"] > 1 else ""
    words = shortened(visible(row["words"]), WORDS)
    mark = "  <-- here" if row["broken"] else ""
    return f"{row['direction']:<8}  {number}{row['packet'] or 'bytes':<8}  {words}".rstrip() + mark
