"""Rows that are never changed, many in one record.

All rows that are new in a commit go into one block, or several when they are large. A block goes
with the last of its rows; when few of them are left, those move to the next block that is written.
A row that changes after all leaves its block in the same way.

Measured with 1,000 messages a commit, a block instead of a row for each takes a quarter of the time
and half of the bytes; and a large message is never written again because of its neighbours.
"""

from collections.abc import Iterator, Mapping
from itertools import repeat
from operator import itemgetter
from typing import Any

from BTrees.LOBTree import LOBucket

from persistence.errors import StoreError
from persistence.records import Row
from persistence.rows import decode_row, encode_row

BLOCK_BYTES = 1 << 17  # of payload and what goes with it; a larger message is a block of its own
ROW_BYTES = 64  # of a row besides its payload, roughly
BLOCK_ROWS = 1024
FEW = 4  # a block moves when less than one of so many rows is left

_DIGITS = bytes.maketrans(b"\0\1", b"01")


class Block:
    """A record of rows.

    Attributes:
        key:     in its table.
        numbers: of the rows, as they were written; None for those that were gone when it was read.
        left:    what the rows that are left stand for, by number.
    """

    __slots__ = ("key", "left", "numbers")

    def __init__(self, key: int, numbers: list[Any], left: dict[int, Any]) -> None:
        self.key = key
        self.numbers = numbers
        self.left = left

    def marks(self) -> bytes:
        """A bit for each row, the first one highest: whether it is left."""
        digits = bytes(map(self.left.__contains__, self.numbers)).translate(_DIGITS)
        return int(digits, 2).to_bytes((len(digits) + 7) // 8, "big")


class Blocks:
    """What is to be written, and what is left of what was written; things stand for their rows.

    Args:
        tree: the table, before the first change.
        long: the field of a row that may be long, bytes.

    Attributes:
        new:   not committed yet, by number.
        where: the block of everything that is committed, by number.
    """

    def __init__(self, tree: Any, long: int | None = None) -> None:
        self.new: dict[int, Any] = {}
        self.where: dict[int, Block] = {}
        self._last_key: int = tree.maxKey() if tree else 0
        self._long = long
        self._shrunk: set[Block] = set()
        self._written: list[Block] = []  # by the last try
        self._tried: list[int] = []  # keys of blocks of tries that failed, and are stored perhaps

    def __len__(self) -> int:
        return len(self.new) + len(self._shrunk)

    def adopt(self, blocks: Mapping[int, list[Any]], things: dict[int, Any]) -> None:
        """The blocks in the database, as numbers by key; what is not among `things` is to go."""
        for key, numbers in blocks.items():
            left = {number: things[number] for number in numbers if number in things}
            block = Block(key, numbers, left)
            self.where.update(dict.fromkeys(left, block))
            if len(left) < len(numbers):
                self._shrunk.add(block)

    def leave(self, number: int) -> Any:
        """Take what is committed under this number out of its block; returns it."""
        block = self.where.pop(number)
        self._shrunk.add(block)
        return block.left.pop(number)

    def settle(self) -> list[Any]:
        """Before writing: what is written anew leaves its block, and the few that are left in one
        are written anew. Returns all that have left."""
        replaced = [self.leave(number) for number in self.new.keys() & self.where.keys()]
        for block in self._shrunk:
            if block.left and len(block.left) * FEW < len(block.numbers):
                self.new.update(block.left)
                replaced.extend(block.left.values())
                for number in block.left:
                    del self.where[number]
                block.left.clear()
        return replaced

    def apply(self, tree: Any, rows: list[Row], marks: Any = None) -> None:
        """Make the changes in the table of blocks; again, if that failed.

        Args:
            rows:  of all that is new, each with its number first.
            marks: the table of what is left of blocks, where that has to be told.
        """
        self._tried.extend(block.key for block in self._written)
        self._written = []
        for key in self._tried:
            tree.pop(key, None)
        for block in self._shrunk:
            if not block.left:
                tree.pop(block.key, None)
            if marks is not None:
                if block.left:
                    marks[block.key] = block.marks()
                else:
                    marks.pop(block.key, None)
        new = self.new
        for some in self._cut(rows):
            self._last_key += 1
            numbers = [row[0] for row in some]
            record = LOBucket()
            record[0] = encode_row(tuple(some))
            tree[self._last_key] = record
            left = new if len(some) == len(new) else {number: new[number] for number in numbers}
            self._written.append(Block(self._last_key, numbers, left))

    def clear(self) -> None:
        """A commit held all of it."""
        for block in self._written:
            self.where.update(zip(block.numbers, repeat(block), strict=False))
        self.new = {}  # another one, as a block may have this one
        self._written = []
        self._tried.clear()
        self._shrunk.clear()

    def _cut(self, rows: list[Row]) -> Iterator[list[Row]]:
        """The rows of one block each."""
        if self._long is None:
            for start in range(0, len(rows), BLOCK_ROWS):
                yield rows[start : start + BLOCK_ROWS]
            return
        weight = sum(map(len, map(itemgetter(self._long), rows))) + ROW_BYTES * len(rows)
        if weight < BLOCK_BYTES:
            if rows:
                yield rows
            return
        start = weight = 0
        for end, row in enumerate(rows, 1):
            weight += len(row[self._long]) + ROW_BYTES
            if weight >= BLOCK_BYTES:
                yield rows[start:end]
                start, weight = end, 0
        if start < len(rows):
            yield rows[start:]


def decode_block(record: Any, marks: Any = None) -> tuple[Row, list[Any]]:
    """The rows of a block that are left, and the numbers of all, None for those that are not.

    Raises:
        StoreError: it cannot be read.
    """
    rows = decode_row(record[0])
    numbers = [row[0] for row in rows]
    if set(map(type, numbers)) != {int}:
        raise StoreError("a block has rows without a number, or none")
    if marks is None:
        return rows, numbers
    digits = f"{int.from_bytes(marks, 'big'):0{len(rows)}b}"
    if len(digits) != len(rows):
        raise StoreError(f"a block has {len(rows)} rows, and marks for {len(digits)}")
    left = [digit == "1" for digit in digits]
    return (
        tuple(row for row, is_left in zip(rows, left, strict=True) if is_left),
        [number if is_left else None for number, is_left in zip(numbers, left, strict=True)],
    )
