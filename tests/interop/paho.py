"""paho-mqtt as tests want it: what its callbacks report waits in queues.

Threads: paho runs one of its own per client; the queues are between it and the test.
"""

import os
import queue
import socket

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.interop.broker_process import DEADLINE_S


def properties(packet_type, **named):
    """The properties of a packet: properties("PUBLISH", TopicAlias=1)."""
    result = Properties(getattr(PacketTypes, packet_type))
    for name, value in named.items():
        setattr(result, name, value)
    return result


class PahoClient:
    """One client. `connect` is separate, so that a will can be set on `mqtt` before."""

    def __init__(self, endpoint, version, client_id="", clean=True):
        self.version = version
        self.endpoint = endpoint
        self.clean = clean
        more = {} if version == 5 else {"clean_session": clean}
        self.mqtt = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id,
            protocol=mqtt.MQTTProtocolVersion(version),
            transport="websockets" if endpoint.websocket else "tcp",
            reconnect_on_failure=False,
            **more,
        )
        if endpoint.ca:
            self.mqtt.tls_set(endpoint.ca, endpoint.certificate, endpoint.key)
        self.messages = queue.Queue()
        self._connacks = queue.Queue()
        self._disconnects = queue.Queue()
        self._acknowledged = queue.Queue()
        self.mqtt.on_message = lambda _client, _data, message: self.messages.put(message)
        self.mqtt.on_connect = lambda _client, _data, *connack: self._connacks.put(connack)
        self.mqtt.on_disconnect = lambda _client, _data, *why: self._disconnects.put(why)
        for callback in ("on_publish", "on_subscribe", "on_unsubscribe"):
            setattr(self.mqtt, callback, self._on_acknowledged)

    def _on_acknowledged(self, _client, _data, packet_id, reasons, properties):
        self._acknowledged.put((packet_id, reasons, properties))

    def connect(self, keep_alive_s=60, **named_properties):
        """CONNECT; returns flags, reason code and properties of the CONNACK."""
        more = {}
        if self.version == 5:
            more["clean_start"] = self.clean
            more["properties"] = properties("CONNECT", **named_properties)
        self.mqtt.connect(self.endpoint.host, self.endpoint.port, keep_alive_s, **more)
        self.mqtt.loop_start()
        flags, reason, connack_properties = self._connacks.get(timeout=DEADLINE_S)
        assert reason == 0, reason
        return flags, connack_properties

    def subscribe(self, topic_filter, qos=2, **more):
        """SUBSCRIBE; returns the reason code of the SUBACK as a number."""
        _, packet_id = self.mqtt.subscribe(topic_filter, qos, **more)
        return self._acknowledgement(packet_id)[0][0].value

    def subscribe_with(self, topic_filter, options, **named_properties):
        _, packet_id = self.mqtt.subscribe(
            topic_filter, options=options, properties=properties("SUBSCRIBE", **named_properties)
        )
        return self._acknowledgement(packet_id)[0][0].value

    def unsubscribe(self, topic_filter):
        _, packet_id = self.mqtt.unsubscribe(topic_filter)
        return self._acknowledgement(packet_id)[0]

    def publish(self, topic, payload=b"", qos=0, retain=False, **named_properties):
        """PUBLISH; returns reason code and properties of what ended the exchange."""
        more = {}
        if named_properties:
            more["properties"] = properties("PUBLISH", **named_properties)
        info = self.mqtt.publish(topic, payload, qos, retain, **more)
        return self._acknowledgement(info.mid)

    def _acknowledgement(self, packet_id):
        """What answered a packet: (reason code or codes, properties)."""
        while True:
            found, reasons, its_properties = self._acknowledged.get(timeout=DEADLINE_S)
            if found == packet_id:
                return reasons, its_properties

    def receive(self):
        return self.messages.get(timeout=DEADLINE_S)

    def nothing_more(self):
        """Nothing but what was received is on its way: a message to oneself is the next one."""
        mark = f"mark/{id(self)}"
        self.subscribe(mark)
        self.publish(mark, b"mark", 1)
        message = self.receive()
        assert message.topic == mark, f"unexpected: {message.topic} {message.payload[:80]!r}"
        self.unsubscribe(mark)

    def disconnected(self):
        """Wait for the end of the connection; the reason code that paho gives it."""
        _flags, reason, _properties = self._disconnects.get(timeout=DEADLINE_S)
        return reason

    def break_off(self):
        """End the network connection without a DISCONNECT."""
        with socket.socket(fileno=os.dup(self.mqtt.socket().fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        self.mqtt.loop_stop()

    def disconnect_with(self, reason_code):
        """DISCONNECT of 5.0."""
        self.mqtt.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=reason_code))
        self.mqtt.loop_stop()

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()
        self.mqtt._reset_sockets()  # it would leave its wake-up pair to the garbage collector
