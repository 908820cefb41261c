"""The database, opened so that a file that somebody tampered with cannot run code.

A pickle can name any callable. ZODB reads pickles through four doors:

1. object records: `DB(class_factory=...)`;
2. conflict resolution, which looks classes up by itself: `ZODB.ConflictResolution.find_global`;
3. `FILE.index`: `ZODB.fsIndex.Unpickler`;
4. the extension of a transaction (undo log, history, iterator), which is never read here.

All that we store is bytes in BTrees, so the list of what may be named is short. What the bytes
hold is for `persistence/rows.py`, which allows nothing to be named.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, cast

import persistent.mapping
import transaction
import ZODB.ConflictResolution
import ZODB.fsIndex
from BTrees.LOBTree import LOBTree, LOBucket
from BTrees.OOBTree import OOBTree, OOBucket

from persistence import storages
from persistence.blocks import decode_block
from persistence.connection import TidyDB
from persistence.errors import StoreError
from persistence.file_storage import CarefulFileStorage
from persistence.records import (
    BLOCK_TABLES,
    INTEGER_TABLES,
    LEFT,
    OBJECT_TABLES,
    OUTGOING,
    SCHEMA,
    TABLES,
    Row,
)
from persistence.rows import decode_row
from persistence.shapes import checked
from persistence.upgrade import STEPS

ROOT = "touchstone"
ALLOWED: dict[tuple[str, str], Any] = {
    ("persistent.mapping", "PersistentMapping"): persistent.mapping.PersistentMapping,
    ("BTrees.LOBTree", "LOBTree"): LOBTree,
    ("BTrees.LOBTree", "LOBucket"): LOBucket,
    ("BTrees.OOBTree", "OOBTree"): OOBTree,
    ("BTrees.OOBTree", "OOBucket"): OOBucket,
}

# Rows are added at the end. A commit rewrites the last bucket and the nodes above it, which hold
# a reference to an object, the costly thing to write, for each child; those of blocks do in the
# buckets, too.
LOBTree.max_leaf_size = 30
LOBTree.max_internal_size = 60

CACHED = 2_000  # buckets, and blocks
CACHED_BYTES = 16 << 20  # of them; a block may be as large as a message
ANY_SIZE = 1 << 40  # bytes; without this ZODB warns of large messages


def find_class(module_name: str, global_name: str) -> Any:
    """A class that a record may name.

    Raises:
        StoreError: it is none of those that we store.
    """
    try:
        return ALLOWED[module_name, global_name]
    except KeyError:
        raise StoreError(f"it names {module_name}.{global_name}, which is none of ours") from None


class _IndexUnpickler(ZODB.fsIndex.Unpickler):  # type: ignore[misc]
    """Reads an index, which is numbers and bytes; ZODB makes a new one where this fails."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        return find_class(module_name, global_name)


def close_doors() -> None:
    """Replace what ZODB reads pickles with besides records (doors 2 and 3)."""
    ZODB.ConflictResolution.find_global = find_class
    ZODB.fsIndex.Unpickler = _IndexUnpickler


def open_file(path: str) -> Any:
    """See `storages.open_file`."""
    close_doors()
    return storages.open_file(path)


def open_uri(uri: str) -> Any:
    """See `storages.open_uri`."""
    close_doors()
    return storages.open_uri(uri)


