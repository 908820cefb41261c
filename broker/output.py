"""What a network connection sends: packets within what the client allows, one flush a round.

Threads: belongs to the connection's worker.
"""

import logging
from dataclasses import replace
from typing import Any, Protocol, cast

from broker.durable_output import DurableOutput
from broker.layers.layer import Layer
from broker.logging_setup import quoted
from broker.message import Message
from broker.session.outgoing import Outgoing
from broker.settings import Settings
from broker.topics.aliases import SentAliases
from formats.mqtt.codec import Packet, encode
from formats.mqtt.connect import Connack
from formats.mqtt.control import Disconnect
from formats.mqtt.properties import REASON_STRING, TOPIC_ALIAS, USER_PROPERTY, Properties
from formats.mqtt.publish import encode_publish_parts

log = logging.getLogger("touchstone")

DIAGNOSTICS = (REASON_STRING, USER_PROPERTY)  # what Request Problem Information is about
PLAIN_3, PLAIN_5 = 3, 5  # 3.1 and 3.1.1 have the same PUBLISH
BESIDES = 100  # bytes, about, that it takes to keep a message, besides its topic and payload
FEW, LARGE = 64, 32_768  # so few packets, of so many bytes, are worth their weight in copies
UNLIMITED = 1 << 62  # bytes; the Maximum Packet Size of a client that states none


class Transport(Protocol):
    """The socket side of a connection, as far as the connection knows it."""

    unsent: int  # bytes handed over and not taken by the peer yet

    def send(self, data: bytes) -> None:
        """Take all of `data`; what the network does not take now goes out when it does."""

    def send_parts(self, parts: list[bytes], size: int) -> None:
        """`send` of all of them, so many bytes, without joining them first."""

    def finish(self) -> None:
        """After what was handed over: half-close, drain for a moment, close (DESIGN: every
        DISCONNECT)."""

    def pause(self) -> None:
        """Stop reading until `resume`."""

    def resume(self) -> None:
        """Read again."""


