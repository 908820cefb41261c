"""The database of a broker, opened as configured; ZODB is imported here, when it is needed.

Threads: the thread that starts the broker.
"""

import os
from typing import TYPE_CHECKING

from broker.clock import Clock
from broker.config import Configuration
from broker.context import Context
from broker.keeping import Keeping
from broker.restore import restore
from broker.worker import Worker
from persistence.errors import StoreError
from persistence.records import MESSAGES, RETAINED, Delete, Put

if TYPE_CHECKING:
    from broker.message import Message
    from persistence.database import Database
    from persistence.writer import Writer

DEFAULT_FILE = "touchstone.fs"


def database_path(configuration: Configuration) -> str:
    """Where the database is, if `persistence_uri` does not say."""
    folder = configuration["persistence_location"] or "."
    return os.path.join(folder, configuration["persistence_file"] or DEFAULT_FILE)


class Store:
    """An open database and its writer, which is not started yet."""

    def __init__(
        self,
        database: "Database",
        writer: "Writer",
        keeping: Keeping,
        messages: "dict[int, Message]",
    ) -> None:
        self.database = database
        self.writer = writer
        self._keeping = keeping
        self._messages = messages  # by number, until `fill`

    def fill(self, context: Context, worker: Worker) -> None:
        """Put back what the database holds, and from now on note what becomes of it."""
        # First: wills are published while it is filled.
        context.retained.changed = self._note_retained
        restore(self.database, self._messages, self.writer, context, self._keeping, worker)
        self._messages = {}

    def _note_retained(self, topic: str, message: "Message | None", expires_at: float) -> None:
        if message is None:
            self.writer.submit([Delete(RETAINED, topic)])
        elif message.origin:  # the broker's own are made anew
            row = (self._keeping.to_wall(expires_at),)
            self.writer.submit([Put(RETAINED, topic, row, message)])


def open_store(configuration: Configuration, keeping: Keeping) -> Store:
    """Open the database that the configuration names.

    Raises:
        StoreError: it cannot be used, or what is needed for it is not installed.
    """
    try:
        from persistence.database import Database, open_file, open_uri
        from persistence.writer import Writer
    except ImportError as error:
        raise StoreError(f"persistence needs `pip install ZODB` ({error})") from None
    uri = configuration["persistence_uri"]
    path = database_path(configuration)
    storage = open_uri(uri) if uri else open_file(path)
    database = Database(storage, uri or path)
    try:
        messages = {number: keeping.message(row) for number, row in database.checked_rows(MESSAGES)}
    except StoreError:
        database.close()
        raise
    always = configuration["persistence_sync"] == "always"
    writer = Writer(
        database,
        keeping.message_rows,
        0.0 if always else configuration["autosave_interval"],
        configuration["persistence_pack_ratio"],
        Clock().now,  # the machine's, however a test moves the broker's
    )
    return Store(database, writer, keeping, messages)


def pack_file(path: str) -> tuple[int, int]:
    """Drop what a database file holds that is no longer reachable; bytes before and after.

    Raises:
        StoreError: it is not there, in use, or no database of ours.
    """
    if not os.path.exists(path):
        raise StoreError(f"{path}: no such file")
    try:
        from persistence.database import Database, open_file
    except ImportError as error:
        raise StoreError(f"persistence needs `pip install ZODB` ({error})") from None
    database = Database(open_file(path), path)
    try:
        before = database.size()
        database.pack()
        return before, database.size()
    finally:
        database.close()
