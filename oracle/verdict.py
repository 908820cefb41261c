"""From the ledger to the report: a plain dict, which every form of report is written from.

docs/report.schema.json describes it. A client is held to the statements of the documents whose
versions it spoke; those of 3.1.1 stand for 3.1, too, whose own are not numbered.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from formats.errors import ProtocolViolation
from formats.mqtt.stream import read_remaining_length
from oracle.description import describe
from oracle.exercises import exercised
from oracle.ledger import KEPT_BYTES, RECEIVED, Breach, Chunk, Record
from oracle.packet_words import VERSION_NAMES
from oracle.statements import DOCUMENTS, MQTT_3_1_1, MQTT_5_0, Statement, load
from oracle.trace.masking import masked
from oracle.trace.splitting import split

SEQUENCE_ROWS = 16
NEVER = "never"  # can a broker observe it

Report = dict[str, Any]
Wall = Callable[[float], float]  # from the ledger's clock to seconds since 1970


@dataclass(slots=True)
class Ignored:
    """A statement that the configuration silences."""

    document: str
    statement: str
    reason: str


class IgnoredError(ValueError):
    """A `conformance_ignore` line that names no statement; says what is wrong."""


def parse_ignored(words: str) -> Ignored:
    """`mqtt-5.0:MQTT-4.6.0-2 why`.

    Raises:
        IgnoredError: no such document or statement, or no reason.
    """
    name, _, reason = words.strip().partition(" ")
    document, colon, statement = name.partition(":")
    if not colon or document not in DOCUMENTS:
        raise IgnoredError(f"{name!r} is not DOCUMENT:STATEMENT, as in {MQTT_5_0}:MQTT-4.6.0-2")
    if statement not in _by_id(document):
        raise IgnoredError(f"{document} has no statement {statement!r}")
    if not reason.strip():
        raise IgnoredError(f"{name} needs the reason why, after it")
    return Ignored(document, statement, reason.strip())


def build(
    broker: dict[str, Any],
    clients: Iterable[Record],
    dropped: int,
    ignored: Iterable[Ignored],
    wall: Wall,
) -> Report:
    """The report.

    Args:
        broker:  its `broker` part.
        dropped: connections of clients that the ledger does not keep.
    """
    silenced = {(one.document, one.statement): one.reason for one in ignored}
    parts = [_client(record, silenced, wall) for record in clients]
    return {
        "broker": broker,
        "clients": parts,
        "coverage": _coverage(parts),
        "ignored": [
            {"document": document, "statement": statement, "reason": reason}
            for (document, statement), reason in silenced.items()
        ],
        "dropped": {"clients": dropped},
    }


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


@cache
def _by_id(document: str) -> dict[str, Statement]:
    return {statement.id: statement for statement in load(document)}


@lru_cache(4096)
def _exercised(facts: int, document: str) -> tuple[str, ...]:
    """Ids, in the document's order; many clients show the same facts."""
    return tuple(statement.id for statement in exercised(facts, document))


@cache
def _order(document: str) -> dict[str, int]:
    return {statement.id: place for place, statement in enumerate(load(document))}


def _client(record: Record, silenced: dict[tuple[str, str], str], wall: Wall) -> dict[str, Any]:
    violations = [
        _violation(document, breach, silenced, wall)
        for (document, _), breach in record.breaches.items()
    ]
    names: list[str] = []
    for document in DOCUMENTS:
        shown = set(_exercised(record.facts_of(document), document))
        shown |= {one["statement"] for one in violations if one["document"] == document}
        names += [f"{document}:{one}" for one in sorted(shown, key=_order(document).__getitem__)]
    examples: dict[str, Any] = {}
    known = dict.fromkeys(DOCUMENTS, 0)
    for example in record.examples:
        document = example.document
        before = known[document]
        known[document] |= example.facts
        new = set(_exercised(known[document], document)) - set(_exercised(before, document))
        if not new or not example.packet:
            continue
        packet = masked(example.packet, example.version)
        row = {
            "time": iso(wall(example.at)),
            "packet": describe(packet, example.version, False, example.size).name,
            "bytes": packet.hex(),
        }
        examples.update((f"{document}:{one}", row) for one in new)
    return {
        "client_id": record.client_id,
        "address": record.address,
        "protocols": [VERSION_NAMES[version] for version in sorted(record.versions)],
        "transports": list(record.transports),
        "connections": record.connections,
        "first_seen": iso(wall(record.first_at)),
        "last_seen": iso(wall(record.last_at)),
        "packets_received": record.packets_in,
        "packets_sent": record.packets_out,
        "bytes_received": record.bytes_in,
        "bytes_sent": record.bytes_out,
        "exercised": names,
        "examples": {name: examples[name] for name in names if name in examples},
        "violations": violations,
    }


