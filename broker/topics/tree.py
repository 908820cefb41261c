"""Which subscriptions a topic name matches (3.1.1 and 5.0, section 4.7).

A topic that was matched once is remembered as a `Route`, by its name and by the bytes of its name,
until a subscription that could matter changes: one without wildcards touches its own topic only.

Threads: everything that changes or walks the tree holds its lock, and so does whoever remembers a
route; looking one up takes no lock.
"""

import threading
from collections.abc import Callable, Iterator

from broker.session.session import Session, Subscription
from broker.topics.filters import SHARE_PREFIX, has_wildcard
from broker.topics.shared import ShareGroup

REMEMBERED_ROUTES = 65_536
REMEMBERED_LENGTH = 256  # bytes of a topic name, so that what is remembered stays bounded


class Level:
    """A node: what is subscribed up to here, and what goes on below."""

    __slots__ = ("children", "groups", "subscriptions")

    def __init__(self) -> None:
        self.children: dict[str, Level] = {}
        self.subscriptions: dict[Session, Subscription] = {}
        self.groups: dict[str, ShareGroup] = {}

    @property
    def empty(self) -> bool:
        return not (self.children or self.subscriptions or self.groups)


class Target:
    """One session that is due one copy of what is published to a topic.

    Attributes:
        qos:         the highest granted by the subscriptions behind it.
        identifiers: all their Subscription Identifiers.
        no_local:    some of these subscriptions asked for No Local.
        particular:  its copy is not just what was published.
        behind:      these subscriptions.
    """

    __slots__ = (
        "behind",
        "identifiers",
        "no_local",
        "particular",
        "qos",
        "retain_as_published",
        "session",
    )

    def __init__(self, session: Session, behind: tuple[Subscription, ...]) -> None:
        self.session = session
        self.behind = behind
        # [MQTT5-3.3.4-2] [MQTT3-3.3.5-1] the maximum of all that match
        self.qos = max(one.qos for one in behind)
        # [MQTT5-3.3.4-3] [MQTT5-3.3.4-4] all identifiers go with a single copy
        self.identifiers = tuple(one.identifier for one in behind if one.identifier)
        self.retain_as_published = any(one.retain_as_published for one in behind)
        self.no_local = any(one.no_local for one in behind)
        self.particular = self.no_local or bool(self.identifiers)


class Route:
    """Who is due what is published to one topic.

    Attributes:
        open: a client's PUBLISH needs no further look at its topic; False where it is reserved,
            or a behaviour waits for it.
    """

    __slots__ = ("groups", "open", "targets", "topic")

    def __init__(
        self,
        topic: str,
        targets: tuple[Target, ...],
        groups: tuple[ShareGroup, ...],
        open_: bool = False,
    ) -> None:
        self.topic = topic
        self.targets = targets
        self.groups = groups
        self.open = open_

    @property
    def kept(self) -> bool:
        """Whether a session that outlives the broker is, or may be, among the receivers."""
        return any(target.session.number for target in self.targets) or any(
            member.session.number for group in self.groups for member in group.members
        )


