"""A row that is not as it should be is an error that names the file and the table."""

import pytest
from BTrees.LOBTree import LOBucket

from persistence.errors import StoreError
from persistence.records import (
    LEFT,
    MESSAGES,
    OUTGOING,
    RECEIVED,
    RETAINED,
    SESSIONS,
    SUBSCRIPTIONS,
)
from persistence.rows import encode_row
from persistence.shapes import checked

GOOD = {
    MESSAGES: (1, ("t", b"p", 1, False, ((38, ("a", "b")), (1, 1)), "publisher", 17.5)),
    RETAINED: ("t", (1, None)),
    SESSIONS: (1, ("c", 5, 3600, None, ("w", b"p", 1, False, ((24, 5),)), 17.5)),
    SUBSCRIPTIONS: ((1, "t/#"), (1, False, True, 0, False)),
    OUTGOING: (1, (1, 1, 2, False, (1, 2), "$share/a/b", 7, 1)),
    RECEIVED: (1 << 16 | 7, ("t",)),
}


@pytest.mark.parametrize("table", GOOD)
class TestRows:
    def test_a_good_one_is_passed_on(self, table):
        assert list(checked(table, [GOOD[table]])) == [GOOD[table]]

    def test_one_field_more_or_less(self, table):
        key, row = GOOD[table]
        for wrong in (row[:-1], (*row, 1), ()):
            with pytest.raises(StoreError, match=f"table {table} has a row"):
                list(checked(table, [GOOD[table], (key, wrong)]))

    def test_a_field_of_another_type(self, table):
        key, row = GOOD[table]
        for place in range(len(row)):
            wrong = (*row[:place], [], *row[place + 1 :])
            with pytest.raises(StoreError, match=f"table {table} has a row"):
                list(checked(table, [GOOD[table], (key, wrong)]))

    def test_a_key_of_another_type(self, table):
        _, row = GOOD[table]
        with pytest.raises(StoreError, match=f"table {table} has a key"):
            list(checked(table, [GOOD[table], (b"x", row)]))


@pytest.mark.parametrize(
    ("table", "place", "nested"),
    [
        (MESSAGES, 4, (38,)),
        (MESSAGES, 4, ((38,),)),
        (MESSAGES, 4, (("a", 1),)),
        (SESSIONS, 4, ("w",)),
        (SESSIONS, 4, ("w", b"p", 1, False, (1,))),
        (OUTGOING, 4, ("a",)),
    ],
)
def test_what_is_nested(table, place, nested):
    key, row = GOOD[table]
    with pytest.raises(StoreError, match=f"table {table} has a row"):
        list(checked(table, [(key, (*row[:place], nested, *row[place + 1 :]))]))


def test_the_file_is_named(file):
    database = file.open()
    database.tables[SESSIONS][1] = encode_row(("c",))
    with pytest.raises(StoreError, match=r"touchstone\.fs cannot be read .*table sessions"):
        list(database.checked_rows(SESSIONS))


def block(*rows):
    record = LOBucket()
    record[0] = encode_row(rows)
    return record


@pytest.mark.parametrize("rows", [(), (7,), ((),), (("a", 1),), ((1,), 2)])
@pytest.mark.parametrize("table", [MESSAGES, OUTGOING])
def test_a_block_that_is_none(file, table, rows):
    database = file.open()
    database.tables[table][1] = block(*rows)
    with pytest.raises(StoreError, match=r"touchstone\.fs cannot be read"):
        list(database.rows(table))


@pytest.mark.parametrize("marks", [b"\x08", b"\xff\xff", "1", 3])
def test_marks_that_are_none(file, marks):
    database = file.open()
    database.tables[OUTGOING][1] = block(*((n, 1, 1, 1, False, (), "", 0, 0) for n in range(3)))
    database.tables[LEFT][1] = marks
    with pytest.raises(StoreError, match=r"touchstone\.fs cannot be read"):
        list(database.rows(OUTGOING))


def test_marks_are_read_from_the_first_row(file):
    database = file.open()
    database.tables[OUTGOING][1] = block(*((n, 1, 1, 1, False, (), "", 0, 0) for n in range(3)))
    database.tables[LEFT][1] = b"\x04"
    assert [place for place, _ in database.rows(OUTGOING)] == [0]