class Database:
    """An open database: one connection, for the one thread that uses it.

    Args:
        storage: closed with the database, and when the database cannot be used.
        shown:   what to call it in errors.

    Attributes:
        tables: the BTrees of `persistence/records.py`, by name; others after `abort`.

    Threads: one at a time, but for `pack`, which may run beside it.
    """

    def __init__(self, storage: Any, shown: str) -> None:
        close_doors()
        self._shown = shown
        self._storage = storage
        self._blocks: dict[str, dict[int, list[Any]]] = {}
        self._manager = transaction.TransactionManager()
        self._open(storage)

    def _open(self, storage: Any) -> None:
        try:
            self._db = TidyDB(
                storage,
                class_factory=lambda _connection, module, name: find_class(module, name),
                cache_size=CACHED,
                cache_size_bytes=CACHED_BYTES,
                large_record_size=ANY_SIZE,
            )
        except Exception as error:
            storage.close()
            raise self._unusable(error) from error
        self._storage = storage
        self._connection = self._db.open(self._manager)
        try:
            self._top = self._read_top()
            self.tables: dict[str, Any] = {name: self._top[name] for name in TABLES}
        except Exception as error:
            self.close()
            if isinstance(error, _ForeignError):
                raise
            raise self._unusable(error) from error

    def _read_top(self) -> Any:
        root = self._connection.root()
        top = root.get(ROOT)
        if top is None:
            if len(root):
                raise self._foreign()
            top = root[ROOT] = OOBTree()
            top["schema"] = SCHEMA
            for name in INTEGER_TABLES:
                top[name] = LOBTree()
            for name in OBJECT_TABLES:
                top[name] = OOBTree()
            self._manager.commit()
        schema = top.get("schema") if isinstance(top, OOBTree) else None
        if type(schema) is not int:
            raise self._foreign()
        if schema > SCHEMA:
            raise _ForeignError(
                f"{self._shown} has schema {schema}, and this version knows {SCHEMA}: use the "
                "version that wrote it or a newer one, or name another file"
            )
        while schema < SCHEMA:
            STEPS[schema](top)
            schema = top["schema"] = schema + 1
            self._manager.commit()
        for name in TABLES:
            if type(top.get(name)) is not (LOBTree if name in INTEGER_TABLES else OOBTree):
                raise StoreError(f"it has no table {name}")
        return top

    def _foreign(self) -> StoreError:
        return _ForeignError(f"{self._shown} is a database of something else: name another one")

    def _unusable(self, error: Exception) -> StoreError:
        why = str(error) or str(error.__cause__ or "") or type(error).__name__
        return StoreError(
            f"{self._shown} cannot be read ({why}): restore a copy, or "
            "name another one; nothing was changed"
        )

    def rows(self, table: str) -> Iterator[tuple[Any, Row]]:
        """Keys and rows, in the order of their keys; messages in any order.

        Raises:
            StoreError: one cannot be read.
        """
        try:
            if table in BLOCK_TABLES:
                yield from self._block_rows(table)
            else:
                for key, data in self.tables[table].items():
                    yield key, data if table == LEFT else decode_row(data)
        except Exception as error:  # a damaged bucket fails in any way
            raise self._unusable(error) from error

    def checked_rows(self, table: str) -> Iterator[tuple[Any, Row]]:
        """The same, and what is in a row can be relied on."""
        try:
            yield from checked(table, self.rows(table))
        except StoreError as error:
            raise error if isinstance(error, _ForeignError) else self._unusable(error) from error

    def _block_rows(self, table: str) -> Iterator[tuple[int, Row]]:
        marks = self.tables[LEFT] if table == OUTGOING else {}
        blocks = self._blocks[table] = {}
        found: list[Row] = []
        for key, record in self.tables[table].items():
            rows, blocks[key] = decode_block(record, marks.get(key))
            record._p_deactivate()  # its bytes are not wanted again
            found.extend(rows)
        if table == OUTGOING:
            found.sort(key=itemgetter(0))
        return ((row[0], row[1:]) for row in found)

    def take_blocks(self, table: str) -> dict[int, list[Any]]:
        """What the last reading of `rows` found out: the numbers of the rows in each block, by
        key, None for those that are gone. They are forgotten here."""
        if table not in self._blocks:
            deque(self.rows(table), 0)
        return self._blocks.pop(table)

    def commit(self) -> None:
        """Make what was changed in `tables` durable. Raises what the storage raises."""
        self._manager.commit()

    def abort(self) -> None:
        """After a failed commit: forget what was changed, and make ready for the next try.

        Raises what the storage raises; then it is to be called again.
        """
        with contextlib.suppress(Exception):  # a storage that gave up cannot abort either
            self._manager.abort()
        storage = self._storage
        if isinstance(storage, CarefulFileStorage) and storage.given_up:
            with contextlib.suppress(Exception):
                self._db.close()
            storage.cut_unsynced()
            self._open(open_file(storage.path))
        else:
            self._manager.begin()

    @property
    def packed_size(self) -> int:
        """Bytes that the storage took after it was last packed; 0 if it never was."""
        size = self._top.get("packed", 0)
        return size if type(size) is int else 0

    @packed_size.setter
    def packed_size(self, size: int) -> None:
        self._top["packed"] = size

    def size(self) -> int:
        """Bytes that the storage takes."""
        return cast(int, self._db.getSize())

    def pack(self) -> None:
        """Drop what is no longer reachable; the storage allows commits meanwhile."""
        self._db.pack()

    def close(self) -> None:
        """End the use of the storage, whatever state it is in."""
        with contextlib.suppress(Exception):  # there is nothing left to lose
            self._manager.abort()
            self._connection.close()
        self._db.close()


class _ForeignError(StoreError):
    """Nothing is wrong with it, but that it is not ours."""