def _violation(
    document: str, breach: Breach, silenced: dict[tuple[str, str], str], wall: Wall
) -> dict[str, Any]:
    rule = breach.rule
    statement = _by_id(document)[rule.v3 if document == MQTT_3_1_1 else rule.v5]
    packet = masked(breach.packet, breach.version) if breach.mqtt else breach.packet
    return {
        "document": document,
        "statement": statement.id,
        "level": statement.level.upper(),
        "summary": breach.rule.summary,
        "count": breach.count,
        "silenced": silenced.get((document, statement.id)),
        "first": {
            "time": iso(wall(breach.at)),
            "connection": breach.connection,
            "direction": RECEIVED,
            "packet": _name(breach),
            "bytes": packet.hex(),
            "size": breach.size,
            "offset": breach.offset if breach.offset >= 0 else None,
            "seen": breach.seen,
            "expected": statement.text,
        },
        "sequence": list(_sequence(breach, wall)),
    }


def _sequence(breach: Breach, wall: Wall) -> Iterator[dict[str, Any]]:
    """A row for each packet, the latest before the breach and the one that broke the rule."""
    rows = [(chunk, piece) for chunk in breach.sequence for piece in _pieces(chunk)]
    for chunk, (packet, size) in rows[-SEQUENCE_ROWS:]:
        yield _row(chunk, packet, size, breach.version, wall)
    if breach.packet and breach.mqtt:
        chunk = Chunk(breach.at, RECEIVED, breach.packet, breach.size)
        yield _row(chunk, breach.packet, breach.size, breach.version, wall) | {"broken": True}


def _pieces(chunk: Chunk) -> list[tuple[bytes, int]]:
    """The packets of a chunk, the last as far as it is kept, each with its size."""
    packets = [(packet, len(packet)) for packet in split(chunk.data)]
    if chunk.size > len(chunk.data) and packets:
        last = packets.pop()[0]
        packets.append((last, announced_size(last)))
    return packets


def announced_size(packet: bytes) -> int:
    """The size that the fixed header announces; that of the bytes where it announces none."""
    try:
        length, pos = read_remaining_length(packet, 1, len(packet))
    except ProtocolViolation:
        return len(packet)
    return pos + length if length >= 0 else len(packet)


def _row(chunk: Chunk, packet: bytes, size: int, version: int, wall: Wall) -> dict[str, Any]:
    shown = masked(packet[:KEPT_BYTES], version)
    description = describe(shown, version, chunk.direction != RECEIVED, size)
    return {
        "time": iso(wall(chunk.at)),
        "direction": chunk.direction,
        "packet": description.name,
        "words": description.words,
        "bytes": shown.hex(),
        "size": size,
        "count": 1,
        "broken": False,
    }


def _name(breach: Breach) -> str:
    if not breach.packet or not breach.mqtt:
        return ""
    return describe(breach.packet, breach.version, False, breach.size).name


def _coverage(clients: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    seen = {name for client in clients for name in client["exercised"]}
    broken = {
        f"{one['document']}:{one['statement']}"
        for client in clients
        for one in client["violations"]
    }
    coverage = {}
    for document in DOCUMENTS:
        names = {
            f"{document}:{one.id}"
            for one in load(document)
            if one.binds_client and one.observed != NEVER
        }
        coverage[document] = {
            "observable": len(names),
            "exercised": len(names & seen),
            "violated": len(names & broken),
        }
    return coverage
