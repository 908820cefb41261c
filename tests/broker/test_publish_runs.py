"""PUBLISH packets that come many at once: the same becomes of them as of one after the other.

Two brokers get the same packets, one in bursts, the other each by itself; and among those who are
due them are some for whom nothing can be short.
"""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.handlers import publish_runs
from broker.handlers.conduct_checks import LONG_WAYS
from broker.session.states import AWAITS_PUBACK, AWAITS_PUBCOMP
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.codec import encode
from formats.mqtt.publish import Publish
from tests.broker.side import Side, with_needless_byte

ANSWER = {AWAITS_PUBACK: Puback, AWAITS_PUBCOMP: Pubcomp}
TOPICS = ("t", "u", "t/long")
RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE = 0x21, 0x27


class Crowd(Side):
    """A publisher, and whoever is asked for."""

    def join(self, kind):
        version = self.version
        if kind == "plain":
            self.joined("plain").subscribe("#", qos=2)
        elif kind == "qos 1":
            self.joined("qos 1").subscribe("t", "u", qos=1)
        elif kind == "other version":
            self.joined("other", 9 - version).subscribe("t", qos=2)
        elif kind == "slow":
            self.joined("slow", 5, properties={RECEIVE_MAXIMUM: 5}).subscribe("#", qos=2)
        elif kind == "small":
            limit = {MAXIMUM_PACKET_SIZE: 20}
            self.joined("small", 5, properties=limit).subscribe("#", qos=2)
        elif kind == "identified":
            self.joined("identified", 5).subscribe("#", qos=2, identifier=7)
        elif kind == "overlapping":
            client = self.joined("overlapping")
            client.subscribe("t", qos=1)
            client.subscribe("#", qos=2)
        elif kind == "elsewhere":
            self.joined("elsewhere", listener=1).subscribe("#", qos=2)
        elif kind == "kept":
            self.joined("kept", kept=True).subscribe("#", qos=2)
        elif kind == "away":
            client = self.joined("away", kept=True)
            client.subscribe("#", qos=2)
            client.drop()
            del self.clients["away"]  # its connection has no session any more
        elif kind == "shared":
            for name in ("one", "two"):
                self.joined(name).subscribe("$share/g/t", qos=1)
        elif kind == "shared and plain":
            client = self.joined("both")
            client.subscribe("$share/g/t", "t", qos=1)

    def away(self):
        """What waits for who is not there."""
        session = self.site.context.registry.find("away")
        return session and [one.message.payload for one in session.queue]


KINDS = (
    "plain",
    "qos 1",
    "other version",
    "slow",
    "small",
    "identified",
    "overlapping",
    "elsewhere",
    "kept",
    "away",
    "shared",
    "shared and plain",
)


class Publishing:
    """Drawn numbers turned into PUBLISH packets."""

    def __init__(self, version):
        self.version = version
        self.last_id = 0

    def packets(self, parts):
        packets = []
        for qos, topic, count, size, oddity in parts:
            for place in range(count):
                self.last_id = self.last_id % 65_535 + 1
                payload = bytes((48 + (self.last_id + place) % 70,)) * size
                publish = Publish(TOPICS[topic], payload, qos, packet_id=self.last_id if qos else 0)
                odd = oddity and place == count // 2
                if odd and oddity == "retain":
                    publish.retain = True
                elif odd and oddity == "property" and self.version == 5:
                    publish.properties = {0x03: "x"}
                    publish.payload = payload[: max(0, size - 4)]  # of the same length
                elif odd and oddity == "id again" and qos and self.last_id > 1:
                    publish.packet_id = self.last_id - 1
                elif odd and oddity == "id skipped":
                    self.last_id = self.last_id % 65_535 + 1
                packet = encode(publish, self.version)
                if odd and oddity == "needless byte" and self.version == 4:
                    packet = with_needless_byte(packet)
                if odd and oddity == "no id" and qos:
                    at = len(packet) - len(payload) - 2 - (self.version == 5)
                    packet = packet[:at] + b"\0\0" + packet[at + 2 :]
                packets.append(packet)
        return packets


ODD = ("retain", "property", "id again", "id skipped", "no id", "needless byte")
ODDITIES = st.sampled_from((None,) * 6 + ODD)
PARTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from((0, 0, 0, 1, 2)),
        st.integers(1, 9),
        st.sampled_from((8, 8, 8, 0, 130, 1_200)),
        ODDITIES,
    ),
    min_size=1,
    max_size=6,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), PARTS),
        st.tuples(st.just("release"), st.integers(0, 20)),
        st.tuples(st.just("acknowledge"), st.integers(0, 30)),
    ),
    min_size=2,
    max_size=12,
)
PLAIN = ("publish", [(1, 0, 9, 8, None)])


