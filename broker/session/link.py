"""What passes between a session and the rest of the broker: its connection, and its inbox."""

from typing import NamedTuple, Protocol

from broker.message import Message
from broker.session.outgoing import Outgoing


class Link(Protocol):
    """What a session needs of the connection it has just now."""

    version: int
    congested: bool  # so much output waits that QoS 1 and 2 had better wait in the session
    plain: int  # see broker/output.py
    maximum_out: int
    out: list[bytes]

    def send_message(self, outgoing: Outgoing, dup: bool) -> bool: ...

    def send_qos0(self, message: Message, retain: bool, identifiers: tuple[int, ...]) -> None: ...

    def send_pubrel(self, packet_id: int, kept: bool = False) -> None: ...

    def write_run(self, packets: bytes, count: int) -> None: ...

    def flush(self) -> None: ...


class Delivery(NamedTuple):
    """A message on its way into a session's inbox."""

    message: Message
    qos: int
    retain: bool
    identifiers: tuple[int, ...]
    share: str
    place: int  # in the database, where the sender has noted it already; otherwise 0
