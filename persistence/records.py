"""What is stored, field by field; schema 1.

Below one OOBTree, `root["touchstone"]`, stand `schema`, the number of this layout, `packed`, the
bytes that the storage took after it was last packed, and a BTree for each table. What a table
holds is bytes, as `persistence/rows.py` makes them of a plain tuple, so that no class of ours is
ever named. A commit rewrites the buckets that hold what has changed, not sessions.

Table, key, and below them the row:

    messages        message number
                    topic, payload, qos, retain, properties, origin, expires_at
    retained        topic name
                    message number, expires_at
    sessions        session number
                    client id, version, expiry interval, expires_at, will, will_due
    subscriptions   (session number, topic filter)
                    qos, no_local, retain_as_published, identifier, shared
    outgoing        place
                    message number, session number, qos, retain, identifiers, share, packet id,
                    state
    received        session number << 16 | packet id
                    topic

Messages do not stand in their table one by one: a key of `messages` is the number of a block, a
LOBucket with, at 0, the bytes of a tuple of (message number, row). See `persistence/blocks.py`.

`messages`, `sessions`, `outgoing` and `received` have 64-bit integer keys (LOBTree), the others any
(OOBTree). Times (`expires_at`, `will_due`) are seconds since 1970, None for never. The expiry
interval is in seconds, None for never. `properties` is a tuple of (identifier, value), the value
of a User Property a tuple of pairs; None when there are none. `will` is (topic, payload, qos,
retain, properties) or None. `place` only grows, over all sessions, which keeps the order of the
messages of each. `state` is that of `broker/session/states.py`. A message is stored once, however
many rows name it, and goes with the last of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

SCHEMA = 1

MESSAGES = "messages"
RETAINED = "retained"
SESSIONS = "sessions"
SUBSCRIPTIONS = "subscriptions"
OUTGOING = "outgoing"
RECEIVED = "received"

INTEGER_TABLES = (MESSAGES, SESSIONS, OUTGOING, RECEIVED)
OBJECT_TABLES = (RETAINED, SUBSCRIPTIONS)
TABLES = (*INTEGER_TABLES, *OBJECT_TABLES)
MESSAGE_TABLES = (OUTGOING, RETAINED)  # their rows hold on to messages

PACKET_ID_BITS = 16

Row = tuple[Any, ...]


class Put(NamedTuple):
    """Set a row.

    `message`, if there is one, is stored with it; its number goes before the other fields of the
    row. Without one, a row of `outgoing` or `retained` keeps the message that it has: this is how
    an outgoing message changes its state, whether it has been put already or is still on its way
    from another thread.
    """

    table: str
    key: Any
    row: Row
    message: Any = None


class Delete(NamedTuple):
    """Remove a row; nothing if it is not there.

    Of an outgoing message that is still on its way from another thread: once it comes.
    """

    table: str
    key: Any


Post = Callable[[Callable[[], None]], None]


class Call(NamedTuple):
    """Make `post(call)` once everything before it in the journal is durable.

    `post` has it run on the thread it is for. `failed` is called instead, in the same way, when a
    commit that should have held it fails; None keeps `call` waiting for the next try.
    """

    post: Post
    call: Callable[[], None]
    failed: Callable[[], None] | None = None


Change = Put | Delete | Call


def received_key(session_number: int, packet_id: int) -> int:
    return session_number << PACKET_ID_BITS | packet_id


def freeze(properties: dict[int, Any] | None) -> Row | None:
    """Properties as they are stored."""
    if not properties:
        return None
    return tuple(
        (identifier, tuple(value) if isinstance(value, list) else value)
        for identifier, value in properties.items()
    )


def thaw(row: Row | None) -> dict[int, Any] | None:
    """Properties as they were."""
    if not row:
        return None
    return {
        identifier: list(value) if isinstance(value, tuple) else value for identifier, value in row
    }
