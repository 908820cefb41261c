"""The rules of MQTT 3.1, 3.1.1 and 5.0 that peers are held to, in the order of the 5.0 document.

Reason codes: 0x81 for what cannot be parsed, 0x82 for what is parsed and not allowed, a more
specific one where the standard names it (4.13). Statement ids are those of 3.1.1 and 5.0; `U311-`
and `U5-` ids are ours, for sentences that the standards do not number. Where sender and receiver
each have a statement, the rule names that of the sender, who broke it. Rules of 3.1 have no ids.
Those of single properties stand in `property_rules`.
"""

from formats.errors import Rule
from formats.mqtt import property_rules

# 1.5 Data representation
TRUNCATED = Rule(0x81, "U311-2.2.3-1", "U5-1.2-1", "packet ends inside a field")
TEXT_NOT_UTF_8 = Rule(0x81, "MQTT-1.5.3-1", "MQTT-1.5.4-1", "string is not well-formed UTF-8")
TEXT_WITH_NULL = Rule(0x81, "MQTT-1.5.3-2", "MQTT-1.5.4-2", "string contains U+0000")
TEXT_DISALLOWED = Rule(
    0x81, "U311-1.5.3-1", "U5-1.5.4-3", "string contains a control or non-character"
)
VARIABLE_NOT_MINIMAL = Rule(
    0x81, "", "MQTT-1.5.5-1", "variable byte integer has more bytes than it needs"
)
VARIABLE_TOO_LONG = Rule(
    0x81, "U311-2.2.3-2", "U5-1.5.5-1", "variable byte integer has more than four bytes"
)

# 2.1 Structure of a packet
PACKET_TYPE_RESERVED = Rule(0x81, "U311-2.2.1-1", "U5-2.1.2-1", "packet type is reserved")
FLAGS_RESERVED = Rule(
    0x81, "MQTT-2.2.2-1", "MQTT-2.1.3-1", "reserved flags of the fixed header are set"
)
TRAILING_BYTES = Rule(0x81, "U311-2.2.3-1", "U5-1.2-1", "bytes after the last field of the packet")
SERVER_ONLY_PACKET = Rule(
    0x82, "U311-2.2.1-1", "U5-2.1.2-1", "client sent a packet that only a server sends"
)
CLIENT_ONLY_PACKET = Rule(
    0x82, "U311-2.2.1-1", "U5-2.1.2-1", "server sent a packet that only a client sends"
)

# 2.2 Variable header
PACKET_ID_ZERO = Rule(0x82, "MQTT-2.3.1-1", "MQTT-2.2.1-3", "packet identifier is 0")
PACKET_ID_IN_USE = Rule(0x82, "MQTT-2.3.1-2", "MQTT-2.2.1-3", "packet identifier is in use")
ACKNOWLEDGEMENT_UNKNOWN = Rule(
    0x82, "MQTT-2.3.1-6", "MQTT-2.2.1-5", "acknowledgement of a packet identifier not in flight"
)
PUBREL_UNKNOWN = Rule(
    0x82, "MQTT-2.3.1-6", "MQTT-2.2.1-5", "PUBREL of a packet identifier that was never published"
)
ACKNOWLEDGED_ID_ZERO = Rule(
    0x82, "MQTT-2.3.1-6", "MQTT-2.2.1-5", "acknowledgement of packet identifier 0"
)
SUBSCRIPTION_ACKNOWLEDGED_ID_ZERO = Rule(
    0x82, "MQTT-2.3.1-7", "MQTT-2.2.1-6", "SUBACK or UNSUBACK of packet identifier 0"
)
PROPERTY_UNKNOWN = Rule(0x81, "", "U5-2.2.2.2-1", "unknown property")
PROPERTY_NOT_ALLOWED = Rule(0x81, "", "U5-2.2.2.2-1", "property not allowed in this packet")

