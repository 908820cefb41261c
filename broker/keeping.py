"""What outlives the broker: sessions, their messages, retained messages, and the way back.

The rows are those of `persistence/records.py`; who changes something notes it in the journal of its
worker (`broker/journal.py`).
Times are turned from the broker's clock into wall-clock times and back, because a clock that only
goes forward starts anew with each process.

Threads: shared by all workers; once the broker has started it only counts, and that is atomic.
"""

from itertools import count

from broker.clock import Clock
from broker.message import NEVER, Message
from broker.session.session import Session, Subscription
from formats.mqtt.connect import Will
from formats.mqtt.properties import WILL_DELAY_INTERVAL
from persistence.records import Row, freeze, thaw


class Keeping:
    """Turns the broker's state into rows and back; numbers sessions and places."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.next_session = count(1).__next__
        self.next_place = count(1).__next__

    def start_after(self, session_number: int, place: int) -> None:
        """Numbers up to these are taken."""
        self.next_session = count(session_number + 1).__next__
        self.next_place = count(place + 1).__next__

    def to_wall(self, when: float | None) -> float | None:
        """A time of the broker's clock as seconds since 1970; None for never."""
        if when is None or when == NEVER:
            return None
        return self._clock.wall() + when - self._clock.now()

    def from_wall(self, when: float | None) -> float:
        """The same the other way."""
        return NEVER if when is None else self._clock.now() + when - self._clock.wall()

    def message_rows(self, messages: dict[int, Message]) -> list[Row]:
        """Messages by number as rows, each with its number before the fields."""
        return [
            (
                number,
                message.topic,
                message.payload,
                message.qos,
                message.retain,
                freeze(message.properties) if message.properties else None,
                message.origin,
                None if message.expires_at is NEVER else self.to_wall(message.expires_at),
            )
            for number, message in messages.items()
        ]

    def message(self, row: Row) -> Message:
        topic, payload, qos, retain, properties, origin, expires_at = row
        return Message(
            topic, payload, qos, retain, thaw(properties), origin, self.from_wall(expires_at)
        )

    def session_row(self, session: Session) -> Row:
        will = session.will
        interval = session.expiry_interval_s
        return (
            session.client_id,
            session.version,
            None if interval == NEVER else interval,
            self.to_wall(session.expires_at),
            None
            if will is None
            else (will.topic, will.payload, will.qos, will.retain, freeze(will.properties)),
            self.to_wall(session.will_due),
        )

    def restore_session(self, session: Session, row: Row) -> bool:
        """Fill a new session; one that was connected when the broker ended counts as just gone.

        Returns whether a time begins with that, which the row does not know yet.
        """
        begins = False
        _, version, interval, expires_at, will, will_due = row
        session.version = version
        session.expiry_interval_s = NEVER if interval is None else interval
        if expires_at is None and interval is not None:
            session.expires_at = self._clock.now() + interval
            begins = True
        else:
            session.expires_at = self.from_wall(expires_at)
        if will is not None:
            topic, payload, qos, retain, properties = will
            session.will = Will(topic, payload, qos, retain, thaw(properties))
            delay = (session.will.properties or {}).get(WILL_DELAY_INTERVAL, 0)
            now = self._clock.now()
            session.will_due = now + delay if will_due is None else self.from_wall(will_due)
            begins = begins or will_due is None
        return begins


def subscription_row(subscription: Subscription) -> Row:
    return (
        subscription.qos,
        subscription.no_local,
        subscription.retain_as_published,
        subscription.identifier,
        bool(subscription.share),
    )
