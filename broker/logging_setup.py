"""Where the log goes, and what of it: `log_dest`, `log_type`, `loglevel` and the time stamps.

Everything is logged by the logger `touchstone`. A broker started from Python leaves that logger to
the program it is part of; only the command line sets it up.
"""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, Protocol

LOGGER = logging.getLogger("touchstone")
LONGEST = 1_000  # characters of a text from the network
NOTICE = 25  # between logging.INFO and logging.WARNING

LEVELS = (logging.DEBUG, logging.INFO, NOTICE, logging.WARNING, logging.ERROR, logging.CRITICAL)

# The words of `log_type`; those that name no level of ours let nothing more through.
TYPES: dict[str, tuple[int, ...]] = {
    "error": (logging.ERROR, logging.CRITICAL),
    "warning": (logging.WARNING,),
    "notice": (NOTICE,),
    "information": (logging.INFO,),
    "debug": (logging.DEBUG,),
    "all": LEVELS,
}
LEAST = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": NOTICE,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}


class Options(Protocol):
    def __getitem__(self, name: str) -> Any: ...


class QuietFailure(logging.StreamHandler[Any]):
    """Writes to a stream for as long as somebody reads it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exc_info()[1], OSError | ValueError):  # a closed stream is one
            super().handleError(record)


class OnlyLevels(logging.Filter):
    def __init__(self, levels: Iterable[int]) -> None:
        super().__init__()
        self._levels = frozenset(levels)

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno in self._levels


def printable(text: str) -> str:
    """`text` from the network without anything that could forge, hide or flood a line of the log,
    and fit for a Reason String."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def quoted(text: str) -> str:
    """The same for names, in quotes."""
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def levels_to_log(types: Iterable[str], least: str | None) -> set[int]:
    """The levels that `log_type` and `loglevel` let through."""
    types = tuple(types)
    if "none" in types or least == "none":
        return set()
    chosen = {level for each in types for level in TYPES.get(each, ())} if types else set(LEVELS)
    floor = LEAST[least] if least else logging.DEBUG if types else logging.INFO
    return {level for level in chosen if level >= floor}


def set_up_logging(options: Options, verbose: bool = False, quiet: bool = False) -> None:
    """Make the logger as the configuration says. OSError: a log file cannot be opened."""
    logging.addLevelName(NOTICE, "NOTICE")
    levels = set(LEVELS) if verbose else levels_to_log(options["log_type"], options["loglevel"])
    style = "%(asctime)s %(levelname)s: %(message)s"
    if not options["log_timestamp"]:
        style = style.partition(" ")[2]
    handlers = [] if quiet or not levels else [_handler(each) for each in options["log_dest"]]
    for old in LOGGER.handlers[:]:
        LOGGER.removeHandler(old)
        old.close()
    LOGGER.propagate = False
    LOGGER.setLevel(min(levels, default=logging.CRITICAL + 1))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(style, options["log_timestamp_format"]))
        handler.addFilter(OnlyLevels(levels))
        LOGGER.addHandler(handler)
    if not handlers:
        LOGGER.addHandler(logging.NullHandler())


def _handler(destination: str) -> logging.Handler:
    if destination == "none":
        return logging.NullHandler()
    if destination.startswith("file "):
        path = destination.removeprefix("file ")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))  # what clients do is in it
        return logging.FileHandler(path, encoding="utf-8")
    stream = sys.stdout if destination == "stdout" else sys.stderr
    if stream is None:  # the process was started with it closed
        return logging.NullHandler()
    return QuietFailure(stream)
