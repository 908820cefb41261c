"""The journal and its thread: what is written, what is called, and when."""

import gc
import random
import threading
import tracemalloc
from pathlib import Path

import pytest
from ZODB.POSException import ReadConflictError

import persistence.writer
from persistence.database import Database, open_uri
from persistence.records import (
    LEFT,
    MESSAGES,
    OUTGOING,
    RETAINED,
    SESSIONS,
    SUBSCRIPTIONS,
    Call,
    Delete,
    Put,
)
from persistence.writer import Writer
from tests.persistence.support import (
    PATIENCE_S,
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

KEY = 1


@pytest.fixture
def database():
    return Database(open_uri("memory://"), "memory://")


@pytest.fixture
def quick_retry(monkeypatch):
    monkeypatch.setattr(persistence.writer, "RETRY_S", 0.01)


class TestOneGroup:
    def test_what_is_put_and_deleted_costs_no_bytes(self, file):
        database = file.open()
        with writing(database) as writer:
            commit(writer, outgoing(1, Body("before")))
            size = database.size()
            body = Body("quick", b"x" * 100_000)
            commit(writer, outgoing(2, body), outgoing(2, body, packet_id=7), 2)
            assert database.size() == size

    def test_a_row_that_was_there_and_is_put_again_stays(self, database):
        with writing(database) as writer:
            commit(writer, Put(RETAINED, "a", (None,), Body("a", b"1")))
            commit(writer, Delete(RETAINED, "a"), Put(RETAINED, "a", (None,), Body("a", b"2")))
            assert topics(database) == [("a", b"2")]
            commit(writer, Delete(RETAINED, "a"))
            assert stored(database, RETAINED) == {}
            assert stored(database, MESSAGES) == {}

    def test_the_last_of_many_changes_counts(self, database):
        with writing(database) as writer:
            commit(writer, *(Put(SESSIONS, 1, (n,)) for n in range(10)))
            assert stored(database, SESSIONS) == {1: (9,)}

    def test_a_retained_message_is_replaced(self, database):
        with writing(database) as writer:
            for n in range(10):
                commit(writer, Put(RETAINED, "a", (None,), Body("a", b"%d" % n)))
            assert [row[1] for row in stored(database, MESSAGES).values()] == [b"9"]

    def test_a_row_keeps_its_message_when_its_state_changes(self, database):
        body = Body("a")
        with writing(database) as writer:
            commit(writer, outgoing(1, body))
            before = stored(database, MESSAGES)
            commit(writer, outgoing(1, body, packet_id=12, state=1))
            assert stored(database, MESSAGES) == before
            (row,) = stored(database, OUTGOING).values()
            assert row == (*before, 1, 1, False, (), "", 12, 1)

    @pytest.mark.parametrize("delete", [1, Delete(OUTGOING, 1)])
    def test_a_row_that_changes_and_goes_takes_its_message_with_it(self, database, delete):
        body = Body("a")
        with writing(database) as writer:
            commit(writer, outgoing(1, body))
            commit(writer, outgoing(1, body, packet_id=12), delete)
            assert stored(database, OUTGOING) == {}
            assert stored(database, MESSAGES) == {}


class TestBlocks:
    def test_few_that_are_left_move_and_the_block_goes(self, database):
        with writing(database) as writer:
            commit(writer, *(outgoing(n, Body(str(n))) for n in range(100)))
            before = stored(database, OUTGOING)
            commit(writer, *(Delete(OUTGOING, n) for n in range(3, 100)))
            assert {row[0] for row in stored(database, MESSAGES).values()} == {"0", "1", "2"}
            assert stored(database, OUTGOING).items() <= before.items()
            assert topics(database) == [(str(n), b"payload") for n in range(3)]

    def test_rows_that_change_are_there_once_and_in_order(self, database):
        bodies = [Body(str(n)) for n in range(100)]
        with writing(database) as writer:
            commit(writer, *(outgoing(n, body) for n, body in enumerate(bodies)))
            expected = dict.fromkeys(range(100), 0)
            for n in range(0, 60, 7):
                commit(writer, outgoing(n, bodies[n], packet_id=n + 1))
                expected[n] = n + 1
            rows = list(database.rows(OUTGOING))
            assert [(place, row[6]) for place, row in rows] == list(expected.items())

    @pytest.mark.parametrize("reopen", [False, True])
    def test_rows_that_are_deleted_at_random_are_those_that_are_gone(self, file, reopen):
        order = random.sample(range(3_000), 3_000)
        database = file.open()
        kept = {n: outgoing(n, Body(str(n))) for n in range(3_000)}
        writer = Writer(database, rows_of)
        writer.start()
        commit(writer, *kept.values())
        for start in range(0, 3_000, 500):
            gone = order[start : start + 500]
            commit(writer, *gone)
            for n in gone:
                del kept[n]
            if reopen:
                assert writer.stop(PATIENCE_S)
                database = file.open_after_close()
                writer = Writer(database, rows_of)
                for place, row in database.rows(OUTGOING):
                    writer.adopt_outgoing(kept[place], row[0])
                writer.start()
                commit(writer)
            assert list(stored(database, OUTGOING)) == list(kept)
            assert topics(database) == sorted((str(n), b"payload") for n in kept)
        assert writer.stop(PATIENCE_S)
        database = file.open_after_close()
        for table in (OUTGOING, LEFT, MESSAGES):
            assert not database.tables[table]

    def test_what_nobody_adopts_goes(self, file):
        with writing(file.open()) as writer:
            commit(writer, *(outgoing(n, Body(str(n))) for n in range(10)))
        database = file.open_after_close()
        writer = Writer(database, rows_of)
        for place, row in database.rows(OUTGOING):
            if place % 2:
                writer.adopt_outgoing(outgoing(place, Body(str(place))), row[0])
        writer.start()
        commit(writer)
        assert writer.stop(PATIENCE_S)
        database = file.open_after_close()
        assert list(stored(database, OUTGOING)) == [1, 3, 5, 7, 9]
        assert len(topics(database)) == 5

    def test_a_large_message_is_written_once(self, file):
        database = file.open()
        with writing(database) as writer:
            commit(writer, outgoing(1, Body("large", b"x" * 500_000)), outgoing(2, Body("a")))
            size = database.size()
            for n in range(3, 30):
                commit(writer, outgoing(n, Body("a")))
            assert database.size() < size + 100_000


class TestMemory:
    """Of what was written nothing is held, and nothing is left to the garbage collector."""

    COMMITS = 30
    SIZE = 2 << 20
    ALLOWED = 24 << 20

    class Made:
        topic = "large"

        @property
        def payload(self):  # so that only the database can hold it
            return bytes(TestMemory.SIZE)

    @pytest.fixture(autouse=True)
    def traced(self):
        gc.collect()
        gc.disable()
        tracemalloc.start()
        yield
        tracemalloc.stop()
        gc.enable()

    @pytest.mark.parametrize("stays", [False, True])
    def test_large_messages(self, file, stays):
        with writing(file.open()) as writer:
            for n in range(self.COMMITS):
                commit(writer, outgoing(n, self.Made()))
                if not stays:
                    commit(writer, n)
            held, _ = tracemalloc.get_traced_memory()
            assert held < self.ALLOWED

    def test_what_is_read_at_the_start(self, file):
        with writing(file.open()) as writer:
            for n in range(self.COMMITS):
                commit(writer, outgoing(n, self.Made()))
        database = file.open_after_close()
        for _ in database.rows(MESSAGES):
            pass
        database.take_blocks(MESSAGES)
        held, _ = tracemalloc.get_traced_memory()
        assert held < self.ALLOWED


class TestCalls:
    def test_calls_are_made_in_order_with_one_post_for_each_thread(self, database):
        posts, made, done = [], [], Waited()

        class Thread:
            def __init__(self, name):
                self.name = name

            def post(self, call):
                posts.append(self.name)
                call()

        first, second = Thread("first"), Thread("second")
        writer = Writer(database, rows_of)
        for n in range(3):
            writer.submit(
                [
                    Put(SESSIONS, n, ("x",)),
                    Call(first.post, lambda n=n: made.append(n)),
                    Call(second.post, lambda n=n: made.append(n + 10)),
                ]
            )
        writer.submit([Call(second.post, done)])
        writer.start()
        done.wait()
        assert writer.stop(PATIENCE_S)
        assert posts == ["first", "second"]
        assert made == [0, 1, 2, 10, 11, 12]

    def test_a_call_is_made_after_its_commit(self, file):
        database = file.open()
        seen, done = [], Waited()

        def look():
            seen.append(b"needle" in Path(file.uri).read_bytes())
            done()

        with writing(database) as writer:
            writer.submit([Call(here, look), Put(SESSIONS, 1, ("needle",))])
            done.wait()
        assert seen == [True]

    def test_a_post_that_raises_does_not_end_the_writer(self, database, caplog):
        def refuse(call):
            raise ValueError("this loop is closed")

        with writing(database) as writer:
            writer.submit([Call(refuse, print)])
            commit(writer, Put(SESSIONS, 1, ("a",)))
        assert "could not be handed over" in caplog.text

    def test_as_much_as_usual_waits_for_no_more(self, database, monkeypatch):
        monkeypatch.setattr("persistence.writer.LOOK_S", 3_600.0)
        with writing(database) as writer:
            for start in range(0, 1_000, 200):
                commit(writer, *(outgoing(start + n, Body(str(n))) for n in range(200)))

    def test_what_a_listener_has_begun_is_waited_for(self, database, monkeypatch):
        monkeypatch.setattr("persistence.writer.GATHER_S", 3_600.0)
        monkeypatch.setattr("persistence.writer.LOOK_S", 0.0)
        commits, looks, both = [], [], Waited()
        original = database.commit

        def counted():
            original()
            commits.append(None)

        database.commit = counted

        def begun():
            """A round that goes on until it is looked at for the third time."""
            looks.append(None)
            if len(looks) == 3:
                writer.submit([outgoing(1_001, Body("second")), Call(here, both)])
            return len(looks) < 3

        writer = Writer(database, rows_of)
        writer.start()
        commit(writer, *(outgoing(n, Body(str(n))) for n in range(200)))
        writer.wait_for(begun)  # it is not looked at before there is something to commit
        commits.clear()
        writer.submit([outgoing(1_000, Body("first"))])
        both.wait()
        assert writer.stop(PATIENCE_S)
        assert len(commits) == 1

    def test_with_an_interval_calls_do_not_wait(self, database):
        writer = Writer(database, rows_of, interval_s=3_600)
        made = Waited()
        writer.submit([Put(SESSIONS, 1, ("a",)), Call(here, made)])
        assert made.made, "the call waited"
        writer.start()
        writer.submit([Put(SESSIONS, 2, ("b",)), Call(here, made)])
        assert writer.stop(PATIENCE_S), "the end waited for the interval"

    def test_with_an_interval_a_commit_comes_each_interval(self, file):
        database = file.open()
        commits = []
        both = threading.Event()
        original = database.commit

        def counted():
            original()
            commits.append(None)
            if len(commits) == 2:
                both.set()

        database.commit = counted
        with writing(database, interval_s=0.01) as writer:
            writer.submit([Put(SESSIONS, 1, ("a",))])
            while not commits:
                both.wait(0.01)
            writer.submit([Put(SESSIONS, 2, ("b",))])
            assert both.wait(PATIENCE_S)
        assert set(stored(file.open(), SESSIONS)) == {1, 2}

    def test_with_an_interval_what_comes_and_goes_does_not_pile_up(self, database, monkeypatch):
        monkeypatch.setattr("persistence.writer.TAKE_S", 0.01)
        first, pause = threading.Event(), threading.Event()
        original = database.commit

        def commit_once():
            original()
            first.set()

        database.commit = commit_once
        with writing(database, interval_s=3_600) as writer:
            writer.submit([Put(SESSIONS, 1, ("a",))])
            assert first.wait(PATIENCE_S)
            for _ in range(10):
                writer.submit([outgoing(1, Body("quick", b"x")), Delete(OUTGOING, KEY)])
            for _ in range(PATIENCE_S * 100):
                if not writer._journal:
                    break
                pause.wait(0.01)
            assert not writer._journal


class TestFailure:
    def test_a_conflict_is_tried_again_at_once(self, database):
        with writing(database) as writer:
            refusing = Refusing(database, "store", error=ReadConflictError())
            original = database.abort

            def abort():
                refusing.allow()
                original()

            database.abort = abort
            made, told = Waited(), Waited()
            writer.submit([Put(SESSIONS, 1, ("a",)), Call(here, made, told)])
            made.wait()
            assert not told.made
            assert not writer.failing

    @pytest.mark.usefixtures("quick_retry")
    def test_what_comes_while_it_fails_is_stored_later(self, database, caplog):
        with writing(database) as writer:
            refusing = Refusing(database, "tpc_vote")
            told, durable = Waited(), Waited()
            writer.submit([outgoing(1, Body("a")), Call(here, print, told)])
            told.wait()
            writer.submit([outgoing(2, Body("b"))])
            writer.submit([Delete(OUTGOING, KEY), Call(here, durable)])
            refusing.allow()
            durable.wait()
            assert topics(database) == [("b", b"payload")]
        assert "cannot be written" in caplog.text
        assert "No space left on device" in caplog.text
        assert caplog.text.count("cannot be written") == 1
        assert "can be written again" in caplog.text

    @pytest.mark.usefixtures("quick_retry")
    def test_what_changes_while_it_fails_is_stored_as_it_is_then(self, database):
        bodies = [Body(str(n)) for n in range(10)]
        with writing(database) as writer:
            commit(writer, *(outgoing(n, body) for n, body in enumerate(bodies[:8])))
            refusing = Refusing(database, "tpc_vote")
            told, durable = Waited(), Waited()
            first = [outgoing(2, bodies[2], packet_id=3), outgoing(8, bodies[8]), *range(5, 8)]
            writer.submit([*first, Put(RETAINED, "r", (None,), Body("r")), Call(here, print, told)])
            told.wait()
            writer.submit([8, 2, 0, outgoing(9, bodies[9]), Delete(RETAINED, "r")])
            refusing.allow()
            writer.submit([Call(here, durable)])
            durable.wait()
            assert list(stored(database, OUTGOING)) == [1, 3, 4, 9]
            assert stored(database, RETAINED) == {}
            commit(writer, 1, 3, 4, 9)
            assert stored(database, MESSAGES) == {}
            assert not database.tables[LEFT]

    @pytest.mark.usefixtures("quick_retry")
    def test_a_commit_whose_answer_was_lost_is_made_good(self, database):
        """The storage has it, and nobody knows: what is deleted then must go all the same."""
        with writing(database) as writer:
            original = database.commit
            told, durable = Waited(), Waited()

            def lose():
                original()
                raise OSError("the connection went away")

            database.commit = lose
            writer.submit([outgoing(1, Body("a")), Call(here, print, told)])
            told.wait()
            writer.submit([Delete(OUTGOING, KEY)])
            database.commit = original
            writer.submit([Call(here, durable)])
            durable.wait()
            commit(writer, outgoing(2, Body("b")))
            assert list(stored(database, OUTGOING)) == [2]
            assert [row[0] for row in stored(database, MESSAGES).values()] == ["b"]

    def test_stopping_while_it_fails_says_what_is_lost(self, database, caplog):
        writer = Writer(database, rows_of)
        refusing = Refusing(database, "store")
        writer.start()
        told = Waited()
        writer.submit([Put(SUBSCRIPTIONS, (1, "a"), (1,)), Put(SESSIONS, 1, ("a",))])
        writer.submit([Call(here, print, told)])
        assert refusing.refused.wait(PATIENCE_S)
        assert not writer.stop(0.05)
        writer._thread.join(PATIENCE_S)
        assert not writer._thread.is_alive()
        assert "the last 2 changes could not be stored" in caplog.text

    def test_an_end_without_a_start_closes_the_database(self, database):
        assert Writer(database, rows_of).stop(0)

    def test_a_row_that_cannot_be_made_is_a_failure(self, database):
        told = Waited()
        writer = Writer(database, lambda bodies: bodies.missing)
        writer.start()
        writer.submit([outgoing(1, Body("a")), Call(here, print, told)])
        told.wait()
        assert writer.failing
        assert not writer.stop(0)
        writer._thread.join(PATIENCE_S)


class TestPacking:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(persistence.writer, "PACK_MINIMUM", 20_000)
        monkeypatch.setattr(persistence.writer, "COMMITS_PER_LOOK", 1)

    def test_commits_go_on_while_it_packs_and_it_packs_once_at_a_time(self, file):
        database = file.open()
        begun, end = threading.Event(), threading.Event()
        packs = []

        def pack():
            packs.append(threading.current_thread().name)
            begun.set()
            assert end.wait(PATIENCE_S)

        database.pack = pack
        with writing(database, pack_ratio=2.0) as writer:
            try:
                for n in range(50):
                    commit(writer, Put(SESSIONS, n, ("x" * 2_000,)))
                assert begun.wait(PATIENCE_S)
                commit(writer, Put(SESSIONS, 1, ("y" * 50_000,)))
                assert packs == ["pack"]
            finally:
                end.set()

    def test_traffic_that_comes_and_goes_does_not_make_the_file_grow(self, file):
        database = file.open()
        largest = 0
        with writing(database, pack_ratio=2.0) as writer:
            for n in range(300):
                commit(writer, outgoing(n, Body("a", b"x" * 2_000)))
                commit(writer, Delete(OUTGOING, n))
                if thread := writer._packing._thread:
                    thread.join(PATIENCE_S)
                largest = max(largest, database.size())
        assert largest < 100_000
        database = file.open()
        assert 0 < database.packed_size < 20_000
        assert stored(database, OUTGOING) == {}

    def test_a_pack_that_fails_is_a_line_in_the_log(self, file, caplog):
        database = file.open()

        def pack():
            raise OSError(28, "No space left on device")

        database.pack = pack
        with writing(database, pack_ratio=2.0) as writer:
            for n in range(50):
                commit(writer, Put(SESSIONS, n, ("x" * 2_000,)))
        assert "could not be packed" in caplog.text
        assert len(stored(file.open(), SESSIONS)) == 50
