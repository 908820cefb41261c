"""Brokers with databases: processes to kill, and brokers in this process to look into."""

import pytest

from tests.durability.broker_process import BrokerProcess
from tests.durability.site import DurableSite


@pytest.fixture
def broker_process(tmp_path):
    """`broker_process(configuration, limit_file_size)` makes one in a folder of its own."""
    made = []

    def make(more="", limit_file_size=None):
        folder = tmp_path / f"broker{len(made)}"
        folder.mkdir()
        made.append(BrokerProcess(folder, more, limit_file_size))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Sites:
    """`sites(options)` starts the first broker; `sites.next(...)` ends it and starts the next."""

    def __init__(self, folder):
        self._folder = folder
        self.now = None

    def __call__(self, more="", folder=None):
        self.now = DurableSite(folder or self._folder, more=more)
        return self.now

    def next(self, ending, down_s=1.0):
        self.now = self.now.next(ending, down_s)
        return self.now


@pytest.fixture
def sites(tmp_path):
    made = Sites(tmp_path / "database")
    yield made
    if made.now is not None and made.now.broker is not None:
        made.now.close()
