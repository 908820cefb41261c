"""Who may connect, publish and subscribe: the seam that access control fills.

A listener asks its `Access` for every CONNECT, after enhanced authentication (4.12) has come
out well, and then for what the client may do: its `Rights`, which its session keeps. Where
everything is allowed a session has none, and nothing is asked.

Threads: one `Access` serves every listener of the same configuration; `Rights` are asked by
whichever thread passes a message on. An implementation must not change after it is made, or must
replace what it looks at in one assignment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SUCCESS = 0x00
BAD_USER_NAME_OR_PASSWORD = 0x86  # return code 4 in 3.1 and 3.1.1
NOT_AUTHORIZED = 0x87  # return code 5 in 3.1 and 3.1.1
PENDING = -1  # no Reason Code: `Access.prove` will have it


@dataclass(slots=True)
class Client:
    """Whom the broker has before it, as far as access control may want to know.

    Attributes:
        client_id:     the Client Identifier, the assigned one if the client sent none.
        user_name:     of CONNECT, or what the TLS identity or enhanced authentication set in its
                       place; None if there is none.
        password:      of CONNECT, until it was looked at; None if there is none.
        address:       of the peer, without its port.
        listener_port: the port the client came in at.
        tls_identity:  the certificate's name, where the listener takes it for the user name
                       (`use_identity_as_username`, `use_subject_as_username`); otherwise None.
        authenticated_by: the Authentication Method that succeeded (4.12), "" if none was used.
        version:       protocol level: 3, 4 or 5.
        proven:        that method has named the user.
    """

    client_id: str
    user_name: str | None = None
    password: bytes | None = None
    address: str = ""
    listener_port: int = 0
    tls_identity: str | None = None
    authenticated_by: str = ""
    version: int = 5
    proven: bool = False


class Rights(Protocol):
    """What one client may do. Any thread may ask."""

    def may_publish(self, topic: str) -> bool:
        """Whether a message of `topic` may come from it; its will, too."""
        ...

    def may_receive(self, topic: str) -> bool:
        """Whether a message of `topic` may go to it, which a wildcard may have asked for."""
        ...

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether it may have `topic_filter`, without a leading `$share/name/`."""
        ...

    def remembers(self, topic: bytes) -> bool:
        """Whether `may_publish` has said yes to this topic before, and would again."""
        ...

    def same_as(self, other: "Rights | None") -> bool:
        """Whether both are of the same client, and always say the same."""
        ...


class Access(Protocol):
    """What a listener asks."""

    def connect(self, client: Client) -> int:
        """The Reason Code for CONNACK: 0, 0x86 or 0x87; or PENDING, when that takes long."""
        ...

    def prove(
        self, client: Client, wanted: Callable[[], bool], done: Callable[[int], None]
    ) -> bool:
        """Have another thread find out, and call `done` there with the Reason Code.

        Nothing is called once `wanted` is False. Returns False when too many wait already.
        """
        ...

    def rights(self, client: Client) -> Rights | None:
        """What `client` may do; None where everybody may do everything."""
        ...


class AnonymousAccess:
    """Everything is allowed to whom `allow_anonymous`, TLS or enhanced authentication let in.

    As in Mosquitto 2 without a password file: if anonymous clients are allowed, a user name is
    accepted and not looked at; if they are not, a user name does not help, since nothing is
    there to check it against.
    """

    __slots__ = ("allow_anonymous",)

    def __init__(self, allow_anonymous: bool) -> None:
        self.allow_anonymous = allow_anonymous

    def connect(self, client: Client) -> int:
        if self.allow_anonymous or client.tls_identity is not None or client.authenticated_by:
            return SUCCESS
        return NOT_AUTHORIZED

    def prove(
        self, client: Client, wanted: Callable[[], bool], done: Callable[[int], None]
    ) -> bool:
        return False  # `connect` leaves nothing to prove

    def rights(self, client: Client) -> Rights | None:
        return None
