"""Who may connect, publish and subscribe: the seam that access control fills.

A listener asks its `Access` for every CONNECT, after enhanced authentication (4.12) has come
out well. For every PUBLISH, SUBSCRIBE and retained message that a SUBSCRIBE brings it looks at
`checks_publish`, `checks_subscribe` and `checks_deliver` first and asks only if they are True, so
that a broker that allows everything pays nothing for it. What the router delivers is not asked
about yet.

Threads: one `Access` serves every listener; an implementation must not change after it is made,
or must replace what it looks at in one assignment.
"""

from dataclasses import dataclass
from typing import Protocol

SUCCESS = 0x00
BAD_USER_NAME_OR_PASSWORD = 0x86  # return code 4 in 3.1 and 3.1.1
NOT_AUTHORIZED = 0x87  # return code 5 in 3.1 and 3.1.1


@dataclass(slots=True)
class Client:
    """Whom the broker has before it, as far as access control may want to know.

    Attributes:
        client_id:     the Client Identifier, the assigned one if the client sent none.
        user_name:     of CONNECT, or what the TLS identity or enhanced authentication set in its
                       place; None if there is none.
        password:      of CONNECT; None if there is none.
        address:       of the peer, without its port.
        listener_port: the port the client came in at.
        tls_identity:  the certificate's name, where the listener takes it for the user name
                       (`use_identity_as_username`, `use_subject_as_username`); otherwise None.
        authenticated_by: the Authentication Method that succeeded (4.12), "" if none was used.
        version:       protocol level: 3, 4 or 5.
    """

    client_id: str
    user_name: str | None = None
    password: bytes | None = None
    address: str = ""
    listener_port: int = 0
    tls_identity: str | None = None
    authenticated_by: str = ""
    version: int = 5


class Access(Protocol):
    """What a listener asks.

    Attributes:
        checks_publish:   whether `publish` can say no.
        checks_subscribe: whether `subscribe` can say no.
        checks_deliver:   whether `deliver` can say no.
    """

    checks_publish: bool
    checks_subscribe: bool
    checks_deliver: bool

    def connect(self, client: Client) -> int:
        """The Reason Code for CONNACK: 0, 0x86 or 0x87."""
        ...

    def publish(self, client: Client, topic: str, qos: int, retain: bool) -> bool:
        """Whether `client` may publish so; its will, too."""
        ...

    def subscribe(self, client: Client, topic_filter: str, qos: int) -> bool:
        """Whether `client` may have `topic_filter`, without a leading `$share/name/`."""
        ...

    def deliver(self, client: Client, topic: str) -> bool:
        """Whether a message of `topic` may go to `client`, which a wildcard may have asked for."""
        ...


class AnonymousAccess:
    """Everything is allowed to whom `allow_anonymous`, TLS or enhanced authentication let in.

    As in Mosquitto 2 without a password file: if anonymous clients are allowed, a user name is
    accepted and not looked at; if they are not, a user name does not help, since nothing is
    there to check it against.
    """

    __slots__ = ("allow_anonymous", "checks_deliver", "checks_publish", "checks_subscribe")

    def __init__(self, allow_anonymous: bool) -> None:
        self.allow_anonymous = allow_anonymous
        self.checks_publish = False
        self.checks_subscribe = False
        self.checks_deliver = False

    def connect(self, client: Client) -> int:
        if self.allow_anonymous or client.tls_identity is not None or client.authenticated_by:
            return SUCCESS
        return NOT_AUTHORIZED

    def publish(self, client: Client, topic: str, qos: int, retain: bool) -> bool:
        return True

    def subscribe(self, client: Client, topic_filter: str, qos: int) -> bool:
        return True

    def deliver(self, client: Client, topic: str) -> bool:
        return True
