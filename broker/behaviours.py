"""What the broker does on request beside, or against, the documents: for testing clients.

Declared in the configuration, one a line: `behaviour NAME [ARGUMENT ...]`. Nothing here costs
anything until it is declared: each stage is an empty tuple, and the handlers look whether it is.

Threads: built before the listeners start and not changed afterwards.
"""

import shlex
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from broker.topics.filters import matches
from formats.mqtt.acks import Puback, Pubcomp, Pubrec, Pubrel
from formats.mqtt.codec import Packet
from formats.mqtt.properties import REASON_STRING, SERVER_REFERENCE, USER_PROPERTY, Properties
from formats.mqtt.publish import Publish


class Peer(Protocol):
    """What a behaviour may do to the client it acts on."""

    version: int

    def send(self, packet: Packet) -> bool: ...

    def disconnect(self, reason: int, properties: Properties | None, words: str) -> None: ...


# Stage -> what a behaviour of that stage is. The first one that answers ends the stage.
PublishReceived = Callable[[Peer, Publish], bool]  # True: it has dealt with the packet
BeforeSuback = Callable[[str, int], int | None]  # (topic filter, qos to grant) -> reason code
BeforePubcomp = Callable[[str, Pubrel], Pubcomp | None]  # (topic of the PUBLISH, PUBREL)


class BehaviourError(ValueError):
    """A `behaviour` line that cannot be followed; says what is wrong."""


class Behaviours:
    """The behaviours in force, by the stage at which they act."""

    __slots__ = (
        "before_pubcomp",
        "before_suback",
        "echo_user_properties",
        "publish_received",
        "watched",
    )

    def __init__(self) -> None:
        self.publish_received: tuple[PublishReceived, ...] = ()
        self.before_suback: tuple[BeforeSuback, ...] = ()
        self.before_pubcomp: tuple[BeforePubcomp, ...] = ()
        self.echo_user_properties = False
        self.watched: tuple[str, ...] = ()  # filters of the topics `publish_received` is about

    def watch(self, topic: str) -> bool:
        """Whether a PUBLISH to this topic is anything to `publish_received`."""
        return any(matches(topic_filter, topic) for topic_filter in self.watched)

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Behaviours":
        """Those that the values of `behaviour` options declare.

        Raises:
            BehaviourError: an unknown name, or arguments that do not fit.
        """
        behaviours = cls()
        for line in lines:
            try:
                name, *arguments = shlex.split(line)
            except ValueError as error:
                raise BehaviourError(f"{line!r}: {error}") from None
            entry = CATALOGUE.get(name)
            if entry is None:
                raise BehaviourError(f"{name!r} is none of {', '.join(CATALOGUE)}")
            if len(arguments) != len(entry.arguments):
                expected = " ".join(entry.arguments) or "nothing"
                raise BehaviourError(f"{name} takes {expected}, not {' '.join(arguments)!r}")
            entry.add(behaviours, *arguments)
        return behaviours


def refuse_subscription(behaviours: Behaviours, topic_filter: str) -> None:
    """SUBSCRIBE to exactly this filter is answered with a failure: 0x80 in SUBACK, every
    version."""

    def refuse(requested: str, _qos: int) -> int | None:
        return 0x80 if requested == topic_filter else None

    behaviours.before_suback += (refuse,)


def maximum_granted_qos(behaviours: Behaviours, topic_filter: str, qos: str) -> None:
    """SUBSCRIBE to exactly this filter is granted at most this QoS."""
    maximum = _whole(qos, 0, 2, "QoS")

    def cap(requested: str, granted: int) -> int | None:
        return min(granted, maximum) if requested == topic_filter else None

    behaviours.before_suback += (cap,)


def publish_error(behaviours: Behaviours, topic_filter: str, reason: str) -> None:
    """A 5.0 PUBLISH at QoS 1 or 2 to a matching topic is answered with a PUBACK or PUBREC of this
    reason code and the User Properties of the PUBLISH; nobody gets the message."""
    code = _whole(reason, 0x80, 0xFF, "reason code")

    def refuse(peer: Peer, publish: Publish) -> bool:
        if peer.version != 5 or not publish.qos or not matches(topic_filter, publish.topic):
            return False
        kind = Puback if publish.qos == 1 else Pubrec
        peer.send(kind(publish.packet_id, code, user_properties(publish.properties)))
        return True

    behaviours.publish_received += (refuse,)
    behaviours.watched += (topic_filter,)


def pubcomp_error(behaviours: Behaviours, topic_filter: str, reason: str) -> None:
    """The PUBREL of a 5.0 message at QoS 2 to a matching topic is answered with a PUBCOMP of this
    reason code and the User Properties of the PUBREL."""
    code = _whole(reason, 0x80, 0xFF, "reason code")

    def refuse(topic: str, pubrel: Pubrel) -> Pubcomp | None:
        if not matches(topic_filter, topic):
            return None
        return Pubcomp(pubrel.packet_id, code, user_properties(pubrel.properties))

    behaviours.before_pubcomp += (refuse,)


def disconnect_with_reason(behaviours: Behaviours, topic: str) -> None:
    """A PUBLISH to this topic has its payload, a decimal number, sent back as the reason code of a
    DISCONNECT with a Reason String, a Server Reference and a User Property."""

    def disconnect(peer: Peer, publish: Publish) -> bool:
        if publish.topic != topic:
            return False
        try:
            reason = _whole(publish.payload.decode("ascii", "replace"), 0, 0xFF, "reason code")
        except BehaviourError:
            return False  # not a request to be disconnected
        properties: Properties = {
            REASON_STRING: "This is a custom Reason String",
            SERVER_REFERENCE: "tcp://localhost:1883",
            USER_PROPERTY: [("key", "value")],
        }
        peer.disconnect(reason, properties, f"as asked for on {topic}")
        return True

    behaviours.publish_received += (disconnect,)
    behaviours.watched += (topic,)


def echo_user_properties(behaviours: Behaviours) -> None:
    """SUBACK and UNSUBACK carry back the User Properties of the SUBSCRIBE and UNSUBSCRIBE."""
    behaviours.echo_user_properties = True


class Entry(NamedTuple):
    """One kind of behaviour: what a `behaviour` line gives it, and how it is added."""

    arguments: tuple[str, ...]
    add: Callable[..., None]


CATALOGUE: dict[str, Entry] = {
    "refuse_subscription": Entry(("FILTER",), refuse_subscription),
    "maximum_granted_qos": Entry(("FILTER", "QOS"), maximum_granted_qos),
    "publish_error": Entry(("FILTER", "REASON"), publish_error),
    "pubcomp_error": Entry(("FILTER", "REASON"), pubcomp_error),
    "disconnect_with_reason": Entry(("TOPIC",), disconnect_with_reason),
    "echo_user_properties": Entry((), echo_user_properties),
}


def user_properties(properties: Properties | None) -> Properties | None:
    """Only the User Properties of these; None when there are none."""
    pairs = (properties or {}).get(USER_PROPERTY)
    return {USER_PROPERTY: pairs} if pairs else None


def _whole(text: str, low: int, high: int, what: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not low <= value <= high:
        raise BehaviourError(f"{text!r} is not a {what} from {low} to {high}")
    return value
