"""`psk_file`: who may come in by a pre-shared key, and whether this Python can do that (RFC 4279).

A line is `IDENTITY:KEY`, as Mosquitto has it, the key in hexadecimal digits; a line that begins
with `#` is a comment. No error says a key.
"""

import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec

LONGEST_IDENTITY = 128  # bytes; what every version of OpenSSL takes
LONGEST_KEY = 256  # bytes, the same

_HEXADECIMAL = re.compile("(?:[0-9A-Fa-f]{2})+")


class PskError(Exception):
    """The file cannot be used: its name, the line, and what is wrong."""


def read_psk_file(path: str) -> Mapping[str, bytes]:
    """Identities and their keys.

    Raises:
        PskError: it cannot be read, or is not what it should be.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise PskError(f"{path}: {error.strerror or error}") from None
    keys: dict[str, bytes] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if line.strip() and not line.startswith(b"#"):
            try:
                identity, key = _entry(line)
                if identity in keys:
                    raise ValueError(f"there was a key for {identity!r} already")
            except ValueError as error:
                raise PskError(f"{path}:{number}: {error}") from None
            keys[identity] = key
    return keys


def _entry(line: bytes) -> tuple[str, bytes]:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    identity, colon, digits = text.rstrip().rpartition(":")
    if not colon:
        raise ValueError("is not IDENTITY:KEY")
    if not identity:
        raise ValueError("the identity is empty")
    if "\0" in identity or len(identity.encode()) > LONGEST_IDENTITY:
        raise ValueError(f"the identity has more than {LONGEST_IDENTITY} bytes, or a zero")
    if not _HEXADECIMAL.fullmatch(digits):
        raise ValueError(f"the key of {identity!r} is not an even number of hexadecimal digits")
    if len(digits) > 2 * LONGEST_KEY:
        raise ValueError(f"the key of {identity!r} has more than {LONGEST_KEY} bytes")
    return identity, bytes.fromhex(digits)


def psk_needs() -> str:
    """What is missing here for TLS-PSK, "" if nothing is."""
    if sys.version_info >= (3, 13) or find_spec("sslpsk3") is not None:
        return ""
    return "Python 3.13 or newer, or `pip install 'mqtt-touchstone[psk]'`"
