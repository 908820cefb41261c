"""Access control lists: which topics who may read and write, in the notation of Mosquitto.

    topic [read|write|readwrite|deny] FILTER      of the user named above, or of anonymous clients
    user NAME                                     whose lines follow
    pattern [read|write|readwrite|deny] FILTER    of everybody, `%c` a client id, `%u` a user name

Without a word for the access a line means `readwrite`. A user's own lines count first, then the
patterns; of each, `deny` counts before the rest, wherever it stands; what no line allows is not.

Threads: not changed after it is made.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from broker.config import ConfigError
from broker.guard.files import read_lines
from broker.guard.filters import FilterSet
from formats.errors import ProtocolViolation
from formats.mqtt.topics import check_topic_filter

ACCESSES = ("read", "write", "readwrite", "deny")
CLIENT_ID, USER_NAME = "%c", "%u"

Line = tuple[str, str]  # access and filter


class Rules:
    """The lines of one user, or patterns as they are for one client."""

    __slots__ = ("denied", "readable", "writable")

    def __init__(self, lines: Iterable[Line]) -> None:
        lines = tuple(lines)
        self.denied = FilterSet(filter_ for access, filter_ in lines if access == "deny")
        self.readable = FilterSet(filter_ for access, filter_ in lines if access.startswith("read"))
        self.writable = FilterSet(filter_ for access, filter_ in lines if access.endswith("write"))


@dataclass(slots=True)
class Acl:
    """A whole file.

    Attributes:
        users:    the rules of each; under None those of anonymous clients.
        patterns: as they are in the file.
    """

    users: dict[str | None, Rules] = field(default_factory=dict)
    patterns: tuple[Line, ...] = ()

    def uses(self, placeholder: str) -> bool:
        """Whether a pattern has `placeholder` among its levels."""
        return any(placeholder in filter_.split("/") for _, filter_ in self.patterns)


def read_acl(path: str) -> Acl:
    """The access control list of a file. Raises ConfigError."""
    users: dict[str | None, list[Line]] = {}
    patterns: list[Line] = []
    user: str | None = None
    for number, text in read_lines(path):
        try:
            key, _, words = text.replace("\t", " ").strip().partition(" ")
            words = words.strip()
            if key == "user":
                if not words:
                    raise ValueError("user: no name")
                user = words
                users.setdefault(user, [])
            elif key == "topic":
                users.setdefault(user, []).append(_parse(key, words))
            elif key == "pattern":
                patterns.append(_parse_pattern(words))
            else:
                raise ValueError(f"'{key}' is not topic, user or pattern")
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {error}") from None
    return Acl({name: Rules(lines) for name, lines in users.items()}, tuple(patterns))


def _parse(key: str, words: str) -> Line:
    access, _, topic_filter = words.partition(" ")
    topic_filter = topic_filter.strip()
    if not access:
        raise ValueError(f"{key}: no topic filter")
    if not topic_filter:
        access, topic_filter = "readwrite", access
    if access not in ACCESSES:
        raise ValueError(f"{key}: '{access}' is not one of {', '.join(ACCESSES)}")
    try:
        check_topic_filter(topic_filter)
    except ProtocolViolation as violation:
        raise ValueError(f"{key}: {violation}") from None
    return access, topic_filter


def _parse_pattern(words: str) -> Line:
    line = _parse("pattern", words)
    for level in line[1].split("/"):
        for placeholder in (CLIENT_ID, USER_NAME):
            if placeholder in level and level != placeholder:
                raise ValueError(f"pattern: {placeholder} is not all of the level '{level}'")
    return line
