"""What waits to be sent until it is durable: acknowledgements, the PUBLISH and PUBREL of QoS 2.

Such a packet is *pledged*: handed to the writer at the end of the round, with the changes that it
promises, and sent when they are on disk (`broker/journal.py`). The pledges of a connection leave in
the order they were made.

Threads: belongs to the connection's worker, which the writer has make its calls.
"""

from collections.abc import Callable
from functools import partial

from broker.worker import Worker
from persistence.records import Call, Post

PUBACK_BYTE, PUBCOMP_BYTE = 0x40, 0x70
QUOTA_EXCEEDED = 0x97
PLEDGED_MAXIMUM = 2_000  # beyond which nothing more is read; twice what a quick client has waiting


class Pledges:
    """What a connection has pledged in one round, until it leaves: packets in their order, and how
    many PUBACKs and PUBCOMPs are among them."""

    __slots__ = ("packets", "pubacks", "pubcomps")

    def __init__(self, packets: list[bytes]) -> None:
        kinds = bytes([packet[0] for packet in packets])
        self.packets = packets
        self.pubacks = kinds.count(PUBACK_BYTE)
        self.pubcomps = kinds.count(PUBCOMP_BYTE)


class DurableOutput:
    """Packets out, at the end of this round or once they are durable.

    Attributes:
        version:     protocol level 3, 4 or 5; 0 before the CONNECT.
        out:         what this round has written, a packet each.
        ended:       no more packets are handled or sent.
        pledged:     packets that wait until what they promise is durable.
        pledged_pubacks, pledged_pubcomps: those of them that free a place of the Receive Maximum.
        pledged_calls: calls that wait likewise.
        held_back:   so much is pledged that nothing more is read.
    """

    __slots__ = (
        "_pledge",
        "ended",
        "held_back",
        "out",
        "pledged",
        "pledged_calls",
        "pledged_pubacks",
        "pledged_pubcomps",
        "version",
        "worker",
    )

    worker: Worker
    version: int
    ended: bool
    out: list[bytes]
    pledged: int
    pledged_pubacks: int
    pledged_pubcomps: int
    pledged_calls: int
    held_back: bool
    _pledge: list[bytes]

    def flush(self) -> None:
        """Hand what this round has written to the network."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Have one whole packet sent at the end of this round."""
        out = self.out
        if not out:
            self.worker.touched.append(self)
        out.append(data)

    def pledge(self, packet: bytes) -> None:
        """Have a packet sent once everything noted so far is durable, in the order of pledges."""
        journal = self.worker.journal
        if journal is None:
            self.write(packet)
            return
        if not self._pledge:
            journal.pledging(self)
        self._pledge.append(packet)
        self.pledged += 1

    def acknowledge(self, packet: bytes, noted: int) -> None:
        """Send an acknowledgement: now, if the journal's count is still `noted`, as nothing has to
        become durable for it; otherwise when it is.

        A PUBACK does not overtake a PUBACK; the others overtake nothing that waits.
        """
        journal = self.worker.journal
        byte1 = packet[0]
        if journal is None or (
            journal.count == noted
            and not (self.pledged_pubacks if byte1 == PUBACK_BYTE else self.pledged)
        ):
            self.write(packet)
            return
        if not self._pledge:  # `pledge`, but for the call: there is one for each message
            journal.pledging(self)
        self._pledge.append(packet)
        self.pledged += 1
        if byte1 == PUBACK_BYTE:
            self.pledged_pubacks += 1
        elif byte1 == PUBCOMP_BYTE:
            self.pledged_pubcomps += 1

    def acknowledge_all(self, packets: list[bytes], noted: int) -> None:
        """`acknowledge` for several PUBACKs, or PUBRECs."""
        before = self.pledged
        self.acknowledge(packets[0], noted)
        others = packets[1:]
        if self.pledged == before:
            self.out.extend(others)
            return
        self._pledge.extend(others)
        self.pledged += len(others)
        if packets[0][0] == PUBACK_BYTE:
            self.pledged_pubacks += len(others)

    def hand_in(self, post: Post) -> list[Call]:
        """The pledges of this round, as calls of the writer.

        When they cannot be kept just now, the PUBACKs of a 5.0 client leave as refusals and the
        rest waits in its place before the pledges of later rounds: so there is a call for those
        and one for the rest. The first to be made sends all of the round, in its order.

        A PUBREC never becomes a refusal here. The message has been passed on, so that nothing but
        its packet id keeps a second one of it from being so, too: the id stays in `received`, and
        the PUBREC comes when that is durable [MQTT5-4.3.3-8] [MQTT5-4.3.3-10]. (Of QoS 1 a second
        delivery is what there may be.)
        """
        pledges = Pledges(self._pledge)
        self._pledge = []
        if self.pledged + self.pledged_calls > PLEDGED_MAXIMUM:
            self.hold_back()
        redeem = partial(self._redeem, pledges)
        if self.version != 5 or not pledges.pubacks:
            return [Call(post, redeem)]
        calls = [Call(post, redeem, partial(self._refuse, pledges))]
        if len(pledges.packets) > pledges.pubacks:
            calls.append(Call(post, redeem))
        return calls

    def _redeem(self, pledges: Pledges) -> None:
        packets, pledges.packets = pledges.packets, []
        if self.ended or not packets:
            return
        self.pledged -= len(packets)
        self.pledged_pubacks -= pledges.pubacks
        self.pledged_pubcomps -= pledges.pubcomps
        if not self.out:
            self.worker.touched.append(self)
        self.out.extend(packets)
        if self.held_back:
            self._read_on()

    def _refuse(self, pledges: Pledges) -> None:
        """The database cannot be written: a 5.0 publisher is told so at QoS 1."""
        pubacks = [packet for packet in pledges.packets if packet[0] == PUBACK_BYTE]
        pledges.packets = [packet for packet in pledges.packets if packet[0] != PUBACK_BYTE]
        pledges.pubacks = 0
        if self.ended:
            return
        self.pledged -= len(pubacks)
        self.pledged_pubacks -= len(pubacks)
        for packet in pubacks:
            self.write(b"\x40\x03%b%c" % (packet[2:4], QUOTA_EXCEEDED))
        if self.held_back:
            self._read_on()

    def when_durable(self, call: Callable[[], None]) -> None:
        """Have `call()` run once everything noted so far is durable; it counts as a pledge."""
        journal = self.worker.journal
        if journal is None:
            call()
            return
        self.pledged_calls += 1
        journal.when_durable(partial(self._call_pledged, call))
        if self.pledged + self.pledged_calls > PLEDGED_MAXIMUM:
            self.hold_back()

    def attempt(self, call: Callable[[], None]) -> None:
        """Make a call that a post or a journal makes for this connection alone."""
        raise NotImplementedError

    def _call_pledged(self, call: Callable[[], None]) -> None:
        self.pledged_calls -= 1
        self.attempt(call)
        if self.held_back:
            self._read_on()

    def _read_on(self) -> None:
        if not self.ended and 2 * (self.pledged + self.pledged_calls) <= PLEDGED_MAXIMUM:
            self.release_back()

    def hold_back(self) -> None:
        """Read no more from a client to which so much is pledged."""

    def release_back(self) -> None:
        """Read on."""
