"""One message on its way to one client."""

from broker.message import Message
from broker.session.states import AWAITS_PUBACK


class Outgoing:
    """What a session holds of a message that it owes its client.

    Attributes:
        qos:         to be delivered with: min(published, granted).
        retain:      the RETAIN flag it goes out with.
        identifiers: Subscription Identifiers of the subscriptions that matched.
        share:       the `$share/NAME/FILTER` it came through; "" if none.
        place:       in the database; 0 where the session is not kept there, or COUNTED of a large
                     message that is sent.
        packet_id:   0 until it is sent.
        state:       of `broker/session/states.py`, once it is sent.
    """

    __slots__ = (
        "identifiers",
        "message",
        "packet_id",
        "place",
        "qos",
        "retain",
        "share",
        "state",
    )

    def __init__(
        self,
        message: Message,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        share: str,
        place: int = 0,
        packet_id: int = 0,
        state: int = AWAITS_PUBACK,
    ) -> None:
        self.message = message
        self.qos = qos
        self.retain = retain
        self.identifiers = identifiers
        self.share = share
        self.place = place
        self.packet_id = packet_id
        self.state = state