class Output(DurableOutput):
    """The sending half of a connection.

    Attributes:
        maximum_out: the client's Maximum Packet Size, bytes (3.1.2.11.4).
        problem_information: whether Reason Strings and User Properties are wanted (3.1.2.11.7).
        congested:   so much waits unsent that messages had better wait in the session, or be
            dropped.
        overrun:     bytes written since it was congested, none of them messages.
        layers:      between MQTT and the network, the lowest first.
        behind_connack: QoS 0 messages that wait for a CONNACK that is pledged; None otherwise.
        plain:       PLAIN_3 or PLAIN_5 where a QoS 0 PUBLISH without properties can go out as the
            bytes that every client of this kind gets; 0 where `send_qos0` has to look closer.
    """

    __slots__ = (
        "_behind_size",
        "address",
        "behind_connack",
        "client_id",
        "congested",
        "layers",
        "maximum_out",
        "overrun",
        "plain",
        "problem_information",
        "sent_aliases",
        "settings",
        "transport",
    )

    settings: Settings
    transport: Transport
    address: str
    client_id: str
    maximum_out: int
    problem_information: bool
    congested: bool
    overrun: int
    plain: int
    behind_connack: list[tuple[Message, bool, tuple[int, ...]]] | None
    _behind_size: int  # bytes
    sent_aliases: SentAliases | None
    layers: tuple[Layer, ...]

    @property
    def name(self) -> str:
        """Who this is, for the log."""
        return f"{quoted(self.client_id)} {self.address}" if self.client_id else self.address

    def send(self, packet: Packet, kept: bool = False) -> bool:
        """Send a packet other than PUBLISH; False when it is more than the client allows.

        With `kept` it leaves once what was noted so far is durable.

        Reason String and User Properties are for whoever asked for them [MQTT5-3.1.2-29] and never
        make a packet too large [MQTT5-3.2.2-19] [MQTT5-3.2.2-20] [MQTT5-3.4.2-2] [MQTT5-3.4.2-3]
        [MQTT5-3.5.2-2] [MQTT5-3.5.2-3] [MQTT5-3.6.2-2] [MQTT5-3.6.2-3] [MQTT5-3.7.2-2]
        [MQTT5-3.7.2-3] [MQTT5-3.9.2-1] [MQTT5-3.9.2-2] [MQTT5-3.11.2-1] [MQTT5-3.11.2-2]
        [MQTT5-3.14.2-3] [MQTT5-3.14.2-4] [MQTT5-3.15.2-2] [MQTT5-3.15.2-3].
        """
        properties: Properties | None = getattr(packet, "properties", None)
        if (
            properties
            and not self.problem_information
            and not isinstance(packet, Connack | Disconnect)
        ):
            packet = _with_properties(packet, _without(properties, *DIAGNOSTICS))
        data = encode(packet, self.version)
        if len(data) > self.maximum_out and properties:
            for dropped in ((USER_PROPERTY,), DIAGNOSTICS):
                packet = _with_properties(packet, _without(properties, *dropped))
                data = encode(packet, self.version)
                if len(data) <= self.maximum_out:
                    break
        if len(data) > self.maximum_out:  # [MQTT5-3.1.2-24] [MQTT5-3.1.2-25]
            log.warning(
                "%s: not sent, %d bytes are over its Maximum Packet Size %d: %s",
                self.name,
                len(data),
                self.maximum_out,
                type(packet).__name__.upper(),
            )
            return False
        if kept:
            self.pledge(data)
        else:
            self.write(data)
        return True

    def send_qos0(self, message: Message, retain: bool, identifiers: tuple[int, ...]) -> None:
        """Send a message at QoS 0 [MQTT5-4.3.1-1] [MQTT3-4.3.1-1], or drop it where the client
        does not read."""
        statistics = self.worker.statistics
        if self.congested:
            if self.behind_connack is None or not self._wait_behind(message, retain, identifiers):
                statistics.publish_dropped += 1
            return
        if self.sent_aliases is None:
            data = message.encoded(self.version, 0, retain, identifiers, self.worker.now)[0]
        else:
            data = self._with_alias(message, 0, retain, identifiers)[0]
        if len(data) > self.maximum_out:  # [MQTT5-3.1.2-24]
            statistics.publish_dropped += 1
            return
        statistics.publish_sent += 1
        statistics.publish_bytes_sent += len(message.payload)
        out = self.out
        if not out:
            self.worker.touched.append(self)
        out.append(data)

    def wait_for_connack(self) -> None:
        """Until `go_on_after_connack` messages are not for this connection; QoS 0 waits in it, as
        far as other output would."""
        self.congested = True
        self.behind_connack = []
        self._behind_size = 0

    def _wait_behind(self, message: Message, retain: bool, identifiers: tuple[int, ...]) -> bool:
        size = len(message.topic) + len(message.payload) + BESIDES
        if self.behind_connack is None or (
            self._behind_size + size > self.settings.max_output_bytes
        ):
            return False
        self._behind_size += size
        self.behind_connack.append((message, retain, identifiers))
        return True

    def go_on_after_connack(self) -> None:
        """Send the QoS 0 messages that have waited for it."""
        behind, self.behind_connack = self.behind_connack, None
        for message, retain, identifiers in behind or ():
            if message.expires_at > self.worker.now:  # [MQTT5-3.3.2-5]
                self.send_qos0(message, retain, identifiers)

    def send_message(self, outgoing: Outgoing, dup: bool) -> bool:
        """Send a message at QoS 1 or 2; False when it is over the client's limit
        [MQTT5-3.1.2-24]."""
        message, packet_id = outgoing.message, outgoing.packet_id
        if self.sent_aliases is None:
            head, tail = message.encoded(
                self.version, outgoing.qos, outgoing.retain, outgoing.identifiers, self.worker.now
            )
        else:
            head, tail = self._with_alias(
                message, outgoing.qos, outgoing.retain, outgoing.identifiers
            )
        statistics = self.worker.statistics
        if len(head) + 2 + len(tail) > self.maximum_out:
            statistics.publish_dropped += 1
            return False
        if dup:  # [MQTT5-3.3.1-1] [MQTT5-3.3.1-3] [MQTT3-3.3.1-1] [MQTT3-3.3.1-3]
            head = bytes((head[0] | 8,)) + head[1:]
        statistics.publish_sent += 1
        statistics.publish_bytes_sent += len(message.payload)
        packet = head + packet_id.to_bytes(2, "big") + tail
        if outgoing.place > 0 and outgoing.qos == 2 and not dup:
            # Sent under a packet id that a crash would forget, it could arrive twice.
            self.pledge(packet)
        else:
            self.write(packet)
        return True

    def send_pubrel(self, packet_id: int, kept: bool = False) -> None:
        """PUBREL with reason code 0x00 and the flags it has to have [MQTT3-2.2.2-1]; of a kept
        session, when its state is durable."""
        packet = b"\x62\x02%c%c" % (packet_id >> 8, packet_id & 0xFF)
        if kept:
            self.pledge(packet)
        else:
            self.write(packet)

    def _with_alias(
        self, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...]
    ) -> tuple[bytes, bytes]:
        aliases = self.sent_aliases
        alias, known = aliases.assign(message.topic) if aliases is not None else (0, False)
        if aliases is None or not alias:
            return message.encoded(5, qos, retain, identifiers, self.worker.now)
        properties = dict(message.outgoing_properties(identifiers, self.worker.now) or {})
        properties[TOPIC_ALIAS] = alias
        topic = "" if known else message.topic
        head, tail = encode_publish_parts(topic, message.payload, qos, retain, 5, properties)
        if len(head) + len(tail) + (2 if qos else 0) > self.maximum_out:
            aliases.take_back()  # without an alias it may be small enough
            return message.encoded(5, qos, retain, identifiers, self.worker.now)
        return head, tail

    def flush(self) -> None:
        """Hand what this round has written to the transport, through the layers."""
        out = self.out
        count = len(out)
        if 1 < count <= FEW and not self.layers:
            size = sum(map(len, out))
            if size >= LARGE:
                self._flush_parts(out[:], size)
                return
        data = out[0] if count == 1 else b"".join(out)
        out.clear()
        if not data:
            return
        statistics = self.worker.statistics
        statistics.messages_sent += count
        self.sending(data, count)
        if self.layers:
            self.send_down(data, len(self.layers))
            return
        statistics.bytes_sent += len(data)  # `_hand_over`, without a call for each packet
        transport = self.transport
        transport.send(data)
        if transport.unsent:
            self._not_all_taken(len(data))

    def _flush_parts(self, parts: list[bytes], size: int) -> None:
        """The same for large packets: they are not copied once more to be one piece."""
        self.out.clear()
        statistics = self.worker.statistics
        statistics.messages_sent += len(parts)
        statistics.bytes_sent += size
        self.sending_parts(parts, size)
        self.transport.send_parts(parts, size)
        if self.transport.unsent:
            self._not_all_taken(size)

    def sending(self, data: bytes, count: int) -> None:
        """So many packets leave."""

    def sending_parts(self, parts: list[bytes], size: int) -> None:
        """Each of these leaves."""

    def settle_plain(self) -> None:
        """Work out `plain` from what it depends on."""
        if self.congested or self.sent_aliases is not None or not self.version:
            self.plain = 0
        else:
            self.plain = PLAIN_5 if self.version == 5 else PLAIN_3

    def send_down(self, data: bytes, place: int) -> None:
        """Send bytes through the layers below `place`."""
        for layer in reversed(self.layers[:place]):
            data = layer.to_send(data)
        if data:
            self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        self.worker.statistics.bytes_sent += len(data)
        self.transport.send(data)
        if self.transport.unsent:
            self._not_all_taken(len(data))

    def _not_all_taken(self, size: int) -> None:
        """Something waits unsent, after a send of so many bytes."""
        if self.transport.unsent > self.settings.max_output_bytes:
            if self.congested:
                self.overrun += size
            self.congested = True
            self.plain = 0


def _with_properties(packet: Packet, properties: Properties | None) -> Packet:
    changed: Any = packet
    return cast(Packet, replace(changed, properties=properties))


def _without(properties: Properties, *identifiers: int) -> Properties | None:
    rest = {key: value for key, value in properties.items() if key not in identifiers}
    return rest or None
