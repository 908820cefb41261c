"""A disk that is full, truly so far as a file goes: the process may not make a file any larger.

It runs in a process of its own, since the limit is for a whole process. The soft limit can be
raised again, which is the room that somebody makes.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from persistence.records import OUTGOING, SESSIONS
from tests.persistence.support import stored, topics

resource = pytest.importorskip("resource")

ROOM = """
import resource, signal, sys, threading
import persistence.file_storage, persistence.writer
from persistence.database import Database, open_file
from persistence.records import Put, SESSIONS
from persistence.records import Call
from persistence.writer import Writer
from tests.persistence.support import Body, Waited, here, outgoing, rows_of

path, margin = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
persistence.writer.RETRY_S = 0.01
database = Database(open_file(path), path)
writer = Writer(database, rows_of)
writer.start()

def commit(*changes):
    durable = Waited()
    writer.submit([*changes, Call(here, durable)])
    durable.wait()

def limit(soft):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

commit(outgoing(1, Body("before", b"x" * 3000)))
limit(database.size() + margin)
kept, refused, told = Waited(), Waited(), Waited()
writer.submit([outgoing(2, Body("during", b"x" * 20_000)), Call(here, kept),
               Call(here, refused, told)])
told.wait()
assert writer.failing and not kept.made and not refused.made
for n in range(20):
    again = Waited()
    writer.submit([Put(SESSIONS, n, ("x" * 500,)), Call(here, print, again)])
    again.wait()
"""

RECOVERS = """
limit(resource.RLIM_INFINITY)
kept.wait()
assert not refused.made
commit(outgoing(3, Body("after", b"x" * 3000)))
assert not writer.failing
assert writer.stop(20)
"""

IS_STOPPED = """
assert not writer.stop(0.1)
writer._thread.join(20)
"""

IS_KILLED = """
import os
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )


# Bytes that still fit: none, less than a header, some of the first record, most of it.
MARGINS = [0, 10, 100, 3_000, 15_000]


def names(database):
    return [topic for topic, _ in topics(database)]


@pytest.mark.parametrize("margin", MARGINS)
def test_it_recovers_when_there_is_room(file, margin):
    done = run(ROOM + RECOVERS, file.uri, margin)
    assert done.returncode == 0, done.stderr
    database = file.open()
    assert names(database) == ["after", "before", "during"]
    assert len(stored(database, SESSIONS)) == 20


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("end", [IS_STOPPED, IS_KILLED], ids=["stopped", "killed"])
def test_what_was_durable_before_is_there_after_the_end(file, margin, end):
    done = run(ROOM + end, file.uri, margin)
    assert done.returncode == (0 if end is IS_STOPPED else -9), done.stderr
    database = file.open()
    assert names(database) == ["before"]
    assert len(stored(database, OUTGOING)) == 1
    if end is IS_STOPPED:
        assert "could not be stored, and are lost" in done.stderr


FSYNC_FAILS = """
import os
real, failing = os.fsync, [True, True]
def fsync(handle):
    if failing and os.fstat(handle).st_size > 1000:
        failing.pop()
        raise OSError(5, "Input/output error")
    real(handle)
commit(Put(SESSIONS, 1, ("before",)))
sys.modules["ZODB.FileStorage.FileStorage"].fsync = fsync
told, kept = Waited(), Waited()
writer.submit([outgoing(1, Body("during", b"x" * 3000)), Call(here, kept), Call(here, print, told)])
told.wait()
kept.wait()
assert not failing and not writer.failing
commit(outgoing(2, Body("after")))
assert writer.stop(20)
"""


def test_a_sync_that_fails_is_not_believed_the_second_time(file):
    """The kernel forgets what it could not write; what was written is cut off and written anew."""
    begin = ROOM.split("commit(outgoing(1, ", maxsplit=1)[0]
    done = run(begin + FSYNC_FAILS, file.uri, 0)
    assert done.returncode == 0, done.stderr
    database = file.open()
    assert names(database) == ["after", "during"]
    assert stored(database, SESSIONS) == {1: ("before",)}
