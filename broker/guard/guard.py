"""Access control as a configuration has it: who may connect to which listener, and do what.

Listeners that name the same files share what was read of them.

Threads: made before the listeners start; `reload` may be called while they serve.
"""

from collections.abc import Callable

from broker.access import (
    BAD_USER_NAME_OR_PASSWORD,
    NOT_AUTHORIZED,
    PENDING,
    SUCCESS,
    Access,
    AnonymousAccess,
    Client,
    Rights,
)
from broker.config import Configuration, ListenerConfiguration
from broker.guard.hashing import HashingThreads
from broker.guard.rights import AclRights
from broker.guard.sources import AclSource, PasswordSource, Source, reload


class GuardedAccess:
    """Access by a password file, an access control list, or both."""

    __slots__ = ("_acl", "_anonymous", "_hashing", "_passwords")

    def __init__(
        self,
        allow_anonymous: bool,
        passwords: PasswordSource | None,
        acl: AclSource | None,
        hashing: HashingThreads,
    ) -> None:
        self._anonymous = AnonymousAccess(allow_anonymous)
        self._passwords = passwords
        self._acl = acl
        self._hashing = hashing

    def connect(self, client: Client) -> int:
        source, user_name = self._passwords, client.user_name
        if source is None:
            return self._anonymous.connect(client)
        if client.tls_identity is not None or client.proven:
            return SUCCESS
        if user_name is None:
            if client.authenticated_by or self._anonymous.allow_anonymous:
                return SUCCESS
            return NOT_AUTHORIZED
        if source.passwords.is_slow(user_name):
            return PENDING
        fits = source.passwords.verify(user_name, client.password)
        return SUCCESS if fits else BAD_USER_NAME_OR_PASSWORD

    def prove(
        self, client: Client, wanted: Callable[[], bool], done: Callable[[int], None]
    ) -> bool:
        source, user_name, password = self._passwords, client.user_name, client.password
        if source is None or user_name is None:
            return False

        def job() -> None:
            reason = BAD_USER_NAME_OR_PASSWORD
            if not wanted():
                return
            try:
                if source.passwords.verify(user_name, password):
                    reason = SUCCESS
            finally:  # whatever happens to us, the client is answered
                done(reason)

        return self._hashing.submit(job)

    def rights(self, client: Client) -> Rights | None:
        return None if self._acl is None else AclRights(self._acl, client)


class Guard:
    """The access control of one broker.

    Raises:
        ConfigError: a file that cannot be used, with its name and line.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._hashing = HashingThreads(configuration["max_waiting_logins"])
        self._passwords: dict[tuple[str, bool], PasswordSource] = {}
        self._acls: dict[str, AclSource] = {}
        for listener in configuration.listeners:
            self.access(listener)

    def access(self, listener: ListenerConfiguration) -> Access:
        """That of one listener."""
        password_file, acl_file = listener["password_file"], listener["acl_file"]
        allow_plaintext: bool = listener["allow_plaintext_passwords"]
        passwords = acl = None
        if password_file is not None:
            key = (password_file, allow_plaintext)
            if key not in self._passwords:
                self._passwords[key] = PasswordSource(password_file, allow_plaintext)
            passwords = self._passwords[key]
        if acl_file is not None:
            if acl_file not in self._acls:
                self._acls[acl_file] = AclSource(acl_file)
            acl = self._acls[acl_file]
        if passwords is None and acl is None:
            return AnonymousAccess(listener["allow_anonymous"])
        return GuardedAccess(listener["allow_anonymous"], passwords, acl, self._hashing)

    def reload(self) -> list[str]:
        """Read all files again, without touching who is connected.

        If anything is wrong with one, all stay as they were. Returns what is wrong.
        """
        sources: list[Source] = [*self._passwords.values(), *self._acls.values()]
        return [f"{problem}; what was read before stays in force" for problem in reload(sources)]

    def stop(self, timeout_s: float) -> None:
        """End the threads, if there are any."""
        self._hashing.stop(timeout_s)