# 3.1 CONNECT
NOT_CONNECT_FIRST = Rule(0x82, "MQTT-3.1.0-1", "MQTT-3.1.0-1", "first packet is not CONNECT")
SECOND_CONNECT = Rule(0x82, "MQTT-3.1.0-2", "MQTT-3.1.0-2", "second CONNECT")
UNSUPPORTED_VERSION = Rule(
    0x84, "MQTT-3.1.2-2", "MQTT-3.1.2-2", "protocol name and version not supported"
)
CONNECT_RESERVED_FLAG = Rule(
    0x81, "MQTT-3.1.2-3", "U5-3.1.2.3-1", "reserved bit of the connect flags is set"
)
WILL_QOS_WITHOUT_WILL = Rule(0x81, "MQTT-3.1.2-13", "MQTT-3.1.2-11", "Will QoS without a will")
WILL_QOS_3 = Rule(0x81, "MQTT-3.1.2-14", "MQTT-3.1.2-12", "Will QoS is 3")
WILL_RETAIN_WITHOUT_WILL = Rule(
    0x81, "MQTT-3.1.2-15", "MQTT-3.1.2-13", "Will Retain without a will"
)
WILL_MISSING = Rule(0x81, "MQTT-3.1.2-9", "MQTT-3.1.2-9", "Will Flag without a will")
USER_NAME_WITHOUT_FLAG = Rule(
    0x81, "MQTT-3.1.2-18", "MQTT-3.1.2-16", "payload goes on without a User Name Flag"
)
USER_NAME_MISSING = Rule(
    0x81, "MQTT-3.1.2-19", "MQTT-3.1.2-17", "User Name Flag without a user name"
)
PASSWORD_WITHOUT_FLAG = Rule(
    0x81, "MQTT-3.1.2-20", "MQTT-3.1.2-18", "payload goes on without a Password Flag"
)
PASSWORD_MISSING = Rule(0x81, "MQTT-3.1.2-21", "MQTT-3.1.2-19", "Password Flag without a password")
PASSWORD_WITHOUT_USER_NAME = Rule(0x81, "MQTT-3.1.2-22", "", "Password Flag without User Name Flag")
KEEP_ALIVE_TIMEOUT = Rule(
    0x8D, "MQTT-3.1.2-23", "MQTT-3.1.2-20", "no packet for one and a half times the keep alive"
)
KEEP_ALIVE_LATE = Rule(
    0x8D, "MQTT-3.1.2-23", "MQTT-3.1.2-20", "no packet for longer than the keep alive"
)
SERVER_KEEP_ALIVE_LATE = Rule(
    0x8D, "", "MQTT-3.1.2-21", "no packet for longer than the Server Keep Alive"
)
STATE_REUSED_AFTER_CLEAN_START = Rule(
    0x82, "MQTT-3.1.2-6", "MQTT-3.1.2-4", "goes on with a session it had asked to discard"
)
PROBLEM_INFORMATION_UNWANTED = Rule(
    0x82, "", "U5-3.1.2.11.7-2", "Reason String or User Property that was not asked for"
)
PACKET_BEFORE_CONNACK = Rule(
    0x82, "", "MQTT-3.1.2-30", "packet other than AUTH or DISCONNECT during authentication"
)
AUTHENTICATION_DATA_WITHOUT_METHOD = Rule(
    0x82, "", "U5-3.1.2.11.10-1", "Authentication Data without Authentication Method"
)
CLIENT_ID_MISSING = Rule(0x81, "MQTT-3.1.3-3", "MQTT-3.1.3-3", "no client identifier field")
CLIENT_ID_EMPTY = Rule(
    0x85, "MQTT-3.1.3-7", "", "zero-length client identifier for a session that is to be kept"
)
WILL_TOPIC_RESERVED = Rule(
    0x90, "U311-4.7.2-1", "U5-4.7.2-1", "Will Topic that begins with $, which is the server's"
)
WILL_PAYLOAD_NOT_UTF_8 = Rule(
    0x99,
    "",
    "U5-3.1.3.2.3-1",
    "Will Payload is not UTF-8 though its Payload Format Indicator is 1",
)
CLIENT_ID_REFUSED = Rule(0x85, "MQTT-3.1.3-9", "MQTT-3.1.3-8", "client identifier not accepted")
NO_CONNECT_IN_TIME = Rule(0x82, "U311-3.1.4-2", "U5-3.1.4-2", "no CONNECT in time")

