"""The content of each MQTT packet, in words and as fields that JSON has.

Everything is bounded in length. Passwords and authentication data are never shown, only how long
they are; every other value of the packet is.
"""

import codecs
from collections.abc import Callable, Iterable
from typing import Any

from formats.mqtt.acks import Acknowledgement, Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.codec import Packet
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Auth, Disconnect, Pingreq, Pingresp
from formats.mqtt.properties import (
    AUTHENTICATION_DATA,
    USER_PROPERTY,
    Properties,
    property_name,
)
from formats.mqtt.publish import Publish
from formats.mqtt.reasons import reason_name
from formats.mqtt.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe

VERSION_NAMES = {3: "3.1", 4: "3.1.1", 5: "5.0"}
RETURN_CODES = (  # of CONNACK in 3.1 and 3.1.1, table 3.1
    "Connection Accepted",
    "Connection Refused, unacceptable protocol version",
    "Connection Refused, identifier rejected",
    "Connection Refused, Server unavailable",
    "Connection Refused, bad user name or password",
    "Connection Refused, not authorized",
)

LONGEST_QUOTE = 60  # characters of a value within the words
LONGEST_TEXT = 256  # characters of a value among the fields
LONGEST_LIST = 32  # values among the fields
LISTED = 4  # values within the words

Fields = dict[str, Any]
Shown = tuple[list[str], Fields]


def packet_in_words(packet: Packet, version: int) -> Shown:
    """What there is to say of a decoded packet: in short phrases, and field by field."""
    return _SHOW[type(packet)](packet, version)


def one_line(text: str, longest: int) -> str:
    """`text` bounded, and without anything that could break a line or hide there."""
    text = text[: longest + 1]
    if not text.isprintable():
        text = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
        )
    return text if len(text) <= longest else text[: longest - 1] + "…"


def bytes_in_words(count: int) -> str:
    """A number of bytes."""
    return "1 byte" if count == 1 else f"{count} bytes"


# Values.


def _quoted(text: str) -> str:
    return f"'{one_line(text, LONGEST_QUOTE)}'"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _few(words: Iterable[str]) -> list[str]:
    words = list(words)
    if len(words) <= LISTED + 1:
        return words
    return [*words[:LISTED], f"and {len(words) - LISTED} more"]


def _listed(values: list[Any]) -> list[Any]:
    if len(values) <= LONGEST_LIST:
        return values
    return [*values[:LONGEST_LIST], f"and {len(values) - LONGEST_LIST} more"]


def _payload(data: bytes) -> Fields:
    """As text where it begins like UTF-8, else as hex."""
    head = data[: 4 * LONGEST_TEXT]
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, len(head) == len(data))
    except UnicodeDecodeError:
        return {"payload_hex": _cut(head.hex()), "payload_size": len(data)}
    return {"payload": _cut(text), "payload_size": len(data)}


def _properties(properties: Properties | None, words: list[str]) -> Fields:
    """The properties among the fields; what is to be said of them is added to `words`."""
    if not properties:
        return {}
    shown: Fields = {}
    for identifier, value in properties.items():
        name = property_name(identifier)
        if identifier == USER_PROPERTY:
            shown[name] = _listed([[_cut(key), _cut(text)] for key, text in value])
            words += _few(f"{name} {_quoted(key)} {_quoted(text)}" for key, text in value)
        elif isinstance(value, list):
            shown[name] = _listed(value)
            words += _few(f"{name} {each}" for each in value)
        elif isinstance(value, bytes):
            secret = identifier == AUTHENTICATION_DATA
            shown[name] = bytes_in_words(len(value)) if secret else _cut(value[:LONGEST_TEXT].hex())
            words.append(f"{name} {bytes_in_words(len(value))}")
        elif isinstance(value, str):
            shown[name] = _cut(value)
            words.append(f"{name} {_quoted(value)}")
        else:
            shown[name] = value
            words.append(f"{name} {value}")
    return {"properties": shown}


# Packets, in the order of their numbers.


def _connect(connect: Connect, _version: int) -> Shown:
    level, will = connect.version, connect.will
    clean = "clean_start" if level == 5 else "clean_session"
    words = [f"client id {_quoted(connect.client_id)}"]
    if connect.clean_start:
        words.append(clean.replace("_", " "))
    words += [f"keep alive {connect.keep_alive_s} s", f"MQTT {VERSION_NAMES[level]}"]
    fields: Fields = {
        "version": VERSION_NAMES[level],
        "client_id": _cut(connect.client_id),
        clean: connect.clean_start,
        "keep_alive": connect.keep_alive_s,
    }
    if connect.user_name is not None:
        words.append(f"user name {_quoted(connect.user_name)}")
        fields["user_name"] = _cut(connect.user_name)
    if connect.password is not None:
        words.append(f"password of {bytes_in_words(len(connect.password))}")
        fields["password"] = bytes_in_words(len(connect.password))
    if will is not None:
        words += [
            f"will {_quoted(will.topic)}",
            f"QoS {will.qos}",
            bytes_in_words(len(will.payload)),
        ]
        fields["will"] = {"topic": _cut(will.topic), "qos": will.qos, "retain": will.retain}
        if will.retain:
            words.append("retain")
        fields["will"] |= _payload(will.payload) | _properties(will.properties, words)
    return words, fields | _properties(connect.properties, words)


