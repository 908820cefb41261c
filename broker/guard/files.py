"""Lines of the files that say who may do what.

Threads: none of its own; read at the start, and by whoever reloads.
"""

from collections.abc import Iterator

from broker.config import ConfigError


def read_lines(path: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty and no comment.

    Raises ConfigError, which names the file and the line.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = line.decode().rstrip()
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise ConfigError(f"{path}:{number}: 0x{byte:02X} is not UTF-8") from None
        if text and not text.startswith("#"):
            yield number, text
