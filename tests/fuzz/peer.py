"""A client that does everything right, as far as it is not told otherwise.

It keeps the client's half of a session: what it has published and is not through with, and which
QoS 2 messages it has and may not take again. What it gets is in `delivered`, in order, each message
as often as an application would see it.
"""

from collections import deque

from formats.mqtt import codec
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import RECEIVE_MAXIMUM, SESSION_EXPIRY_INTERVAL
from formats.mqtt.publish import Publish
from formats.mqtt.stream import PacketReader
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

LIMIT = 1 << 28


class Peer:
    """One client id, on one connection after the other.

    Attributes:
        delivered: PUBLISH packets, without those that were taken before.
        owed:      acknowledgements that it has not sent, in the order they are due.
        unread:    packets that came and are not looked at.
        published: what it has sent at QoS 1 and 2 and is not through with, by packet id: the
                   PUBLISH, or the PUBREL that follows it.
    """

    def __init__(self, site, client_id):
        self.site = site
        self.client_id = client_id
        self.wire = None
        self.version = 0
        self.delivered = []
        self.owed = deque()
        self.unread = []
        self.published = {}
        self.taken = set()  # packet ids of QoS 2 messages that it has and are not released
        self.last_in = 0.0  # when it last sent anything
        self._last_packet_id = 0
        self._reader = None

    @staticmethod
    def encode(packet, version):
        return codec.encode(packet, version)

    @property
    def connected(self):
        return self.wire is not None

    @property
    def closed(self):
        """The broker has closed its connection."""
        return self.wire is not None and self.wire._shut

    def send(self, *packets):
        self.send_bytes(b"".join(codec.encode(packet, self.version) for packet in packets))

    def send_bytes(self, data):
        self.last_in = self.site.clock.now()
        self.wire.send(data)

    # Its connection.

    def connect(self, version, clean=True, expiry_s=0, receive_maximum=0, will=None, listener=0,
                keep_alive_s=0):  # fmt: skip
        """CONNECT, and go on with what was not finished if the session is present."""
        self.wire = self.site.wire(listener)
        self.version = version
        self._reader = PacketReader(LIMIT)
        self.unread = []
        self.owed.clear()
        properties = {}
        if version == 5:
            if expiry_s:
                properties[SESSION_EXPIRY_INTERVAL] = expiry_s
            if receive_maximum:
                properties[RECEIVE_MAXIMUM] = receive_maximum
        self.send(
            Connect(version, self.client_id, clean, keep_alive_s, None, None, will,
                    properties or None)
        )  # fmt: skip
        connack = self.expect(Connack)
        assert connack.reason == 0, connack
        if version != 3 and not connack.session_present:  # 3.1 does not say
            self.forget()
        return connack

    def forget(self):
        """The session is over: so is this half of it."""
        self.published.clear()
        self.taken.clear()

    def go_on(self):
        """Send again what was not finished, in its order (4.4)."""
        for packet_id, packet in list(self.published.items()):
            if isinstance(packet, Publish):
                packet.dup = True
            self.send(packet)
            self.see_through(packet_id)

    def drop(self):
        """The network fails."""
        wire, self.wire = self.wire, None
        wire.close()
        wire.connection.gone(True)

    def leave(self):
        """DISCONNECT."""
        self.send(Disconnect())
        assert self.closed
        self.drop()

    # What comes.

    def take_in(self):
        """What has arrived, decoded."""
        data, self.wire._arrived = bytes(self.wire._arrived), bytearray()
        for byte1, buffer, pos, end in self._reader.feed(data):
            self.unread.append(codec.decode(byte1, buffer, pos, end, self.version))

    def expect(self, kind, packet_id=None):
        """The first packet of this kind; it is there, and those before it wait."""
        self.take_in()
        for place, packet in enumerate(self.unread):
            if isinstance(packet, kind) and (packet_id is None or packet.packet_id == packet_id):
                return self.unread.pop(place)
        raise AssertionError(f"no {kind.__name__} in {self.unread}")

    def read(self):
        """Look at all that came. What it calls for is owed, not sent."""
        self.take_in()
        unread, self.unread = self.unread, []
        new = []
        for packet in unread:
            if isinstance(packet, Publish):
                again = packet.qos == 2 and packet.packet_id in self.taken
                if packet.qos == 2:
                    self.taken.add(packet.packet_id)
                if not again:
                    self.delivered.append(packet)
                    new.append(packet)
                if packet.qos:
                    kind = Puback if packet.qos == 1 else Pubrec
                    self.owed.append(kind(packet.packet_id))
            elif isinstance(packet, Pubrel):
                self.owed.append(Pubcomp(packet.packet_id))
            elif isinstance(packet, Puback | Pubrec | Pubcomp):
                if packet.packet_id in self.published:
                    self.unread.append(packet)  # for `see_through`
            else:
                assert isinstance(packet, Disconnect), packet
        return new

    def acknowledge_one(self, place=0):
        """Send one of what is owed; returns it, and what came of that."""
        packet = self.owed[place]
        del self.owed[place]
        if isinstance(packet, Pubcomp):
            self.taken.discard(packet.packet_id)
        self.send(packet)
        return packet, self.read()

    def acknowledge(self):
        """Send all that is owed, and what becomes so by that."""
        while self.owed:
            self.acknowledge_one()

    # What it asks for.

    def next_packet_id(self):
        while True:
            self._last_packet_id = self._last_packet_id % 65_535 + 1
            if self._last_packet_id not in self.published:
                return self._last_packet_id

    def subscribe(self, topic_filter, qos, no_local=False):
        packet_id = self.next_packet_id()
        wanted = Subscription(topic_filter, qos, no_local and self.version == 5)
        self.send(Subscribe(packet_id, [wanted]))
        assert self.expect(Suback, packet_id).reasons == [qos]

    def unsubscribe(self, topic_filter):
        packet_id = self.next_packet_id()
        self.send(Unsubscribe(packet_id, [topic_filter]))
        self.expect(Unsuback, packet_id)

    def publish(self, topic, payload, qos, retain=False, finish=True):
        """PUBLISH; without `finish` nobody looks what the broker says to it."""
        packet_id = self.next_packet_id() if qos else 0
        publish = Publish(topic, payload, qos, retain, False, packet_id)
        if qos:
            self.published[packet_id] = publish
        self.send(publish)
        if qos and finish:
            self.see_through(packet_id)

    def see_through(self, packet_id):
        """Read the answer to what was published, and go on to the end."""
        packet = self.published[packet_id]
        if isinstance(packet, Publish) and packet.qos == 1:
            self.expect(Puback, packet_id)
        else:
            if isinstance(packet, Publish):
                self.expect(Pubrec, packet_id)
                self.published[packet_id] = Pubrel(packet_id)
                self.send(Pubrel(packet_id))
            self.expect(Pubcomp, packet_id)
        del self.published[packet_id]
