"""What one more message writes: the rows that it changes, and not the queue that it joins."""

import pytest

from formats.mqtt.acks import Puback
from formats.mqtt.publish import Publish
from tests.durability.site import FILE

QUEUED = 10_000
AT_ONCE = 1_000
PAYLOAD = b"x" * 64
FEW_KILOBYTES = 10_000
MANY = 150  # more messages than go into one bucket of a BTree, so that some of them split one
KEPT = {0x11: 3600}


class Counting:
    """Stands before what the writer stores in, and counts bytes."""

    def __init__(self, site):
        site.settle()
        connection = site.broker._store.database._connection
        self._storage = connection._storage
        self._bytes = 0
        connection._storage = self

    def store(self, oid, serial, data, *rest):
        self._bytes += len(data)
        return self._storage.store(oid, serial, data, *rest)

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def take(self):
        """Bytes since the last time."""
        taken, self._bytes = self._bytes, 0
        return taken


def away(site):
    """A session whose client is not connected."""
    client = site.client()
    client.connect("away", False, properties=KEPT)
    client.subscribe("t/#", qos=1)
    client.drop()


def publisher(site):
    client = site.client(4)
    client.connect("publisher")
    return client


def queue(client, count):
    """That many messages more."""
    for start in range(1, count, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        client.send(*(Publish(f"t/{n}", PAYLOAD, 1, packet_id=n) for n in numbers))
        for number in numbers:
            assert client.receive(Puback).packet_id == number


@pytest.fixture(params=["file", "sqlite"])
def site(request, sites, tmp_path):
    if request.param == "file":
        return sites()
    pytest.importorskip("relstorage")
    return sites(f"persistence_uri sqlite://{tmp_path}/sqlite")


def test_one_more_message_writes_a_few_kilobytes(site):
    away(site)
    client = publisher(site)
    queue(client, QUEUED)
    counting = Counting(site)
    for _ in range(MANY):
        client.publish("t/more", PAYLOAD, 1)
        assert len(PAYLOAD) < counting.take() < FEW_KILOBYTES


def test_one_that_is_acknowledged_writes_a_few_kilobytes(site):
    away(site)
    queue(publisher(site), QUEUED)
    client = site.client()
    client.connect("away", False, properties=KEPT)
    counting = Counting(site)  # that all of them were sent is on the disk
    for _ in range(MANY):
        client.receive_message()
        site.settle()
        assert 0 < counting.take() < FEW_KILOBYTES


def test_it_writes_the_same_in_a_long_queue_as_in_a_short_one(site):
    away(site)
    client = publisher(site)
    counting = Counting(site)
    costs = []
    for more in (AT_ONCE, QUEUED - AT_ONCE):
        queue(client, more)
        counting.take()
        for _ in range(MANY):
            client.publish("t/more", PAYLOAD, 1)
        costs.append(counting.take())
    short, long = costs
    assert long < 2 * short


def test_the_file_grows_by_no_more(sites):
    """The same, with what FileStorage puts around it."""
    site = sites()
    away(site)
    client = publisher(site)
    queue(client, QUEUED)
    file = site.folder / FILE
    for _ in range(MANY):
        before = file.stat().st_size
        client.publish("t/more", PAYLOAD, 1)
        assert 0 < file.stat().st_size - before < FEW_KILOBYTES
