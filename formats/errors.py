"""What a decoder or handler raises when a peer breaks a rule of its protocol."""

from typing import NamedTuple


class Rule(NamedTuple):
    """A rule that peers are held to; `rules.py` of each format lists them all.

    Attributes:
        reason:  Reason Code for a 5.0 peer (2.4); a 3.x peer sees at most a CONNACK return code.
        v3, v5:  statement ids in 3.1.1 and 5.0, "" where that document has none. One id can name
                 different statements in the two, so neither stands alone.
        summary: the rule's breach in our words, for the log and the 5.0 Reason String.
    """

    reason: int
    v3: str
    v5: str
    summary: str


class ProtocolViolation(Exception):  # noqa: N818 - the standard's word for it
    """The peer broke `rule`; the network connection ends.

    Decoders raise it and nothing else: any other exception that leaves `formats` is a bug of ours.

    Attributes:
        rule:   the rule that was broken.
        seen:   what was there instead, in words or hex; "" where the rule says it all.
        offset: the byte that shows it, counted from byte 1 of the fixed header as 0; -1 if unknown.
    """

    def __init__(self, rule: Rule, seen: str = "", offset: int = -1) -> None:
        super().__init__(rule, seen, offset)
        self.rule = rule
        self.seen = seen
        self.offset = offset

    def __str__(self) -> str:
        text = self.rule.summary
        if self.seen:
            text += f": {self.seen}"
        if self.offset >= 0:
            text += f" at byte {self.offset}"
        return text
