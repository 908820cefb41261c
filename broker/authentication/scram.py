"""SCRAM-SHA-1 and SCRAM-SHA-256, the server's side (RFC 5802 and 7677), without channel binding.

    client-first   n,,n=user,r=CNONCE               CONNECT
    server-first   r=CNONCE+SNONCE,s=SALT,i=4096    AUTH 0x18
    client-final   c=biws,r=CNONCE+SNONCE,p=PROOF   AUTH 0x18
    server-final   v=SIGNATURE                      CONNACK 0x00

An unknown user goes the same way, with a salt that no attempt can tell from a real one, to the
same words at the end. Keys are derived when the broker starts, never in a listener's thread.

Threads: `ScramUsers` is shared and only read, a `Scram` belongs to its connection.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple

from broker.authentication.method import NOT_AUTHORIZED, Continue, Failure, Step, Success
from broker.authentication.saslprep import saslprep

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
ITERATIONS = 4096  # the least that RFC 7677, section 4 allows
SALT_SIZE = 16  # bytes

# RFC 5802, section 7. An attribute `m=` would come before `n=` or `r=` and is refused with it.
CLIENT_FIRST = re.compile(
    r"(?P<gs2>(?P<binding>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authorize>[^,]+))?,)"
    r"(?P<bare>n=(?P<user>[^,]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,]+)*)"
)
CLIENT_FINAL = re.compile(
    r"(?P<bare>c=(?P<binding>[^,]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,]+)*)"
    r",p=(?P<proof>[^,]+)"
)


class Keys(NamedTuple):
    """What the server keeps of a password (RFC 5802, section 3)."""

    stored: bytes
    server: bytes


class ScramUsers:
    """The users of one method with their salts and keys, which change with every start.

    Raises:
        ValueError: a user name or password that SASLprep prohibits.
    """

    __slots__ = ("_decoy", "_keys", "_salt_of", "hash_name", "iterations", "name")

    def __init__(
        self,
        name: str,
        users: Mapping[str, str],
        salt_of: Callable[[str], bytes] | None = None,
        iterations: int = ITERATIONS,
    ) -> None:
        self.name = name
        self.hash_name = HASHES[name]
        self.iterations = iterations
        secret = secrets.token_bytes(32)
        self._salt_of = salt_of or (lambda user: hmac.digest(secret, user.encode(), "sha256"))
        size = hashlib.new(self.hash_name).digest_size
        self._decoy = Keys(secrets.token_bytes(size), secrets.token_bytes(size))
        self._keys: dict[str, Keys] = {}
        for user, password in users.items():
            prepared = _prepared(user, f"user name {user!r}")
            self._keys[prepared] = self._derived(
                _prepared(password, f"password of user {user!r}"), self.salt(prepared)
            )

    def salt(self, user: str) -> bytes:
        """The salt of any user, known or not, always the same one."""
        return self._salt_of(user)[:SALT_SIZE]

    def keys(self, user: str) -> Keys:
        """The keys of `user`; keys that belong to no password if it is unknown."""
        return self._keys.get(user, self._decoy)

    def _derived(self, password: str, salt: bytes) -> Keys:
        hash_name = self.hash_name
        salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, self.iterations)
        client = hmac.digest(salted, b"Client Key", hash_name)
        stored = hashlib.new(hash_name, client).digest()
        return Keys(stored, hmac.digest(salted, b"Server Key", hash_name))


class Scram:
    """One exchange. `nonce` is the server's part, printable ASCII without a comma."""

    __slots__ = (
        "_client_first_bare",
        "_expect",
        "_gs2",
        "_nonce",
        "_server_first",
        "_user",
        "_users",
        "name",
    )

    def __init__(self, users: ScramUsers, nonce: str | None = None) -> None:
        self.name = users.name
        self._users = users
        self._nonce = nonce or secrets.token_urlsafe(18)
        self._expect: Callable[[str], Step] | None = self._client_first
        self._gs2 = self._client_first_bare = self._server_first = self._user = ""

    def start(self, data: bytes | None) -> Step:
        if data is None:
            return Continue(None)  # the client should have sent data (4.12); it still can
        return self.proceed(data)

    def proceed(self, data: bytes | None) -> Step:
        expect, self._expect = self._expect, None
        if expect is None:
            return _failure("the exchange is over")
        try:
            text = (data or b"").decode()
        except UnicodeDecodeError:
            return _failure("invalid-encoding")
        return expect(text)

    def _client_first(self, text: str) -> Step:
        first = CLIENT_FIRST.fullmatch(text)
        if first is None:
            return _failure("not a client-first-message")
        if first["binding"].startswith("p"):
            return _failure("channel-binding-not-supported")
        if first["authorize"] not in (None, first["user"]):
            return _failure("to act for another user is not supported")
        try:
            self._user = saslprep(_saslname(first["user"]))
        except ValueError:
            return _failure("invalid-username-encoding")
        self._gs2, self._client_first_bare = first["gs2"], first["bare"]
        self._nonce = first["nonce"] + self._nonce
        salt = base64.b64encode(self._users.salt(self._user)).decode()
        self._server_first = f"r={self._nonce},s={salt},i={self._users.iterations}"
        self._expect = self._client_final
        return Continue(self._server_first.encode())

    def _client_final(self, text: str) -> Step:
        final = CLIENT_FINAL.fullmatch(text)
        if final is None:
            return _failure("not a client-final-message")
        if final["binding"] != base64.b64encode(self._gs2.encode()).decode():
            return _failure("channel-bindings-dont-match")
        if final["nonce"] != self._nonce:
            return _failure("the nonce is not the one that was agreed on")
        try:
            proof = base64.b64decode(final["proof"], validate=True)
        except (binascii.Error, ValueError):
            return _failure("invalid-encoding")
        keys = self._users.keys(self._user)
        hash_name = self._users.hash_name
        agreed = ",".join((self._client_first_bare, self._server_first, final["bare"])).encode()
        signature = hmac.digest(keys.stored, agreed, hash_name)
        if len(proof) != len(signature):
            return _failure("invalid-proof")
        client = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.new(hash_name, client).digest(), keys.stored):
            return _failure("invalid-proof")
        verifier = base64.b64encode(hmac.digest(keys.server, agreed, hash_name))
        return Success(b"v=" + verifier, self._user)


def _failure(words: str) -> Failure:
    return Failure(NOT_AUTHORIZED, words)


def _saslname(escaped: str) -> str:
    """`=2C` is a comma, `=3D` an equals sign; any other `=` is a mistake (RFC 5802, 5.1)."""
    if re.search("=(?!2C|3D)", escaped):
        raise ValueError("an equals sign that escapes nothing")
    return escaped.replace("=2C", ",").replace("=3D", "=")


def _prepared(text: str, what: str) -> str:
    try:
        return saslprep(text)
    except ValueError as mistake:
        raise ValueError(f"{what}: {mistake}") from None
