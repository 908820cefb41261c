"""What a client was seen to do and what situations it was in, a bit each, so a set is an int.

In the order of the 5.0 document. What is `_shown` is found by a function in one decoded packet;
what is `_known` needs the broker's memory (it resumed, sent again, acknowledged ...), which sets
the bit. Which statements are exercised by them is in `oracle.exercises`.

Bits are for one run of the broker: they have no place in files.
"""

from typing import NamedTuple

from formats.mqtt import properties as named
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.connect import Connect
from formats.mqtt.control import Auth, Disconnect
from formats.mqtt.properties import Properties
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Unsubscribe


class Fact(NamedTuple):
    """One bit.

    Attributes:
        name:  of its constant.
        words: what it says of the client.
        shown: whether the functions below find it in a packet; else the broker has to say it.
    """

    bit: int
    name: str
    words: str
    shown: bool


_ERROR = 0x80  # reason codes from here on are errors (2.4)
_meanings: dict[int, tuple[str, bool]] = {}  # by bit: words, shown


def _shown(words: str, shown: bool = True) -> int:
    bit = 1 << len(_meanings)
    _meanings[bit] = words, shown
    return bit


def _known(words: str) -> int:
    return _shown(words, False)


# 2 Format of the packets
NO_PROPERTIES = _shown("sent a packet of 5.0 without properties")
PROPERTIES_SENT = _shown("sent a packet of 5.0 with properties")
USER_PROPERTY_SENT = _shown("sent a User Property")
REUSED_PACKET_ID = _known("took a packet identifier again after its acknowledgement")

# 3.1 CONNECT
CONNECT = _shown("sent CONNECT")
NAMED_MQTT = _shown("named the protocol MQTT, as 3.1.1 and 5.0 do and 3.1 does not")
CLEAN_START = _shown("asked for a new session")
DISCARDED_SESSION = _known("had a session when it asked for a new one")
OLD_SESSION_ASKED = _shown("asked to go on with the session it had")
SESSION_TO_BE_KEPT = _shown("asked that the session outlive the connection")
WILL = _shown("left a will")
NO_WILL = _shown("left no will")
USER_NAME = _shown("gave a user name")
NO_USER_NAME = _shown("gave no user name")
PASSWORD = _shown("gave a password")
NO_PASSWORD = _shown("gave no password")
KEEP_ALIVE = _shown("set a keep alive")
WAS_IDLE_AND_PINGED = _known("was idle and sent PINGREQ within its keep alive")
CONNECT_SESSION_EXPIRY = _shown("gave a Session Expiry Interval in CONNECT")
CONNECT_RECEIVE_MAXIMUM = _shown("gave a Receive Maximum")
CONNECT_MAXIMUM_PACKET_SIZE = _shown("gave a Maximum Packet Size")
CONNECT_TOPIC_ALIAS_MAXIMUM = _shown("gave a Topic Alias Maximum")
CONNECT_REQUEST_RESPONSE_INFORMATION = _shown("gave a Request Response Information")
CONNECT_REQUEST_PROBLEM_INFORMATION = _shown("gave a Request Problem Information")
CONNECT_AUTHENTICATION_METHOD = _shown("gave an Authentication Method")
NO_AUTHENTICATION_METHOD = _shown("gave no Authentication Method")
CONNECT_AUTHENTICATION_DATA = _shown("gave Authentication Data in CONNECT")
EMPTY_CLIENT_ID = _shown("gave a client identifier of no characters")
WILL_DELAY = _shown("gave a Will Delay Interval")
WILL_PAYLOAD_FORMAT = _shown("gave the will a Payload Format Indicator")
WILL_PAYLOAD_UTF_8 = _shown("said that the will is UTF-8")
WILL_MESSAGE_EXPIRY = _shown("gave the will a Message Expiry Interval")
WILL_CONTENT_TYPE = _shown("gave the will a Content Type")
WILL_RESPONSE_TOPIC = _shown("gave the will a Response Topic")
WILL_CORRELATION_DATA = _shown("gave the will Correlation Data")
SENT_BEFORE_CONNACK = _known("sent another packet before it can have had the CONNACK")

