"""What an authentication method is (5.0, section 4.12): steps of data, without packets or time.

The connection translates: the data of CONNECT, or of an AUTH with 0x19 (re-authenticate), goes to
`start`, that of each AUTH with 0x18 to `proceed`. `Continue` leaves as AUTH 0x18; `Success` as
CONNACK 0x00, or AUTH 0x00 at the end of a re-authentication; `Failure` as CONNACK, or DISCONNECT
in a re-authentication, and a close. Every exchange, a re-authentication too, has a method of its
own. Whether a re-authentication may change the user name is the connection's to decide (4.12.1).
"""

from dataclasses import dataclass
from typing import Protocol

NOT_AUTHORIZED = 0x87  # valid in CONNACK and in DISCONNECT


@dataclass(slots=True)
class Continue:
    """One more answer is needed. `data` is Authentication Data, None for no such property."""

    data: bytes | None


@dataclass(slots=True)
class Success:
    """The client is who it says: `user_name`, or None if the method does not name anybody."""

    data: bytes | None
    user_name: str | None


@dataclass(slots=True)
class Failure:
    """It is not: `reason` for CONNACK or DISCONNECT, `words` for Reason String and log."""

    reason: int
    words: str


Step = Continue | Success | Failure


class Method(Protocol):
    """One exchange with one client. After Success or Failure it is over."""

    name: str

    def start(self, data: bytes | None) -> Step:
        """Begin, with the client's first data, None if it sent none."""
        ...

    def proceed(self, data: bytes | None) -> Step:
        """Go on with the client's answer to a Continue."""
        ...
