"""aiomqtt and gmqtt as drivers (see `drivers`).

Threads: each is an asyncio program, in a thread of its own.
"""

import asyncio
import contextlib
import threading

import aiomqtt
import gmqtt
import paho.mqtt.client as mqtt

from tests.interop.broker_process import DEADLINE_S
from tests.interop.drivers import KEPT_S, WILL, Driver, paho_options
from tests.interop.endpoints import tls_context
from tests.interop.paho import properties

AIOMQTT_PAUSE_S = 0.05  # before it is entered again, as its documentation has it, but shorter


class AsyncioDriver(Driver):
    """An event loop in a thread of its own; `main` of the subclass runs in it to the end."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure = None

    def _run(self):
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except Exception as error:
            self.failure = error
            raise

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def connect(self):
        self._thread.start()
        self.await_connection(1)

    def close(self):
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self._call(self._leave())
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert self.failure is None, self.failure


class AiomqttDriver(AsyncioDriver):
    """As its documentation reconnects: the client is entered again in a loop."""

    async def _main(self):
        self._left = asyncio.Event()
        self._tasks = set()
        more = {} if self.version == 5 else {"clean_session": self.clean}
        if self.version == 5:
            more["clean_start"] = mqtt.MQTT_CLEAN_START_FIRST_ONLY if self.clean else False
            more["properties"] = self.connect_properties()
        topic, payload, qos = WILL
        self._client = aiomqtt.Client(
            self.there.host,
            self.there.port,
            identifier=self.client_id,
            protocol=aiomqtt.ProtocolVersion(self.version),
            transport="websockets" if self.there.websocket else "tcp",
            websocket_path="/mqtt" if self.there.websocket else None,
            tls_context=tls_context(self.there),
            username="user",
            password="password",
            keepalive=self.keep_alive_s,
            will=aiomqtt.Will(f"{self.client_id}/{topic}", payload, qos, retain=True),
            max_queued_outgoing_messages=0,
            **more,
        )
        self._client.pending_calls_threshold = 1_000
        # After the first, it is entered before the CONNACK is there; only paho knows.
        beneath = self._client._client
        entered = beneath.on_connect

        def on_connect(*connack):
            entered(*connack)
            self.now_connected()

        def watch_writing(_client, _data, sock):
            def watch():
                if sock.fileno() >= 0 and beneath.want_write():
                    loop.add_writer(sock.fileno(), write)

            loop.call_soon_threadsafe(watch)

        def write():
            with contextlib.suppress(OSError):  # reading finds out, too
                beneath.loop_write()

        loop = asyncio.get_running_loop()
        beneath.on_connect = on_connect
        # Its own may watch a socket that has nothing to write any more, and does not stop when that
        # is closed and its number is another one's.
        beneath.on_socket_register_write = watch_writing
        while not self._left.is_set():
            with contextlib.suppress(aiomqtt.MqttError):
                async with self._client:
                    await self._listen()
            if not self.reconnects:
                break
            await asyncio.sleep(AIOMQTT_PAUSE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self):
        leaving = asyncio.ensure_future(self._left.wait())
        try:
            while not self._left.is_set():
                coming = asyncio.ensure_future(anext(self._client.messages))
                try:
                    await asyncio.wait((coming, leaving), return_when=asyncio.FIRST_COMPLETED)
                    if coming.done():
                        one = coming.result()
                        self.messages.put((str(one.topic), one.payload, one.qos))
                finally:
                    coming.cancel()
        finally:
            leaving.cancel()

    async def _leave(self):
        self._left.set()

    def subscribe(self, filters, identifier=None):
        if self.version == 5:
            wanted = [(each, paho_options(each, qos)) for each, qos in filters]
            named = {"SubscriptionIdentifier": identifier} if identifier else {}
            said = properties("SUBSCRIBE", **named)
            self._call(self._client.subscribe(wanted, properties=said))
        else:
            self._call(self._client.subscribe(filters))

    def unsubscribe(self, filters):
        self._call(self._client.unsubscribe(filters))

    def publish_all(self, messages, **named):
        said = properties("PUBLISH", **named) if named else None

        async def begin():
            for message in messages:
                sending = self._client.publish(*message, said, timeout=float("inf"))
                self._tasks.add(asyncio.ensure_future(sending))
            await asyncio.sleep(0)  # they have begun, in their order

        self._call(begin())

    def settle(self):
        async def all_done():
            tasks, self._tasks = self._tasks, set()
            await asyncio.gather(*tasks)

        self._call(all_done())


class GmqttDriver(AsyncioDriver):
    """It keeps connected by itself. It speaks TCP and TLS."""

    async def _main(self):
        self._left = asyncio.Event()
        more = {}
        if self.version == 5:
            more = {
                "receive_maximum": 100,
                "maximum_packet_size": 2_000_000,
                "topic_alias_maximum": 5,
                "user_property": ("name", "value"),
            }
            if not self.clean:
                more["session_expiry_interval"] = KEPT_S
        topic, payload, qos = WILL
        will = gmqtt.Message(f"{self.client_id}/{topic}", payload, qos, True)
        client = self._client = gmqtt.Client(
            self.client_id, clean_session=self.clean, will_message=will, **more
        )
        client.set_auth_credentials("user", "password")
        client.set_config({"reconnect_delay": 0, "reconnect_retries": -1 if self.reconnects else 0})
        client.on_connect = lambda *_: self.now_connected()
        client.on_subscribe = client.on_unsubscribe = lambda *_: self.acknowledged.put(None)
        client.on_message = self._on_message
        await client.connect(
            self.there.host,
            self.there.port,
            ssl=tls_context(self.there) or False,
            keepalive=self.keep_alive_s,
            version=self.version,
        )
        await self._left.wait()
        await client.disconnect()

    async def _on_message(self, _client, topic, payload, qos, _properties):
        self.messages.put((topic, bytes(payload), qos))
        return 0

    async def _leave(self):
        self._left.set()

    async def _do(self, what, *arguments, **more):
        what(*arguments, **more)

    def subscribe(self, filters, identifier=None):
        more = {} if self.version < 5 else {"retain_as_published": True}
        if self.version == 5:
            more["retain_handling_options"] = 1
        wanted = [gmqtt.Subscription(each, qos, **more) for each, qos in filters]
        named = {"subscription_identifier": identifier} if identifier else {}
        self._call(self._do(self._client.subscribe, wanted, **named))
        self.await_acknowledgement()

    def unsubscribe(self, filters):
        self._call(self._do(self._client.unsubscribe, filters))
        self.await_acknowledgement()

    def publish_all(self, messages, **named):
        said = {GMQTT_NAMES[name]: value for name, value in named.items()}

        async def begin():
            for message in messages:
                with contextlib.suppress(OverflowError):  # so it says no to more than it may send
                    self._client.publish(*message, **said)

        self._call(begin())

    def settle(self):
        self._call(self._client._persistent_storage.wait_empty())


GMQTT_NAMES = {
    "PayloadFormatIndicator": "payload_format_id",
    "MessageExpiryInterval": "message_expiry_interval",
    "ContentType": "content_type",
    "ResponseTopic": "response_topic",
    "CorrelationData": "correlation_data",
    "UserProperty": "user_property",
    "TopicAlias": "topic_alias",
}
