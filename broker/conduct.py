"""How one client keeps to the documents on one connection, as far as the broker remembers it.

`Conduct` holds the record for the ledger, and what the checks beside the handlers have to know of
earlier packets. A connection whose listener has `conformance off` has none, and then all that is
left of this is the log.

Threads: belongs to the connection's worker.
"""

import logging
from contextlib import suppress

from broker.logging_setup import printable
from broker.output import Output
from formats.errors import ProtocolViolation, Rule
from formats.mqtt import rules
from formats.mqtt.stream import read_remaining_length
from oracle.facts import RECEIVED_QOS_0
from oracle.ledger import KEPT_BYTES, KEPT_CHUNK, Record

log = logging.getLogger("touchstone")

PUBLISH_QOS_0 = 0x30
LEAD_PACKETS = 8  # shown of what was read at once with a packet that breaks a rule, and of what is
# not sent yet
LONGEST_HEADER = 5  # bytes of a fixed header
REMEMBERED = 1_000  # packet ids of each kind
# What CONNACK tells: who does not wait for it "will be unaware of the Server constraints" (3.1.4).
TOLD_BY_CONNACK = frozenset(
    (
        rules.QOS_NOT_SUPPORTED,
        rules.RETAIN_NOT_SUPPORTED,
        rules.PACKET_TOO_LARGE,
        rules.WILDCARDS_NOT_SUPPORTED,
        rules.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        rules.SHARED_NOT_SUPPORTED,
        rules.TOPIC_ALIAS_INVALID,
        rules.RECEIVE_MAXIMUM_EXCEEDED,
    )
)
# What most have; nothing is ever added to them.
NO_IDS: set[int] = set()
NO_PLACES: dict[int, int] = {}


class Conduct:
    """What is known of the client beside the state of its session.

    Attributes:
        record:    its entry in the ledger.
        enforces:  a breach ends the connection even where the documents let the server go on.
        resumed:   the CONNACK said that the session is present.
        asked_old: the CONNECT asked for it.
        left:      its DISCONNECT came.
        published: how many PUBLISH packets with QoS 1 or 2 came by the long way; what opens the
                   short one.
        new_published: one of them was no repetition.
        carried:   packet ids of QoS 2 messages that were under way when it connected, and their
                   places in the order they first came in.
        repeated:  those of them that came again; `latest` of their PUBLISH packets, 0 before one.
        inherited: packet ids in flight to the client when it connected, or that it has acknowledged
                   once too often: acknowledgements of them may come twice, and in any order.
        overtaken: packet ids whose acknowledgement a later one has overtaken, and what they await.
        next_published: the packet id of the next new QoS 2 message if they count up by one.
        scrambled: those under way do not: whether they are released in their order takes a look.
        unreleased: packet ids whose PUBREL a later one has overtaken.
        released:  packet ids of PUBREL packets, so that a PUBLISH after it is known.
        refused:   packet ids of PUBLISH packets that were refused.
        used:      packet ids that PUBLISH packets had on this connection, REMEMBERED of them.
    """

    __slots__ = (
        "asked_old",
        "carried",
        "enforces",
        "inherited",
        "latest",
        "left",
        "new_published",
        "next_published",
        "overtaken",
        "published",
        "record",
        "refused",
        "released",
        "repeated",
        "resumed",
        "scrambled",
        "unreleased",
        "used",
    )

    def __init__(self, record: Record, enforces: bool) -> None:
        self.record = record
        self.enforces = enforces
        self.resumed = False
        self.asked_old = False
        self.left = False
        self.published = 0
        self.new_published = False
        self.carried = NO_PLACES
        self.repeated: set[int] | None = None
        self.latest = 0
        self.inherited = NO_IDS
        self.overtaken: dict[int, int] | None = None
        self.next_published = 0
        self.scrambled = False
        self.unreleased: set[int] | None = None
        self.released: set[int] | None = None
        self.refused: set[int] | None = None
        self.used = NO_IDS

    def remember_released(self, packet_ids: range) -> None:
        """PUBREL came for these."""
        released = self.released
        if released is None or len(released) + len(packet_ids) > REMEMBERED:
            self.released = set(packet_ids[-REMEMBERED:])
        else:
            released.update(packet_ids)


