"""Message bodies, many in one record.

A message is written once and never changed, so all that are new in a commit go into one block, or
several when they are large. A block goes with the last of its messages; when few of them are left,
those move to the next block that is written, under the numbers they have.

Measured with 1,000 messages a commit, a block instead of a row for each halves what a commit costs
and the bytes; and a large message is never written again because of its neighbours.
"""

from collections.abc import Callable
from typing import Any

from BTrees.LOBTree import LOBucket

from persistence.records import Row
from persistence.rows import decode_row, encode_row

BLOCK_BYTES = 1 << 16  # of payload and what goes with it; a larger message is a block of its own
ROW_BYTES = 64  # of a row besides its payload, roughly
FEW = 4  # a block moves when less than one of so many messages is left


class Stored:
    """A message that rows hold on to."""

    __slots__ = ("block", "message", "number", "uses")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.number = 0  # until a commit that holds it is tried
        self.uses = 0
        self.block: Block | None = None  # once it is committed


class Block:
    """A record of messages.

    Attributes:
        key:  in the table of messages.
        size: how many messages were written.
        left: those that rows hold on to.
    """

    __slots__ = ("key", "left", "size")

    def __init__(self, key: int, size: int) -> None:
        self.key = key
        self.size = size
        self.left: set[Stored] = set()


class Blocks:
    """What is new, and what is left of what was written."""

    def __init__(self, row_of: Callable[[Any], Row], last_key: int) -> None:
        self._row_of = row_of
        self._last_key = last_key
        self._last_number = 0
        self._by_key: dict[int, Block] = {}  # while rows are adopted
        self._new: dict[int, Stored] = {}  # by number, not committed yet
        self._shrunk: set[Block] = set()
        self._written: list[Block] = []  # by the last try
        self._tried: list[int] = []  # keys of blocks of tries that failed, and are stored perhaps

    def __len__(self) -> int:
        return len(self._shrunk)

    def adopt(self, key: int, numbers: tuple[int, ...]) -> None:
        """A block in the database, and the numbers of its messages; nobody needs them, so far."""
        self._by_key[key] = block = Block(key, len(numbers))
        self._last_number = max(self._last_number, *numbers)
        self._shrunk.add(block)

    def adopt_message(self, stored: Stored, number: int, key: int) -> None:
        """A row needs the message with this number, of the block with this key."""
        stored.number = number
        stored.block = self._by_key[key]
        stored.block.left.add(stored)

    def add(self, stored: Stored) -> None:
        """Number a message that the next commit is to hold."""
        self._last_number += 1
        stored.number = self._last_number
        self._new[stored.number] = stored

    def drop(self, stored: Stored) -> None:
        """No row holds on to it any more."""
        if stored.block is not None:
            stored.block.left.discard(stored)
            self._shrunk.add(stored.block)
        elif stored.number:
            del self._new[stored.number]

    def apply(self, tree: Any) -> None:
        """Make the changes in the table of messages; again, if that failed."""
        self._tried.extend(block.key for block in self._written)
        for key in self._tried:
            tree.pop(key, None)
        self._written = []
        for block in self._shrunk:
            if len(block.left) * FEW < block.size:
                tree.pop(block.key, None)
                for stored in block.left:
                    stored.block = None
                    self._new[stored.number] = stored
                block.left.clear()
        rows = []
        weight = 0
        for number, stored in self._new.items():
            row = self._row_of(stored.message)
            rows.append((number, row))
            weight += len(row[1]) + ROW_BYTES
            if weight >= BLOCK_BYTES:
                self._write(tree, rows)
                rows = []
                weight = 0
        if rows:
            self._write(tree, rows)

    def _write(self, tree: Any, rows: list[tuple[int, Row]]) -> None:
        self._last_key += 1
        block = Block(self._last_key, len(rows))
        record = LOBucket()
        record[0] = encode_row(tuple(rows))
        tree[block.key] = record
        new = self._new
        block.left.update([new[number] for number, _ in rows])
        self._written.append(block)

    def clear(self) -> None:
        """A commit held all of it."""
        for block in self._written:
            for stored in block.left:
                stored.block = block
        self._written = []
        self._tried.clear()
        self._new.clear()
        self._shrunk.clear()


def decode_block(record: Any) -> Row:
    """The (number, row) of each message of a block.

    Raises:
        StoreError: it cannot be read.
    """
    return decode_row(record[0])
