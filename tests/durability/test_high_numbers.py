"""Sessions and messages are numbered for as long as the database lives: high numbers are like any.

A broker that starts numbers on behind what its database holds; the first one here is told that it
holds high numbers, the next ones find them.
"""

import pytest

from broker.keeping import Keeping
from formats.mqtt.acks import Pubcomp, Pubrec, Pubrel
from formats.mqtt.publish import Publish
from persistence.records import MESSAGES, OUTGOING, RECEIVED, SESSIONS, SUBSCRIPTIONS
from tests.durability.site import CRASHED, STOPPED

KEPT = {0x11: 3600}
PACKET_ID = 65_535  # the highest; the key of a QoS 2 message has it beside the session's number
HIGH_PLACE = 1 << 40


@pytest.fixture
def high(sites, monkeypatch):
    """A broker whose next session has the number behind this one."""

    def start(number):
        start_after = Keeping.start_after

        def start_high(keeping, session_number, place):
            start_after(keeping, max(session_number, number), max(place, HIGH_PLACE))

        with monkeypatch.context() as patch:
            patch.setattr(Keeping, "start_after", start_high)
            return sites()

    return start


def kept(site, client_id, listener=0):
    client = site.client(5, listener)
    connack = client.connect(client_id, False, properties=KEPT)
    assert connack.reason == 0
    client.present = connack.session_present
    return client


@pytest.mark.parametrize("ending", [STOPPED, CRASHED])
@pytest.mark.parametrize("highest", [8_000_000, (1 << 23) - 2, (1 << 32) - 2, (1 << 46) - 2])
def test_sessions_with_high_numbers_keep_their_messages(high, sites, ending, highest):
    site = high(highest)
    names = [f"s{number}" for number in range(4)]
    released = {}
    for name in names:
        client = kept(site, name)
        assert not client.present
        client.subscribe(f"{name}/+", qos=2)
        client.send(Publish(f"{name}/own", name.encode(), 2, packet_id=PACKET_ID))
        released[name] = client.receive_skipping(Publish).packet_id
        client.receive(Pubrec)
        client.send(Pubrec(released[name]))
        client.receive(Pubrel)
        client.drop()
    publisher = site.client(4)
    publisher.connect("p")
    for name in names:
        for number in range(3):
            publisher.publish(f"{name}/queued", b"%s %d" % (name.encode(), number), 1)
    numbers = {session.client_id: session.number for session in site.context.registry.all()}
    assert [numbers[name] for name in names] == list(range(highest + 1, highest + 5))

    for round_number in range(2):  # the second has nothing left to deliver
        for client in site.clients:
            client.drop()
        site = sites.next(ending)
        for name in names:
            client = kept(site, name, 1)
            assert client.present
            if round_number:
                client.nothing()
                continue
            assert client.receive(Pubrel).packet_id == released[name]
            client.send(Pubcomp(released[name]))
            client.send(Publish(f"{name}/own", b"again", 2, dup=True, packet_id=PACKET_ID))
            messages = [client.receive_skipping(Publish) for _ in range(3)]
            expected = [b"%s %d" % (name.encode(), number) for number in range(3)]
            assert [message.payload for message in messages] == expected
            for message in messages:
                client.acknowledge(message)
            assert client.receive(Pubrec).packet_id == PACKET_ID
            client.send(Pubrel(PACKET_ID))
            assert client.receive(Pubcomp).reason == 0
            client.nothing()
    late = kept(site, "late")  # behind those that the database held
    late.drop()
    (number,) = (one.number for one in site.context.registry.all() if one.client_id == "late")
    assert number == highest + 5
    folder = site.folder
    for table, count in ((SUBSCRIPTIONS, 4), (OUTGOING, 0), (RECEIVED, 0), (MESSAGES, 0)):
        assert len(site.rows(table)) == count
        site = sites(folder=folder)
    assert sorted(site.rows(SESSIONS)) == [*(numbers[name] for name in names), number]
