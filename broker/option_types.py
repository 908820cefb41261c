"""What the value of a configuration option may be.

A `Kind` turns the words after a key into a value, or raises ValueError whose text says what was
seen and what is wanted; `says` is how docs/configuration.md prints the same thing.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000}
EVERY_INTERFACE = "*"
LOG_DESTINATIONS = ("stderr", "stdout", "none", "syslog", "topic")
PROTOCOL_LEVELS = {"3": 3, "3.1": 3, "4": 4, "3.1.1": 4, "5": 5, "5.0": 5}


@dataclass(frozen=True, slots=True)
class Kind:
    says: str
    parse: Callable[[str], Any]
    is_path: bool = False

    def __call__(self, words: str) -> Any:
        return self.parse(words)


def whole(low: int, high: int, zero: int | None = None) -> Kind:
    """A whole number from `low` to `high`; `zero`, if given, is what a 0 stands for."""

    def parse(words: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", words):
            raise ValueError(f"'{words}' is not a whole number")
        number = int(words)
        if number == 0 and zero is not None:
            return zero
        if not low <= number <= high:
            raise ValueError(f"{words} is not between {low} and {high}")
        return number

    return Kind(f"{low} to {high}" if zero is None else f"0, {low} to {high}", parse)


def decimal(low: float, high: float) -> Kind:
    """A number from `low` to `high`, with or without a fraction."""

    def parse(words: str) -> float:
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", words):
            raise ValueError(f"'{words}' is not a number")
        number = float(words)
        if not low <= number <= high:
            raise ValueError(f"{words} is not between {low:g} and {high:g}")
        return number

    return Kind(f"{low:g} to {high:g}", parse)


def choice(*names: str) -> Kind:
    """One of `names`, in any mixture of capitals."""
    known = {name.lower(): name for name in names}

    def parse(words: str) -> str:
        try:
            return known[words.lower()]
        except KeyError:
            raise ValueError(f"'{words}' is not one of {', '.join(names)}") from None

    return Kind(", ".join(f"`{name}`" for name in names), parse)


def _parse_switch(words: str) -> bool:
    if words.lower() in ("true", "1"):
        return True
    if words.lower() in ("false", "0"):
        return False
    raise ValueError(f"'{words}' is not true or false")


def _parse_listener(words: str) -> tuple[int, str, str]:
    """Port, address ("" where none is said) and protocol."""
    port, *rest = words.split()
    number = PORT(port)
    protocol = rest.pop() if rest and rest[-1].lower() in PROTOCOLS else "mqtt"
    address = rest.pop(0) if rest else ""
    if rest:
        raise ValueError(f"'{rest[-1]}' is not one of {', '.join(PROTOCOLS)}")
    return number, _parse_address(address), protocol.lower()


def _parse_address(words: str) -> str:
    if "/" in words or "\\" in words:
        raise ValueError(
            f"'{words}' names a Unix domain socket; only TCP is served: name a port and an address"
        )
    if " " in words:
        raise ValueError(f"'{words}' is not an address")
    return EVERY_INTERFACE if words == "INADDR_ANY" else words


def _parse_expiration(words: str) -> int:
    """Seconds. Mosquitto's months have 30 days."""
    found = re.fullmatch(r"([1-9][0-9]*)([hdwmy])", words)
    if not found:
        raise ValueError(f"'{words}' is not a number followed by h, d, w, m or y")
    return int(found[1]) * SECONDS[found[2]]


def _parse_minutes(words: str) -> int:
    """Seconds."""
    return 60 * int(whole(0, 71_582_788)(words))


def _parse_protocol_levels(words: str) -> tuple[int, ...]:
    levels = set()
    for word in words.replace(",", " ").split():
        if word not in PROTOCOL_LEVELS:
            raise ValueError(f"'{word}' is not 3, 4 or 5")
        levels.add(PROTOCOL_LEVELS[word])
    return tuple(sorted(levels))


def _parse_log_destination(words: str) -> str:
    name, _, rest = words.partition(" ")
    if name == "file" and rest.strip():
        return f"file {rest.strip()}"
    if name in LOG_DESTINATIONS and not rest:
        return name
    known = ", ".join(LOG_DESTINATIONS)
    raise ValueError(f"'{words}' is not 'file PATH' or one of {known}")


def _parse_pair(words: str) -> tuple[str, str]:
    """The first word, and all the others."""
    first, *rest = words.split(None, 1)
    if not rest:
        raise ValueError(f"'{words}' is one word where two are wanted")
    return first, rest[0]


def _parse_quoted(words: str) -> str:
    """The words as they are; their quotes must match, so that they can be split later."""
    try:
        shlex.split(words)
    except ValueError:
        raise ValueError(f"a quotation mark is missing in {words}") from None
    return words


PROTOCOLS = ("mqtt", "websockets", "mqttsn", "http")
PORT = whole(0, 65_535)

SWITCH = Kind("`true`, `false`", _parse_switch)
TEXT = Kind("text", str)
PATH = Kind("path", str, is_path=True)
ADDRESS = Kind("host name, address, `*` or `INADDR_ANY`", _parse_address)
LISTENER_LINE = Kind("PORT [ADDRESS] [PROTOCOL]", _parse_listener)
EXPIRATION = Kind("number and `h`, `d`, `w`, `m` or `y`", _parse_expiration)
MINUTES = Kind("0 to 71582788", _parse_minutes)
PROTOCOL_LEVEL_LIST = Kind("`3`, `4`, `5`, with commas", _parse_protocol_levels)
LOG_DESTINATION = Kind("`stderr`, `stdout`, `file` PATH, `none`", _parse_log_destination)
PAIR = Kind("two words", _parse_pair)
QUOTED = Kind("NAME [ARGUMENT...], quoted as in a shell", _parse_quoted)
