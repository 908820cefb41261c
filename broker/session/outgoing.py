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
        packet_id:   0 until it is sent.
        state:       of `broker/session/states.py`, once it is sent.
    """

    __slots__ = ("identifiers", "message", "packet_id", "qos", "retain", "share", "state")

    def __init__(
        self, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], share: str
    ) -> None:
        self.message = message
        self.qos = qos
        self.retain = retain
        self.identifiers = identifiers
        self.share = share
        self.packet_id = 0
        self.state = AWAITS_PUBACK