class Observed(Output):
    """A connection whose client's conduct is recorded.

    Attributes:
        conduct:  None where nothing is recorded.
        open_ids: packet ids, as two bytes, of the QoS 1 PUBLISH, SUBSCRIBE and UNSUBSCRIBE packets
                  that are not answered yet.
    """

    __slots__ = ("conduct", "open_ids")

    conduct: Conduct | None
    open_ids: dict[bytes, None]  # an empty set takes more

    def witness(self, shown: int, data: bytes, pos: int, end: int) -> None:
        """Facts were shown, by the packet with its body at data[pos:end] if there is one."""
        conduct = self.conduct
        if conduct is None:
            return
        record = conduct.record
        if record.facts | shown != record.facts:
            start = first_byte(data, pos, end) if pos > 2 else 0
            record.witness(shown, self.worker.now, data[start:end])

    def notice(self, rule: Rule, seen: str, data: bytes, pos: int, end: int) -> None:
        """The client broke a rule, in the packet with its body at data[pos:end], and the documents
        let the server go on.

        Raises:
            ProtocolViolation: it does not, because the listener enforces them.
        """
        violation = ProtocolViolation(rule, seen)
        if self.settings.enforces:
            raise violation
        self.broke(violation, data, first_byte(data, pos, end) if end else 0, end)

    def write_run(self, packets: bytes, count: int) -> None:
        """Have so many whole packets sent at the end of this round; a flush counts one of them."""
        self.write(packets)
        self.worker.statistics.messages_sent += count - 1
        if self.conduct is not None:
            self.conduct.record.packets_out += count - 1

    def went_on(self, data: bytes) -> None:
        """More came from a client whose connection has ended."""
        if self.conduct is not None and self.conduct.left:
            self.conduct.left = False  # once is enough
            self.broke(ProtocolViolation(rules.PACKET_AFTER_DISCONNECT), data, 0, len(data))

    def broke(
        self,
        violation: ProtocolViolation,
        data: bytes = b"",
        start: int = 0,
        stop: int = 0,
        mqtt: bool = True,
    ) -> None:
        """Log, count and record what the client did, in the packet data[start:stop] if any; log it
        only, if the client could not know.

        If not `mqtt` these are bytes of a layer below.
        """
        rule, conduct = violation.rule, self.conduct
        if rule in TOLD_BY_CONNACK and conduct is not None and not conduct.record.packets_out:
            log.info("%s: sent before its CONNACK: %s", self.name, printable(str(violation)))
            return
        document, statement = ("3", rule.v3) if self.version in (3, 4) else ("5", rule.v5)
        if statement:
            statement = f" [{statement.replace('MQTT-', f'MQTT{document}-')}]"
        log.warning("%s: %s%s", self.name, printable(str(violation)), statement)
        self.worker.statistics.violations += 1
        if conduct is None:
            return
        record = conduct.record
        record.version = self.version
        if not record.broken_again(violation):
            size = stop - start
            if mqtt and stop > start:
                size = size_of(data, start, stop)
            record.broken(
                violation,
                self.worker.now,
                data[start : min(stop, start + size)],
                size,
                lead_of(data, start),
                packets_of(b"".join(self.out[-LEAD_PACKETS:]))[-LEAD_PACKETS:],
                mqtt,
            )

    def sending(self, data: bytes, count: int) -> None:
        """A flush: so many packets leave."""
        conduct = self.conduct
        if conduct is not None:
            record = conduct.record
            record.left(self.worker.now, data, len(data), count)
            # The first of the packets will do.
            if data[0] == PUBLISH_QOS_0 and not record.facts & RECEIVED_QOS_0:
                self.witness(RECEIVED_QOS_0, b"", 0, 0)

    def sending_parts(self, parts: list[bytes], size: int) -> None:
        """The same in several pieces, a packet each."""
        conduct = self.conduct
        if conduct is not None:
            begin = b"".join([part[:KEPT_CHUNK] for part in parts])
            conduct.record.left(self.worker.now, begin, size, len(parts))
            if begin[0] == PUBLISH_QOS_0:
                self.witness(RECEIVED_QOS_0, b"", 0, 0)


def size_of(data: bytes, start: int, stop: int) -> int:
    """How long the packet at data[start] is by its Remaining Length, even if less has come; its
    fixed header alone where that is malformed."""
    try:
        length, body = read_remaining_length(data, start + 1, stop)
    except ProtocolViolation:
        return min(stop - start, LONGEST_HEADER)
    return body + length - start if length >= 0 else stop - start


def lead_of(data: bytes, start: int) -> list[tuple[bytes, int]]:
    """The beginnings of the last few packets before data[start], and their sizes; `data` begins
    with a packet."""
    places = _places(data, start)[-LEAD_PACKETS:]
    return [(data[pos : pos + min(size, KEPT_BYTES)], size) for pos, size in places]


def packets_of(data: bytes) -> list[bytes]:
    """Whole packets, each by itself."""
    return [data[pos : pos + size] for pos, size in _places(data, len(data))]


def _places(data: bytes, stop: int) -> list[tuple[int, int]]:
    """Where the packets in data[:stop] start, and their sizes."""
    places = []
    pos = 0
    while pos < stop:
        size = size_of(data, pos, stop)
        places.append((pos, size))
        pos += size
    return places


def first_byte(data: bytes, pos: int, end: int) -> int:
    """Where a packet with its body at data[pos:end] starts."""
    if data[pos - 1]:
        return start_of(pos, end)
    for size in (4, 3, 2):  # of a Remaining Length that 3.x allows to end with a needless 0
        start = pos - size - 1
        if start >= 0 and data[pos - size] & 0x80:
            with suppress(ProtocolViolation):
                if read_remaining_length(data, start + 1, end) == (end - pos, pos):
                    return start
    return start_of(pos, end)


def start_of(pos: int, end: int) -> int:
    """Where a packet with its body at data[pos:end] starts, if its Remaining Length is minimal."""
    size = end - pos
    return pos - (2 if size < 128 else 3 if size < 16_384 else 4 if size < 2_097_152 else 5)