def compare(version, kinds, steps, first, durable=False, configuration=""):
    sides = [Crowd(version, burst, configuration, 2, durable) for burst in (True, False)]
    for side in sides:
        for kind in kinds:
            side.join(kind)
    publishing = Publishing(version)
    opening = [("publish", [(qos, 0, LONG_WAYS + 2, 8, None)]) for qos in (1, 2)]
    acknowledged = [("release", 1_000), *[("acknowledge", 1_000)] * 3]
    for place, (verb, argument) in enumerate([*opening, *acknowledged, *steps, *acknowledged]):
        if place == 6 and first:
            publishing.last_id = first
            for side in sides:
                for name in set(side.clients) - {"from"}:
                    side.session(side.clients[name]).last_packet_id = first
        said = []
        if verb == "publish":
            said.append(("from", publishing.packets(argument)))
        elif verb == "release":
            ids = list(sides[0].session(sides[0].publisher).received)[:argument]
            said.append(("from", [Pubrel(one) for one in ids]))
        else:
            for name in sides[0].clients:
                session = sides[0].session(sides[0].clients[name])
                said.append(
                    (
                        name,
                        [
                            ANSWER.get(session.inflight[packet_id].state, Pubrec)(packet_id)
                            for packet_id in list(session.inflight)[:argument]
                        ],
                    )
                )
        for name, packets in said:
            for side in sides:
                if packets:
                    side.say(side.clients[name], packets)
        burst, each = ([*side.seen(), side.away()] for side in sides)
        assert burst == each
        if any(client.wire.connection.ended for client in sides[0].clients.values()):
            break
    for side in sides:
        side.site.close()


@pytest.mark.parametrize("version", [4, 5])
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@example(kinds=["plain"], steps=[PLAIN, ("publish", [(1, 0, 9, 8, "id again")])], first=65_530)
@example(kinds=["plain"], steps=[("publish", [(2, 0, 9, 8, "no id")])], first=0)
@example(kinds=["slow", "plain", "away"], steps=[PLAIN, PLAIN], first=0)
@example(kinds=[], steps=[PLAIN, ("publish", [(2, 0, 9, 8, None)])], first=0)
@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=4, unique=True),
    steps=STEPS,
    first=st.sampled_from((0, 0, 65_500)),
)
def test_a_burst_is_as_good_as_one_after_the_other(version, kinds, steps, first):
    compare(version, kinds, steps, first)


@pytest.mark.parametrize("version", [4, 5])
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    kinds=st.lists(st.sampled_from(("kept", "away", "plain", "slow")), max_size=3, unique=True),
    steps=STEPS,
)
def test_what_becomes_durable_is_the_same(version, kinds, steps):
    compare(version, kinds, steps, 0, durable=True)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    "configuration",
    [
        "max_inflight_messages 20",
        "upgrade_outgoing_qos true",
        "max_qos 1",
        "max_queued_bytes 20000",
        "global_max_queued_bytes 30000",
    ],
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_limits_are_those_of_one_after_the_other(version, configuration, steps):
    compare(version, ["plain", "qos 1", "kept"], steps, 0, configuration=configuration)


@pytest.mark.parametrize("qos", [0, 1])
def test_what_looks_like_the_next_of_a_run_may_be_another_packet(qos):
    """A Remaining Length with a needless byte, and behind it what begins like its second byte."""
    side = Side(4, True)
    topic = b"t" * (0x60 - 2 - 2 * bool(qos))
    body = len(topic).to_bytes(2, "big") + topic + b"\0\x01"[: 2 * bool(qos)]
    assert len(body) == 0x60
    long_way = [Publish(topic.decode(), b"", 1, packet_id=one) for one in range(2, LONG_WAYS + 4)]
    side.say(side.publisher, long_way)
    side.say(side.publisher, [bytes((0x30 | qos << 1, 0xE0, 0)) + body, b"\xe0\0", body])
    connection = side.publisher.wire.connection
    assert connection.ended
    assert [rule.v3 for _, rule in connection.conduct.record.breaches] == ["MQTT-3.14.4-2"]
    side.site.close()


def test_copies_for_overlapping_filters_stay_beside_one_another():
    side = Side(5, True, "allow_duplicate_messages true")
    client = side.joined("to")
    client.subscribe("t", qos=0)
    client.subscribe("#", qos=0)
    side.say(side.publisher, [Publish("t", b"%d" % number) for number in range(5)])
    side.say(side.publisher, [Publish("t", b"%d" % number) for number in range(5, 9)])
    payloads = [client.receive(Publish).payload for _ in range(18)]
    assert payloads == [b"%d" % (place // 2) for place in range(18)]
    side.site.close()


@pytest.mark.parametrize("qos", [1, 2])
def test_what_no_run_takes_is_not_looked_at_again_and_again(monkeypatch, qos):
    """Otherwise a burst could take the square of its time."""
    looks = []
    original = publish_runs._follow

    def counted(*arguments):
        for at in original(*arguments):
            looks.append(at)
            yield at

    monkeypatch.setattr(publish_runs, "_follow", counted)
    side = Side(4, True)
    ids = range(1, LONG_WAYS + 2)
    side.say(side.publisher, [Publish("t", b"", qos, packet_id=one) for one in ids])
    side.say(side.publisher, [Publish("t", b"", qos, packet_id=LONG_WAYS + 9)] * 100)
    assert len(looks) <= 100
    side.site.close()
