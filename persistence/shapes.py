"""Of what types the fields of a row are, so that a database that somebody else wrote into, or an
unreleased version, is an error that names the table, and not one of whoever unpacks the row.

What `persistence/records.py` says in words, as a table; a union is what a field may be.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from persistence.errors import StoreError
from persistence.records import (
    MESSAGES,
    OUTGOING,
    RECEIVED,
    RETAINED,
    SESSIONS,
    SUBSCRIPTIONS,
    Row,
)

NONE = type(None)
TIME = (float, int, NONE)
SHAPES: dict[str, tuple[tuple[type, ...], ...]] = {
    MESSAGES: ((str,), (bytes,), (int,), (bool,), (tuple, NONE), (str,), TIME),
    RETAINED: ((int,), TIME),
    SESSIONS: ((str,), (int,), TIME, TIME, (tuple, NONE), TIME),
    SUBSCRIPTIONS: ((int,), (bool,), (bool,), (int,), (bool,)),
    OUTGOING: ((int,), (int,), (int,), (bool,), (tuple,), (str,), (int,), (int,)),
    RECEIVED: ((str,),),
}
NESTED = 4  # the one field that may be a tuple: properties, will, identifiers
KEY_TYPES: dict[str, type] = {RETAINED: str, SUBSCRIPTIONS: tuple}  # the others: int
WILLS = ((str, bytes, int, bool, tuple), (str, bytes, int, bool, NONE))


def checked(table: str, rows: Iterable[tuple[Any, Row]]) -> Iterator[tuple[Any, Row]]:
    """The same rows.

    Raises:
        StoreError: one has not the shape of its table.
    """
    shape = SHAPES[table]
    key_type = KEY_TYPES.get(table, int)
    # Of the few combinations of types that there are, all is looked at once; whether one has a
    # tuple, which has to be looked into.
    known: dict[tuple[type, ...], bool] = {}
    for key, row in rows:
        types = tuple(map(type, row))
        nests = known.get(types)
        if nests is None:
            if len(types) != len(shape) or not all(map(tuple.__contains__, shape, types)):
                raise _wrong(table, row)
            nests = known[types] = tuple in types
        if nests and row[NESTED] and not _is_sound(table, row[NESTED]):
            raise _wrong(table, row)
        if type(key) is not key_type or (key_type is tuple and not _is_pair(key)):
            raise StoreError(f"its table {table} has a key that is none, {type(key).__name__}")
        yield key, row


def _wrong(table: str, row: Row) -> StoreError:
    # Not what is in it: there are values that have no `repr`, as they are nested too deep.
    names = ", ".join(type(field).__name__ for field in row[:10])
    return StoreError(f"its table {table} has a row that is none, of {names or 'nothing'}")


def _is_pair(key: Any) -> bool:
    return tuple(map(type, key)) == (int, str)


def _is_sound(table: str, nested: Row) -> bool:
    """Whether what is nested in a row is as it should be."""
    if table == OUTGOING:
        return set(map(type, nested)) == {int}
    if table == MESSAGES:
        return _are_properties(nested)
    return tuple(map(type, nested)) in WILLS and _are_properties(nested[4] or ())


def _are_properties(frozen: Row) -> bool:
    return all(type(pair) is tuple and len(pair) == 2 and type(pair[0]) is int for pair in frozen)
