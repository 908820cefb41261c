"""What each client was seen to do and to break, recorded while the broker runs.

A `Record` is of one network connection. When the connection ends it becomes, or is added to, the
record of its client. Recording costs next to nothing where nothing is new: facts are the bits of an
int (`oracle/facts.py`), and what a packet looked like is kept only when it shows something for the
first time.

Times are seconds of the clock that the caller has; `oracle/verdict.py` turns them into dates.

Threads: a record belongs to its connection's thread until `Ledger.close`; the ledger guards
itself. Whoever reports while connections live reads copies, which may be a packet behind.
"""

import threading
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from formats.errors import ProtocolViolation, Rule
from oracle.statements import MQTT_3_1_1, MQTT_5_0, PREFIXES, by_key

KEPT_BYTES = 256  # of a packet
KEPT_CHUNK = 512  # of what was read or written at once
KEPT_CHUNKS = 12  # of the latest of them
KEPT_FRAMES = 16  # bytes of a layer below MQTT: what goes on there may be a password
KEPT_SEEN = 500  # characters
KEPT_CLIENT_ID = 1_000  # characters

HEALTH_CLIENT_ID = "touchstone-health"  # no client under test: the broker asks itself

RECEIVED, SENT = "received", "sent"

HISTORY_LENGTH = 2 * 4 * KEPT_CHUNKS  # entries at most; see `Record.history`


class Chunk(NamedTuple):
    """Bytes of MQTT that were read or written at once.

    They are whole packets, in so far as they are kept.
    """

    at: float
    direction: str
    data: bytes  # the first KEPT_CHUNK of them, or, before a breach, all that lead up to it
    size: int  # of all


class Example:
    """The packet that showed some facts first.

    Attributes:
        packet:  the first KEPT_BYTES; b"" where it is no packet that shows them.
        size:    of all of it.
        version: protocol level.
    """

    __slots__ = ("at", "document", "facts", "packet", "size", "version")

    def __init__(
        self, document: str, facts: int, at: float, packet: bytes, size: int, version: int
    ) -> None:
        self.document = document
        self.facts = facts
        self.at = at
        self.packet = packet
        self.size = size
        self.version = version


class Breach:
    """A rule that a client broke, and how it did first."""

    __slots__ = (
        "at",
        "connection",
        "count",
        "mqtt",
        "offset",
        "packet",
        "rule",
        "seen",
        "sequence",
        "size",
        "version",
    )

    def __init__(
        self,
        violation: ProtocolViolation,
        at: float,
        version: int,
        packet: bytes,
        size: int,
        sequence: tuple[Chunk, ...],
        mqtt: bool,
    ) -> None:
        self.rule: Rule = violation.rule
        self.seen = violation.seen[:KEPT_SEEN]
        self.offset = violation.offset  # -1: unknown
        self.at = at
        self.version = version  # protocol level; 0 before the CONNECT
        self.packet = packet[: KEPT_BYTES if mqtt else KEPT_FRAMES]  # b"" where no packet broke it
        self.size = size
        self.sequence = sequence
        self.mqtt = mqtt  # otherwise `packet` is bytes of a layer below
        self.connection = 1  # of the client, counted from 1
        self.count = 1

    def copy(self) -> "Breach":
        copy = Breach.__new__(Breach)
        for name in Breach.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy


# What most records have of what takes room even when it is empty; nothing is ever added.
NO_FACTS: dict[str, int] = {}
NO_BREACHES: dict[tuple[str, Rule], Breach] = {}


