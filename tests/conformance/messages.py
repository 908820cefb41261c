"""What many tests of messages begin and end with."""

from formats.mqtt.acks import Puback, Pubrec
from formats.mqtt.publish import Publish


def pair(client, *filters, qos=2, listener=0):
    """A subscriber to `filters`, and a publisher at a listener."""
    subscriber, publisher = client(), client(listener=listener)
    subscriber.connect("subscriber")
    publisher.connect("publisher")
    subscriber.subscribe(*filters, qos=qos)
    return subscriber, publisher


def kept(client, *filters, qos=2, properties=None):
    """A subscriber whose session outlives its connection."""
    subscriber = client()
    subscriber.resume("subscriber", properties)
    subscriber.subscribe(*filters, qos=qos)
    return subscriber


def publisher_of(client, listener=0, version=None):
    """A connected client with the client id "publisher"."""
    publisher = client(listener=listener) if version is None else client(version, listener)
    publisher.connect("publisher")
    return publisher


def assert_closed(client, reason):
    """The broker closed: in 5.0 after a DISCONNECT with this reason code, in 3.x without."""
    assert client.closed_with() == (reason if client.version == 5 else None)


def receive_messages(client, count):
    """So many PUBLISH packets, not acknowledged."""
    return [client.receive(Publish) for _ in range(count)]


def payloads(publishes):
    return [publish.payload for publish in publishes]


def first_answer(publish):
    """PUBACK or PUBREC, as the QoS demands."""
    return (Puback if publish.qos == 1 else Pubrec)(publish.packet_id)
