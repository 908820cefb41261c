"""The lines of a configuration, from text, files, the environment and the command line.

A line is `key value with spaces`. A comment has a line of its own. Files may begin with a byte
order mark and have the line ends of any system.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from broker.options import NAMES

PREFIX = "TOUCHSTONE_"
DEEPEST_INCLUDE = 10


class LineError(Exception):
    """What is wrong, with its place."""


@dataclass(frozen=True, slots=True)
class Line:
    source: str
    number: int  # 0 where there are no lines: an environment variable, the command line
    key: str
    words: str
    folder: str | None = None  # of the file

    @property
    def place(self) -> str:
        return f"{self.source}:{self.number}" if self.number else self.source

    @property
    def in_file(self) -> bool:
        return self.number > 0


def read_lines(text: str, source: str, folder: str | None, depth: int = 0) -> Iterator[Line]:
    """The lines of `text`, and those of the folders that it includes."""
    for number, words in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        key, _, value = words.strip().replace("\t", " ").partition(" ")
        if not key or key.startswith("#"):
            continue
        if "\0" in words:  # which no path can have
            raise LineError(f"{source}:{number}: a NUL character")
        line = Line(source, number, key, value.strip(), folder)
        if key == "include_dir":
            yield from _read_folder(line, depth + 1)
        else:
            yield line


def read_file(path: str, depth: int = 0) -> Iterator[Line]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise LineError(f"{path}: {error.strerror}") from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise LineError(f"{path}:{number}: 0x{data[error.start]:02X} is not UTF-8") from None
    return read_lines(text, path, os.path.dirname(path) or ".", depth)


def _read_folder(line: Line, depth: int) -> Iterator[Line]:
    if depth > DEEPEST_INCLUDE:
        raise LineError(f"{line.place}: include_dir: more than {DEEPEST_INCLUDE} deep")
    if not line.words:
        raise LineError(f"{line.place}: include_dir: no value")
    folder = os.path.join(line.folder or ".", line.words)
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".conf"))
    except OSError as error:
        raise LineError(f"{line.place}: include_dir: {folder}: {error.strerror}") from None
    for name in names:
        yield from read_file(os.path.join(folder, name), depth)


def environment_lines(environment: Mapping[str, str]) -> Iterator[Line]:
    """A line for each variable, in the order of the options; repeatable ones split at `;`.

    A variable of our prefix that names no option is a line with its own name as key.
    """
    ours = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    for key, (option, _) in NAMES.items():
        name = variable(key)
        words = ours.pop(name, None)
        if words is None:
            continue
        for part in words.split(";") if option.repeatable else (words,):
            if key == "include_dir":
                yield from _read_folder(Line(name, 0, key, part.strip()), 1)
            elif part.strip() or not option.repeatable:
                yield Line(name, 0, key, part.strip())
    for name in sorted(ours):
        yield Line(name, 0, name, ours[name])


def variable(key: str) -> str:
    """The environment variable that stands for `key`."""
    return PREFIX + re.sub("[^A-Z0-9]", "_", key.upper())


def switch_lines(switches: Mapping[str, str]) -> Iterator[Line]:
    """A line for each option that the command line sets."""
    for key, words in switches.items():
        yield Line("command line", 0, key, words)