# 3.2 CONNACK
CONNECTED = _known("was accepted: CONNACK with Success left for it")
RESUMED = _known("was told that its session is present")
STARTED_ANEW = _known("asked for the session that it had and was told that there is none")
MAXIMUM_QOS_LIMITED = _known("was told a Maximum QoS")
RETAIN_UNAVAILABLE_TOLD = _known("was told that retained messages are not supported")
MAXIMUM_PACKET_SIZE_GIVEN = _known("was told a Maximum Packet Size")
ASSIGNED_CLIENT_ID_GIVEN = _known("was given a client identifier")
TOPIC_ALIAS_ALLOWED = _known("was told a Topic Alias Maximum above 0")
TOPIC_ALIAS_REFUSED = _known("was told no Topic Alias Maximum, or 0")
WILDCARDS_UNAVAILABLE_TOLD = _known("was told that wildcard subscriptions are not supported")
SUBSCRIPTION_IDENTIFIERS_UNAVAILABLE_TOLD = _known(
    "was told that subscription identifiers are not supported"
)
SHARED_UNAVAILABLE_TOLD = _known("was told that shared subscriptions are not supported")
SERVER_KEEP_ALIVE_GIVEN = _known("was told a Server Keep Alive")
SERVER_KEEP_ALIVE_KEPT = _known("was idle and sent PINGREQ within the Server Keep Alive")

# 3.3 PUBLISH
PUBLISHED_QOS_0 = _shown("published at QoS 0")
PUBLISHED_QOS_1 = _shown("published at QoS 1")
PUBLISHED_QOS_2 = _shown("published at QoS 2")
PUBLISHED_DUP = _shown("published with DUP")
PUBLISH_PAYLOAD_UTF_8 = _shown("said that a payload is UTF-8")
PUBLISH_MESSAGE_EXPIRY = _shown("gave a Message Expiry Interval")
USED_TOPIC_ALIAS = _shown("published with a Topic Alias")
TOPIC_ALIAS_ALONE = _shown("published with a Topic Alias in place of the topic name")
PUBLISH_RESPONSE_TOPIC = _shown("gave a Response Topic")
PUBLISH_CORRELATION_DATA = _shown("gave Correlation Data")
PUBLISH_CONTENT_TYPE = _shown("gave a Content Type")
RECEIVED_QOS_0 = _known("was sent a PUBLISH at QoS 0")
RECEIVED_QOS_1 = _known("was sent a PUBLISH at QoS 1")
RECEIVED_QOS_2 = _known("was sent a PUBLISH at QoS 2")
RECEIVED_TOPIC_ALIAS = _known("was sent a PUBLISH with a Topic Alias")
RECEIVE_MAXIMUM_REACHED = _known("had as many unacknowledged PUBLISH packets as it may have")
SENT_AT_RECEIVE_MAXIMUM = _known("sent other packets while it might send no PUBLISH")

# 3.4 to 3.7 PUBACK, PUBREC, PUBREL, PUBCOMP
PUBACK = _shown("sent PUBACK")
PUBACK_REASON_STRING = _shown("gave a Reason String in PUBACK")
PUBACK_USER_PROPERTY = _shown("gave a User Property in PUBACK")
PUBREC = _shown("sent PUBREC")
PUBREC_REASON_STRING = _shown("gave a Reason String in PUBREC")
PUBREC_USER_PROPERTY = _shown("gave a User Property in PUBREC")
PUBREL = _shown("sent PUBREL")
PUBREL_REASON_STRING = _shown("gave a Reason String in PUBREL")
PUBREL_USER_PROPERTY = _shown("gave a User Property in PUBREL")
PUBCOMP = _shown("sent PUBCOMP")
PUBCOMP_REASON_STRING = _shown("gave a Reason String in PUBCOMP")
PUBCOMP_USER_PROPERTY = _shown("gave a User Property in PUBCOMP")

