"""Clients that come and go, on two listeners and in every version, and strangers that send rubbish.

`Machine` is a state machine of Hypothesis. Some clients do everything right; some acknowledge in
the wrong order, or what nobody sent, or break a rule for good; strangers send packets that are
nearly valid, frames of WebSocket, and bytes. `owed.Debts` says what is due to whom.

Always true: only who broke a rule is disconnected; what comes is owed, in order, with DUP where it
has to be, within the Receive Maximum, and at QoS 2 once; nothing is logged as a mistake of ours. In
the end everything owed has come, nobody who did everything right is in the report, the report fits
its schema, and of all that there was nothing is left.
"""

import gc
import sys
from collections import Counter
from contextlib import ExitStack

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.connection import Connection
from broker.message import Message
from broker.session.outgoing import Outgoing
from broker.session.session import Session, Subscription
from formats.http import upgrade_request
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connect, Will
from formats.websocket import BINARY, encode_frame
from tests.fuzz.conversation import (
    OPTIONS,
    assert_nothing_left,
    complaints,
    end_connection,
    report_of,
    violations_of,
)
from tests.fuzz.damage import VALID, changes, damaged, nearly_valid
from tests.fuzz.owed import Debts
from tests.fuzz.peer import Peer
from tests.harness.site import Site

RIGHT = ("right-1", "right-2")
WRONG = ("wrong-1", "wrong-2")
TOPICS = ("owed/1", "owed/2", "owed/2/3")
FILTERS = ("owed/#", "owed/+", "owed/1", "owed/2", "+/2/3")
KEPT_3_S = RETAINED_S = 3600  # as in OPTIONS
KEEP_ALIVE_S = 60
UNKNOWN_ID = 60_000  # the first packet id that is never in use
STRANGERS = 4  # at once
COUNTED = (Connection, Session, Message, Outgoing, Subscription)
TOO_LARGE = b"\x30\xd1\x0f"  # of 2,003 bytes, three more than OPTIONS allow
# What ends a connection of any version.
OFFENCES = (
    b"\x00\x00",
    b"\x36\x05\x00\x01a\x00\x01",
    b"\x30\xff\xff\xff\xff\x01",
    b"\x20\x02\x00\x00",
    b"\x82\x00",
    b"\x30\x03\x00\x01#",
    b"\x32\x05\x00\x01a\x00\x00",
    TOO_LARGE,
    bytes.fromhex("10 0d 0004 4d515454 04 02 0000 0001 78"),
)

clients = st.sampled_from(RIGHT + WRONG)
wrong = st.sampled_from(WRONG)
versions = st.sampled_from((3, 4, 5))
levels = st.integers(0, 2)
pieces = st.one_of(
    nearly_valid(),
    st.sampled_from(VALID),
    st.tuples(st.just(0), st.binary(max_size=60)),
)


def counted():
    """How many there are of what must not stay, anywhere in the process."""
    gc.collect()
    counts = Counter(map(type, gc.get_objects()))
    return {kind.__name__: counts[kind] for kind in COUNTED}


