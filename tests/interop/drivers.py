"""Clients of Python behind one face, each as its own documentation has it used: paho-mqtt here,
aiomqtt and gmqtt in `asyncio_drivers`.

A driver stays connected: when it loses a connection it makes the next one, until `close`. What it
receives waits in `messages` as (topic, payload, qos).

Threads: paho runs one of its own for each client.
"""

import queue
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.interop.broker_process import DEADLINE_S
from tests.interop.paho import properties

KEPT_S = 3600  # Session Expiry Interval of a session that is kept
CONNECT_PROPERTIES = {
    "ReceiveMaximum": 100,
    "MaximumPacketSize": 2_000_000,
    "UserProperty": [("name", "value"), ("name", "again")],
    "RequestProblemInformation": 1,
}
WILL = "will", b"gone", 1


class Driver:
    """What is alike in all of them.

    Args:
        clean:      Clean Session or Clean Start, of the first connection; otherwise the session is
                    kept.
        reconnects: otherwise the first connection is the last.
    """

    def __init__(self, there, version, client_id, clean=True, keep_alive_s=60, reconnects=True):
        self.there = there
        self.version = version
        self.client_id = client_id
        self.clean = clean
        self.keep_alive_s = keep_alive_s
        self.reconnects = reconnects
        self.messages = queue.Queue()
        self.acknowledged = queue.Queue()  # SUBACK and UNSUBACK
        self._changed = threading.Condition(threading.RLock())
        self.connections = 0

    def now_connected(self):
        with self._changed:
            self.connections += 1
            self._changed.notify_all()

    def await_connection(self, number):
        """Wait for the so-manieth connection."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections >= number, DEADLINE_S)

    def receive(self):
        return self.messages.get(timeout=DEADLINE_S)

    def await_acknowledgement(self):
        self.acknowledged.get(timeout=DEADLINE_S)

    def publish(self, topic, payload=b"", qos=0, retain=False, **named):
        self.publish_all([(topic, payload, qos, retain)], **named)

    def connect_properties(self, **more):
        kept = {} if self.clean else {"SessionExpiryInterval": KEPT_S}
        return properties("CONNECT", **CONNECT_PROPERTIES, **more, **kept)


class PahoDriver(Driver):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        with_session = {} if self.version == 5 else {"clean_session": self.clean}
        client = self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            self.client_id,
            protocol=mqtt.MQTTProtocolVersion(self.version),
            transport="websockets" if self.there.websocket else "tcp",
            reconnect_on_failure=self.reconnects,
            **with_session,
        )
        client.reconnect_delay_set(0.01, 0.01)
        if self.there.ca:
            client.tls_set(self.there.ca)
        client.username_pw_set("user", "password")
        topic, payload, qos = WILL
        client.will_set(f"{self.client_id}/{topic}", payload, qos, retain=True)
        client.on_connect = lambda *_: self.now_connected()
        client.on_subscribe = client.on_unsubscribe = lambda *_: self.acknowledged.put(None)
        client.on_message = self._on_message
        self._topics = {}  # by alias; paho leaves that to who uses it
        client.on_publish = self._on_publish
        self._begun = 0  # messages that are not acknowledged

    def connect(self):
        more = {}
        if self.version == 5:
            # paho's own default for the connections after the first is not to start anew.
            clean = mqtt.MQTT_CLEAN_START_FIRST_ONLY if self.clean else False
            more = {
                "clean_start": clean,
                "properties": self.connect_properties(TopicAliasMaximum=5),
            }
        self._client.connect(self.there.host, self.there.port, self.keep_alive_s, **more)
        self._client.loop_start()
        self.await_connection(1)

    def subscribe(self, filters, identifier=None):
        if self.version == 5:
            wanted = [(each, paho_options(each, qos)) for each, qos in filters]
            named = {"SubscriptionIdentifier": identifier} if identifier else {}
            self._client.subscribe(wanted, properties=properties("SUBSCRIBE", **named))
        else:
            self._client.subscribe(filters)
        self.await_acknowledgement()

    def unsubscribe(self, filters):
        self._client.unsubscribe(filters)
        self.await_acknowledgement()

    def publish_all(self, messages, **named):
        more = {"properties": properties("PUBLISH", **named)} if named else {}
        for message in messages:
            with self._changed:
                self._begun += 1
            self._client.publish(*message, **more)

    def _on_message(self, _client, _data, message):
        alias = getattr(message.properties, "TopicAlias", None)
        topic = message.topic or self._topics[alias]
        if alias:
            self._topics[alias] = topic
        self.messages.put((topic, message.payload, message.qos))

    def _on_publish(self, *_):
        with self._changed:
            self._begun -= 1
            self._changed.notify_all()

    def settle(self):
        """Wait until all that was published is acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._begun, DEADLINE_S), self._begun

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # it would leave its wake-up pair to the garbage collector


def paho_options(topic_filter, qos):
    """Subscription Options that are none of the defaults, where they are allowed."""
    shared = topic_filter.startswith("$share/")
    return SubscribeOptions(qos, noLocal=False, retainAsPublished=not shared, retainHandling=1)