# 3.8 and 3.10 SUBSCRIBE, UNSUBSCRIBE
SUBSCRIBE = _shown("sent SUBSCRIBE")
SUBSCRIBE_IDENTIFIER = _shown("gave a Subscription Identifier")
UNSUBSCRIBE = _shown("sent UNSUBSCRIBE")

# 3.12 PINGREQ
PINGREQ = _shown("sent PINGREQ")

# 3.14 DISCONNECT
DISCONNECT = _shown("sent DISCONNECT")
DISCONNECT_REASON_STRING = _shown("gave a Reason String in DISCONNECT")
DISCONNECT_USER_PROPERTY = _shown("gave a User Property in DISCONNECT")
DISCONNECT_SESSION_EXPIRY = _shown("gave a Session Expiry Interval in DISCONNECT")
DISCONNECT_ERROR = _shown("sent DISCONNECT with a reason code of 0x80 or above")
CLOSED_AFTER_OWN_DISCONNECT = _known("closed the connection after its DISCONNECT")
DISCONNECTED_BY_SERVER = _known("was sent a DISCONNECT")
GOT_SERVER_DISCONNECT_AND_CLOSED = _known("was sent a DISCONNECT and closed the connection")

# 3.15 AUTH
AUTH = _shown("sent AUTH")
AUTH_REASON_STRING = _shown("gave a Reason String in AUTH")
AUTH_USER_PROPERTY = _shown("gave a User Property in AUTH")
AUTH_DATA = _shown("gave Authentication Data in AUTH")

# 4.3 Quality of Service levels and protocol flows
ACKNOWLEDGED_QOS_1 = _known("answered a PUBLISH at QoS 1 with PUBACK")
RECORDED_QOS_2 = _known("answered a PUBLISH at QoS 2 with PUBREC")
RECORDED_AGAIN = _known("answered a PUBLISH at QoS 2 that it was sent again with PUBREC")
COMPLETED_QOS_2 = _known("answered PUBREL with PUBCOMP")
RELEASED_QOS_2 = _known("answered PUBREC with PUBREL")

# 4.4 Message delivery retry
RESENT_PUBLISH = _known("sent a PUBLISH again after it had reconnected")
RESENT_SEVERAL = _known("sent several PUBLISH packets again, so their order matters")
RESENT_PUBREL = _known("sent a PUBREL again after it had reconnected")
PUBLISH_REFUSED = _known("was answered a reason code of 0x80 or above to a PUBLISH")

# 4.6 Message ordering
SEVERAL_IN_FLIGHT_TO_IT = _known("had several PUBLISH packets at QoS 1 to acknowledge at once")
SEVERAL_QOS_2_IN_FLIGHT_TO_IT = _known(
    "had several PUBLISH packets at QoS 2 to acknowledge at once"
)
SEVERAL_IN_FLIGHT_FROM_IT = _known("had several PUBLISH packets at QoS 2 recorded at once")

# 4.7 and 4.8 Topics and subscriptions
MULTI_LEVEL_WILDCARD = _shown("used # in a topic filter")
SINGLE_LEVEL_WILDCARD = _shown("used + in a topic filter")
SHARED_SUBSCRIPTION = _shown("asked for a shared subscription")

# 4.12 Enhanced authentication
CHALLENGED = _known("was sent an AUTH that asks for more")
ANSWERED_CHALLENGE = _known("answered that AUTH with AUTH")
REAUTHENTICATED = _known("began a re-authentication")

# 4.2 and 6 Transports
OVER_TLS = _known("came over TLS")
OVER_WEBSOCKET = _known("came over WebSocket")

FACTS: tuple[Fact, ...] = tuple(
    Fact(value, name, *_meanings[value])
    for name, value in tuple(globals().items())
    if name.isupper() and not name.startswith("_")
)