# 3.2 CONNACK
NOT_CONNACK_FIRST = Rule(
    0x82, "MQTT-3.2.0-1", "MQTT-3.2.0-1", "first packet of the server is not CONNACK"
)
SECOND_CONNACK = Rule(0x82, "", "MQTT-3.2.0-2", "second CONNACK")
CONNACK_FLAGS_RESERVED = Rule(
    0x81, "U311-3.2.2.1-1", "MQTT-3.2.2-1", "reserved connect acknowledge flags are set"
)
SESSION_PRESENT_IN_REFUSAL = Rule(
    0x82, "MQTT-3.2.2-4", "MQTT-3.2.2-6", "Session Present in a CONNACK that refuses"
)
STATE_NOT_DISCARDED = Rule(
    0x82, "", "MQTT-3.2.2-5", "goes on with a session that CONNACK said is not present"
)
CONNACK_REASON = Rule(
    0x82, "MQTT-3.2.2-6", "MQTT-3.2.2-8", "reason code that CONNACK does not have"
)
QOS_NOT_SUPPORTED = Rule(0x9B, "", "MQTT-3.2.2-11", "QoS above the Maximum QoS")
WILL_QOS_NOT_SUPPORTED = Rule(0x9B, "", "MQTT-3.2.2-12", "Will QoS above the Maximum QoS")
WILL_RETAIN_NOT_SUPPORTED = Rule(0x9A, "", "MQTT-3.2.2-13", "Will Retain is not supported")
RETAIN_NOT_SUPPORTED = Rule(0x9A, "", "MQTT-3.2.2-14", "RETAIN is not supported")
PACKET_TOO_LARGE = Rule(0x95, "", "MQTT-3.2.2-15", "packet above the Maximum Packet Size")
WILDCARDS_NOT_SUPPORTED = Rule(
    0xA2, "MQTT-3.8.3-2", "U5-3.2.2.3.11-2", "wildcard subscriptions are not supported"
)
SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = Rule(
    0xA1, "", "U5-3.2.2.3.12-2", "subscription identifiers are not supported"
)
SHARED_NOT_SUPPORTED = Rule(0x9E, "", "U5-3.2.2.3.13-2", "shared subscriptions are not supported")

# 3.3 PUBLISH
PUBLISH_DUP_QOS_0 = Rule(0x82, "MQTT-3.3.1-2", "MQTT-3.3.1-2", "DUP is set at QoS 0")
DUP_MISSING = Rule(0x82, "MQTT-3.3.1-1", "MQTT-3.3.1-1", "PUBLISH sent again without DUP")
DUP_ON_FIRST_SENDING = Rule(
    0x82, "MQTT-3.3.1-3", "MQTT-3.3.1-3", "DUP is set though nothing was sent before"
)
PUBLISH_QOS_3 = Rule(0x81, "MQTT-3.3.1-4", "MQTT-3.3.1-4", "both QoS bits are set")
TOPIC_MISSING = Rule(0x82, "", "U5-3.3.2.1-1", "neither Topic Name nor Topic Alias")
PUBLISH_WILDCARD = Rule(0x82, "MQTT-3.3.2-2", "MQTT-3.3.2-2", "topic name contains a wildcard")
PAYLOAD_NOT_UTF_8 = Rule(
    0x99, "", "U5-3.3.2.3.2-1", "payload is not UTF-8 though its Payload Format Indicator is 1"
)
TOPIC_ALIAS_ZERO = property_rules.TOPIC_ALIAS_ZERO
TOPIC_ALIAS_INVALID = Rule(0x94, "", "MQTT-3.3.2-9", "Topic Alias above the Topic Alias Maximum")
TOPIC_ALIAS_NOT_ACCEPTED = Rule(
    0x82, "", "MQTT-3.3.2-10", "Topic Alias within the client's own maximum is not accepted"
)
TOPIC_ALIAS_UNKNOWN = Rule(0x82, "", "U5-3.3.4-5", "Topic Alias that stands for no topic")
RESPONSE_TOPIC_WILDCARD = Rule(0x82, "", "MQTT-3.3.2-14", "Response Topic contains a wildcard")
SUBSCRIPTION_IDENTIFIER_FROM_CLIENT = Rule(
    0x82, "", "MQTT-3.3.4-6", "Subscription Identifier in a PUBLISH from a client"
)
ACKNOWLEDGEMENT_KIND = Rule(
    0x82, "MQTT-3.3.4-1", "MQTT-3.3.4-1", "acknowledgement of another QoS than the PUBLISH has"
)
RECEIVE_MAXIMUM_EXCEEDED = Rule(
    0x93, "", "MQTT-3.3.4-7", "more unacknowledged PUBLISH packets than Receive Maximum"
)

