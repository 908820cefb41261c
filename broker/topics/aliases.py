"""Topic aliases of one network connection, both directions (5.0, section 3.3.2.3.4).

They end with the connection that made them [MQTT5-3.3.2-7].
"""

from formats.errors import ProtocolViolation
from formats.mqtt import rules


class ReceivedAliases:
    """The mapping that the client builds with its PUBLISH packets."""

    __slots__ = ("_maximum", "_topics")

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._topics: dict[int, str] = {}

    def resolve(self, alias: int, topic: str) -> str:
        """The topic name of a PUBLISH with this alias and (perhaps empty) topic name.

        Raises:
            ProtocolViolation: TOPIC_ALIAS_INVALID, TOPIC_ALIAS_UNKNOWN.
        """
        if not 0 < alias <= self._maximum:  # [MQTT5-3.3.2-12] all others are accepted
            raise ProtocolViolation(
                rules.TOPIC_ALIAS_INVALID, f"alias {alias}, maximum {self._maximum}"
            )
        if topic:
            self._topics[alias] = topic
            return topic
        known = self._topics.get(alias)
        if known is None:
            raise ProtocolViolation(rules.TOPIC_ALIAS_UNKNOWN, f"alias {alias}")
        return known


class SentAliases:
    """The mapping that the broker builds towards a client that allows it: first come, first
    kept."""

    __slots__ = ("_aliases", "_maximum", "_newest")

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._aliases: dict[str, int] = {}
        self._newest = ""  # the topic that the last `assign` gave an alias; "" when it did not

    @property
    def used(self) -> bool:
        """Whether there is an alias."""
        return bool(self._aliases)

    def assign(self, topic: str) -> tuple[int, bool]:
        """The alias for a topic, 0 when none is left, and whether the client knows it already.

        The first is 1 [MQTT5-3.3.2-8], and none is above what the client allows [MQTT5-3.1.2-26]
        [MQTT5-3.3.2-11].
        """
        self._newest = ""
        alias = self._aliases.get(topic)
        if alias is not None:
            return alias, True
        if len(self._aliases) >= self._maximum:
            return 0, False
        alias = self._aliases[topic] = len(self._aliases) + 1
        self._newest = topic
        return alias, False

    def take_back(self) -> None:
        """The packet of the last `assign` is not sent: the client does not learn a new alias."""
        if self._newest:
            del self._aliases[self._newest]
            self._newest = ""
