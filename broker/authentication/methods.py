"""The authentication methods that a listener offers (5.0, section 4.12).

Threads: made once, then only read; `create` may be called from any listener.
"""

from collections.abc import Mapping, Sequence

from broker.authentication.challenge import CHALLENGE, Challenge
from broker.authentication.method import Method
from broker.authentication.scram import HASHES, Scram, ScramUsers

KNOWN = (*HASHES, CHALLENGE)


class Methods:
    """What `method_names` offer, to `users` (user name to password) and by `challenges`.

    Making it derives the SCRAM keys of all users, about 2 ms for each user and method.

    Raises:
        ValueError: an unknown method, or a user name or password that SCRAM cannot have.
    """

    __slots__ = ("_offered", "_script", "_users")

    def __init__(
        self,
        method_names: Sequence[str],
        users: Mapping[str, str],
        challenges: Sequence[tuple[str, str]],
    ) -> None:
        for name in method_names:
            if name not in KNOWN:
                raise ValueError(f"{name} is not an authentication method: {', '.join(KNOWN)} are")
        self._offered = frozenset(method_names)
        self._users = {
            name: ScramUsers(name, users) for name in sorted(self._offered) if name in HASHES
        }
        self._script = tuple((sent.encode(), expected.encode()) for sent, expected in challenges)

    def create(self, name: str) -> Method | None:
        """A fresh exchange of the method `name`; None, for CONNACK 0x8C, if it is not offered."""
        if name not in self._offered:
            return None  # [MQTT5-4.12.0-1]
        if name == CHALLENGE:
            return Challenge(self._script)
        return Scram(self._users[name])
