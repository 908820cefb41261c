"""A database that cannot be written for a while: what is delivered how often, and to whom it is
said.

The writer's own storage refuses, as a full disk makes it, until `room`; once a file of a process is
truly limited.
"""

import resource

import pytest

import persistence.writer
from broker import durable_output
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.control import Pingresp
from formats.mqtt.publish import Publish
from tests.durability.site import CRASHED
from tests.persistence.support import Refusing

KEPT = {0x11: 3600}
QUOTA_EXCEEDED = 0x97
SERVER_UNAVAILABLE_3 = 3
LIMIT = 200_000  # bytes


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """No test waits a second for the next try."""
    monkeypatch.setattr(persistence.writer, "RETRY_S", 0.01)


@pytest.fixture
def site(sites):
    """With an offline session `s` that is due what is published to `t` and `full`."""
    site = sites()
    subscriber = site.client(5)
    subscriber.connect("s", False, properties=KEPT)
    subscriber.subscribe("t", "full", qos=2)
    subscriber.disconnect()
    return site


def fill(site):
    """No room from now on, and nobody but the writer knows. Returns who makes some."""
    return Refusing(site.broker._store.database, "store")


def fill_until_known(site):
    """The same, when the broker has met it."""
    disk = fill(site)
    client = site.client(5)
    client.connect("fills")
    assert client.publish("full", b"x", 1).reason == QUOTA_EXCEEDED
    return disk


def wait_for_room(disk, site):
    """The writer has made a commit again."""
    disk.allow()
    site.settle()


def delivered(site, client_id="s"):
    client = site.client(5)
    assert client.connect(client_id, False, properties=KEPT).session_present
    return [message.payload for message in client.receive_messages()]


def only_pings(client):
    """Nothing has come but the answer to this."""
    client.send(b"\xc0\x00")
    assert isinstance(client.receive(), Pingresp)


@pytest.mark.statement("MQTT5-4.3.3-8", "MQTT5-4.3.3-10")
def test_qos_2_is_delivered_once_whatever_the_first_commit_met(site, sites):
    client = site.client(5)
    client.connect("p", False, properties=KEPT)
    disk = fill(site)
    client.send(
        Publish("t", b"exactly once", 2, packet_id=1), Publish("t", b"at least", 1, packet_id=2)
    )
    answer = client.receive(Puback)  # the first thing that comes
    assert (answer.packet_id, answer.reason) == (2, QUOTA_EXCEEDED)
    client.send(Publish("t", b"exactly once", 2, False, True, 1))
    only_pings(client)
    client.send(Publish("t", b"refused", 2, packet_id=3))
    answer = client.receive(Pubrec)
    assert (answer.packet_id, answer.reason) == (3, QUOTA_EXCEEDED)

    wait_for_room(disk, site)
    assert [client.receive(Pubrec) for _ in range(2)] == [Pubrec(1), Pubrec(1)]
    client.send(Pubrel(1))
    assert client.receive() == Pubcomp(1)
    assert client.publish("t", b"at least", 1).reason == 0  # as it was refused
    site = sites.next(CRASHED)
    assert sorted(delivered(site)) == [b"at least", b"at least", b"exactly once"]


def test_a_publisher_that_comes_back_later_is_not_taken_twice(site, sites):
    client = site.client(5)
    client.connect("p", False, properties=KEPT)
    disk = fill(site)
    client.send(Publish("t", b"once", 2, packet_id=1), Publish("full", b"tells", 1, packet_id=2))
    assert client.receive(Puback).reason == QUOTA_EXCEEDED
    client.wire.close()
    again = site.client(5)
    assert again.connect("p", False, properties=KEPT).reason == QUOTA_EXCEEDED
    wait_for_room(disk, site)
    site = sites.next(CRASHED)
    again = site.client(5)
    assert again.connect("p", False, properties=KEPT).session_present
    again.send(Publish("t", b"once", 2, False, True, 1))
    assert again.receive(Pubrec) == Pubrec(1)
    assert delivered(site).count(b"once") == 1


def test_an_older_client_gets_its_answers_later_in_their_order(site):
    client = site.client(4)
    client.connect("p")
    disk = fill_until_known(site)
    for packet_id in range(1, 9):
        client.send(Publish("t", b"%d" % packet_id, 1 + packet_id % 2, packet_id=packet_id))
        only_pings(client)
    wait_for_room(disk, site)
    answers = [client.receive() for _ in range(8)]
    assert answers == [
        (Puback if packet_id % 2 == 0 else Pubrec)(packet_id) for packet_id in range(1, 9)
    ]


def test_one_that_is_not_read_from_meanwhile_is_answered_in_full(site, monkeypatch):
    monkeypatch.setattr(durable_output, "PLEDGED_MAXIMUM", 10)
    client = site.client(4)
    client.connect("p")
    disk = fill_until_known(site)
    for packet_id in range(1, 201):
        client.send(Publish("t", b"%d" % packet_id, 1, packet_id=packet_id))
    wait_for_room(disk, site)
    assert [client.receive(Puback).packet_id for _ in range(200)] == list(range(1, 201))
    only_pings(client)


@pytest.mark.parametrize("listener", [0, 1], ids=("same listener", "another"))
def test_a_connect_that_is_refused_takes_nothing_over(site, listener):
    old = site.client(4)
    old.connect("c", False)
    disk = fill_until_known(site)
    new = site.client(4, listener)
    assert new.connect("c", False).reason == SERVER_UNAVAILABLE_3
    only_pings(old)
    wait_for_room(disk, site)
    new = site.client(4, listener)
    assert new.connect("c", False).session_present
    assert old.closed_with() is None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_qos_2_is_delivered_once_over_a_file_that_may_not_grow(broker_process):
    broker = broker_process(limit_file_size=LIMIT).start()
    subscriber = broker.client(5)
    subscriber.connect("s", False, properties=KEPT)
    subscriber.subscribe("t", qos=2)
    subscriber.disconnect()
    client = broker.client(5)
    client.connect("p", False, properties=KEPT)
    recorded, waiting, full = set(), {}, False
    while not full:
        exactly, at_least = client.next_packet_id(), client.next_packet_id()
        waiting[exactly] = b"%05d " % exactly + b"x" * 2_000
        client.send(
            Publish("t", waiting[exactly], 2, packet_id=exactly),
            Publish("t", b"1", 1, packet_id=at_least),
        )
        full = client.receive_skipping(Puback).reason == QUOTA_EXCEEDED
        if not full:
            assert client.receive_skipping(Pubrec) == Pubrec(exactly)
            recorded.add(waiting.pop(exactly))
    hard = resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    (packet_id,) = waiting
    # Its first try, or this one, is answered; neither is refused, and both are one message.
    client.send(Publish("t", waiting[packet_id], 2, False, True, packet_id))
    for _ in range(2):
        assert client.receive_skipping(Pubrec) == Pubrec(packet_id)
    recorded.add(waiting.pop(packet_id))
    broker.kill()
    broker.limit_file_size = None
    broker.start()
    subscriber = broker.client(5)
    assert subscriber.connect("s", False, properties=KEPT).session_present
    last = broker.client(5)
    last.connect("last")
    assert last.publish("t", b"last", 2).reason == 0
    seen = []
    while (payload := subscriber.receive_message().payload) != b"last":
        if payload != b"1":
            seen.append(payload)
    assert sorted(seen) == sorted(recorded)
    broker.end()