class Machine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self):
        super().__init__()
        self._stack = ExitStack()
        self.complaints = self._stack.enter_context(complaints())
        self.before = counted()
        self.site = Site("memory", OPTIONS, 2)
        self.debts = Debts(self.site.clock.now(), RETAINED_S)
        self.peers = {name: Peer(self.site, name) for name in RIGHT + WRONG}
        self.terms = {}  # of each connection: its will and keep alive
        self.outstanding = {}  # of each connection: packet ids, and how many there may be
        self.strangers = []  # (wire, protocol level, whether it talks WebSocket)
        self.count = 0

    # The model and the broker, step by step.

    def payload(self):
        self.count += 1
        return b"owed %d" % self.count

    def ended(self, name, publishes_will=True):
        """The connection of a client is over, whoever ended it."""
        will = self.terms.pop(name)[0]
        self.outstanding.pop(name)
        self.debts.disconnect(name, will if publishes_will else None)

    def read(self, name):
        """Have a client look at what came."""
        self.check_read(name, self.peers[name].read())

    def check_read(self, name, new):
        session = self.debts.sessions[name]
        ids, maximum = self.outstanding[name]
        for publish in new:
            note(f"{name} got {publish}")
            session.came(publish)
            if publish.qos:
                ids.add(publish.packet_id)
        ids.update(one.packet_id for one in self.peers[name].owed if isinstance(one, Pubrec))
        assert not maximum or len(ids) <= maximum, f"{len(ids)} of {maximum}"
        assert not session.at_most_once, f"did not come: {session.at_most_once}"

    def acknowledge(self, name, place=0):
        """Have a client send one acknowledgement that it owes."""
        peer, session = self.peers[name], self.debts.sessions[name]
        packet, new = peer.acknowledge_one(place)
        if isinstance(packet, Puback):
            session.acknowledged(packet.packet_id)
        if not isinstance(packet, Pubrec):
            self.outstanding[name][0].discard(packet.packet_id)
        self.check_read(name, new)

    def catch_up(self, name):
        """Nothing is left to come to a client that reads and acknowledges."""
        self.read(name)
        while self.peers[name].owed:
            self.acknowledge(name)
        assert not self.debts.sessions[name].owed, f"{name} did not get all"

    def connected(self, name):
        """The client, who comes if it is not there."""
        peer = self.peers[name]
        if not peer.connected:
            self.connect(name, peer.version or 5, False, 3000, 0, None, 0, False, True)
        return peer

    # Clients.

    @initialize(
        some=st.lists(
            st.tuples(clients, versions), min_size=2, max_size=4, unique_by=lambda x: x[0]
        )
    )
    def begin(self, some):
        """Most of what may happen needs somebody who is there."""
        for name, version in some:
            self.connect(name, version, False, 100, 0, None, 0, False, True)
            self.subscribe(name, "owed/#", 2, False)

    @rule(
        name=clients,
        version=versions,
        clean=st.booleans(),
        expiry_s=st.sampled_from((0, 100, 3000)),
        receive_maximum=st.sampled_from((0, 0, 1, 2)),
        will=st.none() | st.tuples(st.sampled_from(TOPICS), levels, st.booleans()),
        listener=st.integers(0, 1),
        keep_alive=st.booleans(),
        goes_on=st.booleans(),
    )
    def connect(
        self, name, version, clean, expiry_s, receive_maximum, will, listener, keep_alive, goes_on
    ):
        peer = self.peers[name]
        if version != 5:
            expiry_s = 0 if clean else KEPT_3_S
            receive_maximum = 0
        keep_alive_s = KEEP_ALIVE_S if keep_alive and name in WRONG else 0
        if will is not None:
            will = Will(will[0], self.payload(), will[1], will[2])
        old = peer.wire
        if old is not None:
            self.ended(name)
        connack = peer.connect(
            version, clean, expiry_s, receive_maximum, will, listener, keep_alive_s
        )
        if old is not None:
            assert old._shut
            old.connection.gone(True)
        present = self.debts.connect(name, clean, expiry_s)
        assert version == 3 or connack.session_present == present
        self.terms[name] = will, keep_alive_s
        self.outstanding[name] = set(), receive_maximum
        if not present:
            peer.forget()
        elif goes_on or name in RIGHT:
            for packet in list(peer.published.values()):
                if getattr(packet, "qos", 0) == 1:  # is a new message to the broker
                    self.debts.publish(
                        name, packet.topic, packet.payload, packet.qos, packet.retain
                    )
            peer.go_on()
        else:
            peer.published.clear()

    @rule(name=clients, topic_filter=st.sampled_from(FILTERS), qos=levels, no_local=st.booleans())
    def subscribe(self, name, topic_filter, qos, no_local):
        peer = self.connected(name)
        peer.subscribe(topic_filter, qos, no_local)
        self.debts.subscribe(name, topic_filter, qos, no_local and peer.version == 5)

    @rule(name=clients, topic_filter=st.sampled_from(FILTERS))
    def unsubscribe(self, name, topic_filter):
        self.connected(name).unsubscribe(topic_filter)
        self.debts.sessions[name].filters.pop(topic_filter, None)

    @rule(
        name=clients,
        topic=st.sampled_from(TOPICS),
        qos=levels,
        retain=st.booleans(),
        empty=st.integers(0, 9),
        finish=st.booleans(),
    )
    def publish(self, name, topic, qos, retain, empty, finish):
        peer = self.connected(name)
        payload = b"" if retain and not empty else self.payload()
        self.debts.publish(name, topic, payload, qos, retain)
        peer.publish(topic, payload, qos, retain, finish=False)
        if finish:
            self.finish(name)  # with those before it, as PUBRELs have their order

    @rule(
        name=clients, topic=st.sampled_from(TOPICS), some=st.lists(levels, min_size=2, max_size=6)
    )
    def publish_many(self, name, topic, some):
        for qos in some:
            self.publish(name, topic, qos, False, 1, False)

    @rule(name=clients)
    def finish(self, name):
        """See through all that was published."""
        peer = self.connected(name)
        for packet_id in list(peer.published):
            peer.see_through(packet_id)

    @rule(
        name=clients,
        version=versions,
        receive_maximum=st.sampled_from((0, 1, 2)),
        listener=st.integers(0, 1),
    )
    def come_back(self, name, version, receive_maximum, listener):
        """The network fails, and the client connects to its session."""
        if self.peers[name].connected:
            self.go(name, False)
        self.connect(name, version, False, 3000, receive_maximum, None, listener, False, True)

    @rule(name=clients, count=st.integers(0, 5))
    def read_and_acknowledge(self, name, count):
        peer = self.connected(name)
        self.read(name)
        while count and peer.owed:
            self.acknowledge(name)
            count -= 1

    @rule(name=clients)
    def get_everything(self, name):
        self.connected(name)
        self.catch_up(name)

    @rule(name=clients, orderly=st.booleans())
    def go(self, name, orderly):
        peer = self.peers[name]
        if peer.connected:
            if orderly:
                peer.leave()
            else:
                peer.drop()
            self.ended(name, publishes_will=not orderly)

    @rule(seconds=st.sampled_from((1, 50, 100, 2000, 4000)))
    def wait(self, seconds):
        self.debts.advance(seconds)
        now = self.debts.now
        late = [
            name
            for name, (_will, keep_alive_s) in self.terms.items()
            if keep_alive_s and now >= self.peers[name].last_in + 1.5 * keep_alive_s
        ]
        self.site.advance(seconds)
        self.debts.publish("", "none", b"", 0, False)  # what is to come is later than all before
        self.debts.at_once = True  # and goes on two threads
        for name in late:
            assert self.peers[name].closed
            self.peers[name].drop()
            self.ended(name)
        self.debts.at_once = False

    # Clients that do wrong.

    @rule(name=wrong, place=st.integers(0, 5))
    def acknowledge_out_of_turn(self, name, place):
        owed = self.connected(name).owed
        self.read(name)
        if owed:
            self.acknowledge(name, place % len(owed))

    @rule(name=wrong, kind=st.sampled_from((Puback, Pubrec, Pubrel, Pubcomp)), more=levels)
    def acknowledge_what_is_not(self, name, kind, more):
        self.connected(name).send(kind(UNKNOWN_ID + more))

    @rule(name=wrong, offence=st.sampled_from(OFFENCES))
    def offend(self, name, offence):
        peer = self.connected(name)
        peer.send_bytes(offence)
        assert peer.closed
        peer.drop()
        self.ended(name)

    # Strangers.

    @rule(
        version=st.sampled_from((0, 3, 4, 5)), websocket=st.booleans(), listener=st.integers(0, 1)
    )
    def stranger(self, version, websocket, listener):
        """Somebody new, for whom somebody goes; version 0 has not sent a CONNECT."""
        if len(self.strangers) == STRANGERS:
            end_connection(self.strangers.pop(0)[0])
        wire = self.site.wire(listener)
        self.strangers.append((wire, version, websocket))
        if websocket:
            wire.send(upgrade_request("localhost", "/mqtt", "dGhlIHNhbXBsZSBub25jZQ=="))
        if version:
            connect = Connect(version, f"stranger-{len(self.strangers)}", False, 0)
            self.send_strange(-1, Peer.encode(connect, version))

    def send_strange(self, place, data, broken=()):
        wire, _version, websocket = self.strangers[place]
        if websocket:
            data = damaged(encode_frame(BINARY, data, mask=b"\x01\x02\x03\x04"), broken)
        wire.send(data)
        wire._arrived.clear()

    @precondition(lambda self: self.strangers)
    @rule(
        place=st.integers(0, STRANGERS),
        some=st.lists(pieces, min_size=1, max_size=4),
        broken=st.just([]) | changes,
    )
    def rubbish(self, place, some, broken):
        """Packets as valid as not; those of another version are nearly valid, too."""
        place %= len(self.strangers)
        self.send_strange(place, b"".join(data for _, data in some), broken)
        if self.strangers[place][0]._shut:
            end_connection(self.strangers.pop(place)[0])

    # What is always true.

    @invariant()
    def all_is_well(self):
        """Only who broke a rule is disconnected, sessions are as they should be, and nothing is a
        mistake of ours."""
        assert not self.complaints
        for name, peer in self.peers.items():
            assert not peer.closed, name
            session = self.site.context.registry.find(name)
            assert (session is not None) == (name in self.debts.sessions), name
            if session is not None:
                assert (session.connection is not None) == peer.connected, name

    def teardown(self):
        try:
            if sys.exc_info()[0] is not None:
                return  # a step has failed, and nothing can be expected any more
            self.close()
            assert counted() == self.before, "something of it is still there"
        finally:
            self._stack.close()

    def close(self):
        """Everybody gets what is owed, and goes."""
        for wire, _version, _websocket in self.strangers:
            end_connection(wire)
        self.strangers.clear()
        for name, peer in self.peers.items():
            if name in self.debts.sessions and not peer.connected:
                self.connect(name, peer.version, False, 10, 0, None, 0, False, True)
        for name, peer in self.peers.items():
            if peer.connected:
                self.finish(name)
                self.catch_up(name)
        for name, peer in self.peers.items():
            if peer.connected:
                peer.leave()
                self.ended(name, publishes_will=False)
        assert_nothing_left(self.site)
        found = violations_of(report_of(self.site))
        for name in RIGHT:
            assert not found.get(name), found[name]
        del self.site, self.peers
