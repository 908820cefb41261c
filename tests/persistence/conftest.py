"""Every storage, as something that can be opened again and again."""

import itertools
import threading

import pytest

from persistence.database import Database, open_file, open_uri
from tests.persistence.servers import postgresql_cluster, zeo_server

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgresql():
    psycopg2 = pytest.importorskip("psycopg2")
    with postgresql_cluster() as uri:
        pause = threading.Event()
        while True:  # it listens a little before it is ready
            try:
                connection = psycopg2.connect(f"{uri}/postgres")
                break
            except psycopg2.OperationalError:
                pause.wait(0.02)
        connection.autocommit = True
        with connection.cursor() as cursor:

            def new_database():
                name = f"touchstone{next(NUMBERS)}"
                cursor.execute(f"CREATE DATABASE {name}")
                return f"{uri}/{name}"

            yield new_database
        connection.close()


class Place:
    """Where a database is; `open` gives it, `close` ends all that were opened."""

    def __init__(self, uri):
        self.uri = uri
        self._open = []

    def storage(self):
        return open_file(self.uri) if "://" not in self.uri else open_uri(self.uri)

    def open(self):
        database = Database(self.storage(), self.uri)
        self._open.append(database)
        return database

    def close(self):
        while self._open:
            self._open.pop().close()

    def open_after_close(self):
        self.close()
        return self.open()


@pytest.fixture
def file(tmp_path):
    """A FileStorage, which only the tests that need a file use."""
    place = Place(str(tmp_path / "store" / "touchstone.fs"))
    yield place
    place.close()


@pytest.fixture(params=["file", "file-uri", "zeo", "sqlite", "postgresql"])
def place(request, tmp_path):
    """Each storage that outlives its connection."""
    match request.param:
        case "file":
            found = Place(str(tmp_path / "touchstone.fs"))
        case "file-uri":
            found = Place(f"file://{tmp_path}/touchstone.fs")
        case "sqlite":
            pytest.importorskip("relstorage")
            found = Place(f"sqlite://{tmp_path}/touchstone")
        case "postgresql":
            pytest.importorskip("relstorage")
            found = Place(request.getfixturevalue("postgresql")())
        case "zeo":
            pytest.importorskip("ZEO")
            with zeo_server(tmp_path / "server.fs") as port:
                found = Place(f"zeo://127.0.0.1:{port}")
                yield found
                found.close()
            return
    yield found
    found.close()
