"""Clients that keep their half of the session while the broker comes and goes (4.1, 4.4).

All of them are driven by one thread, `drive`, which looks at a condition after each round.
"""

import contextlib
import selectors
import socket

from formats.mqtt import codec
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.publish import Publish
from formats.mqtt.stream import PacketReader
from formats.mqtt.subscribe import Suback, Subscribe, Subscription

LIMIT = 1 << 20
STALL_S = 10.0
KEPT = {0x11: 0xFFFFFFFF}  # Session Expiry Interval: never
WINDOW = 40


class Peer:
    """A kept session and, between `connect` and `lose`, its connection."""

    def __init__(self, client_id, version):
        self.client_id = client_id
        self.version = version
        self.sock = None
        self.known = False  # the broker has promised to keep the session
        self._reader = None
        self._out = bytearray()

    def connect(self, port):
        """CONNECT; waits for the CONNACK and holds the broker to its promise."""
        self.sock = socket.create_connection(("127.0.0.1", port), STALL_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = PacketReader(LIMIT)
        self._out.clear()
        properties = KEPT if self.version == 5 else None
        self.send(Connect(self.version, self.client_id, False, 0, properties=properties))
        self.flush()
        first, *others = self._wait()
        assert isinstance(first, Connack)
        assert first.reason == 0
        assert first.session_present == self.known, f"session present of {self.client_id}"
        self.known = True
        for packet in others:
            self.handle(packet)
        self.connected()

    def _wait(self):
        while True:
            packets = self.read()
            assert packets is not None, "closed by the broker"
            if packets:
                return packets

    def read(self):
        """The packets that have come; None once the connection is gone."""
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            return None
        if not data:
            return None
        return [codec.decode(*found, self.version) for found in self._reader.feed(data)]

    def send(self, packet):
        self._out += codec.encode(packet, self.version)

    def flush(self):
        """Send what was prepared; a broker that is gone does not get it."""
        if self.sock is None or not self._out:
            return
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(self._out)
        self._out.clear()

    def lose(self):
        """The broker was killed: take what it had still sent, then the connection is gone."""
        if self.sock is None:
            return
        while (packets := self.read()) is not None:
            for packet in packets:
                self.handle(packet)
        self.sock.close()
        self.sock = None

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def handle(self, packet):
        raise NotImplementedError

    def connected(self):
        """Say again what is not acknowledged."""

    def work(self):
        """Once a round, while connected."""


class Publisher(Peer):
    """Publishes numbers at QoS 1 and 2 in turn, to `load/NAME/QOS`, and a fifth of them retained
    to `state/NAME/QOS`. A topic has one QoS, as messages of two may overtake one another: a QoS 1
    message comes a second time, when a later one of QoS 2 has been there before.

    Attributes:
        sent:         the last number published.
        acknowledged: numbers with PUBACK or PUBREC.
        retained:     the last number that is retained and acknowledged, by QoS.
        unfinished:   PUBLISH or PUBREL by packet id, in the order first sent.
    """

    def __init__(self, client_id, version):
        super().__init__(client_id, version)
        self.sent = 0
        self.acknowledged = set()
        self.retained = {1: 0, 2: 0}
        self.unfinished = {}
        self.publishing = True
        self._packet_id = 0

    @staticmethod
    def qos_of(number):
        return 1 + number % 2

    def connected(self):
        for packet in self.unfinished.values():
            if isinstance(packet, Publish):
                packet.dup = True
            self.send(packet)
        self.flush()

    def work(self):
        while self.publishing and len(self.unfinished) < WINDOW:
            self.sent += 1
            number = self.sent
            self._packet_id = self._packet_id % 65_535 + 1
            retain = number % 10 < 2
            qos = self.qos_of(number)
            topic = f"{'state' if retain else 'load'}/{self.client_id}/{qos}"
            payload = f"{self.client_id} {number}".encode()
            publish = Publish(topic, payload, qos, retain, packet_id=self._packet_id)
            self.unfinished[publish.packet_id] = publish
            self.send(publish)

    def handle(self, packet):
        if isinstance(packet, Pubcomp):
            assert isinstance(self.unfinished.pop(packet.packet_id), Pubrel)
            return
        assert isinstance(packet, Puback | Pubrec), f"{packet} to {self.client_id}"
        assert packet.reason in (0, 0x10)
        publish = self.unfinished.pop(packet.packet_id)
        if isinstance(packet, Pubrec):
            # [MQTT5-4.6.0-4] PUBREL in the order of the PUBRECs
            self.unfinished[packet.packet_id] = Pubrel(packet.packet_id)
            self.send(self.unfinished[packet.packet_id])
        if isinstance(publish, Publish):
            number = int(publish.payload.split()[1])
            self.acknowledged.add(number)
            if publish.retain:
                self.retained[publish.qos] = max(self.retained[publish.qos], number)


class Subscriber(Peer):
    """Takes messages, and leaves the last few unanswered where it is `slow`.

    Attributes:
        delivered: payloads in the order of their delivery to the application.
        held:      QoS 2 messages by packet id, from PUBLISH to PUBREL.
        unanswered: packet ids of messages that it has seen, and not answered.
        twice:     payloads of QoS 2 messages that came again under another packet id.
        repeated:  how many came again under their own, with DUP.
    """

    def __init__(self, client_id, version, qos, identifier=0):
        super().__init__(client_id, version)
        self.qos = qos
        self.identifier = identifier
        self.delivered = []
        self.seen = set()
        self.held = {}
        self.unanswered = {}
        self.twice = []
        self.repeated = 0
        self.slow = 0

    def subscribe(self, *filters):
        properties = {0x0B: [self.identifier]} if self.identifier else None
        wanted = [Subscription(one, self.qos) for one in filters]
        self.send(Subscribe(1, wanted, properties))
        self.flush()
        (suback,) = self._wait()
        assert isinstance(suback, Suback)
        assert suback.reasons == [self.qos] * len(filters)

    def connected(self):
        self.flush()

    def handle(self, packet):
        if isinstance(packet, Pubrel):
            self.held.pop(packet.packet_id, None)
            self.send(Pubcomp(packet.packet_id))
            return
        assert isinstance(packet, Publish), f"{packet} to {self.client_id}"
        if self.identifier:
            assert (packet.properties or {}).get(0x0B) == [self.identifier]
        packet_id, payload = packet.packet_id, packet.payload
        if packet_id in self.unanswered:  # as it was before the broker was killed
            assert self.unanswered.pop(packet_id) == payload
            assert packet.dup
            self.repeated += 1
        if packet.qos == 1:
            self._deliver(payload)
        elif packet_id in self.held:
            assert self.held[packet_id] == payload
            assert packet.dup
        else:
            self.held[packet_id] = payload
            if payload in self.seen and Publisher.qos_of(int(payload.split()[1])) == 2:
                self.twice.append(payload)
            self._deliver(payload)
        # Not of QoS 1: the broker sends those before a crash cannot make it forget their ids.
        if packet.qos == 2 and self.slow and len(self.delivered) % self.slow == 0:
            self.unanswered[packet_id] = payload
            return
        self.send(Puback(packet_id) if packet.qos == 1 else Pubrec(packet_id))

    def _deliver(self, payload):
        self.delivered.append(payload)
        self.seen.add(payload)


def drive(peers, done):
    """Let the connected peers go on until `done()`, looked at after each read; False when nothing
    comes any more."""
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            if peer.sock is not None:
                selector.register(peer.sock, selectors.EVENT_READ, peer)
        while not done():
            for key in list(selector.get_map().values()):
                key.data.work()
                key.data.flush()
            events = selector.select(STALL_S)
            if not events:
                return False
            for key, _ in events:
                packets = key.data.read()
                assert packets is not None, f"{key.data.client_id} was disconnected"
                for packet in packets:
                    key.data.handle(packet)
    return True
