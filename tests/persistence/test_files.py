"""What is done with a file that is damaged, hostile, foreign or in use: it is left as it is."""

import hashlib
import os
import pickle
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import transaction
import ZODB.ConflictResolution
import ZODB.FileStorage
import ZODB.fsIndex
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree
from persistent.mapping import PersistentMapping

from persistence.database import Database, open_file
from persistence.errors import StoreError
from persistence.records import OUTGOING, SCHEMA, SESSIONS, TABLES, Put
from persistence.rows import decode_row, encode_row
from tests.persistence.support import Body, commit, outgoing, stored, topics, writing


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def fill(file, commits=20):
    """A database with a message of each commit."""
    with writing(file.open()) as writer:
        for n in range(commits):
            commit(writer, outgoing(n, Body(f"topic/{n}", b"x" * 200)), Put(SESSIONS, n, (n,)))


def transactions(path):
    """Where each transaction of a file begins, and the end of the last."""
    data = Path(path).read_bytes()
    found = [4]
    while found[-1] < len(data):
        found.append(found[-1] + int.from_bytes(data[found[-1] + 8 : found[-1] + 16]) + 8)
    return found


def read_all(file):
    database = file.open()
    return {table: stored(database, table) for table in TABLES}


def remove_index(path):
    Path(path + ".index").unlink(missing_ok=True)


