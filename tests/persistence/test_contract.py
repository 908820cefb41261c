"""What every storage does alike, as ZODB's own tests of storages have it."""

import random

import pytest

from persistence.database import Database, open_uri
from persistence.records import (
    MESSAGES,
    OUTGOING,
    RECEIVED,
    RETAINED,
    SESSIONS,
    SUBSCRIPTIONS,
    Call,
    Delete,
    Put,
    received_key,
)
from persistence.writer import Writer
from tests.persistence.support import (
    Body,
    Refusing,
    Waited,
    commit,
    here,
    outgoing,
    rows_of,
    stored,
    topics,
    writing,
)

ROWS = {
    SESSIONS: (7, ("client", 5, 3600, None, ("will", b"gone", 1, False, None), None)),
    SUBSCRIPTIONS: ((7, "a/+/ü"), (1, False, True, 12)),
    RECEIVED: (received_key(7, 65_535), ("a/b",)),
}


class TestRows:
    @pytest.mark.parametrize("table", ROWS)
    def test_a_row_is_there_after_opening_again(self, place, table):
        key, row = ROWS[table]
        with writing(place.open()) as writer:
            commit(writer, Put(table, key, row))
        assert stored(place.open(), table) == {key: row}

    @pytest.mark.parametrize("table", ROWS)
    def test_a_row_is_replaced(self, place, table):
        key, row = ROWS[table]
        with writing(place.open()) as writer:
            commit(writer, Put(table, key, ("old",)))
            commit(writer, Put(table, key, row))
        assert stored(place.open(), table) == {key: row}

    @pytest.mark.parametrize("table", ROWS)
    def test_a_row_is_deleted_by_another_writer(self, place, table):
        key, row = ROWS[table]
        with writing(place.open()) as writer:
            commit(writer, Put(table, key, row))
        with writing(place.open()) as writer:
            commit(writer, Delete(table, key))
            commit(writer, Delete(table, key))
        assert stored(place.open(), table) == {}


class TestMessages:
    def test_many_rows_share_a_message(self, place):
        body = Body("shared")
        with writing(place.open()) as writer:
            commit(writer, *(outgoing(session, body, session) for session in range(1, 50)))
            commit(writer, Put(RETAINED, "shared", (None,), body))
        database = place.open()
        assert topics(database) == [("shared", b"payload")]
        numbers = {row[0] for row in stored(database, OUTGOING).values()}
        assert numbers == {stored(database, RETAINED)["shared"][0]}
        assert len(numbers) == 1

    def test_a_message_goes_with_the_last_of_its_rows(self, place):
        body = Body("shared")
        database = place.open()
        with writing(database) as writer:
            commit(writer, outgoing(1, body), outgoing(2, body))
            commit(writer, Delete(OUTGOING, 1))
            assert topics(database) == [("shared", b"payload")]
            commit(writer, Delete(OUTGOING, 2))
        assert stored(place.open(), MESSAGES) == {}

    def test_a_message_that_is_loaded_goes_with_the_last_of_its_rows(self, place):
        with writing(place.open()) as writer:
            commit(writer, outgoing(1, Body("first")), outgoing(2, Body("second")))
        database = place.open()
        bodies = {number: Body(*row[:2]) for number, row in database.rows(MESSAGES)}
        writer = Writer(database, rows_of)
        for key, row in database.rows(OUTGOING):
            writer.adopt_outgoing(outgoing(key, bodies[row[0]]), row[0])
        writer.start()
        commit(writer, Delete(OUTGOING, 1))
        commit(writer, outgoing(3, Body("third")))
        assert writer.stop(20)
        database = place.open()
        assert topics(database) == [("second", b"payload"), ("third", b"payload")]
        numbers = {row[0]: key for key, row in database.rows(OUTGOING)}
        assert len(numbers) == 2, "two messages have one number"

    def test_outgoing_rows_keep_their_order(self, place):
        places = random.sample(range(1 << 20), 500)
        with writing(place.open()) as writer:
            for start in range(0, 500, 50):
                commit(
                    writer,
                    *(outgoing(n, Body(str(n)), 1 + n % 3) for n in places[start : start + 50]),
                )
        keys = [key for key, _ in place.open().rows(OUTGOING)]
        assert keys == sorted(n for n in places)

    def test_many_and_large(self, place):
        bodies = [Body(f"t/{n}", bytes([n % 256]) * 10) for n in range(5_000)]
        bodies.append(Body("large", random.randbytes(2_000_000)))
        with writing(place.open()) as writer:
            commit(writer, *(outgoing(n, body) for n, body in enumerate(bodies)))
        database = place.open()
        messages = stored(database, MESSAGES)
        found = {key: messages[row[0]][:2] for key, row in stored(database, OUTGOING).items()}
        assert found == {n: (body.topic, body.payload) for n, body in enumerate(bodies)}


class TestFailure:
    @pytest.mark.parametrize("at", range(1, 6))
    def test_a_commit_that_fails_leaves_nothing(self, place, at):
        """As if the broker were killed between two records."""
        database = place.open()
        writer = Writer(database, rows_of)
        refusing = Refusing(database, "store", at)
        writer.start()
        writer.submit(
            [
                Put(SESSIONS, 1, ("client",)),
                Put(SUBSCRIPTIONS, (1, "a"), (1,)),
                Put(RETAINED, "a", (None,), Body("a")),
                outgoing(1, Body("b")),
            ]
        )
        assert refusing.refused.wait(20)
        assert not writer.stop(0)
        writer._thread.join(20)
        database = place.open()
        for table in (MESSAGES, OUTGOING, RETAINED, SESSIONS, SUBSCRIPTIONS):
            assert stored(database, table) == {}

    @pytest.mark.parametrize("step", ["store", "tpc_vote", "tpc_finish"])
    def test_a_commit_that_fails_is_tried_again(self, place, step):
        database = place.open()
        with writing(database) as writer:
            commit(writer, outgoing(1, Body("before")))
            refusing = Refusing(database, step)
            waits, fails, told = Waited(), Waited(), Waited()
            writer.submit(
                [
                    outgoing(2, Body("after")),
                    Delete(OUTGOING, 1),
                    Call(here, waits),
                    Call(here, fails, told),
                ]
            )
            told.wait()
            assert writer.failing
            assert not waits.made
            refusing.allow()
            waits.wait()
            assert not fails.made
        assert not writer.failing
        database = place.open()
        assert topics(database) == [("after", b"payload")]
        assert list(stored(database, OUTGOING)) == [2]


def test_what_is_deleted_goes_when_packed(place):
    with writing(place.open()) as writer:
        for start in range(0, 2_000, 100):
            commit(
                writer, *(outgoing(n, Body("a", b"x" * 1_000)) for n in range(start, start + 100))
            )
        commit(writer, outgoing(9_999, Body("kept")))
        commit(writer, *(Delete(OUTGOING, n) for n in range(2_000)))
    database = place.open()
    before = database.size()
    database.pack()
    database.close()
    database = place.open()
    assert database.size() < before / 5 or place.uri.startswith(("sqlite:", "postgresql:"))
    assert topics(database) == [("kept", b"payload")]


def test_memory_keeps_nothing_but_does_all():
    database = Database(open_uri("memory://"), "memory://")
    with writing(database) as writer:
        commit(writer, outgoing(1, Body("a")), outgoing(2, Body("b")))
        commit(writer, Delete(OUTGOING, 1))
        database.pack()
        commit(writer, outgoing(3, Body("c")))
        assert topics(database) == [("b", b"payload"), ("c", b"payload")]
