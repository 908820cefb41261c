"""One client that does everything right, on one connection after the other.

It keeps its half of the session (4.1), sends again what was not finished (4.4), and tells the book
what it has sent and got.
"""

import time

from formats.mqtt import codec
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect, Will
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from formats.mqtt.publish import Publish
from formats.mqtt.stream import PacketReader
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from tests.soak.model import Message, OwedError
from tests.soak.wires import LIMIT, Wire

KEPT = {0x11: 3600}
KEEP_ALIVE_S = 600
WINDOW = 10
TAKEN_OVER = 0x8E
clock = time.monotonic


class Client:
    """A client id.

    Attributes:
        kept:      its sessions outlive their connections.
        greeted:   CONNACK has come on this connection.
        present:   whether its session is with the broker; None where nobody can know.
        leaving:   it has sent DISCONNECT.
    """

    def __init__(self, soak, client_id, version, kept, will=False):
        self.soak = soak
        self.book = soak.book
        self.client_id = client_id
        self.version = version
        self.kept = kept
        self.keeps = False  # the same of the session of this connection
        self.has_will = will
        self.wire = None
        self.greeted = self.leaving = False
        self.present = False
        self.number = 0  # of its latest message
        self.outgoing = {}  # packet id -> the message, then the PUBREL
        self.messages = {}  # packet id -> message
        self.asking = {}  # packet id -> what a SUBSCRIBE or UNSUBSCRIBE is about
        self.taken = set()  # packet ids of QoS 2 messages that it has
        self.will = None
        self._wills = 0
        self._packet_id = 0
        self._reader = None
        self._clean = False
        self._clean_in_doubt = False  # nobody knows whether the last CONNECT ended a session

    def send(self, packet):
        self.wire.send(codec.encode(packet, self.version))

    def next_packet_id(self):
        while True:
            self._packet_id = self._packet_id % 65_535 + 1
            if self._packet_id not in self.outgoing and self._packet_id not in self.asking:
                return self._packet_id

    # Its connection.

    def connect(self, transport, port, clean=False):
        """Begin a connection; one that it has stays open and is taken over."""
        if self.wire is not None:
            self._lost(may_come=True)
            self.soak.abandon(self.wire)
        self.wire = Wire(self.soak.selector, self, transport, port, self.soak.tls)
        self.greeted = self.leaving = False
        self._reader = PacketReader(LIMIT)
        self._clean = clean = clean or not self.kept or self._clean_in_doubt
        self.keeps = self.kept and (self.version == 5 or not clean)  # 3.x: CleanSession is both
        if clean:
            self.book.end(self.client_id)
            self.present = False
        if self.has_will:
            self._wills += 1
            self.will = f"{self.client_id} {self._wills}".encode()
            self.book.wills[self.will] = None
        will = Will(f"wills/{self.client_id}", self.will, 1, False) if self.has_will else None
        properties = KEPT if self.version == 5 and self.keeps else None
        self.send(
            Connect(self.version, self.client_id, clean, KEEP_ALIVE_S, None, None, will, properties)
        )

    def drop(self):
        """The network fails."""
        self._lost(may_come=True)
        self.wire.close()
        self.wire = None

    def leave(self):
        """DISCONNECT; the broker closes then."""
        self.send(Disconnect())
        self.wire.finish()  # it has to close [MQTT5-3.14.4-1]
        self.leaving = True
        if self.will is not None:
            self.book.wills[self.will] = False
        if not self.keeps:
            self.book.end(self.client_id)
            self.present = False

    def _lost(self, may_come):
        """The connection is over without a DISCONNECT."""
        if self.will is not None and not self.leaving:
            self.book.wills[self.will] = True if self.greeted and may_come else None
        if not self.greeted and not self.leaving:
            self._clean_in_doubt = self._clean
            if not self.present:
                self.present = None
        if not self.keeps:
            self.book.end(self.client_id)
            self.present = False
        self.asking.clear()
        self.greeted = False

    def closed(self):
        """The broker has closed."""
        if not self.leaving:
            raise OwedError(f"{self.client_id} ({self.wire.transport}) was closed by the broker")
        self.asking.clear()
        self.greeted = False
        self.wire.close()
        self.wire = None

    # What comes.

    def readable(self):
        data = self.wire.receive()
        if data is None:
            self.closed()
            return
        for byte1, buffer, pos, end in self._reader.feed(data):
            packet = codec.decode(byte1, buffer, pos, end, self.version)
            HANDLERS[type(packet)](self, packet)

    def _connack(self, connack):
        if connack.reason:
            raise OwedError(f"{self.client_id} was refused: {connack}")
        if self.version > 3:
            if self.present is not None and connack.session_present != self.present:
                raise OwedError(f"{self.client_id} has {connack}, present {self.present}")
            self.present = connack.session_present
        self.greeted = True
        self._clean_in_doubt = False
        if not self.present:
            self.outgoing.clear()
            self.taken.clear()
            self.book.end(self.client_id)
            self.book.session(self.client_id)
        self.present = self.keeps
        for packet_id, packet in list(self.outgoing.items()):
            if isinstance(packet, Publish):
                packet.dup = True
                self.messages[packet_id].resent = True
            self.send(packet)

    def _publish(self, publish):
        if self.leaving:
            return
        if publish.qos == 2:
            if publish.packet_id not in self.taken:
                self.taken.add(publish.packet_id)
                self.book.came(self.client_id, publish)
            self.send(Pubrec(publish.packet_id))
            return
        self.book.came(self.client_id, publish)
        if publish.qos:
            self.send(Puback(publish.packet_id))

    def _pubrel(self, pubrel):
        if not self.leaving:
            self.taken.discard(pubrel.packet_id)
            self.send(Pubcomp(pubrel.packet_id))

    def _puback(self, puback):
        if self.outgoing.pop(puback.packet_id, None) is not None:
            self._acknowledged(puback)

    def _pubrec(self, pubrec):
        self._acknowledged(pubrec)
        self.outgoing[pubrec.packet_id] = Pubrel(pubrec.packet_id)
        if not self.leaving:
            self.send(Pubrel(pubrec.packet_id))

    def _acknowledged(self, packet):
        if packet.reason >= 0x80:
            raise OwedError(f"{self.client_id} got {packet}")
        self.book.acknowledged(self.messages[packet.packet_id])

    def _pubcomp(self, pubcomp):
        self.outgoing.pop(pubcomp.packet_id, None)

    def _suback(self, suback):
        topic_filter, qos = self.asking.pop(suback.packet_id)
        if suback.reasons != [qos]:
            raise OwedError(f"{self.client_id}: {topic_filter} at QoS {qos} got {suback}")
        self.book.session(self.client_id).granted[topic_filter] = qos, clock()

    def _unsuback(self, unsuback):
        self.asking.pop(unsuback.packet_id)

    def _disconnect(self, disconnect):
        raise OwedError(f"{self.client_id} got {disconnect}")

    def _nothing(self, packet):
        pass

    # What it asks for.

    def publish(self, topic, qos, retain=False):
        if qos and len(self.outgoing) >= WINDOW:
            return
        self.number += 1
        message = Message(self.client_id, self.number, topic, qos, retain, clock())
        packet_id = self.next_packet_id() if qos else 0
        publish = Publish(topic, message.payload, qos, retain, False, packet_id)
        self.book.published(message)
        if qos:
            self.outgoing[packet_id] = publish
            self.messages[packet_id] = message
        self.send(publish)

    def subscribe(self, topic_filter, qos):
        if any(topic_filter == one for one, _ in self.asking.values()):
            return
        packet_id = self.next_packet_id()
        session = self.book.session(self.client_id)
        session.asked.add(topic_filter)
        session.granted.pop(topic_filter, None)  # until it is answered nothing is certain
        self.asking[packet_id] = topic_filter, qos
        self.send(Subscribe(packet_id, [Subscription(topic_filter, qos)]))

    def unsubscribe(self, topic_filter):
        packet_id = self.next_packet_id()
        self.book.unsubscribing(self.client_id, topic_filter)
        self.asking[packet_id] = topic_filter, 0
        self.send(Unsubscribe(packet_id, [topic_filter]))

    def ping(self):
        self.send(Pingreq())


HANDLERS = {
    Connack: Client._connack,
    Publish: Client._publish,
    Puback: Client._puback,
    Pubrec: Client._pubrec,
    Pubrel: Client._pubrel,
    Pubcomp: Client._pubcomp,
    Suback: Client._suback,
    Unsuback: Client._unsuback,
    Pingresp: Client._nothing,
    Disconnect: Client._disconnect,
}