class Evil:
    """Makes a file where it is loaded."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (os.mkdir, (self.marker,))


@pytest.fixture
def marker(tmp_path):
    marker = tmp_path / "marker"
    yield marker
    assert not marker.exists(), "the file ran code"


class TestHostile:
    def replace_record(self, path, change):
        """Rewrite the file with ZODB itself, each record as `change` has it."""
        source = ZODB.FileStorage.FileStorage(path, read_only=True)
        target = ZODB.FileStorage.FileStorage(path + ".evil")
        for original in source.iterator():
            target.tpc_begin(original, original.tid, original.status)
            for record in original:
                data = change(record.data)
                target.restore(record.oid, record.tid, data, "", None, original)
            target.tpc_vote(original)
            target.tpc_finish(original)
        source.close()
        target.close()
        os.replace(path + ".evil", path)
        for name in (".evil.index", ".evil.lock", ".evil.tmp", ".index"):
            Path(path + name).unlink(missing_ok=True)

    @pytest.mark.parametrize("kind", ["PersistentMapping", "OOBTree", "LOBucket", "LOBTree"])
    def test_a_record_that_names_another_class(self, file, marker, kind):
        fill(file, 1)
        file.close()
        evil = pickle.dumps(Evil(marker), 3)
        named = []

        def change(data):
            if f"{kind}\n".encode() in data[:80] or kind.encode() in data[:80]:
                named.append(data)
                return evil + evil
            return data

        self.replace_record(file.uri, change)
        assert named
        before = digest(file.uri)
        with pytest.raises(StoreError, match=r"touchstone\.fs .*none of ours"):
            read_all(file)
        file.close()
        assert digest(file.uri) == before

    def test_a_row_that_names_anything(self, file, marker):
        database = file.open()
        database.tables[SESSIONS][1] = pickle.dumps((Evil(marker),), 5)
        database.commit()
        with pytest.raises(StoreError, match=r"touchstone\.fs .*none may name anything"):
            stored(database, SESSIONS)

    @pytest.mark.parametrize("data", [b"", b"\x80\x05", pickle.dumps([1]), 7, b"\x80\x05Q."])
    def test_a_row_that_is_none(self, data):
        with pytest.raises(StoreError):
            decode_row(data)

    def test_a_row_is_what_it_was(self):
        row = (1, "topic", b"payload", None, (("a", "b"),), 1.5, True)
        assert decode_row(encode_row(row)) == row

    def test_conflict_resolution_looks_no_class_up(self, file, marker):
        database = file.open()
        storage = database._storage
        state = pickle.dumps(Evil(marker), 3)
        with pytest.raises((StoreError, ZODB.POSException.ConflictError)):
            ZODB.ConflictResolution.tryToResolveConflict(
                storage, bytes(8), bytes(8), bytes(8), state + state, state + state
            )
        with pytest.raises(StoreError, match=r"posix\.mkdir"):
            ZODB.ConflictResolution.find_global("posix", "mkdir")

    def test_an_index_is_ignored_and_made_anew(self, file, marker):
        fill(file, 3)
        file.close()
        index = Path(file.uri + ".index")
        good = index.read_bytes()
        index.write_bytes(pickle.dumps(Evil(marker), 3))
        assert len(read_all(file)[SESSIONS]) == 3
        file.close()
        assert index.read_bytes() == good

    def test_the_extension_of_a_transaction_is_not_read(self, file, marker):
        file.open().close()
        storage = ZODB.FileStorage.FileStorage(file.uri)
        meta = ZODB.BaseStorage.TransactionRecord(None, " ", b"", b"", b"")
        meta.extension_bytes = pickle.dumps(Evil(marker), 3)
        storage.tpc_begin(meta)
        storage.tpc_vote(meta)
        storage.tpc_finish(meta)
        storage.close()
        with writing(file.open()) as writer:
            commit(writer, outgoing(1, Body("a")))
        database = file.open()
        database.pack()
        assert topics(database) == [("a", b"payload")]

    def test_a_good_index_is_used(self, file):
        fill(file, 3)
        database = file.open()
        assert database._storage._used_index


class TestTail:
    @pytest.mark.parametrize("zeros", [1, 8, 22, 23, 24, 4_096, 100_000])
    @pytest.mark.parametrize("index", ["index", "no index"])
    def test_zeros_at_the_end_are_cut_off(self, file, zeros, index, caplog):
        fill(file)
        file.close()
        size = os.path.getsize(file.uri)
        with open(file.uri, "ab") as end:
            end.write(bytes(zeros))
        if index == "no index":
            remove_index(file.uri)
        assert len(read_all(file)[SESSIONS]) == 20
        assert os.path.getsize(file.uri) == size
        assert Path(file.uri + ".tr0").read_bytes() == bytes(zeros)
        assert "never finished" in caplog.text

    @pytest.mark.parametrize("seed", range(100))
    def test_a_tail_that_is_cut_takes_its_transaction_with_it(self, file, seed):
        fill(file, 5)
        file.close()
        starts = transactions(file.uri)
        cut = random.Random(seed).randrange(starts[2], starts[-1])
        whole = sum(start <= cut for start in starts[2:]) - 1
        os.truncate(file.uri, cut)
        if seed % 2:
            remove_index(file.uri)
        rows = read_all(file)
        assert set(rows[SESSIONS]) == set(range(whole))
        assert set(rows[OUTGOING]) == set(range(whole))
        with writing(file.open_after_close()) as writer:
            commit(writer, Put(SESSIONS, 99, ("more",)))
        assert 99 in read_all(file)[SESSIONS]

    def test_a_transaction_that_was_voted_for_only_is_cut_off(self, file):
        fill(file, 5)
        file.close()
        last = transactions(file.uri)[-2]
        with open(file.uri, "r+b") as data:
            data.seek(last + 16)
            data.write(b"c")
        remove_index(file.uri)
        assert len(read_all(file)[SESSIONS]) == 4


class TestDamage:
    @pytest.mark.parametrize("seed", range(60))
    def test_what_is_read_is_right_or_refused_and_the_file_stays(self, file, seed):
        """There are no checksums: a changed byte within a payload is a changed payload."""
        fill(file, 8)
        file.close()
        chance = random.Random(seed)
        starts = transactions(file.uri)
        data = bytearray(Path(file.uri).read_bytes())
        length = chance.choice([1, 4, 64])
        pos = chance.randrange(0, starts[-2] - length)  # before the last transaction
        data[pos : pos + length] = chance.randbytes(length)
        Path(file.uri).write_bytes(data)
        if seed % 3:
            remove_index(file.uri)
        before = digest(file.uri)
        said = None
        try:
            rows = read_all(file)
        except StoreError as error:
            said = str(error)
        file.close()
        assert digest(file.uri) == before
        if said is None:
            assert set(rows[SESSIONS]) == set(range(8))
        else:
            assert file.uri in said
            assert "copy" in said or "name another" in said

    @pytest.mark.parametrize("offset", [8, 12, 15, 16, 17])
    def test_a_damaged_header_in_the_middle(self, file, offset):
        """FileStorage by itself cuts off all that follows."""
        fill(file, 5)
        file.close()
        remove_index(file.uri)
        data = bytearray(Path(file.uri).read_bytes())
        data[transactions(file.uri)[3] + offset] = 0x7F
        Path(file.uri).write_bytes(data)
        with pytest.raises(StoreError, match=r"is damaged .*fsrecover"):
            file.open()
        assert Path(file.uri).read_bytes() == data
        assert not Path(file.uri + ".tr0").exists()

    def test_what_is_damaged_can_be_opened_when_it_is_whole_again(self, file):
        fill(file, 2)
        file.close()
        data = Path(file.uri).read_bytes()
        Path(file.uri).write_bytes(b"XXXX" + data[4:])
        with pytest.raises(StoreError, match="not a database"):
            file.open()
        Path(file.uri).write_bytes(data)
        assert len(read_all(file)[SESSIONS]) == 2

    def test_what_is_no_database(self, file, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_text("do not overwrite")
        with pytest.raises(StoreError, match=r"notes\.txt is not a database.*name another file"):
            open_file(str(path))
        assert path.read_text() == "do not overwrite"

    def test_a_pack_that_was_interrupted_between_its_renames(self, file, caplog):
        fill(file, 3)
        file.close()
        os.rename(file.uri, file.uri + ".old")
        Path(file.uri + ".pack").write_bytes(b"whatever")
        assert len(read_all(file)[SESSIONS]) == 3
        assert "taking back" in caplog.text


class TestForeign:
    def make(self, path, **content):
        storage = ZODB.FileStorage.FileStorage(path)
        database = ZODB.DB(storage)
        with database.transaction() as connection:
            connection.root().update(content)
        database.close()

    @pytest.mark.parametrize(
        "content",
        [
            {"application": PersistentMapping()},
            {"touchstone": PersistentMapping()},
            {"touchstone": 7},
            {"touchstone": OOBTree()},
        ],
        ids=["another root", "a mapping", "a number", "no schema"],
    )
    def test_a_database_of_something_else(self, file, tmp_path, content):
        path = str(tmp_path / "other.fs")
        self.make(path, **content)
        before = digest(path)
        with pytest.raises(StoreError, match=r"other\.fs is a database of something else: name"):
            Database(open_file(path), path)
        assert digest(path) == before
        assert len(transaction.manager.get()._resources) == 0

    def test_a_newer_schema(self, file):
        database = file.open()
        database._top["schema"] = SCHEMA + 1
        database.commit()
        database.close()
        before = digest(file.uri)
        with pytest.raises(
            StoreError, match=rf"has schema {SCHEMA + 1}, and this version knows {SCHEMA}"
        ):
            file.open()
        assert digest(file.uri) == before

    def test_an_older_schema_is_brought_up_step_by_step(self, file, monkeypatch):
        file.open().close()

        def add_a_row(top):
            top[SESSIONS][1] = encode_row(("upgraded",))

        def change_it(top):
            assert decode_row(top[SESSIONS][1]) == ("upgraded",)
            top[SESSIONS][2] = encode_row(("again",))

        monkeypatch.setattr(
            "persistence.database.STEPS", {SCHEMA: add_a_row, SCHEMA + 1: change_it}
        )
        monkeypatch.setattr("persistence.database.SCHEMA", SCHEMA + 2)
        assert stored(file.open(), SESSIONS) == {1: ("upgraded",), 2: ("again",)}

    def test_a_missing_table(self, file):
        database = file.open()
        database._top[SESSIONS] = LOBTree
        del database._top[SESSIONS]
        database.commit()
        database.close()
        with pytest.raises(StoreError, match=r"touchstone\.fs cannot be read .*sessions"):
            file.open()


class TestAccess:
    def test_locked_by_another_process(self, file):
        code = (
            "import sys; from persistence.database import open_file; "
            "storage = open_file(sys.argv[1]); print('open', flush=True); sys.stdin.read(1)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, file.uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        ) as other:
            assert other.stdout.readline() == b"open\n"
            with pytest.raises(StoreError, match=r"touchstone\.fs is in use by another broker"):
                file.open()
            other.communicate(b"x")
        file.open()

    def test_a_failed_opening_leaves_no_lock(self, file):
        fill(file, 1)
        file.close()
        data = Path(file.uri).read_bytes()
        Path(file.uri).write_bytes(data[:4] + b"\x7f" * 30 + data[34:])
        remove_index(file.uri)
        for _ in range(2):
            with pytest.raises(StoreError, match="damaged"):
                file.open()

    def test_a_directory(self, tmp_path):
        with pytest.raises(StoreError, match=f"{tmp_path}: Is a directory"):
            open_file(str(tmp_path))

    def test_a_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError, match=r"Not a directory|File exists"):
            open_file(str(tmp_path / "file" / "touchstone.fs"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
    @pytest.mark.parametrize(("target", "mode"), [("file", 0o000), ("folder", 0o500)])
    def test_without_permission(self, file, target, mode):
        fill(file, 1)
        file.close()
        path = Path(file.uri) if target == "file" else Path(file.uri).parent
        for beside in Path(file.uri).parent.glob("*.[lt]*"):
            beside.unlink()
        path.chmod(mode)
        try:
            with pytest.raises(StoreError, match=r"touchstone\.fs: Permission denied"):
                file.open()
        finally:
            path.chmod(0o700)

    def test_files_are_their_owners_only(self, file):
        before = os.umask(0)
        try:
            fill(file, 5)
            file.close()
            with open(file.uri, "ab") as end:
                end.write(bytes(40))
            database = file.open()
            with writing(database) as writer:
                commit(writer, outgoing(100, Body("a")))
                database.pack()
            file.close()
        finally:
            os.umask(before)
        folder = Path(file.uri).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert {".fs", ".index", ".tr0"} <= {Path(name).suffix for name in modes}
        assert set(modes.values()) == {0o600}, modes
