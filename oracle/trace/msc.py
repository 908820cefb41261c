"""A trace as a message sequence chart: Mermaid's `sequenceDiagram`, which GitHub and others draw.

A participant for each client and one for the broker, an arrow for each packet, with a cross where
it is broken, and a note where a connection begins and ends. Mermaid refuses a text of more than
50,000 characters, so the chart has the beginning of the trace and says how much it left out.
"""

import re
from pathlib import Path

from oracle.packet_words import one_line
from oracle.trace.output import RECEIVED, Output, Passed, Traced

LONGEST = 49_900  # bytes, never fewer than characters; Mermaid's `maxTextSize` is 50,000
ROOM_FOR_THE_END = 150  # of them for the note about what was left out
LONGEST_NAME = 60  # characters of a client id or a reason
LONGEST_TEXT = 300  # characters of anything else

BEGIN = "sequenceDiagram\n    participant broker\n"
LEFT_OUT = "    Note over broker: {} more packets were left out\n"
# What ends a message, begins a comment, a directive, an entity, a formula or HTML, and the letters
# that Mermaid puts in the place of entities.
TO_ESCAPE = re.compile(r"[#;:%&<>${}\\`\"ﬂ°¶ß]")


class SequenceChart(Output):
    """Writes a Mermaid sequence diagram.

    Attributes:
        left_out: packets that found no room.
    """

    def __init__(self, path: Path, longest: int = LONGEST) -> None:
        super().__init__(path)
        self.left_out = 0
        self._longest = longest - ROOM_FOR_THE_END
        self._aliases: dict[str, str] = {}  # of participants, by client id or address
        self._connections: dict[int, str] = {}  # the alias that each began with
        self._length = 0
        self._told = 0  # what the file says was left out
        self._write(BEGIN)

    def packet(self, connection: Traced, at: float, packet: Passed) -> None:
        if self.left_out:
            self.left_out += 1
            return
        name, words, fields = packet.description
        head = "-x" if "error" in fields else "->>"
        alias, lines = self._begun(connection)
        ends = (alias, "broker") if packet.direction == RECEIVED else ("broker", alias)
        text = escaped(f"{name} {words}".rstrip())
        if not self._write(f"{lines}    {ends[0]}{head}{ends[1]}: {text}\n"):
            self.left_out = 1

    def ended(self, connection: Traced, at: float, words: str) -> None:
        if not self.left_out:
            alias, lines = self._begun(connection)
            reason = f": {one_line(words, LONGEST_NAME)}" if words else ""
            text = escaped(f"connection {connection.number} ended{reason}")
            self._write(f"{lines}    Note over {alias},broker: {text}\n")
        self._connections.pop(connection.number, None)

    def flush(self) -> None:
        if self.file.seekable():
            self._tell()
        super().flush()

    def close(self) -> None:
        self._tell()
        super().close()

    def _begun(self, connection: Traced) -> tuple[str, str]:
        """The alias of its client, and the lines that the chart needs before it can be used."""
        alias = self._connections.get(connection.number)
        if alias:
            return alias, ""
        lines = ""
        name = connection.client_id or connection.address
        alias = self._aliases.get(name)
        if alias is None:
            alias = self._aliases[name] = f"c{len(self._aliases) + 1}"
            lines = f"    participant {alias} as {escaped(one_line(name, LONGEST_NAME))}\n"
        self._connections[connection.number] = alias
        text = f"connection {connection.number}, {connection.transport} from {connection.address}"
        return alias, f"{lines}    Note over {alias},broker: {escaped(text)}\n"

    def _write(self, lines: str) -> bool:
        """Write if there is room."""
        data = lines.encode()
        if self._length + len(data) > self._longest:
            return False
        self.file.write(data)
        self._length += len(data)
        return True

    def _tell(self) -> None:
        """End the file with what was left out, in the place of what it said before."""
        if self.left_out > self._told:
            if self._told:
                self.file.seek(self._length)
            self.file.write(LEFT_OUT.format(self.left_out).encode())
            self._told = self.left_out


def escaped(text: str) -> str:
    """`text` as Mermaid shows it in a message, a note or a participant's name."""
    return TO_ESCAPE.sub(lambda found: f"#{ord(found[0])};", one_line(text, LONGEST_TEXT))