class Record:
    """One network connection, or all that one client has made.

    Attributes:
        client_id: None where no CONNECT gave one.
        version:   protocol level of the connection; 0 before the CONNECT.
        facts:     of this connection, in the words of its own document.
        others:    facts of the client's other connections, by document, since it may come with
                   several versions.
        history:   the latest chunks, flat: the four fields of each. An idle connection has two, and
                   as objects they would be a tenth of what it takes.
    """

    __slots__ = (
        "address",
        "breaches",
        "bytes_in",
        "bytes_out",
        "client_id",
        "connections",
        "examples",
        "facts",
        "first_at",
        "history",
        "last_at",
        "others",
        "packets_in",
        "packets_out",
        "transports",
        "version",
        "versions",
    )

    def __init__(self, address: str, at: float) -> None:
        self.address = address
        self.client_id: str | None = None
        self.version = 0
        self.versions: tuple[int, ...] = ()
        self.transports: tuple[str, ...] = ()
        self.connections = 1
        self.first_at = at
        self.last_at = at
        self.packets_in = 0
        self.packets_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.facts = 0
        self.others = NO_FACTS
        self.examples: tuple[Example, ...] = ()
        self.breaches = NO_BREACHES
        self.history: list[Any] = []

    @property
    def document(self) -> str:
        """The one that the client is held to; that of 3.1 has no statements of its own."""
        return MQTT_3_1_1 if self.version in (3, 4) else MQTT_5_0

    def witness(self, facts: int, at: float, packet: bytes) -> None:
        """Facts were seen; `packet` shows them, b"" if it is what the broker did."""
        before, examples = self.facts, self.examples
        after = before | facts
        if after == before:
            return
        self.facts = after
        new = after ^ before
        if packet or not examples:
            version = self.version
            document = MQTT_3_1_1 if version in (3, 4) else MQTT_5_0  # a property takes its time
            example = Example(document, new, at, packet[:KEPT_BYTES], len(packet), version)
            self.examples = (*examples, example) if examples else (example,)
        else:  # what led to it is the packet before
            examples[-1].facts |= new

    def arrived(self, at: float, data: bytes, size: int, packets: int) -> None:
        """So many whole packets were read and handled; they are data[:size]."""
        self.last_at = at
        self.packets_in += packets
        self.bytes_in += size
        if size:
            history = self.history
            if len(history) == HISTORY_LENGTH:
                del history[: HISTORY_LENGTH // 2]
            chunk = data[:KEPT_CHUNK] if size >= KEPT_CHUNK else data[:size]
            history += (at, RECEIVED, chunk, size)

    def left(self, at: float, data: bytes, size: int, packets: int) -> None:
        """So many packets were sent at once, so many bytes; `data` is how they begin, KEPT_CHUNK
        of them at least."""
        self.packets_out += packets
        self.bytes_out += size
        history = self.history
        if len(history) == HISTORY_LENGTH:
            del history[: HISTORY_LENGTH // 2]
        history += (at, SENT, data[:KEPT_CHUNK], size)

    def broken_again(self, violation: ProtocolViolation) -> bool:
        """Count it, if the client has broken this rule on this connection before."""
        breach = self.breaches.get((self.document, violation.rule))
        if breach is None:
            return False
        breach.count += 1
        return True

    def broken(
        self,
        violation: ProtocolViolation,
        at: float,
        packet: bytes,
        size: int,
        lead: Iterable[tuple[bytes, int]] = (),
        unsent: Iterable[bytes] = (),
        mqtt: bool = True,
    ) -> None:
        """The client broke a rule, for the first time on this connection.

        What only the broker does not like, and no statement forbids, is not held against it.

        Args:
            packet: that broke it, b"" if none did.
            size:   of the packet, which may not have arrived as a whole.
            lead:   the packets that were read at once with it, before it, and their sizes.
            unsent: the last packets that have been written for it and not left yet.
            mqtt:   `packet` is one; otherwise bytes of a layer below.
        """
        if not is_breach(violation.rule, self.document):
            return
        latest = self.history[-4 * KEPT_CHUNKS :]
        sequence = [Chunk(*latest[place : place + 4]) for place in range(0, len(latest), 4)]
        sequence += [Chunk(at, RECEIVED, one[:KEPT_BYTES], length) for one, length in lead]
        sequence += [Chunk(at, SENT, one[:KEPT_BYTES], len(one)) for one in unsent]
        breach = Breach(violation, at, self.version, packet, size, tuple(sequence), mqtt)
        # Not into a dictionary that others may be going through.
        self.breaches = {**self.breaches, (self.document, violation.rule): breach}

    def settle(self) -> None:
        """The connection has ended: what is only of use while it lasts can go."""
        self.history = []
        if self.version and self.version not in self.versions:
            self.versions += (self.version,)

    def facts_of(self, document: str) -> int:
        """What was seen under a document, on all connections."""
        facts = self.others.get(document, 0)
        if document == self.document:
            facts |= self.facts
        return facts

    def absorb(self, later: "Record") -> None:
        """Add a later connection of the same client; both have ended."""
        document = later.document
        known = self.facts_of(document)
        if later.facts & ~known:
            self.examples += tuple(
                one for one in later.examples if one.document == document and one.facts & ~known
            )
            self.others = {**self.others, document: known | later.facts}
        for key, breach in later.breaches.items():
            before = self.breaches.get(key)
            if before is None:
                breach.connection = self.connections + 1
                self.breaches = {**self.breaches, key: breach}
            else:
                before.count += breach.count
        self.address = later.address
        if later.versions != self.versions:
            self.versions += tuple(one for one in later.versions if one not in self.versions)
        if later.transports != self.transports:
            self.transports += tuple(one for one in later.transports if one not in self.transports)
        self.connections += 1
        self.first_at = min(self.first_at, later.first_at)
        self.last_at = max(self.last_at, later.last_at)
        self.packets_in += later.packets_in
        self.packets_out += later.packets_out
        self.bytes_in += later.bytes_in
        self.bytes_out += later.bytes_out

    def copy(self) -> "Record":
        """As it is just now, while its thread goes on."""
        copy = Record(self.address, self.first_at)
        for name in Record.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.breaches = {key: breach.copy() for key, breach in self.breaches.items()}
        copy.settle()
        return copy


class Ledger:
    """The records of all clients.

    `open` takes no lock: what it does is one step, and so is `list` of what it changes.

    Args:
        maximum: clients that are kept; connections of further ones are counted only.
    """

    def __init__(self, maximum: int) -> None:
        self._lock = threading.Lock()
        self._maximum = maximum
        self._clients: dict[str, Record] = {}  # by what `_key` makes of them
        self._open: dict[Record, None] = {}  # in the order they began
        self.dropped = 0  # connections of clients beyond the maximum
        self.changes = 0  # clients that went; grows
        by_key()  # reads the catalogue: not while a listener waits, at the first breach

    def open(self, record: Record) -> None:
        """A connection begins."""
        self._open[record] = None

    def close(self, record: Record) -> None:
        """It has ended; whoever recorded into it does so no more."""
        record.settle()
        with self._lock:
            self._open.pop(record, None)
            if not _counts(record):
                return
            self.changes += 1
            if not _add(self._clients, record, self._maximum):
                self.dropped += 1

    def clients(self) -> tuple[list[Record], int]:
        """A record for each client as of now, in the order they were first seen; and how many
        connections of further ones there were."""
        with self._lock:
            known = [record.copy() for record in self._clients.values()]
            live = [record.copy() for record in list(self._open)]
            dropped = self.dropped
        clients: dict[str, Record] = {_key(record): record for record in known}
        for record in sorted(live, key=lambda one: one.first_at):
            if _counts(record):
                dropped += not _add(clients, record, self._maximum)
        return sorted(clients.values(), key=lambda one: one.first_at), dropped


@cache
def is_breach(rule: Rule, document: str) -> bool:
    """Whether it is a statement for clients that the rule is about."""
    identifier = rule.v3 if document == MQTT_3_1_1 else rule.v5
    if not identifier:
        return False
    statement = by_key()[identifier.replace("MQTT-", PREFIXES[document])]
    return statement.binds_client and statement.observable


def _counts(record: Record) -> bool:
    """Whether it is of a client, and not of somebody who looks whether the port is open."""
    return record.client_id != HEALTH_CLIENT_ID and bool(record.packets_in or record.breaches)


def _key(record: Record) -> str:
    """A client is known by its id, a connection that never gave one by its address."""
    return record.address if record.client_id is None else f"={record.client_id}"


def _add(clients: dict[str, Record], record: Record, maximum: int) -> bool:
    key = _key(record)
    before = clients.get(key)
    if before is not None:
        before.absorb(record)
    elif len(clients) < maximum:
        clients[key] = record
    else:
        return False
    return True
