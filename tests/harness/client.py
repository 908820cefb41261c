"""A client that says exactly what the test says, and checks nothing by itself.

It has no keep alive, no automatic acknowledgement and no idea of a session: the test is the client.
"""

from formats.mqtt import codec
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from formats.mqtt.publish import Publish
from formats.mqtt.stream import PacketReader
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

LIMIT = 268_435_460


class Client:
    """One network connection with MQTT of one version on it.

    `connack` is the answer to the last `connect`. Packets that the broker sent and the test did
    not ask for yet wait in order.
    """

    def __init__(self, site, wire, version):
        self.site = site
        self.wire = wire
        self.version = version
        self.connack = None
        self._reader = PacketReader(LIMIT)
        self._packets = []
        self._last_packet_id = 0

    # Sending.

    def send(self, *packets):
        """Packets, bytes, or hex text, all in one write."""
        self.wire.send(b"".join(self._encode(packet) for packet in packets))

    def _encode(self, packet):
        if isinstance(packet, bytes):
            return packet
        if isinstance(packet, str):
            return bytes.fromhex(packet)
        return codec.encode(packet, self.version)

    def next_packet_id(self):
        self._last_packet_id += 1
        return self._last_packet_id

    def connect(
        self,
        client_id="client",
        clean_start=True,
        keep_alive_s=0,
        user_name=None,
        password=None,
        will=None,
        properties=None,
    ):
        """CONNECT; returns the CONNACK, whatever it says."""
        self.send(
            Connect(
                self.version,
                client_id,
                clean_start,
                keep_alive_s,
                user_name,
                password,
                will,
                properties,
            )
        )
        self.connack = self.receive(Connack)
        return self.connack

    def resume(self, client_id="client", properties=None):
        """CONNECT to a session that outlives its connection by an hour; returns the CONNACK."""
        if self.version == 5:
            properties = {0x11: 3600, **(properties or {})}
        return self.connect(client_id, clean_start=False, properties=properties)

    def subscribe(self, *filters, qos=0, identifier=None, properties=None, **options):
        """SUBSCRIBE to filters or `Subscription`s; returns the reason codes of the SUBACK."""
        packet_id = self.next_packet_id()
        subscriptions = [
            one if isinstance(one, Subscription) else Subscription(one, qos, **options)
            for one in filters
        ]
        if identifier is not None:
            properties = {**(properties or {}), 0x0B: [identifier]}
        self.send(Subscribe(packet_id, subscriptions, properties))
        suback = self.receive(Suback)
        assert suback.packet_id == packet_id
        return suback.reasons

    def unsubscribe(self, *filters):
        """UNSUBSCRIBE; returns the UNSUBACK."""
        packet_id = self.next_packet_id()
        self.send(Unsubscribe(packet_id, list(filters)))
        unsuback = self.receive(Unsuback)
        assert unsuback.packet_id == packet_id
        return unsuback

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None):
        """PUBLISH and see it through; returns the PUBACK or PUBREC, None at QoS 0.

        At QoS 0 a PINGRESP shows that the broker has it.
        """
        packet_id = self.next_packet_id() if qos else 0
        self.send(Publish(topic, payload, qos, retain, False, packet_id, properties))
        if qos == 0:
            self.fence()
            return None
        answer = self.receive_skipping(Puback if qos == 1 else Pubrec)
        assert answer.packet_id == packet_id
        if qos == 2 and answer.reason < 0x80:
            self.send(Pubrel(packet_id))
            assert self.receive_skipping(Pubcomp).packet_id == packet_id
        return answer

    def disconnect(self, reason=0, properties=None):
        """DISCONNECT, and wait for the broker to close."""
        self.send(Disconnect(reason, properties))
        self.wait_closed()

    def drop(self):
        """Close the network connection without a DISCONNECT."""
        self.wire.close()
        self.site.settle()

    # Receiving.

    def _fill(self):
        """Take what has arrived; False once the broker has closed."""
        data = self.wire.receive()
        for byte1, buffer, pos, end in self._reader.feed(data):
            self._packets.append(codec.decode(byte1, buffer, pos, end, self.version))
        return bool(data)

    def receive(self, kind=None):
        """The next packet; fails if it is not of this kind, or none comes."""
        while not self._packets:
            assert self._fill(), "closed by the broker"
        packet = self._packets.pop(0)
        if kind is not None:
            assert isinstance(packet, kind), f"{packet} is no {kind.__name__}"
        return packet

    def receive_skipping(self, kind):
        """The next packet of this kind; those before it stay for later."""
        place = 0
        while True:
            while place == len(self._packets):
                assert self._fill(), "closed by the broker"
            if isinstance(self._packets[place], kind):
                return self._packets.pop(place)
            place += 1

    def receive_message(self):
        """The next PUBLISH, acknowledged as its QoS demands."""
        publish = self.receive(Publish)
        self.acknowledge(publish)
        return publish

    def acknowledge(self, publish):
        """PUBACK, or PUBREC and on PUBREL PUBCOMP."""
        if publish.qos == 1:
            self.send(Puback(publish.packet_id))
        elif publish.qos == 2:
            self.send(Pubrec(publish.packet_id))
            assert self.receive_skipping(Pubrel).packet_id == publish.packet_id
            self.send(Pubcomp(publish.packet_id))

    def fence(self):
        """PINGREQ, PINGRESP: the broker has handled everything before; packets before it stay."""
        self.send(Pingreq())
        self.receive_skipping(Pingresp)

    def nothing(self):
        """Fail unless the broker has sent nothing, and is there still.

        Other listeners may have posted something to this client's: all are given a turn first.
        """
        self.site.settle()
        self.fence()
        assert not self._packets, f"unexpected: {self._packets}"

    def receive_messages(self):
        """Every PUBLISH that has come by now, acknowledged; fails at any other packet."""
        self.site.settle()
        self.fence()
        messages = []
        while self._packets:
            messages.append(self.receive_message())
        return messages

    def wait_closed(self):
        """Wait for the broker to close; returns the packets it sent before."""
        while self._fill():
            pass
        packets, self._packets = self._packets, []
        return packets

    def closed_with(self):
        """The reason code of the DISCONNECT that the broker closed with; None without one."""
        packets = self.wait_closed()
        disconnects = [packet for packet in packets if isinstance(packet, Disconnect)]
        assert packets == disconnects, f"unexpected before the close: {packets}"
        return disconnects[0].reason if disconnects else None

    def refused_with(self):
        """The reason code of the CONNACK that the broker closed after; None without one."""
        packets = self.wait_closed()
        assert all(isinstance(packet, Connack) for packet in packets), f"unexpected: {packets}"
        assert len(packets) <= 1, f"more than one CONNACK: {packets}"
        assert not any(connack.session_present for connack in packets)
        return packets[0].reason if packets else None
