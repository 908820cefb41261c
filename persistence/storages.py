"""The storages that a configuration can name.

The servers are reached through optional packages, which are imported when a URI asks for them.
"""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

import zc.lockfile
import ZODB.MappingStorage

from persistence.errors import StoreError
from persistence.file_storage import CarefulFileStorage, damaged

SCHEMES = ("memory", "file", "zeo", "sqlite", "postgresql")
WAIT_S = 5  # for a ZEO server that is not there; half a minute by itself


def open_file(path: str) -> Any:
    """A FileStorage at `path`, made if it is not there.

    Raises:
        StoreError: in use, unreadable or damaged; the file is left as it is.
    """
    path = os.path.abspath(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return CarefulFileStorage(path)
    except zc.lockfile.LockError:
        raise StoreError(
            f"{path} is in use by another broker: stop it, or name another file"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from None
    except StoreError:
        raise
    except Exception as error:  # ZODB raises what it happens to trip over in a damaged file
        raise StoreError(damaged(path, error)) from error


def open_uri(uri: str) -> Any:
    """The storage that a `persistence_uri` names.

    Raises:
        StoreError: a URI that nothing here can open, or that cannot be opened now.
    """
    parts = urlsplit(uri)
    if parts.scheme == "memory":
        return ZODB.MappingStorage.MappingStorage(parts.netloc or "memory")
    if parts.scheme == "file":
        return open_file(_path(uri))
    try:
        if parts.scheme == "zeo":
            return _zeo(uri)
        if parts.scheme == "sqlite":
            return _sqlite(_path(uri))
        if parts.scheme == "postgresql":
            return _postgresql(uri)
    except ImportError:
        extra = "zeo" if parts.scheme == "zeo" else "relstorage"
        raise StoreError(f"{shown(uri)}: needs `pip install 'mqtt-touchstone[{extra}]'`") from None
    except Exception as error:  # of the driver of whichever server it is
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise StoreError(f"{shown(uri)}: {reason}") from None
    raise StoreError(f"{shown(uri)}: starts with none of {', '.join(SCHEMES)}")


def shown(uri: str) -> str:
    """A URI as a log may show it: without the password."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    return uri.replace(f":{parts.password}@", ":***@", 1)


def _path(uri: str) -> str:
    """`sqlite:///absolute`, `sqlite://relative`."""
    parts = urlsplit(uri)
    if not parts.netloc + parts.path:
        raise StoreError(f"{uri}: names no path")
    return parts.netloc + parts.path


def _with_query(uri: str, **values: object) -> str:
    """The URI, with these in its query unless it says otherwise."""
    given = parse_qs(urlsplit(uri).query)
    more = "&".join(f"{name}={value}" for name, value in values.items() if name not in given)
    return uri + ("&" if given else "?") + more if more else uri


def _resolved(uri: str) -> Any:
    from zodburi import NoResolverForScheme, resolve_uri

    try:
        factory, _ = resolve_uri(uri)
    except NoResolverForScheme:
        raise ImportError from None
    return factory()


def _zeo(uri: str) -> Any:
    return _resolved(_with_query(uri, wait_timeout=WAIT_S))


def _sqlite(folder: str) -> Any:
    from relstorage.adapters.sqlite.adapter import Sqlite3Adapter
    from relstorage.options import Options
    from relstorage.storage import RelStorage

    os.makedirs(folder, mode=0o700, exist_ok=True)
    options = Options(keep_history=False)
    # By itself RelStorage does not sync each commit.
    adapter = Sqlite3Adapter(folder, pragmas={"synchronous": "FULL"}, options=options)
    return RelStorage(adapter=adapter, options=options)


def _postgresql(uri: str) -> Any:
    uri = _with_query(uri, keep_history=0)
    return _resolved("postgres" + uri.removeprefix("postgresql"))
