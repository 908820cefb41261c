"""ZODB's connection, which leaves nothing behind of what it has written."""

from typing import Any

import ZODB
import ZODB.Connection


class TidyConnection(ZODB.Connection.Connection):  # type: ignore[misc]
    """For each object of a commit ZODB makes a writer and a pickler that hold on to each other and
    to all bytes they have written. The garbage collector, which the broker lets run seldom, would
    find thousands of them: 40 MB with small messages, as many GB with large ones."""

    def _store_objects(self, writer: Any, transaction: Any) -> None:
        try:
            super()._store_objects(writer, transaction)
        finally:
            vars(writer).clear()


class TidyDB(ZODB.DB):  # type: ignore[misc]
    """A database with such connections."""

    klass = TidyConnection
