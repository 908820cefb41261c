"""ZODB's FileStorage, made careful with the file.

What FileStorage cannot read behind a certain place it cuts off, and goes on without it. That is
right for a transaction that a power loss left unfinished, and wrong where good transactions stand
behind the damage. So the transactions are looked at before FileStorage does it; as each one is
synced before the next begins, only the last can be unfinished.

A transaction is a header (id, length, status, lengths of user, description and extension), the
records, and the length once more.

Files belong to their owner alone, in whatever way FileStorage opens them: they are made before it
does. What is packed is synced before it takes the place of the old file, which then goes.
"""

import contextlib
import itertools
import logging
import os
import re
import struct
from typing import Any, BinaryIO

import ZODB.FileStorage

from persistence.errors import StoreError

log = logging.getLogger("touchstone")

MAGIC = b"FS30"
HEADER = struct.Struct(">8sQcHHH")
LENGTH = struct.Struct(">Q")
FINISHED = b" p"  # committed; the second is what packing makes of it
VOTED = b"c"  # written, but for this byte

# The length and the status of a header, as they may look in a file of less than 4 GiB a piece.
_LOOKS_FINISHED = re.compile(rb"(?s)(?=\0\0\0\0.{4}[ p])")


class CarefulFileStorage(ZODB.FileStorage.FileStorage):  # type: ignore[misc]
    """Raises StoreError, and leaves the file as it is, where something in it was damaged."""

    def __init__(self, path: str) -> None:
        _restore_interrupted_pack(path)
        fresh = not os.path.exists(path)
        for name in (path, path + ".lock", path + ".tmp"):
            _make_private(name)
        try:
            super().__init__(path, pack_keep_old=False)
        except BaseException:
            self._let_go()
            raise
        if fresh:
            _sync_folder(path)

    def _let_go(self) -> None:
        """Close what a failed opening has left open, so that the lock goes at once."""
        for name in ("_file", "_tfile", "_lock_file"):
            part = getattr(self, name, None)
            if part is not None:
                with contextlib.suppress(OSError):
                    part.close()

    @property
    def given_up(self) -> bool:
        """Whether it closed itself, which it does when the last step of a commit fails."""
        return bool(self._file.closed)

    @property
    def path(self) -> str:
        return str(self._file_name)

    def cut_unsynced(self) -> None:
        """After it has given up: cut off what may not be on the disk, though it looks so."""
        with open(self._file_name, "r+b") as file:
            file.truncate(self._pos)
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            self._lock_file.close()

    # What FileStorage calls.

    def _restore_index(self) -> Any:
        found = super()._restore_index()
        _check(self._file, self._file_name, found[1] if found else len(MAGIC))
        return found

    def _save_index(self) -> None:
        _make_private(self._file_name + ".index.index_tmp")
        super()._save_index()

    @staticmethod
    def packer(storage: Any, referencesf: Any, stop: bytes, gc: bool) -> Any:
        packed = storage._file_name + ".pack"
        _make_private(packed)
        result = ZODB.FileStorage.FileStorage.packer(storage, referencesf, stop, gc)
        if result is not None:
            try:
                with open(packed, "r+b") as file:
                    os.fsync(file.fileno())
            except BaseException:
                storage._commit_lock.release()  # the packer has left it to its caller
                raise
        return result

    def pack(self, t: float, referencesf: Any, gc: bool | None = None) -> None:
        super().pack(t, referencesf, gc)
        _sync_folder(self._file_name)


def _check(file: BinaryIO, path: str, start: int) -> None:
    """Cut off an unfinished transaction at the end, and refuse what is damaged.

    Raises:
        StoreError: there is something that FileStorage would cut off, and must not.
    """
    size = file.seek(0, os.SEEK_END)
    if not size:
        return
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise StoreError(f"{path} is not a database of this broker: name another file")
    pos = start
    while pos < size:
        next_pos = _end_of_transaction(file, pos, size)
        if next_pos is None:
            break
        pos = next_pos
    if pos == size:
        return
    file.seek(pos)
    tail = file.read()
    if _has_finished(tail):
        raise StoreError(damaged(path, f"at byte {pos}"))
    kept = _keep(tail, path)
    log.warning(
        "%s ended with %d bytes of a transaction that was never finished: they are in %s now",
        path,
        len(tail),
        kept,
    )
    file.truncate(pos)


def damaged(path: str, why: object) -> str:
    return (
        f"{path} is damaged ({why}): keep a copy, then `python -m ZODB.fsrecover {path} NEW` saves "
        "what can be read"
    )


def _end_of_transaction(file: BinaryIO, pos: int, size: int) -> int | None:
    """Where the finished transaction at `pos` ends; None if there is none."""
    file.seek(pos)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    _, length, status, *lengths = HEADER.unpack(header)
    end: int = pos + length
    if status not in FINISHED or length < HEADER.size + sum(lengths) or end + LENGTH.size > size:
        return None
    file.seek(end)
    if file.read(LENGTH.size) != LENGTH.pack(length):
        return None
    return end + LENGTH.size


def _has_finished(tail: bytes) -> bool:
    """Whether a transaction was finished in what cannot be read."""
    if len(tail) >= HEADER.size + LENGTH.size and any(tail[: HEADER.size]):
        _, length, status, *_ = HEADER.unpack_from(tail)
        (length_at_end,) = LENGTH.unpack(tail[-LENGTH.size :])
        if length_at_end == len(tail) - LENGTH.size and (length, status) != (length_at_end, VOTED):
            return True  # its end is in order, its header is not
    for found in _LOOKS_FINISHED.finditer(tail):
        pos = found.start() - 8  # behind the id
        if pos < 0:
            continue
        (length,) = LENGTH.unpack_from(tail, found.start())
        end = pos + length
        if length >= HEADER.size and tail[end : end + LENGTH.size] == LENGTH.pack(length):
            return True
    return False


def _restore_interrupted_pack(path: str) -> None:
    """Undo the first of the two renames that packing ends with, if the second did not come."""
    if not os.path.exists(path) and os.path.exists(path + ".old"):
        log.warning("%s was being packed when the broker ended: taking back the old file", path)
        os.rename(path + ".old", path)


def _make_private(path: str) -> None:
    """Make the file, for its owner only, if it is not there."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def _keep(tail: bytes, path: str) -> str:
    """Save what is cut off, under the first name that is free."""
    for number in itertools.count():
        name = f"{path}.tr{number}"
        try:
            handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            continue
        with open(handle, "wb") as file:
            file.write(tail)
        return name
    raise AssertionError("numbers do not end")


def _sync_folder(path: str) -> None:
    """Make the name of the file as durable as its content; Windows does so by itself."""
    if os.name == "posix":
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
