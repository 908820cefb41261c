"""With a database acknowledgements wait until they are durable: a client that takes a packet id
again the moment its acknowledgement arrives is in order."""

import pytest

from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.control import Disconnect
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from tests.durability.site import DurableSite
from tests.verdicts.deliveries import publish, say
from tests.verdicts.support import NAMES, Stage

WINDOW, ROUNDS = 8, 240
KEPT = {0x11: 3600}


class DurableStage(Stage):
    def __init__(self, version, folder):
        self.version = version
        self.site = DurableSite(folder, more=f"receive_maximum {WINDOW}")


@pytest.fixture(params=[3, 4, 5], ids=NAMES.get)
def stage(request, tmp_path):
    """A broker with a database; the report has no violation at the end of the test."""
    pytest.importorskip("ZODB")
    with DurableStage(request.param, tmp_path) as one:
        yield one
        assert one.violations() == []


@pytest.fixture
def reader(stage):
    """A session that outlives its connections and has everything published, so that it must be
    durable."""
    one = stage.client("reader", kept=True)
    one.subscribe("t", qos=2)
    one.drop()


def pipeline(one, kinds):
    """Keep as many requests on their way as may be, each with an id that was free just now."""
    ids = list(range(1, WINDOW + 1))
    begun = 0
    while begun < ROUNDS or len(ids) < WINDOW:
        packets = []
        while ids and begun < ROUNDS:
            packets.append(kinds[begun % len(kinds)](ids.pop()))
            begun += 1
        if packets:
            one.send(*packets)
        answer = one.receive()
        if isinstance(answer, Pubrec):
            one.send(Pubrel(answer.packet_id))
        elif isinstance(answer, Puback | Pubcomp | Suback | Unsuback):
            ids.append(answer.packet_id)


def subscribe(packet_id):
    return Subscribe(packet_id, [Subscription("s")])


def unsubscribe(packet_id):
    return Unsubscribe(packet_id, ["s"])


def publish_qos_2(packet_id):
    return publish(packet_id, 2)


@pytest.mark.parametrize(
    "kinds",
    [
        (publish,),
        (publish_qos_2,),
        (publish, publish_qos_2),
        (publish, subscribe, publish, unsubscribe),
        (publish, publish_qos_2, subscribe, unsubscribe),
    ],
    ids=lambda kinds: "+".join(kind.__name__ for kind in kinds),
)
@pytest.mark.parametrize("kept", [False, True], ids=["clean", "kept"])
def test_ids_are_taken_again_at_once(stage, reader, kinds, kept):
    one = stage.client("writer", kept)
    pipeline(one, kinds)
    one.disconnect()


def test_a_session_goes_on_after_a_restart(stage):
    one = stage.client("writer", kept=True)
    say(one, publish(1, 2), publish(2, 2))
    assert [one.receive(Pubrec).packet_id for _ in range(2)] == [1, 2]
    one.drop()
    stage.site = stage.site.next("stopped")
    one = stage.client("writer", kept=True)
    say(one, publish(1, 2, True), publish(2, 2, True))
    say(one, Pubrel(1), Pubrel(2), publish(3))
    assert one.receive_skipping(Puback).packet_id == 3
    one.send(Disconnect())
    one.wait_closed()


def test_a_crash_that_forgets_what_was_acknowledged_is_not_the_client_s_fault(stage):
    one = stage.client("reader", kept=True)
    one.subscribe("t", qos=1)
    other = stage.client("writer")
    for _ in range(3):
        other.publish("t", b"", 1)
    ids = [one.receive(Publish).packet_id for _ in range(3)]
    stage.site = stage.site.next("crashed")
    one = stage.client("reader", kept=True)
    again = [one.receive(Publish) for _ in range(3)]
    assert [packet.packet_id for packet in again] == ids
    say(one, *(Puback(packet_id) for packet_id in ids))
    one.send(Disconnect())
    one.wait_closed()
