"""A handful of clients of paho-mqtt among the others, over each transport.

Threads: paho runs one for each client, which only appends to its list.
"""

import ssl
import time
from collections import Counter

import paho.mqtt.client as mqtt

from tests.soak.model import OwedError

TRANSPORTS = (("tcp", 4), ("ws", 5), ("tls", 5), ("wss", 4))
EVERY_S = 0.05
DEADLINE_S = 30.0


class PahoClients:
    """They publish at QoS 2, and each gets all of it once."""

    def __init__(self, broker, run):
        self._run = run
        self._sent = []
        self._next_at = 0.0
        self._infos = []
        self.delivered = 0
        self._got = []
        self._subscribed = []
        self._clients = []
        for transport, version in TRANSPORTS:
            client = mqtt.Client(
                mqtt.CallbackAPIVersion.VERSION2,
                f"paho-{transport}",
                protocol=mqtt.MQTTProtocolVersion(version),
                transport="websockets" if transport.startswith("ws") else "tcp",
            )
            if transport in ("tls", "wss"):
                client.tls_set_context(
                    ssl.create_default_context(cafile=str(broker.folder / "pki" / "ca.pem"))
                )
            got = []
            client.on_message = lambda _client, _data, message, got=got: got.append(message.payload)
            client.on_subscribe = lambda *_: self._subscribed.append(None)
            client.on_connect = lambda client, *_: client.subscribe("paho/#", 2)
            client.connect("localhost" if transport in ("tls", "wss") else "127.0.0.1",
                           broker.ports(transport)[-1])  # fmt: skip
            client.loop_start()
            self._clients.append(client)
            self._got.append(got)

    def __enter__(self):
        self._wait(lambda: len(self._subscribed) == len(self._clients), "SUBACKs of paho")
        return self

    def __exit__(self, *_):
        self.close()

    def _wait(self, done, what):
        deadline = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > deadline:
                raise OwedError(f"not in {DEADLINE_S:g} s: {what}")
            time.sleep(0.01)  # paho has nothing to wait on

    def step(self):
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + EVERY_S
            payload = f"{self._run} {len(self._sent)}".encode()
            client = self._clients[len(self._sent) % len(self._clients)]
            self._sent.append(payload)
            self._infos.append(client.publish("paho/topic", payload, 2))

    def finish(self):
        """All of it has come, once."""
        expected = Counter(self._sent)
        self._wait(lambda: all(len(got) >= len(expected) for got in self._got), "paho's messages")
        for got in self._got:
            if Counter(got) != expected:
                raise OwedError(f"paho got {Counter(got) - expected}")
            self.delivered += len(got)

    def close(self):
        clients, self._clients = self._clients, []
        for client in clients:
            client.disconnect()
            client.loop_stop()
