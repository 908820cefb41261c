"""What a trace is written to: a file of some form, told about connections and what passes on them.

Each form is a subclass of `Output` and overrides what it has a use for.

Threads: all methods but the constructors run on the trace's own thread.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from oracle.description import Description

RECEIVED = "received"  # by the broker
SENT = "sent"


@dataclass(slots=True)
class Traced:
    """A connection, as far as a trace knows it.

    Attributes:
        number:    which of the broker's connections, from 1.
        address:   "host:port" of the client.
        transport: "tcp", "tls", "ws" or "wss".
        client_id: of its CONNECT or, where that had none, of the CONNACK; None before.
        version:   protocol level of its CONNECT; 0 before.
    """

    number: int
    listener_port: int
    address: str
    transport: str
    client_id: str | None = None
    version: int = 0


class Passed(NamedTuple):
    """A packet, or what should have been one.

    Attributes:
        data: its bytes, of a very long one only the beginning.
        size: of the whole packet, bytes.
    """

    direction: str
    data: bytes
    size: int
    description: Description


class Output:
    """A file that a trace is written to. Times are seconds since 1970.

    Attributes:
        wants_packets: `packet` is to be called; packets need not be cut and decoded for others.
    """

    wants_packets = True

    def __init__(self, path: Path) -> None:
        """Begin the file anew; if it is not there, for its owner only: payloads are in it.

        Raises:
            OSError: it cannot be written.
        """
        self.path = path
        self.file = open(  # noqa: SIM115
            path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)
        )

    def opened(self, connection: Traced, at: float) -> None:
        """A connection was accepted."""

    def passed(self, connection: Traced, at: float, direction: str, data: bytes) -> None:
        """Bytes have passed, before `packet` tells of those that they complete."""

    def packet(self, connection: Traced, at: float, packet: Passed) -> None:
        """A packet has passed."""

    def ended(self, connection: Traced, at: float, words: str) -> None:
        """A connection has ended; nothing follows on it."""

    def flush(self) -> None:
        """Let others see what was written."""
        self.file.flush()

    def close(self) -> None:
        """The last call."""
        self.file.close()
