"""`startbroker.py --passwd FILE USER`: make, change and delete the entries of a password file.

All other lines stay as they are, comments too. The file is replaced in one step, so that a broker
that reloads it never sees half of it. A new one is for its owner only; one that is there keeps its
owner and mode as far as that may be done.
"""

import argparse
import contextlib
import getpass
import os
import secrets
import stat
import sys
import unicodedata

from broker.config import ConfigError
from broker.guard.hashes import make_hash

LONGEST = 65_535  # bytes of a user name or password in a CONNECT (1.5.4, 1.5.6)


def run(arguments: argparse.Namespace) -> None:
    """Do what the arguments ask.

    Raises:
        ConfigError, OSError: it could not be done, and the file is as it was.
    """
    if arguments.passwd is not None:
        path, user_name = arguments.passwd
        check_user_name(user_name)
        set_password(path, user_name, _ask())
    else:
        delete_user(*arguments.passwd_delete)


def check_user_name(user_name: str) -> None:
    """Raises ConfigError for what a line of the file cannot have, or a CONNECT."""
    if not user_name:
        raise ConfigError("--passwd: the user name is empty")
    if ":" in user_name:
        raise ConfigError(f"--passwd: {user_name!r}: a user name has no colon")
    if user_name.startswith("#") or any(
        unicodedata.category(character).startswith("C") for character in user_name
    ):
        raise ConfigError(f"--passwd: {user_name!r} cannot be a user name in a file")
    if len(user_name.encode()) > LONGEST:
        raise ConfigError(f"--passwd: a user name has at most {LONGEST} bytes")


def set_password(path: str, user_name: str, password: bytes) -> None:
    """Give a user this password, in the line that there is or in a new one at the end."""
    entry = f"{user_name}:{make_hash(password)}\n".encode()
    lines = _lines(path)
    places = [place for place, line in enumerate(lines) if _is_of(line, user_name)]
    if places:
        lines[places[0]] = entry
        lines = [line for place, line in enumerate(lines) if place not in places[1:]]
    else:
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        lines.append(entry)
    _replace(path, b"".join(lines))


def delete_user(path: str, user_name: str) -> None:
    """Take a user's line out. Raises ConfigError if there is none."""
    lines = _lines(path)
    others = [line for line in lines if not _is_of(line, user_name)]
    if len(others) == len(lines):
        raise ConfigError(f"{path}: there is no user {user_name!r}")
    _replace(path, b"".join(others))


def _ask() -> bytes:
    """The new password, twice from a terminal, or else a line of standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        password = getpass.getpass("Password: ").encode()
        if getpass.getpass("The same again: ").encode() != password:
            raise ConfigError("--passwd: these were two passwords")
    else:
        line = b"" if sys.stdin is None else sys.stdin.buffer.readline(LONGEST + 3)
        password = line.removesuffix(b"\n").removesuffix(b"\r")
    if not password:
        raise ConfigError("--passwd: the password is empty")
    if len(password) > LONGEST:
        raise ConfigError(f"--passwd: a password has at most {LONGEST} bytes")
    return password


def _lines(path: str) -> list[bytes]:
    """The lines of the file with their ends; none if there is no file."""
    try:
        with open(path, "rb") as file:
            return file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _is_of(line: bytes, user_name: str) -> bool:
    return line.removeprefix(b"\xef\xbb\xbf").startswith(f"{user_name}:".encode())


def _replace(path: str, content: bytes) -> None:
    path = os.path.realpath(path)  # of a link, what it names
    unfinished = f"{path}.{secrets.token_hex(4)}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            _take_owner_and_mode(unfinished, os.stat(path))
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _take_owner_and_mode(path: str, other: os.stat_result) -> None:
    chown = getattr(os, "chown", None)  # Windows has none
    if chown is not None:
        try:
            chown(path, other.st_uid, other.st_gid)
        except PermissionError:
            return  # a mode that was meant for another group would open it to ours
    os.chmod(path, stat.S_IMODE(other.st_mode))
