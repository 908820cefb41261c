"""One broker process for all tests of a worker; every test has topics and client ids of its own."""

import datetime
import uuid

import pytest

from broker.pki import ensure_test_pki
from tests.interop.broker_process import running
from tests.interop.endpoints import endpoint
from tests.interop.paho import PahoClient


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    with running(tmp_path_factory.mktemp("interop")) as broker:
        yield broker


@pytest.fixture(scope="session")
def findings_pki(tmp_path_factory):
    """The folder of certificates for the brokers that are in this process."""
    folder = tmp_path_factory.mktemp("pki") / "pki"
    ensure_test_pki(folder, datetime.datetime.now(datetime.UTC))
    return folder


@pytest.fixture
def name():
    """A topic level and client id that nobody else uses; 3.1 allows a client id of 23 bytes."""
    return "t" + uuid.uuid4().hex[:12]


@pytest.fixture
def paho(broker):
    """Makes paho clients: paho("wss", 5, client_id, clean), and ends them with the test."""
    clients = []

    def make(scheme, version, client_id="", clean=True):
        client = PahoClient(endpoint(broker, scheme), version, client_id, clean)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
