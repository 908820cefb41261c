"""What waits for a client that does not read, or does not acknowledge."""

from formats.mqtt.control import Pingreq
from formats.mqtt.publish import Publish
from tests.limits.support import connected, reached

LIMIT = 65_536


def test_answers_to_a_client_that_does_not_read(site):
    broker = site(f"max_connection_output_bytes {LIMIT}")
    client = connected(broker, "a")
    transport = client.wire.connection.transport
    transport.unsent = LIMIT + 1  # as if the network took nothing
    client.fence()  # from here on it counts
    client.send(*[Pingreq()] * (LIMIT // 2))
    assert not reached(broker)
    client.send(Pingreq())
    assert client.wait_closed()[-1].reason == 0x97
    assert reached(broker) == {"max_connection_output_bytes": 1}


def test_no_more_than_so_many_are_in_flight(site, version):
    broker = site("max_inflight_messages 2")
    client = connected(broker, "a", version)
    client.subscribe("t", qos=1)
    publisher = connected(broker, "publisher")
    for _ in range(3):
        publisher.publish("t", b"x", 1)
    received = [client.receive(Publish) for _ in range(2)]
    client.nothing()  # the rest waits, and is not lost
    client.acknowledge(received[0])
    client.receive(Publish)
    assert not reached(broker)
