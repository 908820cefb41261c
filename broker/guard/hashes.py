"""Passwords as a password file has them, in the notations of mosquitto_passwd.

    $7$ITERATIONS$SALT$HASH     PBKDF2-HMAC-SHA512, the usual one
    $6$SALT$HASH                SHA-512 of password and salt, of old files
    $argon2id$v=19$...          Argon2id, with argon2-cffi

Salt and hash of the first two are Base64. Anything else is a password as it is.

Threads: a hash is not changed after it is made; those that are `slow` let others run meanwhile.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from types import ModuleType
from typing import Protocol

# Of what `--passwd` writes. A login takes about 25 ms, so that a file that was stolen does not give
# up its passwords at once, and a test suite that connects a thousand times is not held up.
ITERATIONS = 20_000
MOST_ITERATIONS = 2**31 - 1  # OpenSSL has it as an int
SALT_SIZE = 12  # bytes


class HashError(ValueError):
    """What is wrong with a hash; its text never has any of it in it."""


class Hash(Protocol):
    """One password that is known by something else than itself."""

    slow: bool

    def verify(self, password: bytes) -> bool: ...


class Pbkdf2:
    slow = True

    __slots__ = ("_digest", "_iterations", "_salt")

    def __init__(self, iterations: int, salt: bytes, digest: bytes) -> None:
        self._iterations = iterations
        self._salt = salt
        self._digest = digest

    def verify(self, password: bytes) -> bool:
        digest = hashlib.pbkdf2_hmac("sha512", password, self._salt, self._iterations)
        return hmac.compare_digest(digest, self._digest)


class Sha512:
    slow = False

    __slots__ = ("_digest", "_salt")

    def __init__(self, salt: bytes, digest: bytes) -> None:
        self._salt = salt
        self._digest = digest

    def verify(self, password: bytes) -> bool:
        return hmac.compare_digest(hashlib.sha512(password + self._salt).digest(), self._digest)


class Argon2id:
    slow = True

    __slots__ = ("_encoded", "_library")

    def __init__(self, encoded: str, library: ModuleType) -> None:
        self._encoded = encoded.encode()
        self._library = library

    def verify(self, password: bytes) -> bool:
        library = self._library
        try:
            library.low_level.verify_secret(self._encoded, password, library.Type.ID)
        except library.exceptions.VerifyMismatchError:
            return False
        return True


class Plain:
    slow = False

    __slots__ = ("_digest", "_key")

    def __init__(self, password: str) -> None:
        # Compared are digests, which have one length: that of the password does not show.
        self._key = secrets.token_bytes(32)
        self._digest = self._digest_of(password.encode())

    def _digest_of(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, "sha256")

    def verify(self, password: bytes) -> bool:
        return hmac.compare_digest(self._digest_of(password), self._digest)


def parse_hash(text: str, allow_plaintext: bool) -> Hash:
    """What stands behind the colon of a line. Raises HashError."""
    if not text:
        raise HashError("no password")
    if text.startswith("$argon2id$"):
        return _parse_argon2id(text)
    if text.startswith("$7$"):
        return _parse_pbkdf2(text[3:].split("$"))
    if text.startswith("$6$"):
        return _parse_sha512(text[3:].split("$"))
    if text.startswith("$"):
        raise HashError("a kind of hash that is not known; $7$, $6$ and $argon2id$ are")
    if not allow_plaintext:
        raise HashError("a password that is not hashed; allow_plaintext_passwords is false")
    return Plain(text)


def _parse_pbkdf2(parts: list[str]) -> Hash:
    if len(parts) != 3:
        raise HashError(f"{len(parts)} parts after $7$, not ITERATIONS$SALT$HASH")
    iterations, salt, digest = parts
    if not (iterations.isascii() and iterations.isdigit() and len(iterations) <= 10):
        raise HashError("iterations that are not a whole number")
    if not 1 <= int(iterations) <= MOST_ITERATIONS:
        raise HashError(f"{iterations} iterations, not 1 to {MOST_ITERATIONS}")
    return Pbkdf2(int(iterations), _unpack(salt, "salt"), _unpack_digest(digest))


def _parse_sha512(parts: list[str]) -> Hash:
    if len(parts) != 2:
        raise HashError(f"{len(parts)} parts after $6$, not SALT$HASH")
    return Sha512(_unpack(parts[0], "salt"), _unpack_digest(parts[1]))


def _parse_argon2id(text: str) -> Hash:
    try:
        import argon2
    except ImportError:
        raise HashError("$argon2id$ needs argon2-cffi: pip install argon2-cffi") from None
    try:
        argon2.extract_parameters(text)
    except argon2.exceptions.InvalidHashError:
        raise HashError("not a hash of Argon2id") from None
    return Argon2id(text, argon2)


def _unpack(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise HashError(f"a {what} that is not Base64") from None


def _unpack_digest(text: str) -> bytes:
    digest = _unpack(text, "hash")
    if len(digest) != hashlib.sha512().digest_size:
        raise HashError(f"a hash of {len(digest)} bytes, not 64")
    return digest


def make_hash(password: bytes) -> str:
    """A new hash of a password, as `--passwd` writes it."""
    salt = secrets.token_bytes(SALT_SIZE)
    digest = hashlib.pbkdf2_hmac("sha512", password, salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
