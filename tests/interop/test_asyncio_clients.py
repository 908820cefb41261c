"""aiomqtt and gmqtt, the clients of asyncio programs."""

import asyncio

import aiomqtt
import gmqtt
import pytest
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

from tests.interop.broker_process import DEADLINE_S
from tests.interop.endpoints import SCHEMES, endpoint, tls_context
from tests.interop.paho import properties

LARGE = b"x" * 500_000


def run(scenario):
    """One test in an event loop of its own."""

    async def in_time():
        async with asyncio.timeout(DEADLINE_S):
            await scenario

    asyncio.run(in_time())


def aiomqtt_client(there, version, **more):
    return aiomqtt.Client(
        there.host,
        there.port,
        protocol=aiomqtt.ProtocolVersion(version),
        transport="websockets" if there.websocket else "tcp",
        websocket_path="/mqtt" if there.websocket else None,
        tls_context=tls_context(there),
        **more,
    )


@pytest.mark.parametrize("version", [3, 4, 5], ids=["3.1", "3.1.1", "5.0"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_aiomqtt(broker, name, scheme, version):
    there = endpoint(broker, scheme)

    async def scenario():
        async with (
            aiomqtt_client(there, version, identifier=f"{name}-1") as publisher,
            aiomqtt_client(there, version, identifier=f"{name}-2") as subscriber,
        ):
            await subscriber.subscribe(f"{name}/#", qos=2)
            for qos in (0, 1, 2):
                for payload in (b"", b"small", LARGE):
                    await publisher.publish(f"{name}/{qos}", payload, qos=qos)
                    message = await anext(subscriber.messages)
                    assert (str(message.topic), message.qos) == (f"{name}/{qos}", qos)
                    assert message.payload == payload
            await publisher.publish(name, b"kept", qos=1, retain=True)
            assert (await anext(subscriber.messages)).retain is False
            await publisher.subscribe(name, qos=1)
            assert (await anext(publisher.messages)).retain is True
            await publisher.publish(name, b"", qos=1, retain=True)

    run(scenario())


def test_aiomqtt_with_properties(broker, name):
    there = endpoint(broker, "mqtt")
    pairs = [("b", "1"), ("a", "2"), ("b", "3")]

    async def scenario():
        async with aiomqtt_client(there, 5, identifier=name) as client:
            await client.subscribe(name, qos=1)
            sent = properties("PUBLISH", UserProperty=pairs, ContentType="text/plain")
            await client.publish(name, b"x", qos=1, properties=sent)
            message = await anext(client.messages)
            assert message.properties.UserProperty == pairs
            assert message.properties.ContentType == "text/plain"

    run(scenario())


def test_aiomqtt_with_a_will(broker, name):
    there = endpoint(broker, "wss")

    async def scenario():
        will = aiomqtt.Will(name, b"gone", qos=1)
        async with (
            aiomqtt_client(there, 5, identifier=f"{name}-1") as watcher,
            aiomqtt_client(there, 5, identifier=f"{name}-2", will=will),
        ):
            await watcher.subscribe(name, qos=1)
            # The same client id again ends that connection from the broker's side.
            async with aiomqtt_client(there, 5, identifier=f"{name}-2"):
                assert (await anext(watcher.messages)).payload == b"gone"

    run(scenario())


class GmqttClient:
    """gmqtt with its messages in a queue. It speaks 3.1.1 and 5.0, over TCP and TLS."""

    def __init__(self, client_id, **more):
        self.client = gmqtt.Client(client_id, **more)
        self.messages = asyncio.Queue()
        self.subscribed = asyncio.Queue()
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _client, _id, granted, _properties: (
            self.subscribed.put_nowait(granted)
        )

    async def _on_message(self, _client, topic, payload, qos, its_properties):
        self.messages.put_nowait((topic, bytes(payload), qos, its_properties))
        return 0

    async def connect(self, there, version):
        await self.client.connect(
            there.host, there.port, ssl=tls_context(there) or False, version=version
        )
        return self

    async def subscribe(self, topic_filter, qos, **more):
        self.client.subscribe(topic_filter, qos, **more)
        return list(await self.subscribed.get())

    async def close(self):
        """DISCONNECT when nothing is on its way: over TLS, asyncio takes what still comes badly."""
        await self.client._persistent_storage.wait_empty()
        await self.subscribe(f"end/{id(self)}", 0)
        await self.client.disconnect()


@pytest.mark.parametrize("version", [MQTTv311, MQTTv50], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "mutual"])
def test_gmqtt(broker, name, scheme, version):
    there = endpoint(broker, scheme)

    async def scenario():
        publisher = await GmqttClient(f"{name}-1").connect(there, version)
        subscriber = await GmqttClient(f"{name}-2").connect(there, version)
        assert await subscriber.subscribe(f"{name}/#", 2) == [2]
        for qos in (0, 1, 2):
            for payload in (b"small", LARGE):
                publisher.client.publish(f"{name}/{qos}", payload, qos=qos)
                topic, got, got_qos, _ = await subscriber.messages.get()
                assert (topic, got, got_qos) == (f"{name}/{qos}", payload, qos)
        await publisher.close()
        await subscriber.close()

    run(scenario())


def test_gmqtt_with_properties(broker, name):
    there = endpoint(broker, "mqtt")
    pairs = [("b", "1"), ("a", "2"), ("b", "3")]

    async def scenario():
        client = await GmqttClient("", topic_alias_maximum=5).connect(there, MQTTv50)
        await client.subscribe(name, 1, subscription_identifier=7)
        for _ in range(3):  # the second and third have a topic alias only
            client.client.publish(name, b"x", qos=1, user_property=pairs, content_type="text/plain")
            topic, payload, _, got = await client.messages.get()
            assert (topic, payload) == (name, b"x")
            assert got["user_property"] == pairs
            assert got["content_type"] == ["text/plain"]
            assert got["subscription_identifier"] == [7]
        await client.close()

    run(scenario())


def test_gmqtt_takes_up_its_session(broker, name):
    there = endpoint(broker, "mqtt")

    async def scenario():
        kept = {"clean_session": False, "session_expiry_interval": 3600}
        first = await GmqttClient(name, **kept).connect(there, MQTTv50)
        await first.subscribe(name, 1)
        await first.close()
        publisher = await GmqttClient(f"{name}-2").connect(there, MQTTv50)
        publisher.client.publish(name, b"away", qos=1)
        again = await GmqttClient(name, **kept).connect(there, MQTTv50)
        assert (await again.messages.get())[1] == b"away"
        await again.close()
        await publisher.close()

    run(scenario())
