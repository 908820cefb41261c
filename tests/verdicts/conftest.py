"""The test PKI, once."""

import datetime

import pytest

from broker.pki import ensure_test_pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder with the test PKI."""
    folder = tmp_path_factory.mktemp("pki") / "pki"
    ensure_test_pki(folder, datetime.datetime.now(datetime.UTC))
    return folder
