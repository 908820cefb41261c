"""The normative statements of MQTT 5.0 and 3.1.1, one `Statement` each.

The data is oracle/catalogue/*.json, one entry for each statement in the order of its document:
those that the standard numbers (`MQTT-3.1.2-22`) and those sentences of its normative text that it
does not (`U5-3.1.2.3-1`, `U311-4.8-1`; these ids are ours). The texts are OASIS's: see
docs/NOTICE-OASIS.md. Parties, twins, reasons and what can be observed are our judgement.

Ids of the two documents collide, so a statement is named by its key, which says the document:
`MQTT5-3.1.2-22`, `MQTT3-3.1.2-24`, `U5-3.1.2.3-1`, `U311-4.8-1`. Nothing is read before the first
call of `load` or `by_key`.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MQTT_5_0 = "mqtt-5.0"
MQTT_3_1_1 = "mqtt-3.1.1"
DOCUMENTS = (MQTT_5_0, MQTT_3_1_1)
TITLES = {MQTT_5_0: "MQTT 5.0", MQTT_3_1_1: "MQTT 3.1.1"}
CATALOGUE = Path(__file__).parent / "catalogue"
PREFIXES = {MQTT_5_0: "MQTT5-", MQTT_3_1_1: "MQTT3-"}  # in place of the `MQTT-` of both

LEVELS = (
    "must",
    "must not",
    "should",
    "should not",
    "may",
    "protocol error",  # the sentence says what is a Protocol Error, which 4.13 says how to treat
    "malformed packet",  # likewise
    "disconnect",  # the sentence prescribes a DISCONNECT and its Reason Code
)
# Whether a broker can observe it in a client: that it was broken, or was at stake and kept.
OBSERVED = ("always", "if", "never")  # "if": only if the client does what the note says
PARTIES = ("client", "server", "both", "sender", "receiver")  # the last two: whichever side that is


@dataclass(slots=True)
class Statement:
    """One normative statement."""

    document: str
    id: str  # as the document prints it, or ours
    section: str
    section_title: str
    level: str
    party: str  # who must act
    binds_server: bool
    binds_client: bool
    twin: str  # key of the nearest statement of the other document; "" where that one has none
    text: str
    context: str = ""  # for unnumbered ones: the sentence before, or the line that leads the list
    note: str = ""  # where the printed wording or id is not to be relied on
    reason: str = ""  # why no line of source or test shows it
    observed: str = ""  # one of OBSERVED; "" where no client is bound
    observed_note: str = ""  # "only if the Client ...", "because ..."; "" for what always is

    @property
    def key(self) -> str:
        if self.numbered:
            return PREFIXES[self.document] + self.id.removeprefix("MQTT-")
        return self.id

    @property
    def numbered(self) -> bool:
        return self.id.startswith("MQTT-")

    @property
    def mandatory(self) -> bool:
        return self.level in ("must", "must not")

    @property
    def chapter(self) -> str:
        """`3.1` for 3.1.2.10: the sections of chapter 3, a packet each, stand alone."""
        parts = self.section.split(".")
        return ".".join(parts[:2]) if parts[0] == "3" else parts[0]

    @property
    def observable(self) -> bool:
        """Whether a broker can observe it in a client that gives occasion."""
        return self.observed in ("always", "if")


@cache
def load(document: str) -> tuple[Statement, ...]:
    """The statements of `mqtt-5.0` or `mqtt-3.1.1`, in the document's order."""
    entries = json.loads((CATALOGUE / f"{document}.json").read_text(encoding="utf-8"))
    return tuple(Statement(document, **entry) for entry in entries)


@cache
def by_key() -> dict[str, Statement]:
    """The statements of both documents under their keys."""
    return {statement.key: statement for document in DOCUMENTS for statement in load(document)}
