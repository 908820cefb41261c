"""A kept session that is left with a message in each state of 4.3 when the broker is killed.

What the broker sends at QoS 2 leaves once it is durable, and so does a SUBACK: what a client saw
before the latter, QoS 1 included, was under its packet id on the disk.
"""

from formats.mqtt.acks import Pubcomp, Pubrec, Pubrel
from formats.mqtt.publish import Publish

KEPT = {0x11: 0xFFFFFFFF}  # Session Expiry Interval: never
SUBSCRIPTION_IDENTIFIER = 0x0B
IDENTIFIERS = {1: 21, 2: 22}  # by the QoS granted
PACKET_ID = 700  # of its own QoS 2 message


class Witness:
    """One client of one version, with a subscription at QoS 1 and one at QoS 2.

    Attributes:
        resumed: how often its session was there again, with all that belongs to it.
    """

    def __init__(self, broker, version):
        self.broker = broker
        self.version = version
        self.name = f"witness{version}"
        self.resumed = 0
        self._client = None
        self._count = 0
        self._unanswered = []  # PUBLISH packets, in the order they came
        self._released = 0  # packet id of the PUBREL without PUBCOMP
        self._own = b""  # payload of the QoS 2 message that it has not released

    def _connect(self, listener):
        self._client = self.broker.client(self.version, listener)
        properties = KEPT if self.version == 5 else None
        return self._client.connect(self.name, False, properties=properties).session_present

    def begin(self):
        """Subscribe, in a session that is new."""
        assert not self._connect(0)
        for qos in (1, 2):
            identifier = IDENTIFIERS[qos] if self.version == 5 else None
            reasons = self._client.subscribe(self._filter(qos), qos=qos, identifier=identifier)
            assert reasons == [qos]

    def _filter(self, qos):
        return f"{self.name}/{qos}/+"

    def _publish(self, qos, publish=None):
        """Have somebody publish to the subscription with this QoS."""
        self._count += 1
        payload = b"%d" % self._count
        publisher = self.broker.client(4)
        publisher.connect(f"to {self.name}")
        publisher.publish(f"{self.name}/{qos}/x", payload, 2)
        publisher.disconnect()
        publish = self._client.receive(Publish)
        assert publish.payload == payload
        assert publish.qos == qos, "not the QoS that was granted"
        assert not publish.dup
        if self.version == 5:
            assert publish.properties == {SUBSCRIPTION_IDENTIFIER: [IDENTIFIERS[qos]]}
        return publish

    def leave(self, connected):
        """Answer nothing, or half: what is due to the broker now stays due."""
        client = self._client
        self._unanswered = [self._publish(1), self._publish(2), self._publish(1)]
        half = self._publish(2)
        client.send(Pubrec(half.packet_id))
        assert client.receive(Pubrel).packet_id == half.packet_id
        self._released = half.packet_id
        self._own = b"own %d" % self._count
        client.send(Publish(f"{self.name}/2/own", self._own, 2, packet_id=PACKET_ID))
        own, answer = client.receive_skipping(Publish), client.receive(Pubrec)
        assert (own.payload, answer.packet_id) == (self._own, PACKET_ID)
        self._unanswered.append(own)
        assert client.subscribe(f"{self.name}/fence") == [0]
        if not connected:
            client.wire.close()

    def return_to(self, listener):
        """The session is there, with what was left in it."""
        assert self._connect(listener), f"session present of {self.name}"
        self._takes_what_was_in_flight()
        self._is_not_passed_on_again()
        self._complete()
        for qos in (1, 2):  # the subscriptions are as they were
            self._client.acknowledge(self._publish(qos))
        self._client.nothing()
        self.resumed += 1

    def _takes_what_was_in_flight(self):
        sent_again = [self._client.receive() for _ in range(len(self._unanswered) + 1)]
        # PUBLISH packets in the order in which they were sent (4.6), PUBREL among them.
        (release,) = (packet for packet in sent_again if isinstance(packet, Pubrel))
        sent_again.remove(release)
        assert release.packet_id == self._released
        for again, first in zip(sent_again, self._unanswered, strict=True):
            assert isinstance(again, Publish)
            assert again.dup
            assert again.packet_id == first.packet_id
            assert (again.topic, again.payload) == (first.topic, first.payload)
            assert (again.qos, again.properties) == (first.qos, first.properties)

    def _is_not_passed_on_again(self):
        """Its own QoS 2 message, which the broker holds under its packet id."""
        client = self._client
        client.send(Publish(f"{self.name}/2/own", self._own, 2, dup=True, packet_id=PACKET_ID))
        assert client.receive(Pubrec).packet_id == PACKET_ID
        client.nothing()
        client.send(Pubrel(PACKET_ID))
        answer = client.receive(Pubcomp)
        assert (answer.packet_id, answer.reason) == (PACKET_ID, 0)

    def _complete(self):
        for publish in self._unanswered:
            self._client.acknowledge(publish)
        self._client.send(Pubcomp(self._released))
        self._client.nothing()