class SubscriptionTree:
    """All subscriptions of a broker.

    Attributes:
        single: one copy for a session whose filters overlap; False: one for each that matches.

    Args:
        closed: topics whose routes are not `open`.
    """

    def __init__(
        self, single: bool = True, closed: Callable[[str], bool] = lambda _topic: False
    ) -> None:
        self._lock = threading.Lock()
        self._root = Level()
        self.single = single
        self._closed = closed
        self._by_name: dict[str, Route] = {}
        self.by_bytes: dict[bytes, Route] = {}  # to look up only; `route` fills it
        self.count = 0
        self.groups = 0  # different shared subscriptions

    def subscribe(self, subscription: Subscription) -> bool:
        """Add or replace a subscription; True when it replaced one.

        A replacement is one step, so that no message is lost [MQTT5-3.8.4-4] [MQTT3-3.8.4-3].
        """
        topic_filter, session = subscription.topic_filter, subscription.session
        with self._lock:
            level = self._root
            for name in topic_filter.split("/"):
                child = level.children.get(name)
                if child is None:
                    child = level.children[name] = Level()
                level = child
            if subscription.share:
                group = level.groups.get(subscription.share)
                if group is None:
                    group = level.groups[subscription.share] = ShareGroup(subscription.share)
                    self.groups += 1
                existed = any(one.session is session for one in group.members)
                group.join(subscription)
            else:
                existed = session in level.subscriptions
                level.subscriptions[session] = subscription  # [MQTT5-3.8.4-3] [MQTT3-3.8.4-3]
            self.count += not existed
            self._forget(topic_filter)
        return existed

    def unsubscribe(self, subscription: Subscription) -> None:
        """Take a subscription out [MQTT5-3.10.4-2] [MQTT3-3.10.4-2]; nothing if it is not there."""
        topic_filter, session = subscription.topic_filter, subscription.session
        with self._lock:
            path = [(self._root, "")]
            for name in topic_filter.split("/"):
                child = path[-1][0].children.get(name)
                if child is None:
                    return
                path.append((child, name))
            level = path[-1][0]
            if subscription.share:
                group = level.groups.get(subscription.share)
                if group is None:
                    return
                before = len(group.members)
                group.leave(session)
                self.count -= before - len(group.members)
                if not group.members:
                    del level.groups[subscription.share]
                    self.groups -= 1
            elif level.subscriptions.pop(session, None) is not None:
                self.count -= 1
            for depth in range(len(path) - 1, 0, -1):
                level, name = path[depth]
                if not level.empty:
                    break
                del path[depth - 1][0].children[name]
            self._forget(topic_filter)

    def forget_routes(self) -> None:
        """The rights of a session have changed: find out again who is due what."""
        with self._lock:
            self._by_name = {}
            self.by_bytes = {}

    def _forget(self, topic_filter: str) -> None:
        if has_wildcard(topic_filter):
            self._by_name = {}
            self.by_bytes = {}
        else:
            self._by_name.pop(topic_filter, None)
            self.by_bytes.pop(topic_filter.encode(), None)

    def route(self, topic: str) -> Route:
        """Who is due what is published to `topic`, a valid topic name."""
        route = self._by_name.get(topic)
        if route is None:
            with self._lock:
                route = self._resolve(topic)
                key = topic.encode()
                if len(key) <= REMEMBERED_LENGTH:
                    if len(self._by_name) >= REMEMBERED_ROUTES:
                        self._by_name = {}
                        self.by_bytes = {}
                    self._by_name[topic] = self.by_bytes[key] = route
        return route

    def group(self, share: str) -> ShareGroup | None:
        """The group `$share/NAME/FILTER`."""
        topic_filter = share[len(SHARE_PREFIX) :].partition("/")[2]
        with self._lock:
            level: Level | None = self._root
            for name in topic_filter.split("/"):
                level = level.children.get(name) if level is not None else None
            return None if level is None else level.groups.get(share)

    def _resolve(self, topic: str) -> Route:
        by_session: dict[Session, list[Subscription]] = {}
        groups: list[ShareGroup] = []
        for level in self._match(topic):
            for session, subscription in level.subscriptions.items():
                rights = session.rights
                if rights is not None and not rights.may_receive(topic):
                    continue  # asked here, once for each route, and not for each message
                by_session.setdefault(session, []).append(subscription)
            groups.extend(level.groups.values())
        targets = []
        for session, behind in by_session.items():
            if self.single:
                targets.append(Target(session, tuple(behind)))
            else:  # [MQTT5-3.3.4-5] one copy each, with its own identifier
                targets.extend(Target(session, (one,)) for one in behind)
        return Route(topic, tuple(targets), tuple(groups), not self._closed(topic))

    def _match(self, topic: str) -> Iterator[Level]:
        """Every level whose filter matches [MQTT5-3.3.2-3] [MQTT3-3.3.2-3]."""
        levels = [self._root]
        wild = topic[:1] != "$"  # [MQTT5-4.7.2-1] [MQTT3-4.7.2-1] no leading wildcard matches $...
        for name in topic.split("/"):
            following = []
            for level in levels:
                children = level.children
                if not children:
                    continue
                exact = children.get(name)
                if exact is not None:
                    following.append(exact)
                if wild:
                    rest = children.get("#")
                    if rest is not None:
                        yield rest
                    one = children.get("+")
                    if one is not None:
                        following.append(one)
            wild = True
            levels = following
        for level in levels:
            yield level
            rest = level.children.get("#")  # 4.7.1.2: it matches the parent too
            if rest is not None:
                yield rest
