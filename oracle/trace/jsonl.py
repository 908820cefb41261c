"""A trace as JSON lines: one object for each packet, and for the beginning and end of connections.

Every line has "time" (UTC, microseconds), "event" ("open", "packet" or "end"), "connection" (its
number), "client_id" (null before it is known), "address" and "transport". An "open" has "listener",
its port; an "end" has "words", the reason. A "packet" has "direction" ("received" by the broker or
"sent"), "packet" (its name), "fields" (decoded; "error" where it is broken), "bytes" (hex, only the
first of a long one, passwords and authentication data as asterisks) and "size" (of the whole
packet).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oracle.trace.masking import masked
from oracle.trace.output import Output, Passed, Traced

SHOWN = 256  # bytes of a packet


class JsonLines(Output):
    """Writes JSON lines.

    Attributes:
        shown: how many bytes of a packet "bytes" has.
    """

    def __init__(self, path: Path, shown: int = SHOWN) -> None:
        super().__init__(path)
        self.shown = shown

    def opened(self, connection: Traced, at: float) -> None:
        self._write("open", connection, at, {"listener": connection.listener_port})

    def packet(self, connection: Traced, at: float, packet: Passed) -> None:
        data = masked(packet.data, connection.version)[: self.shown]
        line = {
            "direction": packet.direction,
            "packet": packet.description.name,
            "fields": packet.description.fields,
            "bytes": data.hex(),
            "size": packet.size,
        }
        self._write("packet", connection, at, line)

    def ended(self, connection: Traced, at: float, words: str) -> None:
        self._write("end", connection, at, {"words": words})

    def _write(self, event: str, connection: Traced, at: float, more: dict[str, Any]) -> None:
        time = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "event": event,
            "connection": connection.number,
            "client_id": connection.client_id,
            "address": connection.address,
            "transport": connection.transport,
            **more,
        }
        self.file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
