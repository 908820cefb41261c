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
    left            number of a block of `outgoing`
                    bytes: a bit for each of its rows, the first one highest, padded at the front;
                    0 for what was deleted, or changed and is in a later block
    received        session number << 16 | packet id
                    topic

Messages and outgoing rows do not stand in their tables one by one: a key of `messages` or
`outgoing` is the number of a block, a LOBucket with, at 0, the bytes of a tuple of rows, each with
its message number or place first. All rows of a block of `outgoing` are left if `left` does not say
otherwise; messages that no row names are not. See `persistence/blocks.py`.

`retained` and `subscriptions` have any keys (OOBTree), the others 64-bit integers (LOBTree). Times
(`expires_at`, `will_due`) are seconds since 1970, None for never. The expiry interval is in
seconds, None for never. `properties` is a tuple of (identifier, value), the value of a User
Property a tuple of pairs; None when there are none. `will` is (topic, payload, qos, retain,
properties) or None. `place` only grows, over all sessions, which keeps the order of the messages of
each. `state` is that of `broker/session/states.py`. A message is stored once, however many rows
name it, and goes with the last of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

SCHEMA = 1

MESSAGES = "messages"
RETAINED = "retained"
SESSIONS = "sessions"
SUBSCRIPTIONS = "subscriptions"
OUTGOING = "outgoing"
LEFT = "left"
RECEIVED = "received"

INTEGER_TABLES = (MESSAGES, SESSIONS, OUTGOING, LEFT, RECEIVED)
OBJECT_TABLES = (RETAINED, SUBSCRIPTIONS)
TABLES = (*INTEGER_TABLES, *OBJECT_TABLES)
BLOCK_TABLES = (MESSAGES, OUTGOING)

PACKET_ID_BITS = 16

Row = tuple[Any, ...]


class Put(NamedTuple):
    """Set a row, but not of `outgoing`.

    `message`, which a row of `retained` has, is stored with it; its number goes before the other
    fields of the row.
    """

    table: str
    key: Any
    row: Row
    message: Any = None


class Delete(NamedTuple):
    """Remove a row; nothing if it is not there."""

    table: str
    key: Any


class Outgoing(Protocol):
    """What does not change of an outgoing row."""

    @property
    def place(self) -> int: ...
    @property
    def message(self) -> Any: ...
    @property
    def qos(self) -> int: ...
    @property
    def retain(self) -> bool: ...
    @property
    def identifiers(self) -> tuple[int, ...]: ...
    @property
    def share(self) -> str: ...


# With the session number, packet id and state: set a row of `outgoing`, new or not. Its message is
# stored with it. A plain tuple, as there is one for each message, and more.
OutgoingPut = tuple[Outgoing, int, int, int]


# Messages by number, as rows with their numbers first: all at once, as a call for each costs more
# than its row.
RowsOf = Callable[[dict[int, Any]], list[Row]]

Post = Callable[[Callable[[], None]], None]


class Call(NamedTuple):
    """Make `post(call)` once everything before it in the journal is durable.

    `post` has it run on the thread it is for. `failed` is called instead, in the same way, when a
    commit that should have held it fails; None keeps `call` waiting for the next try.
    """

    post: Post
    call: Callable[[], None]
    failed: Callable[[], None] | None = None


# A number alone deletes the outgoing row at this place, for the same reason.
Change = Put | Delete | Call | OutgoingPut | int


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
