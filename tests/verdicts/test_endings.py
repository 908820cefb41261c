"""How connections end: who closes, and what comes too late."""

import socket
import threading

import pytest

from broker.listeners.loop import DRAIN_S
from formats.mqtt import rules
from formats.mqtt.acks import Pubcomp
from formats.mqtt.control import Disconnect, Pingreq
from tests.harness import site
from tests.harness.clock import ManualClock
from tests.harness.wires import DEADLINE_S
from tests.verdicts.deliveries import publish
from tests.verdicts.support import NAMES, Stage, ended

ANY = pytest.mark.parametrize("version", [3, 4, 5], ids=NAMES.get)
TRANSPORT = pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])


@pytest.fixture
def stage(request, pki):
    stages = []

    def make(version, transport="tcp", configuration=""):
        stages.append(Stage(version, configuration, transport, pki=pki))
        return stages[-1]

    yield make
    for one in stages:
        one.site.close()


@ANY
@TRANSPORT
def test_breaking_not_closed_after_own_disconnect(stage, version, transport):
    broker = stage(version, transport)
    one = broker.client()
    one.send(Disconnect())
    one.wait_closed()
    broker.site.advance(DRAIN_S)
    ended(broker)
    (violation,) = broker.violations()
    assert violation["summary"] == rules.NOT_CLOSED_AFTER_OWN_DISCONNECT.summary
    assert violation["first"]["bytes"] == ""


@ANY
@TRANSPORT
def test_keeping_not_closed_after_own_disconnect(stage, version, transport):
    broker = stage(version, transport)
    for wait in (True, False):
        one = broker.client()
        one.send(publish(1), Disconnect())
        if wait:
            one.wait_closed()
        one.wire.close()
        ended(broker)
    assert broker.violations() == []


class HeldUp(ManualClock):
    """A clock at which the thread of a listener can be held up, with what it found to read."""

    def __init__(self):
        super().__init__()
        self.held, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()

    def now(self):
        if not self.goes_on.is_set() and threading.current_thread().name.startswith("listener"):
            self.held.set()
            assert self.goes_on.wait(DEADLINE_S)
        return super().now()


@TRANSPORT
def test_who_closed_while_the_broker_was_held_up_is_not_blamed(stage, transport, monkeypatch):
    monkeypatch.setattr(site, "ManualClock", HeldUp)
    broker = stage(5, transport)
    one, clock = broker.client(), broker.site.clock
    one.send(Disconnect())
    one.wait_closed()
    clock.goes_on.clear()
    broker.site.broker.nudge()
    assert clock.held.wait(DEADLINE_S)
    one.wire.close()
    clock.advance(DRAIN_S)
    clock.goes_on.set()
    ended(broker)
    assert broker.violations() == []


@TRANSPORT
def test_breaking_not_closed_after_disconnect(stage, transport):
    broker = stage(5, transport, "conformance enforce")
    one = broker.client()
    one.send(Pubcomp(7))
    one.wait_closed()
    broker.site.advance(DRAIN_S)
    ended(broker)
    assert set(broker.summaries()) == {
        rules.PUBCOMP_UNKNOWN.summary,
        rules.NOT_CLOSED_AFTER_DISCONNECT.summary,
    }


@TRANSPORT
def test_keeping_not_closed_after_disconnect(stage, transport):
    broker = stage(5, transport)
    one = broker.client("c")
    broker.client("c")  # takes over
    one.send(Pingreq())  # which was under way when the DISCONNECT came
    one.wait_closed()
    one.drop()
    assert broker.violations() == []


def test_who_cannot_have_read_the_disconnect_is_not_blamed(stage):
    broker = stage(5)
    one = broker.client("c")
    one.subscribe("t")
    one.wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    other = broker.client("other")
    for _ in range(12):
        other.publish("t", b"x" * 900_000)
    connection = next(iter(broker.site.broker._listeners[0]._open.values()))
    assert connection.transport.unsent, "the network has taken all of it"
    broker.client("c")  # takes over; the DISCONNECT is behind what is not read
    broker.site.advance(DRAIN_S)
    assert broker.violations() == []


@pytest.mark.parametrize("leaves", [True, False], ids=["just left", "stays"])
def test_who_is_there_when_the_broker_stops_has_had_no_time_to_close(stage, leaves):
    broker = stage(5)
    one = broker.client()
    if leaves:
        one.send(Disconnect())
        one.wait_closed()
    broker.site.broker.stop()
    (client,) = broker.site.broker.report(True)["clients"]
    assert client["violations"] == []


@ANY
def test_packets_that_follow_a_disconnect_in_another_segment(stage, version):
    broker = stage(version)
    one = broker.client()
    one.send(Disconnect())
    broker.site.settle()
    one.send(Pingreq())
    broker.site.settle()
    one.wire.close()
    ended(broker)
    (violation,) = broker.violations()
    assert violation["summary"] == rules.PACKET_AFTER_DISCONNECT.summary
    assert violation["first"]["bytes"] == "c000"