# 3.4 to 3.7 PUBACK, PUBREC, PUBREL, PUBCOMP
PUBACK_REASON = Rule(0x82, "", "MQTT-3.4.2-1", "reason code that PUBACK does not have")
PUBREC_REASON = Rule(0x82, "", "MQTT-3.5.2-1", "reason code that PUBREC does not have")
PUBREL_FLAGS = Rule(0x81, "MQTT-3.6.1-1", "MQTT-3.6.1-1", "flags of PUBREL are not 0010")
PUBREL_REASON = Rule(0x82, "", "MQTT-3.6.2-1", "reason code that PUBREL does not have")
PUBCOMP_REASON = Rule(0x82, "", "MQTT-3.7.2-1", "reason code that PUBCOMP does not have")

# 3.8 to 3.11 SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK
SUBSCRIBE_FLAGS = Rule(0x81, "MQTT-3.8.1-1", "MQTT-3.8.1-1", "flags of SUBSCRIBE are not 0010")
SUBSCRIBE_EMPTY = Rule(0x82, "MQTT-3.8.3-3", "MQTT-3.8.3-2", "SUBSCRIBE without a topic filter")
SUBSCRIBE_QOS_3 = Rule(0x82, "MQTT-3.8.3-4", "U5-3.8.3.1-1", "requested QoS is 3")
SHARED_NO_LOCAL = Rule(0x82, "", "MQTT-3.8.3-4", "No Local on a shared subscription")
RETAIN_HANDLING_3 = Rule(0x82, "", "U5-3.8.3.1-2", "Retain Handling is 3")
SUBSCRIBE_RESERVED_BITS = Rule(
    0x81, "MQTT-3.8.3-4", "MQTT-3.8.3-5", "reserved bits of the subscription options are set"
)
SUBACK_EMPTY = Rule(0x82, "MQTT-3.8.4-5", "MQTT-3.8.4-6", "SUBACK without a reason code")
SUBACK_REASON = Rule(0x82, "MQTT-3.9.3-2", "MQTT-3.9.3-2", "reason code that SUBACK does not have")
UNSUBSCRIBE_FLAGS = Rule(
    0x81, "MQTT-3.10.1-1", "MQTT-3.10.1-1", "flags of UNSUBSCRIBE are not 0010"
)
UNSUBSCRIBE_EMPTY = Rule(
    0x82, "MQTT-3.10.3-2", "MQTT-3.10.3-2", "UNSUBSCRIBE without a topic filter"
)
UNSUBACK_EMPTY = Rule(0x82, "", "MQTT-3.11.3-2", "UNSUBACK without a reason code")
UNSUBACK_REASON = Rule(0x82, "", "MQTT-3.11.3-2", "reason code that UNSUBACK does not have")

# 3.14 DISCONNECT
DISCONNECT_FLAGS = Rule(
    0x81, "MQTT-2.2.2-1", "MQTT-2.1.3-1", "reserved flags of DISCONNECT are set"
)
DISCONNECT_REASON = Rule(0x82, "", "MQTT-3.14.2-1", "reason code that DISCONNECT does not have")
DISCONNECT_REASON_OF_SERVER = Rule(
    0x82, "", "MQTT-3.14.2-1", "DISCONNECT from a client with a reason code of servers"
)
SESSION_EXPIRY_FROM_SERVER = Rule(
    0x82, "", "MQTT-3.14.2-2", "Session Expiry Interval in a DISCONNECT from the server"
)
SESSION_EXPIRY_CHANGED_FROM_ZERO = Rule(
    0x82, "", "U5-3.14.2.2.2-2", "Session Expiry Interval in DISCONNECT after 0 in CONNECT"
)
PACKET_AFTER_DISCONNECT = Rule(0x82, "MQTT-3.14.4-2", "MQTT-3.14.4-1", "packet after a DISCONNECT")
NOT_CLOSED_AFTER_OWN_DISCONNECT = Rule(
    0x82, "MQTT-3.14.4-1", "MQTT-3.14.4-2", "connection kept open after its own DISCONNECT"
)
NOT_CLOSED_AFTER_DISCONNECT = Rule(
    0x82, "", "U5-3.14.4-1", "connection kept open after a DISCONNECT from the server"
)

# 3.15 AUTH
AUTH_FLAGS = Rule(0x81, "", "MQTT-3.15.1-1", "reserved flags of AUTH are set")
AUTH_REASON = Rule(0x82, "", "MQTT-3.15.2-1", "reason code that AUTH does not have")
AUTH_METHOD_MISSING = Rule(0x82, "", "U5-3.15.2.2.2-1", "AUTH without Authentication Method")

