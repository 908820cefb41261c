"""What the changes since the last commit come to.

What is put and deleted within one transaction is never written, and costs next to nothing, so that
a message whose receivers are quicker than the disk costs no bytes.

A message has a number while a row holds on to it that is committed, or about to be. Messages are
told apart as dictionary keys.
"""

from collections.abc import Sequence
from typing import Any

from persistence.blocks import Blocks
from persistence.records import (
    BLOCK_TABLES,
    LEFT,
    MESSAGES,
    OUTGOING,
    RETAINED,
    TABLES,
    Call,
    Change,
    OutgoingPut,
    Put,
    Row,
    RowsOf,
)
from persistence.rows import encode_row

PAYLOAD = 2  # the field of a message's row, behind its number


class Changes:
    """Net changes.

    Args:
        rows_of: turns messages by number into their rows, the number first.
        tables: the BTrees of the database, as they are before the first change.
    """

    def __init__(self, rows_of: RowsOf, tables: dict[str, Any]) -> None:
        self._rows_of = rows_of
        self._rows: dict[str, dict[Any, Put | None]] = {  # None deletes
            name: {} for name in TABLES if name not in (*BLOCK_TABLES, LEFT)
        }
        self._outgoing = Blocks(tables[OUTGOING])
        self._messages = Blocks(tables[MESSAGES], PAYLOAD)
        self._numbers: dict[Any, int] = {}  # of messages
        self._last_number = 0
        self._more: dict[int, int] = {}  # rows that hold on to a message, besides one
        self._retained: dict[str, Any] = {}  # messages that rows in the database hold on to
        self._adopted: dict[int, OutgoingPut] = {}  # by place, until it is known where they are
        self._counted = False  # whether new rows hold on to their messages already

    def __len__(self) -> int:
        rows = sum(len(rows) for rows in self._rows.values())
        return rows + len(self._outgoing) + len(self._messages)

    # Before the first change.

    def adopt_outgoing(self, put: OutgoingPut, number: int) -> None:
        """A row in the database, and the number of its message."""
        self._adopted[put[0].place] = put
        self._adopt_message(put[0].message, number)

    def adopt_retained(self, topic: str, message: Any, number: int) -> None:
        """A row in the database, and the number of its message."""
        self._retained[topic] = message
        self._adopt_message(message, number)

    def _adopt_message(self, message: Any, number: int) -> None:
        if message in self._numbers:
            self._more[number] = self._more.get(number, 0) + 1
        else:
            self._numbers[message] = number

    def adopt_blocks(self, outgoing: dict[int, list[Any]], messages: dict[int, list[Any]]) -> None:
        """After the rows: the blocks that they are in. What was not adopted is to go."""
        self._outgoing.adopt(outgoing, self._adopted)
        self._adopted = {}
        by_number = {number: message for message, number in self._numbers.items()}
        self._messages.adopt(messages, by_number)
        self._last_number = max(map(max, messages.values()), default=0)

    # As they come.

    def take(self, changes: list[Change]) -> list[Call]:
        """Add the changes; returns the calls among them."""
        calls: list[Call] = []
        new, where = self._outgoing.new, self._outgoing.where
        leave, release = self._outgoing.leave, self._release
        change: Any  # by its very type: that of a Put is a tuple, too
        for change in changes:
            kind = type(change)
            # The most frequent first. Before the commit a message is neither numbered nor counted:
            # it may be gone by then.
            if kind is tuple:
                new[change[0].place] = change
            elif kind is int:
                new.pop(change, None)
                if change in where:
                    release(leave(change)[0].message)
            elif kind is Call:
                calls.append(change)
            elif kind is Put:
                self._change(change.table, change.key, change)
            elif change.table == OUTGOING:
                self.take([change.key])
            else:
                self._change(change.table, change.key, None)
        return calls

    def _change(self, table: str, key: Any, put: Put | None) -> None:
        self._rows[table][key] = put
        if table == RETAINED and key in self._retained:
            self._release(self._retained.pop(key))

    # Messages and who holds on to them.

    def _hold(self, message: Any) -> int:
        """One row more holds on to the message; returns its number."""
        number = self._numbers.get(message)
        if number is None:
            self._last_number = number = self._last_number + 1
            self._numbers[message] = number
            self._messages.new[number] = message
        else:
            self._more[number] = self._more.get(number, 0) + 1
        return number

    def _hold_all(self, messages: list[Any]) -> Sequence[int]:
        """`_hold` for each; in one step where all of them are new, as most often they are."""
        last = self._last_number + len(messages)
        numbers = range(self._last_number + 1, last + 1)
        new = dict(zip(messages, numbers, strict=True))
        if len(new) < len(messages) or not self._numbers.keys().isdisjoint(new):
            return list(map(self._hold, messages))
        self._last_number = last
        self._numbers.update(new)
        self._messages.new.update(zip(numbers, messages, strict=True))
        return numbers

    def _release(self, message: Any) -> None:
        number = self._numbers[message]
        more = self._more.pop(number, 0)
        if more > 1:
            self._more[number] = more - 1
        elif not more:
            del self._numbers[message]
            if self._messages.new.pop(number, None) is None:
                self._messages.leave(number)

    # The commit.

    def apply(self, tables: dict[str, Any]) -> None:
        """Make the changes in the BTrees; again, if that failed, as if for the first time."""
        replaced = self._outgoing.settle()
        outgoing = self._outgoing_rows()
        numbers = {
            topic: self._hold(put.message)
            for topic, put in self._rows[RETAINED].items()
            if put is not None
        }
        self._counted = True
        for put in replaced:
            self._release(put[0].message)
        self._messages.settle()
        for name, rows in self._rows.items():
            tree = tables[name]
            for key, put in rows.items():
                if put is None:
                    tree.pop(key, None)
                elif name == RETAINED:
                    tree[key] = encode_row((numbers[key], *put.row))
                else:
                    tree[key] = encode_row(put.row)
        self._outgoing.apply(tables[OUTGOING], outgoing, tables[LEFT])
        self._messages.apply(tables[MESSAGES], self._rows_of(self._messages.new))

    def _outgoing_rows(self) -> list[Row]:
        """Of all that is new, which holds on to its messages from here on."""
        puts = self._outgoing.new.values()
        numbers = self._hold_all([put[0].message for put in puts])
        return [
            (
                outgoing.place,
                number,
                session_number,
                outgoing.qos,
                outgoing.retain,
                outgoing.identifiers,
                outgoing.share,
                packet_id,
                state,
            )
            for number, (outgoing, session_number, packet_id, state) in zip(
                numbers, puts, strict=True
            )
        ]

    def doubt(self) -> None:
        """A commit failed; the next one starts from what there was before."""
        if self._counted:
            self._counted = False
            for put in self._outgoing.new.values():
                self._release(put[0].message)
            for row in self._rows[RETAINED].values():
                if row is not None:
                    self._release(row.message)

    def clear(self) -> None:
        """A commit held all of it."""
        self._counted = False
        for topic, put in self._rows[RETAINED].items():
            if put is not None:
                self._retained[topic] = put.message
        for rows in self._rows.values():
            rows.clear()
        self._outgoing.clear()
        self._messages.clear()
