"""The ends of a throughput run: publishers that send slices, receivers that count by arithmetic.

A receiver compares what it can with one C call: QoS 0 deliveries are the published bytes, so the
whole stream is compared; at QoS 1 and 2 the broker chooses packet ids, so every first byte and
counter is, and a sample of topics and payloads. Acknowledgements are written by slice assignment.
"""

import re
from collections import Counter
from collections.abc import Callable

from benchmarks import wire
from benchmarks.client import WrongDeliveryError
from benchmarks.transports import Connection
from benchmarks.wire import ACK_SIZE, READ_SIZE, DeliveryTable, PublishTable

_room = memoryview(bytearray(READ_SIZE))


def read(connection: Connection, at_end: str, size: int = READ_SIZE) -> bytes:
    """What has arrived. `recv` itself would map and unmap memory for each packet, which takes
    longer than a small one."""
    count = connection.recv_into(_room[:size])
    if not count:
        raise WrongDeliveryError(at_end)
    return bytes(_room[:count])


class Publisher:
    """Sends its table round and round, as far as the window lets it, and counts what completed."""

    def __init__(self, connection: Connection, table: PublishTable, qos: int) -> None:
        self.connection = connection
        self.table = table
        self.qos = qos
        self.view = memoryview(table.stream)
        self.sent = 0  # bytes
        self.allowed = 0  # messages
        self.completed = 0  # messages: PUBACK or PUBCOMP has come
        self.rest = b""

    def push(self) -> bool:
        """Send up to `allowed` messages; whether something had to stay."""
        end = self.allowed * self.table.size
        while self.sent < end:
            start = self.sent % self.table.length
            stop = start + min(end - self.sent, READ_SIZE)
            try:
                self.sent += self.connection.send_encoded(self.view[start:stop])
            except BlockingIOError:
                return True
        return self.connection.unsent()

    def read(self) -> None:
        """Count PUBACK and PUBCOMP; answer PUBREC."""
        arrived = self.rest + read(self.connection, "the broker closed a publisher")
        used = len(arrived) // ACK_SIZE * ACK_SIZE
        kinds = arrived[0:used:ACK_SIZE]
        self.rest = arrived[used:]
        count = len(kinds)
        if self.qos == 1:
            if kinds != b"\x40" * count or arrived[1:used:ACK_SIZE] != b"\x02" * count:
                raise WrongDeliveryError(f"not PUBACK packets alone: {arrived[:32].hex(' ')}")
            self.completed += count
            return
        completed = kinds.count(b"\x70")
        self.completed += completed
        if completed == count:
            return
        received = [run.span() for run in PUBREC_RUNS.finditer(kinds)]
        if self.qos == 0 or completed + sum(end - start for start, end in received) != count:
            raise WrongDeliveryError(f"not PUBREC and PUBCOMP: {arrived[:32].hex(' ')}")
        releases = bytearray().join(
            arrived[start * ACK_SIZE : end * ACK_SIZE] for start, end in received
        )
        releases[0::ACK_SIZE] = b"\x62" * (len(releases) // ACK_SIZE)
        send_all(self.connection, releases)


PUBREC_RUNS = re.compile(rb"\x50+")


class Receiver:
    """A subscriber of one publisher.

    `delivered` counts messages, `released` those whose handshake is over, too.
    """

    def __init__(self, connection: Connection, table: DeliveryTable, qos: int) -> None:
        self.connection = connection
        self.table = table
        self.qos = qos
        self.delivered = 0
        self.released = 0
        self.buffer = bytearray(table.buffer_size if qos else 0)
        self.view = memoryview(self.buffer)
        self.have = 0  # bytes of an incomplete packet at the front of the buffer
        self.position = 0  # bytes received, at QoS 0
        self.next = 0  # index in the table
        self.read: Callable[[], None] = (self.read_qos0, self.read_qos1, self.read_qos2)[qos]
        unit = re.escape(table.head) + b".{%d}" % (table.size - len(table.head))
        self.run = re.compile(b"(?s:" + unit + b")++")

    def read_qos0(self) -> None:
        """The bytes must be those of the table."""
        table = self.table
        arrived = read(self.connection, "the broker closed a subscriber", table.read_size)
        start = self.position % table.length
        if arrived != table.stream[start : start + len(arrived)]:
            raise WrongDeliveryError(f"wrong after {self.delivered} messages: {arrived[:64]!r}")
        self.position += len(arrived)
        self.delivered = self.released = self.position // table.size

    def _fill(self) -> int:
        count = self.connection.recv_into(self.view[self.have :])
        if not count:
            raise WrongDeliveryError("the broker closed a subscriber")
        return self.have + count

    def _keep(self, used: int, end: int) -> None:
        self.have = end - used
        if used and used < end:
            self.buffer[: self.have] = self.buffer[used:end]

    def _acknowledge(self, end: int) -> None:
        """Send a PUBACK for each PUBLISH in the buffer, none of which has been looked at."""
        table = self.table
        packet_ids = self.buffer[table.packet_id_at : end : table.size]
        acknowledgements = bytearray(b"\x40\x02\x00\x00" * len(packet_ids))
        acknowledgements[2::ACK_SIZE] = packet_ids
        acknowledgements[3::ACK_SIZE] = self.buffer[table.packet_id_at + 1 : end : table.size]
        send_all(self.connection, acknowledgements)

    def read_qos1(self) -> None:
        """Nothing but whole PUBLISH packets: count, check and acknowledge them."""
        end = self._fill()
        used = end // self.table.size * self.table.size
        if used:
            send_all(self.connection, self._take(0, used, 0x40))
            self.released = self.delivered
        self._keep(used, end)

    def _take(self, start: int, end: int, answer: int) -> bytearray:
        """Check the PUBLISH packets between two positions; return their acknowledgements."""
        table, buffer, size, at = self.table, self.buffer, self.table.size, self.next
        count = (end - start) // size
        counter = start + table.payload_at + 1
        if (
            buffer[start:end:size] != table.first_bytes[:count]
            or buffer[counter:end:size] != table.counter_high[at : at + count]
            or buffer[counter + 1 : end : size] != table.counter_low[at : at + count]
            or not buffer.startswith(table.head, start)
            or not buffer.startswith(table.between, start + table.packet_id_at + 2)
            or not buffer.startswith(table.padding, start + table.payload_at + wire.PAYLOAD_HEAD)
        ):
            raise WrongDeliveryError(
                f"wrong after {self.delivered} messages: {bytes(buffer[start : start + 64])!r}"
            )
        acknowledgements = bytearray(bytes((answer, 2, 0, 0)) * count)
        packet_id = start + table.packet_id_at
        acknowledgements[2::ACK_SIZE] = buffer[packet_id:end:size]
        acknowledgements[3::ACK_SIZE] = buffer[packet_id + 1 : end : size]
        self.delivered += count
        self.next = (at + count) % table.count
        return acknowledgements

    def read_qos2(self) -> None:
        """Runs of PUBLISH and runs of PUBREL: answer with PUBREC and PUBCOMP."""
        end = self._fill()
        position = 0
        answers = bytearray()
        while end - position >= ACK_SIZE:
            if self.buffer[position] == self.table.first_byte:
                run = self.run.match(self.buffer, position, end)
                if run is None and end - position >= self.table.size:
                    raise WrongDeliveryError(f"not the PUBLISH: {self.buffer[position:end][:64]!r}")
                if run is None:
                    break
                answers += self._take(position, run.end(), 0x50)
            else:
                run = PUBREL_RUN.match(self.buffer, position, end)
                if run is None:
                    raise WrongDeliveryError(f"not PUBREL: {self.buffer[position:end][:64]!r}")
                completes = bytearray(run[0])
                count = len(completes) // ACK_SIZE
                completes[0::ACK_SIZE] = b"\x70" * count
                answers += completes
                self.released += count
            position = run.end()
        if answers:
            send_all(self.connection, answers)
        self._keep(position, end)


PUBREL_RUN = re.compile(rb"(?s:\x62\x02..)++")
NEXT_LOW = {value: 0x80 | (value + 1) & 0x7F for value in range(0x80, 0x100)}


class MixedReceiver(Receiver):
    """A subscriber of several publishers, whose messages interleave; it checks each one's order."""

    def __init__(
        self, connection: Connection, table: DeliveryTable, qos: int, publishers: int
    ) -> None:
        super().__init__(connection, table, qos)
        self.buffer = bytearray(table.buffer_size)
        self.view = memoryview(self.buffer)
        self.read = self.read_mixed
        self.expected = {0x80 | index: 0x80 for index in range(publishers)}
        self.per_publisher = {0x80 | index: 0 for index in range(publishers)}

    def read_mixed(self) -> None:
        """Count per publisher; the low seven bits of the counter must follow one another."""
        end = self._fill()
        size, buffer, table = self.table.size, self.buffer, self.table
        used = end // size * size
        count = used // size
        if count and (
            buffer[0:used:size] != table.first_bytes[:count]
            or not buffer.startswith(table.head)
            or not buffer.startswith(table.padding, table.payload_at + wire.PAYLOAD_HEAD)
        ):
            raise WrongDeliveryError(f"wrong after {self.delivered} messages: {buffer[:64]!r}")
        expected, per_publisher = self.expected, self.per_publisher
        lows = buffer[table.payload_at + 2 : used : size]
        for publisher, low in zip(buffer[table.payload_at : used : size], lows, strict=True):
            if expected.get(publisher) != low:
                raise WrongDeliveryError(f"publisher {publisher & 0x7F} is out of order")
            expected[publisher] = NEXT_LOW[low]
            per_publisher[publisher] += 1
        if self.qos and count:
            self._acknowledge(used)
        self.delivered += count
        self.released = self.delivered
        self._keep(used, end)


class ShareReceiver(Receiver):
    """A member of a shared subscription, which gets some of the messages, in their order."""

    def __init__(self, connection: Connection, table: DeliveryTable, qos: int) -> None:
        super().__init__(connection, table, qos)
        self.buffer = bytearray(table.buffer_size)
        self.view = memoryview(self.buffer)
        self.read = self.read_share
        self.last = -1  # index in the table
        self.lows: Counter[int] = Counter()  # how often each low byte of a counter has come
        self.highs: Counter[int] = Counter()

    def read_share(self) -> None:
        """Count the messages; each counter must be a little after the one before."""
        end = self._fill()
        table, buffer, size = self.table, self.buffer, self.table.size
        used = end // size * size
        count = used // size
        if count:
            highs = buffer[table.payload_at + 1 : used : size]
            lows = buffer[table.payload_at + 2 : used : size]
            last, most = self.last, table.count // 2
            ordered = True
            for high, low in zip(highs, lows, strict=True):
                index = (high & 0x7F) << 7 | low & 0x7F
                ordered &= 0 < (index - last) % table.count <= most
                last = index
            if (
                not ordered
                or buffer[0:used:size] != table.first_bytes[:count]
                or not buffer.startswith(table.head)
            ):
                raise WrongDeliveryError(f"wrong after {self.delivered} messages: {buffer[:64]!r}")
            if self.qos:
                self._acknowledge(used)
            self.last = last
            self.lows.update(lows)
            self.highs.update(highs)
            self.delivered += count
            self.released = self.delivered
        self._keep(used, end)


def check_shares(receivers: list[ShareReceiver], table: DeliveryTable, total: int) -> None:
    """Every message has gone to one member."""
    for name, bytes_once in (("lows", table.counter_low), ("highs", table.counter_high)):
        seen: Counter[int] = sum((getattr(receiver, name) for receiver in receivers), Counter())
        rounds, rest = divmod(total, table.count)
        due = Counter(bytes_once[:rest])
        for value, times in Counter(bytes_once[: table.count]).items():
            due[value] += times * rounds
        if seen != due:
            raise WrongDeliveryError(f"of {total} messages, some went to no member or to several")


def send_all(connection: Connection, data: bytes | bytearray) -> None:
    """Send acknowledgements on a non-blocking socket; they are few, so waiting here is rare."""
    try:
        sent = connection.send(data)
    except BlockingIOError:
        sent = 0
    if sent < len(data) or connection.unsent():
        connection.settimeout(5.0)
        connection.sendall(data[sent:])
        connection.setblocking(False)
