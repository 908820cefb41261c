"""Every packet of MQTT 3.1, 3.1.1 and 5.0, by type number and by class.

`version` is the protocol level: 3, 4 or 5. Decoders are strict; encoders never validate.
"""

from collections.abc import Callable

from formats.errors import ProtocolViolation
from formats.mqtt import rules
from formats.mqtt.acks import (
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    decode_puback,
    decode_pubcomp,
    decode_pubrec,
    decode_pubrel,
    encode_acknowledgement,
)
from formats.mqtt.connect import (
    Connack,
    Connect,
    decode_connack,
    decode_connect,
    encode_connack,
    encode_connect,
)
from formats.mqtt.control import (
    PINGREQ_BYTES,
    PINGRESP_BYTES,
    Auth,
    Disconnect,
    Pingreq,
    Pingresp,
    decode_auth,
    decode_disconnect,
    decode_pingreq,
    decode_pingresp,
    encode_auth,
    encode_disconnect,
)

# The numbers and names are part of this module's interface; they live below it because the property
# table needs them too.
from formats.mqtt.packet_types import AUTH as AUTH
from formats.mqtt.packet_types import CONNACK as CONNACK
from formats.mqtt.packet_types import CONNECT as CONNECT
from formats.mqtt.packet_types import DISCONNECT as DISCONNECT
from formats.mqtt.packet_types import PACKET_NAMES as PACKET_NAMES
from formats.mqtt.packet_types import PINGREQ as PINGREQ
from formats.mqtt.packet_types import PINGRESP as PINGRESP
from formats.mqtt.packet_types import PUBACK as PUBACK
from formats.mqtt.packet_types import PUBCOMP as PUBCOMP
from formats.mqtt.packet_types import PUBLISH as PUBLISH
from formats.mqtt.packet_types import PUBREC as PUBREC
from formats.mqtt.packet_types import PUBREL as PUBREL
from formats.mqtt.packet_types import SUBACK as SUBACK
from formats.mqtt.packet_types import SUBSCRIBE as SUBSCRIBE
from formats.mqtt.packet_types import UNSUBACK as UNSUBACK
from formats.mqtt.packet_types import UNSUBSCRIBE as UNSUBSCRIBE
from formats.mqtt.publish import Publish, decode_publish, encode_publish
from formats.mqtt.subscribe import (
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    decode_suback,
    decode_subscribe,
    decode_unsuback,
    decode_unsubscribe,
    encode_suback,
    encode_subscribe,
    encode_unsuback,
    encode_unsubscribe,
)

Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
Decoder = Callable[[int, bytes, int, int, int], Packet]


def _decode_reserved(flags: int, data: bytes, pos: int, end: int, version: int) -> Packet:
    raise ProtocolViolation(rules.PACKET_TYPE_RESERVED, "0", 0)


def _decode_connect(flags: int, data: bytes, pos: int, end: int, version: int) -> Connect:
    return decode_connect(flags, data, pos, end)  # it says its own version


# By packet type; called with (flags, data, pos, end, version) for the body data[pos:end].
DECODERS: tuple[Decoder, ...] = (
    _decode_reserved,
    _decode_connect,
    decode_connack,
    decode_publish,
    decode_puback,
    decode_pubrec,
    decode_pubrel,
    decode_pubcomp,
    decode_subscribe,
    decode_suback,
    decode_unsubscribe,
    decode_unsuback,
    decode_pingreq,
    decode_pingresp,
    decode_disconnect,
    decode_auth,
)

ENCODERS: dict[type, Callable[..., bytes]] = {
    Connect: lambda packet, _version: encode_connect(packet),
    Connack: encode_connack,
    Publish: encode_publish,
    Puback: encode_acknowledgement,
    Pubrec: encode_acknowledgement,
    Pubrel: encode_acknowledgement,
    Pubcomp: encode_acknowledgement,
    Subscribe: encode_subscribe,
    Suback: encode_suback,
    Unsubscribe: encode_unsubscribe,
    Unsuback: encode_unsuback,
    Pingreq: lambda _packet, _version: PINGREQ_BYTES,
    Pingresp: lambda _packet, _version: PINGRESP_BYTES,
    Disconnect: encode_disconnect,
    Auth: lambda packet, _version: encode_auth(packet),
}


def decode(byte1: int, data: bytes, pos: int, end: int, version: int) -> Packet:
    """Decode the packet that begins with `byte1` and has the body data[pos:end].

    Raises:
        ProtocolViolation: whatever the packet's decoder raises.
    """
    return DECODERS[byte1 >> 4](byte1 & 15, data, pos, end, version)


def encode(packet: Packet, version: int) -> bytes:
    """Encode a packet whole; a CONNECT goes by the version that it names itself."""
    return ENCODERS[type(packet)](packet, version)
