"""How sessions end, where that meets a client that comes back."""

import pytest

from formats.mqtt.connect import Connack
from formats.mqtt.properties import SESSION_EXPIRY_INTERVAL
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.harness.site import Site
from tests.threads.peers import Peer, run_round, settle

TEN_S = {SESSION_EXPIRY_INTERVAL: 10}


@pytest.fixture
def site():
    return Site("memory", listeners=2)


def waiting_session(site):
    """A session on the first worker whose client is gone, with one subscription."""
    peer = Peer(site, 0)
    peer.connect("client", properties=TEN_S)
    peer.send(Subscribe(1, [Subscription("a", 1)]))
    peer.leave()
    settle(site, [peer])
    (session,) = site.context.registry.all()
    return session


@pytest.mark.parametrize("first", ["claim", "expiry"])
@pytest.mark.parametrize("clean", [True, False])
def test_a_session_that_is_due_to_end_while_its_client_comes_to_another_worker(site, first, clean):
    old = waiting_session(site)
    site.clock.advance(10)
    peer = Peer(site, 1)
    peer.connect("client", properties=TEN_S, clean_start=clean)
    if first == "claim":
        run_round(site.workers[1], [peer])
    else:
        run_round(site.workers[0], [peer])
    settle(site, [peer])
    (connack,) = peer.got(Connack)
    (session,) = site.context.registry.all()
    assert connack.session_present == (session is old)
    assert session.connection is peer.wire.connection
    assert site.context.tree.count == len(session.subscriptions) == connack.session_present


def test_a_session_that_moves_takes_its_end_along(site):
    session = waiting_session(site)
    peer = Peer(site, 1)
    peer.connect("client", properties=TEN_S)
    peer.leave()
    settle(site, [peer])
    assert session.worker is site.workers[1]
    site.clock.advance(9)
    settle(site, [peer])
    assert not session.ended
    site.clock.advance(1)
    settle(site, [peer])
    assert session.ended
    assert site.context.registry.all() == []
    assert site.context.tree.count == 0


def test_a_worker_that_is_told_late_of_a_session_leaves_it_to_the_next_owner(site):
    session = waiting_session(site)
    timers = session.timers
    session.worker = site.workers[1]
    site.context.lifetime.adopt(session, site.workers[0])
    assert session.timers == timers


def test_no_timer_keeps_a_connection_that_is_closed(site):
    peer = Peer(site, 0)
    peer.connect("client", keep_alive_s=65_535)
    settle(site, [peer])
    peer.leave()
    settle(site, [peer])
    assert peer.accepted
    connection = peer.wire.connection
    waits = [timer[2] for timer in site.workers[0].timers.heap]
    assert not any(getattr(call, "__self__", None) is connection for call in waits)


@pytest.mark.parametrize("keep_alive_s", [5, 300])  # before the CONNECT had to be there, and after
def test_one_timer_waits_for_the_connect_and_then_for_silence(keep_alive_s):
    site = Site("memory", "connect_timeout_s 30")
    client = site.client(4)
    timers = site.workers[0].timers
    client.connect(keep_alive_s=keep_alive_s)
    connection = client.wire.connection
    site.advance(1)

    def waiting():
        return [one for one in timers.heap if getattr(one[2], "__self__", None) is connection]

    assert len(waiting()) == 1
    site.advance(1.5 * keep_alive_s - 1.5)
    assert not connection.ended
    assert len(waiting()) == 1
    site.advance(1)
    assert connection.ended
    assert not waiting()
    site.close()


def test_no_keep_alive_needs_no_timer():
    site = Site("memory")
    client = site.client(4)
    client.connect(keep_alive_s=0)
    connection = client.wire.connection
    calls = [one[2] for one in site.workers[0].timers.heap]
    assert not any(getattr(call, "__self__", None) is connection for call in calls)
    site.advance(1e6)
    assert not connection.ended
    site.close()
