"""Users and their passwords: `NAME:PASSWORD` lines, where PASSWORD is a hash as in `hashes.py`.

Threads: not changed after it is made.
"""

import hmac
import secrets
from collections.abc import Mapping

from broker.config import ConfigError
from broker.guard.files import read_lines
from broker.guard.hashes import Hash, HashError, parse_hash


class Passwords:
    """The users of a password file.

    Who tries names must not learn from the time an answer takes which of them there are: a name
    that is not there is checked against somebody's hash, always the same, and fails.
    """

    __slots__ = ("_by_name", "_hashes", "_key")

    def __init__(self, by_name: Mapping[str, Hash]) -> None:
        self._by_name = by_name
        self._hashes = tuple(by_name.values())
        self._key = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._hashes)

    def is_slow(self, user_name: str) -> bool:
        """Whether `verify` takes so long that other clients would feel it."""
        return bool(self._hashes) and self._hash(user_name).slow

    def verify(self, user_name: str, password: bytes | None) -> bool:
        """Whether this is the user's password; None never is."""
        if not self._hashes:
            return False
        fits = self._hash(user_name).verify(password or b"")
        return fits and user_name in self._by_name and password is not None

    def _hash(self, user_name: str) -> Hash:
        # Worked out for those that are there, too.
        name = user_name.encode(errors="surrogatepass")
        place = int.from_bytes(hmac.digest(self._key, name, "sha256")[:8], "big")
        another = self._hashes[place % len(self._hashes)]
        return self._by_name.get(user_name, another)


def read_passwords(path: str, allow_plaintext: bool) -> Passwords:
    """The users of a file. Raises ConfigError."""
    by_name: dict[str, Hash] = {}
    for number, line in read_lines(path):
        name, colon, password = line.partition(":")
        if not colon:
            raise ConfigError(f"{path}:{number}: there is no colon behind the user name")
        if not name:
            raise ConfigError(f"{path}:{number}: there is no user name before the colon")
        if name in by_name:
            raise ConfigError(f"{path}:{number}: user {name!r} has a line already")
        try:
            by_name[name] = parse_hash(password, allow_plaintext)
        except HashError as error:
            raise ConfigError(f"{path}:{number}: user {name!r}: {error}") from None
    return Passwords(by_name)