# 4.3 Quality of Service levels and protocol flows
PUBREL_MISSING = Rule(0x82, "MQTT-4.3.3-1", "MQTT-4.3.3-4", "no PUBREL after PUBREC")
PUBLISH_AFTER_PUBREL = Rule(
    0x82, "MQTT-4.3.3-1", "MQTT-4.3.3-6", "PUBLISH sent again after its PUBREL"
)
PUBCOMP_MISSING = Rule(0x82, "MQTT-4.3.3-2", "MQTT-4.3.3-11", "no PUBCOMP after PUBREL")
PUBCOMP_UNKNOWN = Rule(
    0x82, "MQTT-4.3.3-2", "MQTT-4.3.3-11", "PUBCOMP of a packet identifier without PUBREL"
)

# 4.4 Message delivery retry
RESENT_WHILE_CONNECTED = Rule(
    0x82, "", "MQTT-4.4.0-1", "packet sent again on the network connection it was sent on"
)
RESEND_INCOMPLETE = Rule(
    0x82, "MQTT-4.4.0-1", "MQTT-4.4.0-1", "unacknowledged packet not sent again after reconnecting"
)
RESENT_AFTER_REFUSAL = Rule(
    0x82, "", "MQTT-4.4.0-2", "PUBLISH sent again after a reason code of 0x80 or above"
)

# 4.5 and 4.6 Message receipt and ordering
ACKNOWLEDGEMENT_MISSING = Rule(
    0x82, "MQTT-4.5.0-2", "MQTT-4.5.0-2", "PUBLISH never acknowledged, a later one was"
)
RESEND_ORDER = Rule(
    0x82, "MQTT-4.6.0-1", "MQTT-4.6.0-1", "PUBLISH packets sent again in another order"
)
PUBACK_ORDER = Rule(
    0x82, "MQTT-4.6.0-2", "MQTT-4.6.0-2", "PUBACK packets in another order than the PUBLISH packets"
)
PUBREC_ORDER = Rule(
    0x82, "MQTT-4.6.0-3", "MQTT-4.6.0-3", "PUBREC packets in another order than the PUBLISH packets"
)
PUBREL_ORDER = Rule(
    0x82, "MQTT-4.6.0-4", "MQTT-4.6.0-4", "PUBREL packets in another order than the PUBREC packets"
)

# 4.7 Topic names and topic filters
TOPIC_WILDCARD = Rule(0x82, "MQTT-4.7.1-1", "MQTT-4.7.0-1", "topic name contains a wildcard")
FILTER_MULTI_LEVEL = Rule(
    0x82, "MQTT-4.7.1-2", "MQTT-4.7.1-1", "# is not a whole level at the end of the topic filter"
)
FILTER_SINGLE_LEVEL = Rule(
    0x82, "MQTT-4.7.1-3", "MQTT-4.7.1-2", "+ is not a whole level of the topic filter"
)
TOPIC_EMPTY = Rule(0x82, "MQTT-4.7.3-1", "MQTT-4.7.3-1", "topic name or filter is empty")
TOPIC_WITH_NULL = Rule(0x81, "MQTT-4.7.3-2", "MQTT-4.7.3-2", "topic name or filter contains U+0000")

# 4.8 Subscriptions
SHARE_NAME_MISSING = Rule(0x82, "", "MQTT-4.8.2-1", "shared subscription without a share name")
SHARE_MALFORMED = Rule(
    0x82, "", "MQTT-4.8.2-2", "share name with a wildcard or not followed by / and a topic filter"
)

# 4.12 Enhanced authentication
AUTH_REASON_FROM_CLIENT = Rule(
    0x82, "", "MQTT-4.12.0-3", "AUTH from a client with a reason code that is not due"
)
AUTH_METHOD_CHANGED = Rule(0x82, "", "MQTT-4.12.0-5", "AUTH with another Authentication Method")
AUTH_WITHOUT_METHOD = Rule(
    0x82, "", "MQTT-4.12.0-7", "AUTH after a CONNECT without Authentication Method"
)

ALL: tuple[Rule, ...] = (
    *(value for value in tuple(globals().values()) if isinstance(value, Rule)),
    *(rule for rule in property_rules.ALL if rule is not TOPIC_ALIAS_ZERO),
)
