"""The contract over `memory://`, as far as it goes: what is opened again is the same storage.

A process that ends has lost it; until then it is a storage like the others.
"""

import pytest

from persistence.database import open_uri
from tests.persistence import test_contract
from tests.persistence.conftest import Place


class Memory(Place):
    """Keeps its one storage open, however often it is closed."""

    def __init__(self):
        super().__init__("memory://")
        self._storage = open_uri(self.uri)
        self._storage.close = self._stay

    def _stay(self):
        """What closing it would forget is what the next opening is to find."""

    def storage(self):
        return self._storage


@pytest.fixture
def place():
    found = Memory()
    yield found
    found.close()


class TestRows(test_contract.TestRows):
    pass


class TestMessages(test_contract.TestMessages):
    pass


class TestFailure(test_contract.TestFailure):
    pass


def test_what_is_deleted_goes_when_packed(place):
    test_contract.test_what_is_deleted_goes_when_packed(place)
