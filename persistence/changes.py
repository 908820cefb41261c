"""What the changes since the last commit come to.

What is put and deleted within one transaction is never written, and costs next to nothing, so that
a message whose receivers are quicker than the disk costs no bytes.

A message has a number while a row holds on to it that is committed, or about to be. Messages are
told apart as dictionary keys.
"""

from collections.abc import Callable
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
)
from persistence.rows import encode_row

PAYLOAD = 2  # the field of a message's row, behind its number


class Changes:
    """Net changes.

    Args:
        row_of: turns a message into its row.
        tables: the BTrees of the database, as they are before the first change.
    """

    def __init__(self, row_of: Callable[[Any], Row], tables: dict[str, Any]) -> None:
        self._row_of = row_of
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
        row_of = self._row_of
        messages: list[Row] = [
            (number, *row_of(message)) for number, message in self._messages.new.items()
        ]
        self._messages.apply(tables[MESSAGES], messages)

    def _outgoing_rows(self) -> list[Row]:
        """Of all that is new, which holds on to its messages from here on."""
        rows: list[Row] = []
        numbers, messages, number = self._numbers, self._messages.new, self._last_number
        for outgoing, session_number, packet_id, state in self._outgoing.new.values():
            message = outgoing.message
            # `_hold`, but for the call: one for each message is worth more here than elsewhere.
            if message in numbers:
                its_number = self._hold(message)
            else:
                its_number = number = number + 1
                numbers[message] = number
                messages[number] = message
            rows.append(
                (
                    outgoing.place,
                    its_number,
                    session_number,
                    outgoing.qos,
                    outgoing.retain,
                    outgoing.identifiers,
                    outgoing.share,
                    packet_id,
                    state,
                )
            )
        self._last_number = number
        return rows

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
