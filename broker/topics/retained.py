"""Retained messages, by topic and as a tree (5.0 and 3.1.1, section 3.3.1.3).

A subscribe walks only the branch that its filter names.

Threads: one lock around each change and each walk.
"""

import threading
from collections.abc import Callable, Iterable, Iterator

from broker.limits import UNLIMITED
from broker.message import NEVER, Message

LEVEL_BYTES = 300  # about, that a level of a topic takes


class Branch:
    """A node: the message retained here, and what is below."""

    __slots__ = ("children", "expires_at", "message")

    def __init__(self) -> None:
        self.expires_at = NEVER  # on the broker's clock, seconds
        self.children: dict[str, Branch] = {}
        self.message: Message | None = None


class RetainedStore:
    """The retained message of each topic.

    Args:
        expiry_s: retained messages of clients go after so long, even if they say nothing of it.
        maximum, maximum_bytes: of what clients have retained, about, with what it takes to keep
            it; the broker's own messages find room nevertheless.

    Attributes:
        count: messages.
        size:  bytes of payload.
        cost:  bytes, about, of everything.
    """

    def __init__(
        self,
        expiry_s: float = NEVER,
        maximum: int = UNLIMITED,
        maximum_bytes: int = UNLIMITED,
    ) -> None:
        self._expiry_s = expiry_s
        self._maximum = maximum
        self._maximum_bytes = maximum_bytes
        self._lock = threading.Lock()
        self._root = Branch()
        self.count = 0
        self.size = 0
        self.cost = 0
        # Called with each change while the lock is held, so that they are noted in their order; it
        # must do no more than that.
        self.changed: Callable[[str, Message | None, float], None] = _keep_no_record

    def lacks(self, topic: str, size: int) -> str:
        """The option that leaves no room for a message of a client; "" if there is room.

        Without the lock it is an answer for this moment.
        """
        levels = topic.count("/") + 1
        fits = self.cost + size + LEVEL_BYTES * levels <= self._maximum_bytes
        if fits and self.count < self._maximum:
            return ""
        branch = self._root
        for name in topic.split("/"):
            child = branch.children.get(name)
            if child is None:
                break
            branch = child
            levels -= 1
        before = branch.message if not levels else None
        if before is None and self.count >= self._maximum:
            return "max_retained_messages"
        freed = before.size if before is not None else 0
        fits = self.cost + size + LEVEL_BYTES * levels - freed <= self._maximum_bytes
        return "" if fits else "max_retained_bytes"

    def keep(self, message: Message, now: float) -> str:
        """Replace what the topic had, or with an empty payload remove it.

        Returns the option that leaves no room for it, and then the topic has no message: of QoS 0
        that is what the documents allow (3.3.1.3). "" if all is well.
        """
        with self._lock:
            if message.payload:
                limit = self.lacks(message.topic, message.size) if message.origin else ""
                if limit:
                    self._remove(message.topic)
                    return limit
                # [MQTT5-3.3.1-5] [MQTT3-3.3.1-5] of whatever QoS [MQTT3-3.3.1-7]
                self._set(message, now)
            else:  # [MQTT5-3.3.1-6] [MQTT5-3.3.1-7] [MQTT3-3.3.1-10] [MQTT3-3.3.1-11]
                self._remove(message.topic)
        return ""

    def _set(self, message: Message, now: float) -> None:
        branch = self._root
        for name in message.topic.split("/"):
            child = branch.children.get(name)
            if child is None:
                child = branch.children[name] = Branch()
                self.cost += LEVEL_BYTES
            branch = child
        if branch.message is None:
            self.count += 1
        else:
            self.size -= len(branch.message.payload)
            self.cost -= branch.message.size
        self.size += len(message.payload)
        self.cost += message.size
        branch.message = message
        branch.expires_at = message.expires_at
        if message.origin:  # the broker's own, `$SYS`, is sent when it changes and no sooner
            branch.expires_at = min(branch.expires_at, now + self._expiry_s)
            self.changed(message.topic, message, branch.expires_at)

    def _remove(self, topic: str) -> None:
        path = [(self._root, "")]
        for name in topic.split("/"):
            child = path[-1][0].children.get(name)
            if child is None:
                return
            path.append((child, name))
        branch = path[-1][0]
        if branch.message is not None:
            self.count -= 1
            self.size -= len(branch.message.payload)
            self.cost -= branch.message.size
            if branch.message.origin:
                self.changed(topic, None, NEVER)
            branch.message = None
        for depth in range(len(path) - 1, 0, -1):
            branch, name = path[depth]
            if branch.children or branch.message is not None:
                break
            del path[depth - 1][0].children[name]
            self.cost -= LEVEL_BYTES

    def restore(self, message: Message, expires_at: float) -> None:
        """Put back what was retained when the broker ended."""
        with self._lock:
            before, self.changed = self.changed, _keep_no_record
            self._set(message, 0.0)
            branch = self._root
            for name in message.topic.split("/"):
                branch = branch.children[name]
            branch.expires_at = expires_at
            self.changed = before

    def match(self, topic_filter: str, now: float) -> list[Message]:
        """Every retained message whose topic matches; those that have expired are removed."""
        with self._lock:
            return self._current(self._walk(topic_filter.split("/")), now)

    def drop_expired(self, now: float) -> None:
        """Remove what has expired."""
        with self._lock:
            self._current(_gather(self._root, False), now)

    def _current(self, branches: Iterable[Branch], now: float) -> list[Message]:
        current: list[Message] = []
        expired: list[Message] = []
        for branch in branches:
            if branch.message is not None:
                (current if branch.expires_at > now else expired).append(branch.message)
        for message in expired:  # [MQTT5-3.3.2-5]
            self._remove(message.topic)
        return current

    def _walk(self, levels: list[str]) -> Iterator[Branch]:
        """Everything that the filter matches; without recursion, as topics may be very deep."""
        waiting = [(self._root, 0)]
        while waiting:
            branch, depth = waiting.pop()
            if depth == len(levels):
                yield branch
                continue
            level = levels[depth]
            if level == "#":
                yield from _gather(branch, depth == 0)
            elif level == "+":
                for name, child in branch.children.items():
                    if depth or name[:1] != "$":  # [MQTT5-4.7.2-1] [MQTT3-4.7.2-1]
                        waiting.append((child, depth + 1))
            else:
                following = branch.children.get(level)
                if following is not None:
                    waiting.append((following, depth + 1))


def _gather(branch: Branch, top: bool) -> Iterator[Branch]:
    """A branch and everything below it; from the top, without what begins with $."""
    waiting = [branch]
    while waiting:
        here = waiting.pop()
        yield here
        if top:  # [MQTT5-4.7.2-1] [MQTT3-4.7.2-1]
            top = False
            waiting.extend(child for name, child in here.children.items() if name[:1] != "$")
        else:
            waiting.extend(here.children.values())


def _keep_no_record(_topic: str, _message: Message | None, _expires_at: float) -> None:
    """What becomes of changes where nothing outlives the broker."""
