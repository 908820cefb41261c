"""The members of one shared subscription, `$share/NAME/FILTER` (5.0, section 4.8.2).

Threads: members are changed under the subscription tree's lock, by replacing the tuple; `choose`
reads whichever tuple is there.
"""

from broker.session.session import Session, Subscription


class ShareGroup:
    """Sessions that share one subscription; each message goes to one of them."""

    __slots__ = ("_next", "members", "name")

    def __init__(self, name: str) -> None:
        self.name = name  # `$share/NAME/FILTER` whole
        self.members: tuple[Subscription, ...] = ()
        self._next = 0

    def join(self, subscription: Subscription) -> None:
        """Add a member, or replace what its session had: it counts once however often it
        subscribes."""
        members = [one for one in self.members if one.session is not subscription.session]
        self.members = (*members, subscription)

    def leave(self, session: Session) -> None:
        """Take a member out; nothing if it is none."""
        self.members = tuple(one for one in self.members if one.session is not session)

    def choose(self, topic: str | None = None) -> Subscription | None:
        """The member whose turn it is, those with a connection first; None in an empty group.

        Members that may not have a message of `topic` are passed over.
        """
        members = self.members
        count = len(members)
        if not count:
            return None
        turn = self._next = (self._next + 1) % count
        for place in range(count):
            subscription = members[(turn + place) % count]
            session = subscription.session
            if session.connection is not None and (
                session.rights is None or topic is None or session.rights.may_receive(topic)
            ):
                self._next = (turn + place) % count
                return subscription
        for place in range(count):
            subscription = members[(turn + place) % count]
            rights = subscription.session.rights
            if rights is None or topic is None or rights.may_receive(topic):
                return subscription
        return None
