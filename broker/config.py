"""The configuration of a broker, read once before anything starts.

A value is the listener's own, else the global one, else the default of its option. Relative paths
in a file start from the working directory; what exists only in the folder of the file is found
there, and what lies in `test_pki_dir` always is, so that the folder does not depend on where the
broker was started.

Threads: read by all, changed by none after it is made.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

from broker.config_lines import (
    Line,
    LineError,
    environment_lines,
    read_file,
    read_lines,
    switch_lines,
)
from broker.config_sections import Draft, ListenerDraft, complete_values, read_draft

NOTHING: Mapping[str, str] = MappingProxyType({})


class ConfigError(Exception):
    """What the operator got wrong: `FILE:LINE: key: what is wrong`."""


class ListenerConfiguration:
    """One listener: where it is, and every option as it is for this listener."""

    __slots__ = ("_values", "address", "line", "port", "protocol")

    def __init__(
        self, port: int, address: str, protocol: str, line: str, values: Mapping[str, Any]
    ) -> None:
        self.port = port  # 0: one that is free
        self.address = address  # "": loopback; "*": every interface
        self.protocol = protocol
        self.line = line  # where it was configured, for messages
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    @property
    def has_tls(self) -> bool:
        return self._values["certfile"] is not None or self.has_psk

    @property
    def has_psk(self) -> bool:
        """Its TLS is with pre-shared keys, whatever certificates it names."""
        return self._values["psk_hint"] is not None


class Configuration:
    """All options, and the listeners to start. `Configuration.parse` and `load` make them."""

    __slots__ = ("_places", "_values", "listeners", "warnings")

    def __init__(self, draft: Draft) -> None:
        self._values = complete_values(draft.settings)
        self._places = {
            name: tuple(setting.line.place for setting in settings)
            for name, settings in draft.settings.items()
        }
        self.listeners = [_listener(draft, each) for each in draft.listeners if each.started]
        self.warnings: list[str] = draft.warnings

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def places(self, name: str) -> tuple[str, ...]:
        """Where the values of a repeatable option were set, in their order, for messages."""
        return self._places.get(name, ())

    @classmethod
    def parse(
        cls,
        text: str,
        source: str = "configuration",
        environment: Mapping[str, str] | None = None,
        strict: bool = False,
        switches: Mapping[str, str] = NOTHING,
    ) -> "Configuration":
        """Read `text`. The environment counts after it, `switches` (of the command line) last."""
        return cls._read(read_lines(text, source, None), environment, strict, switches)

    @classmethod
    def load(
        cls,
        path: str,
        environment: Mapping[str, str] | None = None,
        strict: bool = False,
        switches: Mapping[str, str] = NOTHING,
    ) -> "Configuration":
        """Read the file at `path` as `parse` reads text."""
        try:
            lines = read_file(path)
        except LineError as error:
            raise ConfigError(str(error)) from None
        return cls._read(lines, environment, strict, switches)

    @classmethod
    def default(cls, port: int = 1883) -> "Configuration":
        """No configuration: loopback only, and anybody may connect."""
        return cls.parse("", switches={"port": str(port)})

    @classmethod
    def _read(
        cls,
        lines: Iterable[Line],
        environment: Mapping[str, str] | None,
        strict: bool,
        switches: Mapping[str, str],
    ) -> "Configuration":
        try:
            every = chain(lines, environment_lines(environment or {}), switch_lines(switches))
            draft = read_draft(list(every))
        except LineError as error:
            raise ConfigError(str(error)) from None
        if strict and draft.unknown:
            raise ConfigError(draft.unknown[0])
        return cls(draft)


def _listener(draft: Draft, listener: ListenerDraft) -> ListenerConfiguration:
    return ListenerConfiguration(
        listener.port,
        listener.address,
        listener.protocol,
        listener.line.place,
        complete_values(draft.settings, listener.settings),
    )
