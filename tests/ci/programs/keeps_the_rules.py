"""A COMMAND: paho-mqtt publishes to itself, over each URL that the environment has."""

import os
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as paho

SOON = 20  # seconds


def visit(url, version):
    where = urlsplit(url)
    transport = "websockets" if where.scheme in ("ws", "wss") else "tcp"
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2,
        client_id=f"keeps-{where.scheme}-{version}",
        protocol=version,
        transport=transport,
    )
    if where.scheme in ("mqtts", "wss"):
        client.tls_set(os.environ["MQTT_CA_FILE"])
    subscribed, arrived = threading.Event(), threading.Event()
    client.on_connect = lambda *_: client.subscribe("t", 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda *_: arrived.set()
    client.connect(where.hostname, where.port)
    client.loop_start()
    assert subscribed.wait(SOON)
    client.publish("t", b"x", 1).wait_for_publish(SOON)
    assert arrived.wait(SOON)
    client.disconnect()
    client.loop_stop()


for name in ("MQTT_URL", "MQTT_WS_URL", "MQTT_TLS_URL", "MQTT_WSS_URL"):
    if name in os.environ:
        visit(os.environ[name], paho.MQTTv311)
        visit(os.environ[name], paho.MQTTv5)
print("kept the rules")
