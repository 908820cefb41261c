"""What one client may do by an access control list.

A list may be replaced while clients are connected (`Broker.reload`): whoever is asked looks first
whether what it has worked out is still of the list in force.

Threads: asked by any thread, under the lock of the subscription tree, too; so nothing here takes a
lock. What is worked out twice comes out the same. Only the thread of the client's own connection
asks what it may publish, and only that remembers anything.
"""

from broker.access import Client, Rights
from broker.guard.acl_file import CLIENT_ID, USER_NAME, Acl, Line, Rules
from broker.guard.filters import covers, intersection
from broker.guard.sources import AclSource

REMEMBERED_TOPICS = 1_000  # of one client


class Grants:
    """One client's part of one list.

    Attributes:
        stages:  its own rules, then patterns; the first that decides counts.
        topics, topic_bytes: what it may publish to, as it has turned out.
    """

    __slots__ = ("acl", "stages", "topic_bytes", "topics")

    def __init__(self, acl: Acl, client_id: str, user_name: str | None) -> None:
        self.acl = acl
        own = acl.users.get(user_name)
        patterns = patterns_for(acl, client_id, user_name)
        self.stages: tuple[Rules, ...] = () if own is None else (own,)
        if patterns:
            self.stages += (Rules(patterns),)
        self.topics: set[str] = set()
        self.topic_bytes: set[bytes] = set()

    def remember(self, topic: str) -> None:
        if len(self.topics) >= REMEMBERED_TOPICS:
            self.topics.clear()
            self.topic_bytes.clear()
        self.topics.add(topic)
        self.topic_bytes.add(topic.encode())


class AclRights:
    """The rights of one client, by the list of its listener that is in force."""

    __slots__ = ("_client_id", "_grants", "_source", "_user_name")

    def __init__(self, source: AclSource, client: Client) -> None:
        self._source = source
        self._client_id = client.client_id
        self._user_name = client.user_name
        self._grants = Grants(source.acl, client.client_id, client.user_name)

    def _current(self) -> Grants:
        grants, acl = self._grants, self._source.acl
        if grants.acl is not acl:
            grants = self._grants = Grants(acl, self._client_id, self._user_name)
        return grants

    def may_publish(self, topic: str) -> bool:
        grants = self._current()
        if topic in grants.topics:
            return True
        for rules in grants.stages:
            if rules.denied.matches(topic):
                return False
            if rules.writable.matches(topic):
                grants.remember(topic)
                return True
        return False

    def may_receive(self, topic: str) -> bool:
        for rules in self._current().stages:
            if rules.denied.matches(topic):
                return False
            if rules.readable.matches(topic):
                return True
        return False

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether anything that the filter matches may be read.

        So `#` is granted to whom one topic is open, who gets the messages of that topic. Not seen
        is that several `deny` lines, none of them alone, leave nothing.
        """
        denied: list[str] = []
        for rules in self._current().stages:
            denied.extend(rules.denied.filters)
            for readable in rules.readable.filters:
                common = intersection(readable, topic_filter)
                if common is not None and not any(covers(one, common) for one in denied):
                    return True
        return False

    def remembers(self, topic: bytes) -> bool:
        grants = self._grants
        if grants.acl is not self._source.acl:  # `_current` without a call, for every PUBLISH
            return False
        return topic in grants.topic_bytes

    def same_as(self, other: Rights | None) -> bool:
        return (
            isinstance(other, AclRights)
            and self._source is other._source
            and self._client_id == other._client_id
            and self._user_name == other._user_name
        )


def patterns_for(acl: Acl, client_id: str, user_name: str | None) -> list[Line]:
    """The patterns of a list with a client's names in them.

    A name is one level of a topic, and a level that begins a filter must not open the server's own
    topics: names that would be more than that have nothing from patterns. Without a user name there
    are no patterns with `%u`.
    """
    if _is_more(client_id) and acl.uses(CLIENT_ID):
        return []
    if user_name is not None and _is_more(user_name) and acl.uses(USER_NAME):
        return []
    names = {CLIENT_ID: client_id, USER_NAME: user_name}
    lines: list[Line] = []
    for access, pattern in acl.patterns:
        levels = [names.get(level, level) for level in pattern.split("/")]
        if None not in levels:
            lines.append((access, "/".join(level for level in levels if level is not None)))
    return lines


def _is_more(name: str) -> bool:
    return name.startswith("$") or any(character in name for character in "+#/")
