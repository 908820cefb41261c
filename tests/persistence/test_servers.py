"""What a `persistence_uri` may say, and servers that go away."""

import subprocess
import sys
from pathlib import Path

import pytest

import persistence.writer
from persistence.database import open_uri
from persistence.errors import StoreError
from persistence.records import SESSIONS, Call, Put
from persistence.storages import shown
from tests.persistence.conftest import Place
from tests.persistence.servers import free_port, zeo_server
from tests.persistence.support import Waited, commit, here, stored, writing


@pytest.mark.parametrize("uri", ["mysql://host/name", "touchstone.fs", "", "http://host"])
def test_another_scheme(uri):
    with pytest.raises(StoreError, match=r"none of memory, file, zeo, sqlite, postgresql"):
        open_uri(uri)


@pytest.mark.parametrize("uri", ["file://", "sqlite://"])
def test_no_path(uri):
    with pytest.raises(StoreError, match="names no path"):
        open_uri(uri)


def test_a_password_is_not_shown():
    assert shown("postgresql://me:secret@host/name") == "postgresql://me:***@host/name"


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr("persistence.storages.WAIT_S", 1)
    pytest.importorskip("ZEO")
    with pytest.raises(StoreError, match=r"^zeo://127\.0\.0\.1:\d+: "):
        open_uri(f"zeo://127.0.0.1:{free_port()}")


def test_a_database_server_that_is_not_there():
    pytest.importorskip("relstorage")
    uri = f"postgresql://me:secret@127.0.0.1:{free_port()}/name"
    with pytest.raises(StoreError, match=r"^postgresql://me:\*\*\*@.*refused") as caught:
        open_uri(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "package", "extra"),
    [
        ("zeo://127.0.0.1:1", "zodburi", "zeo"),
        ("zeo://127.0.0.1:1", "ZEO", "zeo"),
        ("sqlite://x", "relstorage", "relstorage"),
        ("postgresql://h/n", "relstorage", "relstorage"),
    ],
)
def test_a_package_that_is_missing(monkeypatch, tmp_path, uri, package, extra):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "zodburi.resolvers", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StoreError, match=rf"needs `pip install 'mqtt-touchstone\[{extra}\]'`"):
        open_uri(uri)


def test_a_zeo_server_that_comes_back(tmp_path, monkeypatch, caplog):
    pytest.importorskip("ZEO")
    monkeypatch.setattr(persistence.writer, "RETRY_S", 0.1)
    path = tmp_path / "server.fs"
    with zeo_server(path) as port:
        place = Place(f"zeo://127.0.0.1:{port}?wait_timeout=3")
        database = place.open()
        writer_context = writing(database)
        writer = writer_context.__enter__()
        commit(writer, Put(SESSIONS, 1, ("before",)))
    told, durable = Waited(), Waited()
    writer.submit([Put(SESSIONS, 2, ("while away",)), Call(here, durable), Call(here, print, told)])
    told.wait()
    assert writer.failing
    with zeo_server(path, port):
        durable.wait()
        commit(writer, Put(SESSIONS, 3, ("after",)))
        writer_context.__exit__(None, None, None)
        place = Place(f"zeo://127.0.0.1:{port}")
        assert set(stored(place.open(), SESSIONS)) == {1, 2, 3}
        place.close()
    assert "can be written again" in caplog.text


def test_records_and_errors_import_no_database():
    code = (
        "import sys, persistence.records, persistence.errors, persistence.rows; "
        "sys.exit(any(name.split('.')[0] in "
        "('ZODB', 'BTrees', 'persistent', 'transaction') for name in sys.modules))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_database_server_that_cuts_its_connections(postgresql, monkeypatch):
    psycopg2 = pytest.importorskip("psycopg2")
    pytest.importorskip("relstorage")
    monkeypatch.setattr(persistence.writer, "RETRY_S", 0.1)
    uri = postgresql()
    server, _, name = uri.rpartition("/")
    place = Place(uri)
    with writing(place.open()) as writer:
        commit(writer, Put(SESSIONS, 1, ("before",)))
        connection = psycopg2.connect(f"{server}/postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
        connection.close()
        commit(writer, Put(SESSIONS, 2, ("after",)))
    assert set(stored(place.open(), SESSIONS)) == {1, 2}
    place.close()