# By property identifier: what it shows in each packet.
_IN_CONNECT = {
    named.SESSION_EXPIRY_INTERVAL: CONNECT_SESSION_EXPIRY,
    named.RECEIVE_MAXIMUM: CONNECT_RECEIVE_MAXIMUM,
    named.MAXIMUM_PACKET_SIZE: CONNECT_MAXIMUM_PACKET_SIZE,
    named.TOPIC_ALIAS_MAXIMUM: CONNECT_TOPIC_ALIAS_MAXIMUM,
    named.REQUEST_RESPONSE_INFORMATION: CONNECT_REQUEST_RESPONSE_INFORMATION,
    named.REQUEST_PROBLEM_INFORMATION: CONNECT_REQUEST_PROBLEM_INFORMATION,
    named.AUTHENTICATION_METHOD: CONNECT_AUTHENTICATION_METHOD,
    named.AUTHENTICATION_DATA: CONNECT_AUTHENTICATION_DATA,
    named.USER_PROPERTY: USER_PROPERTY_SENT,
}
_IN_WILL = {
    named.WILL_DELAY_INTERVAL: WILL_DELAY,
    named.PAYLOAD_FORMAT_INDICATOR: WILL_PAYLOAD_FORMAT,
    named.MESSAGE_EXPIRY_INTERVAL: WILL_MESSAGE_EXPIRY,
    named.CONTENT_TYPE: WILL_CONTENT_TYPE,
    named.RESPONSE_TOPIC: WILL_RESPONSE_TOPIC,
    named.CORRELATION_DATA: WILL_CORRELATION_DATA,
    named.USER_PROPERTY: USER_PROPERTY_SENT,
}
_IN_PUBLISH = {
    named.PAYLOAD_FORMAT_INDICATOR: 0,  # its value tells
    named.MESSAGE_EXPIRY_INTERVAL: PUBLISH_MESSAGE_EXPIRY,
    named.TOPIC_ALIAS: USED_TOPIC_ALIAS,
    named.RESPONSE_TOPIC: PUBLISH_RESPONSE_TOPIC,
    named.CORRELATION_DATA: PUBLISH_CORRELATION_DATA,
    named.CONTENT_TYPE: PUBLISH_CONTENT_TYPE,
    named.USER_PROPERTY: USER_PROPERTY_SENT,
    named.SUBSCRIPTION_IDENTIFIER: 0,  # never from a client (3.3.4)
}
_AT_QOS = (PUBLISHED_QOS_0, PUBLISHED_QOS_1, PUBLISHED_QOS_2)


def of_connect(connect: Connect) -> int:
    """What a CONNECT shows."""
    version, properties, will = connect.version, connect.properties, connect.will
    facts = CONNECT | (NAMED_MQTT if version > 3 else 0)
    facts |= CLEAN_START if connect.clean_start else OLD_SESSION_ASKED
    facts |= NO_USER_NAME if connect.user_name is None else USER_NAME
    facts |= NO_PASSWORD if connect.password is None else PASSWORD
    if connect.keep_alive_s:
        facts |= KEEP_ALIVE
    if not connect.client_id:
        facts |= EMPTY_CLIENT_ID
    if version == 5:
        if properties:
            facts |= PROPERTIES_SENT
            for identifier in properties:
                facts |= _IN_CONNECT[identifier]
            if properties.get(named.SESSION_EXPIRY_INTERVAL):
                facts |= SESSION_TO_BE_KEPT
        else:
            facts |= NO_PROPERTIES
        if not facts & CONNECT_AUTHENTICATION_METHOD:
            facts |= NO_AUTHENTICATION_METHOD
    elif not connect.clean_start:
        facts |= SESSION_TO_BE_KEPT
    if will is None:
        return facts | NO_WILL
    facts |= WILL
    if will.properties:
        facts |= PROPERTIES_SENT
        for identifier in will.properties:
            facts |= _IN_WILL[identifier]
        if will.properties.get(named.PAYLOAD_FORMAT_INDICATOR):
            facts |= WILL_PAYLOAD_UTF_8
    return facts


