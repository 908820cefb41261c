"""Small files for others to find: the ready file, the pid file."""

import contextlib
import os


def write_whole(path: str, text: str) -> None:
    """Write a file, for its owner only, that is there with all its content or not at all."""
    unfinished = f"{path}.{os.getpid()}"
    with open(
        unfinished, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
    ) as file:
        file.write(text)
    os.replace(unfinished, path)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
