"""The fixtures, as the tests of paho-mqtt could use them."""

import queue

import paho.mqtt.client as mqtt
import pytest

SOON = 20  # seconds


class Client:
    """paho-mqtt, with what it receives in a queue."""

    def __init__(self, version, transport="tcp"):
        self.mqtt = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            f"paho-{version}-{transport}",
            protocol=version,
            transport=transport,
        )
        self.mqtt.max_inflight_messages_set(2)  # it does not look at what CONNACK says
        self._answers = queue.Queue()
        self.messages = queue.Queue()
        self.mqtt.on_connect = lambda _client, _data, _flags, reason, _p: self._answers.put(reason)
        self.mqtt.on_subscribe = lambda *_: self._answers.put(None)
        self.mqtt.on_message = lambda _client, _data, message: self.messages.put(message)

    def connect(self, host, port):
        self.mqtt.connect(host, port)
        self.mqtt.loop_start()
        assert self._answers.get(timeout=SOON) == 0

    def subscribe(self, topic_filter, qos):
        self.mqtt.subscribe(topic_filter, qos)
        self._answers.get(timeout=SOON)

    def publish(self, topic, payload, qos):
        self.mqtt.publish(topic, payload, qos).wait_for_publish(SOON)

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()
        self.mqtt._reset_sockets()  # it would leave its wake-up pair to the garbage collector


@pytest.fixture(params=[mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5.0"])
def version(request):
    return request.param


@pytest.fixture(params=["tcp", "websockets"])
def client(request, version, mqtt_broker):
    """Connected; it disconnects before the broker of the test ends."""
    client = Client(version, request.param)
    client.connect(mqtt_broker.host, mqtt_broker.port)
    yield client
    client.close()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_comes_back(client, mqtt_verdict, qos):
    client.subscribe("t/#", qos)
    client.publish("t/a", b"x", qos)
    message = client.messages.get(timeout=SOON)
    assert (message.topic, message.payload, message.qos) == ("t/a", b"x", qos)
    client.close()
    mqtt_verdict.assert_clean()


@pytest.mark.mqtt_broker("receive_maximum 2")
def test_many_messages_keep_to_the_receive_maximum(client, mqtt_verdict):
    for number in range(50):
        client.mqtt.publish("t", str(number), 1)
    client.publish("t", b"last", 1)
    mqtt_verdict.assert_clean()


def test_a_verdict_says_what_was_exercised(client, version, mqtt_verdict):
    name = {mqtt.MQTTv311: "MQTT3-3.1.0-1", mqtt.MQTTv5: "MQTT5-3.1.0-1"}[version]
    assert name in mqtt_verdict.exercised


def test_it_connects_with_tls(version, mqtt_tls, mqtt_verdict):
    client = Client(version)
    client.mqtt.tls_set(mqtt_tls.ca_file)
    client.connect("localhost", mqtt_tls.port)
    client.close()
    assert mqtt_verdict.clients[0].transports == ["tls"]


def test_it_connects_with_a_certificate(version, mqtt_tls, mqtt_verdict):
    client = Client(version)
    client.mqtt.tls_set(mqtt_tls.ca_file, mqtt_tls.certificate, mqtt_tls.key)
    client.connect("localhost", mqtt_tls.mutual_port)
    client.close()
    assert mqtt_verdict.clients[0].transports == ["tls"]


def test_credentials_are_accepted(version, mqtt_broker):
    client = Client(version)
    who = mqtt_broker.credentials
    client.mqtt.username_pw_set(who.user_name, who.password)
    client.connect(mqtt_broker.host, mqtt_broker.port)
    client.close()


def test_it_comes_back_after_a_reset(version, mqtt_broker):
    client = Client(version)
    client.mqtt.reconnect_delay_set(1, 1)
    client.connect(mqtt_broker.host, mqtt_broker.port)
    mqtt_broker.reset()
    assert client._answers.get(timeout=SOON) == 0
    client.close()
    assert mqtt_broker.report()["clients"][0]["connections"] == 1  # with the new broker
