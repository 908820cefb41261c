"""A bug of the broker ends one connection, with 0x83, and leaves a traceback in the log.

Each place gets an exception that nobody expects; what it does to others is looked at from two
listeners. Afterwards everything is usable again: a lock that stayed taken would stop them.
"""

import logging

import pytest

from broker.connection import Connection
from broker.handlers import subscribe
from broker.lifetime import Lifetime
from broker.session.session import Session
from broker.topics.retained import RetainedStore
from broker.topics.tree import SubscriptionTree
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Disconnect
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription, Unsubscribe
from tests.hostile.support import Bystanders

IMPLEMENTATION_SPECIFIC_ERROR = 0x83
SURPRISE = "nobody expected this"

# Of the places that take a lock, what is called while it is taken.
PLACES = {
    "PUBLISH": (SubscriptionTree, "_resolve", Publish("victim/topic", b"", 1, False, False, 1)),
    "PUBLISH, retained": (
        RetainedStore,
        "_set",
        Publish("victim/retained", b"1", 1, True, False, 1),
    ),
    "SUBSCRIBE": (SubscriptionTree, "_forget", Subscribe(1, [Subscription("victim/#", 1)])),
    "SUBSCRIBE, retained": (
        RetainedStore,
        "_current",
        Subscribe(1, [Subscription("victim/retained", 1)]),
    ),
    "UNSUBSCRIBE": (SubscriptionTree, "unsubscribe", Unsubscribe(1, ["victim/there"])),
}


class SurpriseError(Exception):
    pass


@pytest.fixture
def broken(monkeypatch):
    """`broken(owner, name, times)` has a function raise when it is called, the first time."""

    def break_it(owner, name, times=1):
        original = getattr(owner, name)
        left = [times]

        def raising(*args, **options):
            if left[0]:
                left[0] -= 1
                raise SurpriseError(SURPRISE)
            return original(*args, **options)

        monkeypatch.setattr(owner, name, raising)

    return break_it


@pytest.fixture
def tracebacks(caplog):
    """How many tracebacks the log has."""
    caplog.set_level(logging.ERROR, "touchstone")

    def count():
        return sum(SURPRISE in (record.exc_text or "") for record in caplog.records)

    return count


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("place", PLACES)
def test_of_a_handler(site, broken, tracebacks, place, version):
    broker = site(listeners=2)
    others = [Bystanders(broker, listener) for listener in (0, 1)]
    victim = broker.client(version)
    watcher = broker.client()
    watcher.connect("watcher")
    watcher.subscribe("will")
    victim.connect("victim", will=Will("will", b"it is over"))
    victim.subscribe("victim/there")
    owner, name, packet = PLACES[place]
    broken(owner, name)
    victim.send(packet)
    ends = [one.reason for one in victim.wait_closed() if isinstance(one, Disconnect)]
    assert ends == ([IMPLEMENTATION_SPECIFIC_ERROR] if version == 5 else [])
    assert tracebacks() == 1
    assert watcher.receive_message().payload == b"it is over"
    for bystanders in others:
        bystanders.check()
    again = broker.client(version)
    assert again.connect("victim").reason == 0
    for _ in range(2):
        again.publish("victim/retained", b"1", 1, retain=True)
        again.subscribe("victim/retained", "victim/#", qos=1)
        assert {one.payload for one in again.receive_messages()} == {b"1"}
        again.unsubscribe("victim/retained", "victim/#")
    again.disconnect()
    assert tracebacks() == 1


@pytest.mark.parametrize("version", [3, 4, 5])
def test_of_connect(site, broken, tracebacks, version):
    """The client has not been greeted: 5.0 has 0x83 in a CONNACK, 3.x no code for it."""
    broker = site()
    bystanders = Bystanders(broker)
    broken(Session, "attach")
    victim = broker.client(version)
    victim.send(*connect_of(version))
    packets = victim.wait_closed()
    assert [(type(one), one.reason) for one in packets] == (
        [(Connack, IMPLEMENTATION_SPECIFIC_ERROR)] if version == 5 else []
    )
    assert tracebacks() == 1
    bystanders.check()
    assert broker.client(version).connect("victim").reason == 0


def connect_of(version, clean_start=True):
    return (Connect(version, "victim", clean_start, 0),)


# What goes wrong where the old connection is with the same listener, and where it is not.
STEPS = {
    "the old owner ends the old connection": (Connection, "disconnect"),
    "the old owner lets it go": (Session, "move"),
    "the old owner detaches it": (Lifetime, "disconnected"),
    "the new owner opens it": (Session, "attach"),
    "the new owner greets": (Connection, "settle_plain"),
    "the new owner sends what waits": (Session, "resume"),
}
NO_MOVE = "the old owner lets it go", 0


class TestTakeover:
    """The session is with the other listener when something goes wrong."""

    @pytest.mark.parametrize(
        ("step", "listener"),
        [(step, place) for step in STEPS for place in (0, 1) if (step, place) != NO_MOVE],
    )
    def test_nobody_waits_for_ever(self, site, broken, tracebacks, step, listener):
        broker = site(listeners=2)
        others = [Bystanders(broker, place) for place in (0, 1)]
        old = broker.client(5, 0)
        old.resume("victim")
        old.subscribe("victim/topic", qos=1)
        waits = step == "the new owner sends what waits"
        if waits:
            old.publish("victim/topic", b"0", 1)  # which it does not acknowledge
        new = broker.client(5, listener)
        broken(*STEPS[step])
        new.send(*connect_of(5, not waits))
        packets = new.wait_closed()
        assert packets, "it was not told"
        assert packets[-1].reason == IMPLEMENTATION_SPECIFIC_ERROR
        assert isinstance(packets[-1], Connack | Disconnect)
        assert tracebacks() >= 1
        for bystanders in others:
            bystanders.check()
        for place in (1 - listener, listener):  # the client id is not lost
            again = broker.client(5, place)
            assert again.connect("victim", clean_start=False).reason == 0
            again.subscribe("victim/topic", qos=1)
            again.publish("victim/topic", b"1", 1)
            assert again.receive_message().payload == b"1"
        again.disconnect()
        for bystanders in others:
            bystanders.check()


def test_of_the_writing_of_answers(site, broken, tracebacks):
    broker = site()
    bystanders = Bystanders(broker)
    victim = broker.client()
    victim.connect("victim")
    broken(Connection, "sending")
    victim.send("c0 00")  # PINGREQ
    assert victim.closed_with() == IMPLEMENTATION_SPECIFIC_ERROR
    assert tracebacks() == 1
    bystanders.check()


def test_of_what_waits_for_the_disk(site, broken, tracebacks, tmp_path):
    """The SUBACK of a session that is kept is sent by a call of the writer."""
    broker = site(f"persistence true\npersistence_location {tmp_path}")
    bystanders = Bystanders(broker)
    victim = broker.client()
    victim.resume("victim")
    broken(subscribe, "_send_retained")
    victim.subscribe("victim/#", qos=1)
    assert victim.closed_with() == IMPLEMENTATION_SPECIFIC_ERROR
    assert tracebacks() == 1
    bystanders.check()


def test_of_a_timer(site, broken, tracebacks):
    broker = site()
    bystanders = Bystanders(broker)
    victim = broker.client()
    victim.connect("victim", keep_alive_s=10)
    broken(Connection, "_silence")
    broker.advance(15)
    assert victim.closed_with() == IMPLEMENTATION_SPECIFIC_ERROR
    assert tracebacks() == 1
    bystanders.check()
