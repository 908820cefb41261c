"""The shortest way through every layer."""

from formats.mqtt.publish import Publish


def test_a_message_gets_from_one_client_to_another(client):
    subscriber, publisher = client(), client()
    assert subscriber.connect("subscriber").reason == 0
    assert publisher.connect("publisher").reason == 0
    assert subscriber.subscribe("a/+", qos=2) == [2]
    for qos in (0, 1, 2):
        publisher.publish("a/b", b"hello", qos)
        message = subscriber.receive_message()
        assert (message.topic, message.payload, message.qos) == ("a/b", b"hello", qos)
    subscriber.nothing()
    assert isinstance(message, Publish)


def test_a_message_gets_from_one_listener_to_another(client):
    subscriber, publisher = client(), client(listener=1)
    subscriber.connect("subscriber")
    publisher.connect("publisher")
    subscriber.subscribe("#", qos=1)
    for place in range(10):
        publisher.publish("t", bytes([place]), 1)
    assert [subscriber.receive_message().payload[0] for _ in range(10)] == list(range(10))
    other = client(listener=1)
    other.connect("subscriber", clean_start=False)
    subscriber.wait_closed()
