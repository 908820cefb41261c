"""Files that are in force, and can be read again.

Threads: any thread looks at what is in force; whoever reloads replaces it in one assignment.
"""

from broker.config import ConfigError
from broker.guard.acl_file import Acl, read_acl
from broker.guard.password_file import Passwords, read_passwords


class PasswordSource:
    """A password file."""

    __slots__ = ("_allow_plaintext", "_next", "passwords", "path")

    def __init__(self, path: str, allow_plaintext: bool) -> None:
        self.path = path
        self._allow_plaintext = allow_plaintext
        self.passwords: Passwords = read_passwords(path, allow_plaintext)
        self._next = self.passwords

    def prepare(self) -> None:
        """Read the file again. Raises ConfigError."""
        self._next = read_passwords(self.path, self._allow_plaintext)

    def apply(self) -> None:
        """Let what `prepare` has read be in force."""
        self.passwords = self._next


class AclSource:
    """A file with an access control list."""

    __slots__ = ("_next", "acl", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.acl: Acl = read_acl(path)
        self._next = self.acl

    def prepare(self) -> None:
        """Read the file again. Raises ConfigError."""
        self._next = read_acl(self.path)

    def apply(self) -> None:
        """Let what `prepare` has read be in force."""
        self.acl = self._next


Source = PasswordSource | AclSource


def reload(sources: list[Source]) -> list[str]:
    """Read all files again; what is wrong with any leaves all as they were.

    Returns what is wrong.
    """
    problems = []
    for source in sources:
        try:
            source.prepare()
        except ConfigError as error:
            problems.append(str(error))
    if not problems:
        for source in sources:
            source.apply()
    return problems
