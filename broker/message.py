"""An application message inside the broker: published once, delivered to many.

Threads: shared by all sessions that get the message and never changed, but for what `encoded`
remembers, where the worst a race does is encode the same bytes twice.
"""

import math

from formats.mqtt.properties import MESSAGE_EXPIRY_INTERVAL, SUBSCRIPTION_IDENTIFIER, Properties
from formats.mqtt.publish import join_publish
from formats.mqtt.publish_properties import encoded_properties, properties_size

PLAIN_5 = 8  # added to the key of a 5.0 encoding without Subscription Identifiers
NEVER = math.inf  # the `expires_at` of a message or session that does not expire
SMALL = 1_024  # bytes; of these so many are on their way at once that they need no count


class Message:
    """What was published, by whom and until when, with its encodings.

    Attributes:
        topic:      Topic Name, never a Topic Alias.
        payload:    bytes, never inspected but for a Payload Format Indicator.
        qos:        as published.
        retain:     as published.
        properties: those that travel with the message (3.3.2.3), without Topic Alias and
                    Subscription Identifier, and the Message Expiry Interval as published; None
                    when there are none.
        origin:     client id of the publisher; "" for the broker's own.
        expires_at: on the broker's clock, seconds; NEVER if it does not.
        size:       bytes of the payload, and, about, of the properties.
        large:      it has more than SMALL bytes.
    """

    __slots__ = (
        "_encoded",
        "expires_at",
        "large",
        "origin",
        "payload",
        "properties",
        "qos",
        "retain",
        "size",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Properties | None,
        origin: str,
        expires_at: float = NEVER,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.origin = origin
        self.expires_at = expires_at
        size = len(payload)
        if properties is not None:
            size += properties_size(properties)
        self.size = size
        self.large = size > SMALL
        self._encoded: dict[object, tuple[bytes, bytes]] = {}

    def encoded(
        self, version: int, qos: int, retain: bool, identifiers: tuple[int, ...], now: float
    ) -> tuple[bytes, bytes]:
        """The PUBLISH as it goes to every session alike in these, around its packet identifier.

        Returns head and tail, as `encode_publish_parts` does. To a 3.x receiver properties do not
        exist, so that all their combinations share one encoding.
        """
        if version == 5:
            if self.expires_at is not NEVER:
                return self._encode(version, qos, retain, identifiers, now)
            alike: object = (
                (qos, retain, identifiers) if identifiers else PLAIN_5 | qos << 1 | retain
            )
        else:
            alike = qos << 1 | retain
        encoded = self._encoded.get(alike)
        if encoded is None:
            encoded = self._encode(version, qos, retain, identifiers, now)
            self._encoded[alike] = encoded
        return encoded

    def came_as(self, version: int, head: bytes, tail: bytes) -> None:
        """Remember the bytes it was published with, at QoS 1 or 2 without RETAIN and properties."""
        alike = self.qos << 1
        self._encoded[PLAIN_5 | alike if version == 5 else alike] = head, tail

    def _encode(
        self, version: int, qos: int, retain: bool, identifiers: tuple[int, ...], now: float
    ) -> tuple[bytes, bytes]:
        if version != 5:
            encoded = b""
        elif self.expires_at is NEVER:
            encoded = encoded_properties(self.properties, identifiers)
        else:
            encoded = encoded_properties(self.outgoing_properties(identifiers, now))
        return join_publish(self.topic, self.payload, qos, retain, encoded)

    def outgoing_properties(self, identifiers: tuple[int, ...], now: float) -> Properties | None:
        """The properties for one 5.0 receiver.

        What the publisher set goes out unaltered and in order [MQTT5-3.3.2-4] [MQTT5-3.3.2-15]
        [MQTT5-3.3.2-16] [MQTT5-3.3.2-17] [MQTT5-3.3.2-18] [MQTT5-3.3.2-20] [MQTT5-3.1.3-10].
        """
        expires = self.expires_at is not NEVER
        if not expires and not identifiers:
            return self.properties
        properties = dict(self.properties) if self.properties else {}
        if expires:  # [MQTT5-3.3.2-6] what is left of it
            left_s = max(0, math.ceil(self.expires_at - now))
            # Never more than was sent, by an error of the float or another thread's older `now`.
            properties[MESSAGE_EXPIRY_INTERVAL] = min(
                left_s, properties.get(MESSAGE_EXPIRY_INTERVAL, left_s)
            )
        if identifiers:  # [MQTT5-3.3.4-3]
            properties[SUBSCRIPTION_IDENTIFIER] = list(identifiers)
        return properties
