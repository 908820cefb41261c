"""A broker in this process with a database in a folder, and the next one that finds it there."""

import shutil
import threading

from broker.broker import Broker
from broker.config import Configuration
from persistence.database import Database, open_file
from tests.harness.clock import ManualClock
from tests.harness.site import Site
from tests.harness.wires import DEADLINE_S

WALL = 1_800_000_000.0
FILE = "touchstone.fs"
STOPPED, CRASHED = "stopped", "crashed"


class WallClock(ManualClock):
    """A clock that starts at some time of the day, as each process has a new one."""

    def __init__(self, wall):
        super().__init__()
        self._start = wall - self.now()

    def wall(self):
        return self._start + self.now()


class DurableSite(Site):
    """A broker on sockets, with two listeners.

    Args:
        folder: where the database is, or is to be.
        wall:   seconds since 1970 when it starts.
        more:   further options.
    """

    def __init__(self, folder, wall=WALL, more=""):
        self.transport = "tcp"
        self.clock = WallClock(wall)
        self.clients = []
        self.folder = folder
        self.more = more
        text = (
            "allow_anonymous true\nsys_interval 0\npersistence true\nmax_queued_messages 0\n"
            f"persistence_location {folder}\n{more}\n" + "listener 0 127.0.0.1\n" * 2
        )
        self.configuration = Configuration.parse(text)
        self.broker = Broker(self.configuration, self.clock)
        self.broker.start()
        self.context = self.broker.context

    def settle(self):
        """As always, and what was to become durable is."""
        if self.broker is None:
            return
        super().settle()
        worker, durable = self.broker._housekeeping, threading.Event()
        worker.post(lambda: worker.journal.when_durable(durable.set))
        assert durable.wait(DEADLINE_S), "the writer does not answer"
        super().settle()

    def next(self, ending, down_s=1.0):
        """The next broker, `down_s` after this one was stopped, or killed in the middle.

        A kill leaves the database as it is at that moment, which is what the next one gets.
        """
        self.settle()
        wall = self.clock.wall() + down_s
        folder = self.folder
        if ending == CRASHED:
            folder = folder.with_name(folder.name + "+")
            folder.mkdir()
            shutil.copy(self.folder / FILE, folder / FILE)
            self.close()
        else:
            self.broker.stop()
            self.close()
        return DurableSite(folder, wall, self.more)

    def rows(self, table):
        """What a table holds; ends this broker."""
        self.settle()
        self.close()
        path = str(self.folder / FILE)
        database = Database(open_file(path), path)
        try:
            return dict(database.rows(table))
        finally:
            database.close()

    def close(self):
        super().close()
        self.broker = None
        self.clients = []
