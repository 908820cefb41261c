"""What the changes since the last commit come to.

What is put and deleted within one transaction is never written, so that a message whose receivers
are quicker than the disk costs no bytes.

Changes of one row come from one thread at a time, but those of two threads may arrive in either
order: a session may change or delete an outgoing message before the thread that published it has
handed it over. That is remembered in `early`, and applied when the message comes.

Messages are told apart as dictionary keys.
"""

from collections.abc import Callable
from typing import Any

from persistence.blocks import Blocks, Stored
from persistence.records import MESSAGE_TABLES, MESSAGES, OUTGOING, TABLES, Row
from persistence.rows import encode_row


class _Table:
    """Changes of one table."""

    __slots__ = ("early", "fresh", "held", "name", "rows")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[Any, Row | None] = {}  # None deletes
        # Of tables whose rows hold on to messages:
        self.held: dict[Any, Stored] = {}  # of every row that there is
        self.fresh: set[Any] = set()  # of `rows`, those that cannot be in the database
        self.early: dict[Any, Row | None] = {}


class Changes:
    """Net changes, in the order of their first appearance.

    Args:
        row_of:   turns a message into its row.
        last_key: the highest key of a block of messages in the database.
    """

    def __init__(self, row_of: Callable[[Any], Row], last_key: int) -> None:
        self._tables = {name: _Table(name) for name in TABLES if name != MESSAGES}
        self._known: dict[Any, Stored] = {}
        self._blocks = Blocks(row_of, last_key)

    def __len__(self) -> int:
        return len(self._blocks) + sum(len(table.rows) for table in self._tables.values())

    def adopt_block(self, key: int, numbers: tuple[int, ...]) -> None:
        """A block of messages in the database."""
        self._blocks.adopt(key, numbers)

    def adopt(self, table: str, key: Any, message: Any, number: int, block_key: int) -> None:
        """A row in the database holds on to the message with this number."""
        stored = self._known.get(message)
        if stored is None:
            stored = self._known[message] = Stored(message)
            self._blocks.adopt_message(stored, number, block_key)
        stored.uses += 1
        self._tables[table].held[key] = stored

    def put(self, table_name: str, key: Any, row: Row, message: Any) -> None:
        table = self._tables[table_name]
        if message is None:
            if table_name in MESSAGE_TABLES and key not in table.held:
                table.early[key] = row
            else:
                table.rows[key] = row
            return
        if table.early and key in table.early:
            early = table.early.pop(key)
            if early is None:
                return
            row = early
        stored = self._known.get(message)
        if stored is None:
            stored = self._known[message] = Stored(message)
        before = table.held.get(key)
        if before is not stored:
            stored.uses += 1
            table.held[key] = stored
            if before is not None:
                self._let_go(before)
            elif key not in table.rows:
                table.fresh.add(key)
        table.rows[key] = row

    def delete(self, table_name: str, key: Any) -> None:
        table = self._tables[table_name]
        if table_name not in MESSAGE_TABLES:
            table.rows[key] = None
            return
        stored = table.held.pop(key, None)
        if stored is None:
            if table_name == OUTGOING and key not in table.rows:
                table.early[key] = None
            return
        self._let_go(stored)
        if key in table.fresh:
            table.fresh.discard(key)
            del table.rows[key]
        else:
            table.rows[key] = None

    def _let_go(self, stored: Stored) -> None:
        stored.uses -= 1
        if not stored.uses:
            del self._known[stored.message]
            self._blocks.drop(stored)

    def apply(self, trees: dict[str, Any]) -> None:
        """Make the changes in the BTrees; again, if that failed, as if for the first time."""
        for table in self._tables.values():
            if not table.rows:
                continue
            tree = trees[table.name]
            puts = []
            held = table.held if table.name in MESSAGE_TABLES else None
            for key, row in table.rows.items():
                if row is None:
                    tree.pop(key, None)
                elif held is None:
                    puts.append((key, encode_row(row)))
                else:
                    stored = held[key]
                    if not stored.number:
                        self._blocks.add(stored)
                    puts.append((key, encode_row((stored.number, *row))))
            tree.update(puts)
        self._blocks.apply(trees[MESSAGES])

    def doubt(self) -> None:
        """A commit failed; what was in it may be in the database, or not."""
        for table in self._tables.values():
            table.fresh.clear()

    def clear(self) -> None:
        """A commit held all of it."""
        for table in self._tables.values():
            table.rows.clear()
            table.fresh.clear()
        self._blocks.clear()