def _connack(connack: Connack, version: int) -> Shown:
    code = connack.reason
    if version == 5:
        fields: Fields = {"reason_code": code, "reason": reason_name(code)}
    else:
        fields = {"return_code": code, "reason": RETURN_CODES[code]}
    words = [fields["reason"]]
    fields["session_present"] = connack.session_present
    if connack.session_present:
        words.append("session present")
    return words, fields | _properties(connack.properties, words)


def _publish(publish: Publish, _version: int) -> Shown:
    words = [f"packet id {publish.packet_id}"] if publish.qos else []
    fields: Fields = {"packet_id": publish.packet_id} if publish.qos else {}
    words += [f"QoS {publish.qos}", _quoted(publish.topic), bytes_in_words(len(publish.payload))]
    words += [flag for flag in ("retain", "dup") if getattr(publish, flag)]
    fields |= {
        "topic": _cut(publish.topic),
        "qos": publish.qos,
        "retain": publish.retain,
        "dup": publish.dup,
    }
    return words, fields | _payload(publish.payload) | _properties(publish.properties, words)


def _acknowledgement(packet: Acknowledgement, version: int) -> Shown:
    words = [f"packet id {packet.packet_id}"]
    fields: Fields = {"packet_id": packet.packet_id}
    if version == 5:
        if packet.reason:
            words.append(reason_name(packet.reason))
        fields |= {"reason_code": packet.reason, "reason": reason_name(packet.reason)}
    return words, fields | _properties(packet.properties, words)


def _subscription(subscription: Subscription, version: int) -> tuple[str, Fields]:
    words = f"{_quoted(subscription.topic_filter)} QoS {subscription.qos}"
    fields: Fields = {"topic_filter": _cut(subscription.topic_filter), "qos": subscription.qos}
    if version == 5:
        words += " no local" if subscription.no_local else ""
        words += " retain as published" if subscription.retain_as_published else ""
        if subscription.retain_handling:
            words += f" retain handling {subscription.retain_handling}"
        fields["no_local"] = subscription.no_local
        fields["retain_as_published"] = subscription.retain_as_published
        fields["retain_handling"] = subscription.retain_handling
    return words, fields


def _subscribe(subscribe: Subscribe, version: int) -> Shown:
    each = [_subscription(subscription, version) for subscription in subscribe.subscriptions]
    words = [f"packet id {subscribe.packet_id}", *_few(text for text, _ in each)]
    fields: Fields = {"packet_id": subscribe.packet_id}
    fields["subscriptions"] = _listed([of_one for _, of_one in each])
    return words, fields | _properties(subscribe.properties, words)


def _suback(suback: Suback, version: int) -> Shown:
    names = [_granted(reason, version) for reason in suback.reasons]
    codes = "reason_codes" if version == 5 else "return_codes"
    words = [f"packet id {suback.packet_id}", *_few(names)]
    fields: Fields = {"packet_id": suback.packet_id, codes: _listed(suback.reasons)}
    fields["reasons"] = _listed(names)
    return words, fields | _properties(suback.properties, words)


def _granted(reason: int, version: int) -> str:
    """The name of a reason code of SUBACK, where 0 has one of its own (table 2-6)."""
    if version == 3:
        return f"Granted QoS {reason & 3}"
    if version == 4 and reason > 2:
        return "Failure"
    return reason_name(reason) if reason else "Granted QoS 0"


def _unsubscribe(unsubscribe: Unsubscribe, _version: int) -> Shown:
    filters = unsubscribe.topic_filters
    words = [f"packet id {unsubscribe.packet_id}", *_few(_quoted(each) for each in filters)]
    fields: Fields = {"packet_id": unsubscribe.packet_id}
    fields["topic_filters"] = _listed([_cut(topic_filter) for topic_filter in filters])
    return words, fields | _properties(unsubscribe.properties, words)


def _unsuback(unsuback: Unsuback, _version: int) -> Shown:
    names = [reason_name(reason) for reason in unsuback.reasons]
    words = [f"packet id {unsuback.packet_id}", *_few(names)]
    fields: Fields = {"packet_id": unsuback.packet_id}
    if names:
        fields |= {"reason_codes": _listed(unsuback.reasons), "reasons": _listed(names)}
    return words, fields | _properties(unsuback.properties, words)


def _ping(_packet: Pingreq | Pingresp, _version: int) -> Shown:
    return [], {}


def _disconnect(disconnect: Disconnect, version: int) -> Shown:
    if version != 5:
        return [], {}
    code = disconnect.reason
    name = reason_name(code) if code else "Normal disconnection"  # 0 has a name of its own here
    words = [name]
    fields: Fields = {"reason_code": code, "reason": name}
    return words, fields | _properties(disconnect.properties, words)


def _auth(auth: Auth, _version: int) -> Shown:
    words = [reason_name(auth.reason)]
    fields: Fields = {"reason_code": auth.reason, "reason": words[0]}
    return words, fields | _properties(auth.properties, words)


_SHOW: dict[type, Callable[[Any, int], Shown]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: _acknowledgement,
    Pubrec: _acknowledgement,
    Pubrel: _acknowledgement,
    Pubcomp: _acknowledgement,
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: _unsubscribe,
    Unsuback: _unsuback,
    Pingreq: _ping,
    Pingresp: _ping,
    Disconnect: _disconnect,
    Auth: _auth,
}
