"""Retained messages, by topic and as a tree (5.0 and 3.1.1, section 3.3.1.3).

A subscribe walks only the branch that its filter names.

Threads: one lock around each change and each walk.
"""

import threading
from collections.abc import Callable, Iterable, Iterator

from broker.message import NEVER, Message


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
    """

    def __init__(self, expiry_s: float = NEVER) -> None:
        self._expiry_s = expiry_s
        self._lock = threading.Lock()
        self._root = Branch()
        self.count = 0
        self.size = 0  # bytes of payload
        # Called with each change while the lock is held, so that they are noted in their order; it
        # must do no more than that.
        self.changed: Callable[[str, Message | None, float], None] = _keep_no_record

    def keep(self, message: Message, now: float) -> None:
        """Replace what the topic had, or with an empty payload remove it."""
        with self._lock:
            if message.payload:
                # [MQTT5-3.3.1-5] [MQTT3-3.3.1-5] of whatever QoS [MQTT3-3.3.1-7]
                self._set(message, now)
            else:  # [MQTT5-3.3.1-6] [MQTT5-3.3.1-7] [MQTT3-3.3.1-10] [MQTT3-3.3.1-11]
                self._remove(message.topic)

    def _set(self, message: Message, now: float) -> None:
        branch = self._root
        for name in message.topic.split("/"):
            child = branch.children.get(name)
            if child is None:
                child = branch.children[name] = Branch()
            branch = child
        if branch.message is None:
            self.count += 1
        else:
            self.size -= len(branch.message.payload)
        self.size += len(message.payload)
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
            if branch.message.origin:
                self.changed(topic, None, NEVER)
            branch.message = None
        for depth in range(len(path) - 1, 0, -1):
            branch, name = path[depth]
            if branch.children or branch.message is not None:
                break
            del path[depth - 1][0].children[name]

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