def of_publish(publish: Publish) -> int:
    """What a PUBLISH shows."""
    facts = _AT_QOS[publish.qos]
    if publish.dup:
        facts |= PUBLISHED_DUP
    properties = publish.properties
    if properties:
        facts |= PROPERTIES_SENT
        for identifier in properties:
            facts |= _IN_PUBLISH[identifier]
        if not publish.topic:
            facts |= TOPIC_ALIAS_ALONE
        if properties.get(named.PAYLOAD_FORMAT_INDICATOR):
            facts |= PUBLISH_PAYLOAD_UTF_8
    return facts


def of_puback(puback: Puback) -> int:
    """What a PUBACK shows."""
    return _of_answer(PUBACK, puback.properties)


def of_pubrec(pubrec: Pubrec) -> int:
    """What a PUBREC shows."""
    return _of_answer(PUBREC, pubrec.properties)


def of_pubrel(pubrel: Pubrel) -> int:
    """What a PUBREL shows."""
    return _of_answer(PUBREL, pubrel.properties)


def of_pubcomp(pubcomp: Pubcomp) -> int:
    """What a PUBCOMP shows."""
    return _of_answer(PUBCOMP, pubcomp.properties)


def _of_answer(facts: int, properties: Properties | None) -> int:
    """The packet's bit, and after it those of its Reason String and its User Property."""
    sent = facts
    if properties:
        facts |= PROPERTIES_SENT
        if named.REASON_STRING in properties:
            facts |= sent << 1
        if named.USER_PROPERTY in properties:
            facts |= sent << 2 | USER_PROPERTY_SENT
    return facts


def of_subscribe(subscribe: Subscribe) -> int:
    """What a SUBSCRIBE shows."""
    facts = SUBSCRIBE
    if subscribe.properties:
        facts |= PROPERTIES_SENT
        if named.SUBSCRIPTION_IDENTIFIER in subscribe.properties:
            facts |= SUBSCRIBE_IDENTIFIER
        if named.USER_PROPERTY in subscribe.properties:
            facts |= USER_PROPERTY_SENT
    for subscription in subscribe.subscriptions:
        facts |= _of_filter(subscription.topic_filter)
    return facts


def of_unsubscribe(unsubscribe: Unsubscribe) -> int:
    """What an UNSUBSCRIBE shows."""
    facts = UNSUBSCRIBE
    if unsubscribe.properties:
        facts |= PROPERTIES_SENT | USER_PROPERTY_SENT
    for topic_filter in unsubscribe.topic_filters:
        facts |= _of_filter(topic_filter)
    return facts


def _of_filter(topic_filter: str) -> int:
    """What a topic filter shows; that `$share/` is nothing special in 3.x, its statements know."""
    facts = MULTI_LEVEL_WILDCARD if "#" in topic_filter else 0
    if "+" in topic_filter:
        facts |= SINGLE_LEVEL_WILDCARD
    if topic_filter.startswith("$share/"):
        facts |= SHARED_SUBSCRIPTION
    return facts


def of_disconnect(disconnect: Disconnect) -> int:
    """What a DISCONNECT shows."""
    if not disconnect.reason and not disconnect.properties:
        return DISCONNECT
    facts = _of_answer(DISCONNECT, disconnect.properties)
    if disconnect.reason >= _ERROR:
        facts |= DISCONNECT_ERROR
    if disconnect.properties and named.SESSION_EXPIRY_INTERVAL in disconnect.properties:
        facts |= DISCONNECT_SESSION_EXPIRY
    return facts


def of_auth(auth: Auth) -> int:
    """What an AUTH shows; whether it was due, the broker knows."""
    facts = _of_answer(AUTH, auth.properties)
    if auth.properties and named.AUTHENTICATION_DATA in auth.properties:
        facts |= AUTH_DATA
    return facts
