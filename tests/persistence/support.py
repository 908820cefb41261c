"""What the tests of the database share: messages, a writer that is waited for, what is stored."""

import threading
from contextlib import contextmanager

from persistence.records import MESSAGES, OUTGOING, RETAINED, Call
from persistence.writer import Writer

PATIENCE_S = 20  # for what comes at once unless something is wrong


class Body:
    """A message, as the writer sees one."""

    def __init__(self, topic, payload=b"payload"):
        self.topic = topic
        self.payload = payload


def rows_of(bodies):
    return [
        (number, body.topic, body.payload, 1, False, None, "publisher", None)
        for number, body in bodies.items()
    ]


class Outgoing:
    """A message on its way, as the writer sees one."""

    def __init__(self, place, body):
        self.place = place
        self.message = body
        self.qos = 1
        self.retain = False
        self.identifiers = ()
        self.share = ""


def outgoing(place, body, session=1, packet_id=0, state=0):
    return (Outgoing(place, body), session, packet_id, state)


def here(call):
    """A post that makes the call on the writer's own thread."""
    call()


class Waited:
    """A call that can be waited for."""

    def __init__(self):
        self._made = threading.Event()

    def __call__(self):
        self._made.set()

    def wait(self):
        assert self._made.wait(PATIENCE_S), "the call was not made"

    @property
    def made(self):
        return self._made.is_set()


@contextmanager
def writing(database, **options):
    """A writer that has begun, and is ended."""
    writer = Writer(database, rows_of, **options)
    writer.start()
    try:
        yield writer
    finally:
        assert writer.stop(PATIENCE_S)


def commit(writer, *changes):
    """Have the changes applied, and wait until they are durable."""
    durable = Waited()
    writer.submit([*changes, Call(here, durable)])
    durable.wait()


def stored(database, table):
    return dict(database.rows(table))


def topics(database):
    """Topic and payload of each message that a row holds on to, once for each time it is stored."""
    named = {row[0] for table in (OUTGOING, RETAINED) for _, row in database.rows(table)}
    return sorted((row[0], row[1]) for number, row in database.rows(MESSAGES) if number in named)


class Refusing:
    """Stands before what a connection stores in, and fails at the n-th call of a method.

    Use: `Refusing(database, "store", 3)`; `allow` ends it.
    """

    def __init__(self, database, method, at=1, error=None):
        self._database = database
        self._storage = database._connection._storage
        self._method = method
        self._left = at
        self._error = error or OSError(28, "No space left on device")
        self.refused = threading.Event()
        database._connection._storage = self

    def allow(self):
        self._database._connection._storage = self._storage

    def __getattr__(self, name):
        found = getattr(self._storage, name)
        if name != self._method:
            return found

        def refusing(*args, **kwargs):
            self._left -= 1
            if self._left <= 0:
                self.refused.set()
                raise self._error
            return found(*args, **kwargs)

        return refusing
