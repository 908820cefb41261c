"""Rules that a configuration, time or an exchange of AUTH packets makes matter."""

from formats.mqtt import codec
from formats.mqtt.acks import Pubrel
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Auth, Disconnect, Pingreq
from formats.mqtt.publish import Publish
from formats.mqtt.subscribe import Subscribe, Subscription
from tests.verdicts.deliveries import at_once, publish, say
from tests.verdicts.support import ALL, V5, Case

METHOD, DATA = 0x15, 0x16
CONTINUE, RE_AUTHENTICATE = 0x18, 0x19
CHALLENGES = "auth_method CHALLENGE\nauth_challenge first one"


def silent(keep_alive_s, *steps):
    """A client with this keep alive that says something after each of these times, seconds."""

    def act(stage):
        one = stage.client(keep_alive_s=keep_alive_s)
        for place, seconds in enumerate(steps):
            if place:
                one.send(Pingreq())
            stage.site.advance(seconds)
        return b""

    return act


def too_large(stage):
    one = stage.client()
    packet = codec.encode(Publish("t", b"x" * 100), 5)
    one.send(packet)
    return packet


def as_large_as_allowed(stage):
    stage.client().send(codec.encode(Publish("t", b"x" * 95), 5))


def with_aliases(*steps):
    """A client that sends these (topic, alias) pairs."""

    def act(stage):
        one = stage.client()
        packets = [Publish(topic, b"", properties={0x23: alias}) for topic, alias in steps]
        return say(one, *packets)

    return act


def asks(*filters, identifier=None):
    def act(stage):
        properties = {0x0B: [identifier]} if identifier else None
        subscriptions = [Subscription(one) for one in filters]
        return say(stage.client(), Subscribe(1, subscriptions, properties))

    return act


def publishes(*packets):
    def act(stage):
        return at_once(stage.client(), *packets)

    return act


def alias_refused(stage):
    one = stage.client(properties={0x22: 10})
    one.subscribe("t")
    stage.client("publisher").publish("t")
    assert one.receive(Publish).properties[0x23] == 1
    return say(one, Disconnect(0x94))


def alias_not_allowed_refused(stage):
    return say(stage.client(), Disconnect(0x94))


def at_most_two(stage):
    one = stage.client()
    say(one, publish(1, 2), publish(2, 2), Pubrel(1), publish(3, 2))
    at_once(stage.client("other"), publish(1), publish(2), Pingreq())


def after_disconnect(stage):
    one = stage.client()
    one.send(Disconnect(), Pingreq(), Publish("t", b""))
    return b"\xc0\0"


def disconnect(stage):
    return say(stage.client(), Disconnect())


def begin(stage, method="CHALLENGE"):
    one = stage.raw()
    one.send(Connect(5, "c", True, properties={METHOD: method}))
    one.receive(Auth)
    return one


def admitted(stage):
    one = begin(stage)
    one.send(Auth(CONTINUE, {METHOD: "CHALLENGE", DATA: b"one"}))
    one.receive(Connack)
    return one


def early(stage):
    return say(begin(stage), Pingreq())


def wrong_reason_early(stage):
    return say(begin(stage), Auth(RE_AUTHENTICATE, {METHOD: "CHALLENGE"}))


def wrong_reason_later(stage):
    return say(admitted(stage), Auth(CONTINUE, {METHOD: "CHALLENGE"}))


def again(stage):
    one = admitted(stage)
    return say(one, Auth(RE_AUTHENTICATE, {METHOD: "CHALLENGE"}),
               Auth(CONTINUE, {METHOD: "CHALLENGE", DATA: b"one"}))  # fmt: skip


def another_method(stage):
    return say(begin(stage), Auth(CONTINUE, {METHOD: "other"}))


LIMITS = (
    Case("KEEP_ALIVE_LATE", ALL, silent(20, 25), silent(20, 24, 24),
         "nothing for 25 s, keep alive 20 s"),
    Case("KEEP_ALIVE_TIMEOUT", ALL, silent(2, 3), silent(2, 2.9, 2.9),
         "nothing for 3 s, keep alive 2 s"),
    Case("SERVER_KEEP_ALIVE_LATE", V5, silent(60, 12.5), silent(60, 12, 12),
         "nothing for 12.5 s, keep alive 10 s", configuration="server_keep_alive 10"),
    Case("QOS_NOT_SUPPORTED", V5, publishes(publish(1, 2)), publishes(publish(1, 1)),
         "QoS 2, maximum 1", configuration="maximum_qos 1"),
    Case("RETAIN_NOT_SUPPORTED", V5, publishes(Publish("t", b"", 0, True)),
         publishes(Publish("t", b"", 0)), "topic 't'", configuration="retain_available false"),
    Case("PACKET_TOO_LARGE", V5, too_large, as_large_as_allowed,
         "PUBLISH of 106 bytes, maximum 101", configuration="maximum_packet_size 101"),
    Case("WILDCARDS_NOT_SUPPORTED", V5, asks("a/#"), asks("a"), "a/#",
         configuration="wildcard_subscription_available false"),
    Case("SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED", V5, asks("a", identifier=7), asks("a"),
         "identifier 7", configuration="subscription_identifier_available false"),
    Case("SHARED_NOT_SUPPORTED", V5, asks("$share/g/a"), asks("a"), "$share/g/a",
         configuration="shared_subscription_available false"),
    Case("TOPIC_ALIAS_INVALID", V5, with_aliases(("a", 3)), with_aliases(("a", 2)),
         "alias 3, maximum 2", configuration="topic_alias_maximum 2"),
    Case("TOPIC_ALIAS_INVALID", V5, with_aliases(("a", 1)), publishes(Publish("a", b"")),
         "alias 1, maximum 0", configuration="topic_alias_maximum 0"),
    Case("TOPIC_ALIAS_UNKNOWN", V5, with_aliases(("a", 1), ("", 2)),
         with_aliases(("a", 1), ("", 1), ("b", 1), ("", 1)), "alias 2",
         configuration="topic_alias_maximum 2"),
    Case("TOPIC_ALIAS_NOT_ACCEPTED", V5, alias_refused, alias_not_allowed_refused,
         "DISCONNECT 0x94"),
    Case("RECEIVE_MAXIMUM_EXCEEDED", V5, publishes(publish(1), publish(2), publish(3)),
         at_most_two, "3 unanswered, maximum 2", configuration="receive_maximum 2"),
    Case("RECEIVE_MAXIMUM_EXCEEDED", V5, publishes(publish(1, 2), publish(2), publish(3, 2)),
         at_most_two, "3 unanswered, maximum 2", configuration="receive_maximum 2"),
    Case("PACKET_AFTER_DISCONNECT", ALL, after_disconnect, disconnect),
    Case("PACKET_BEFORE_CONNACK", V5, early, admitted, "PINGREQ", configuration=CHALLENGES),
    Case("AUTH_REASON_FROM_CLIENT", V5, wrong_reason_early, again, "reason code 0x19",
         configuration=CHALLENGES),
    Case("AUTH_REASON_FROM_CLIENT", V5, wrong_reason_later, again, "reason code 0x18",
         configuration=CHALLENGES),
    Case("AUTH_METHOD_CHANGED", V5, another_method, admitted,
         "'other', CONNECT had 'CHALLENGE'", configuration=CHALLENGES),
)  # fmt: skip
