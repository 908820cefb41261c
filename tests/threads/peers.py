"""Clients of a broker in memory whose workers the test steps by hand, in the order it likes."""

from formats.mqtt import codec
from formats.mqtt.acks import Puback
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.publish import Publish
from formats.mqtt.stream import PacketReader
from tests.harness.wires import memory_wire

LEFT = None  # in an outbox: the network connection is gone


class Peer:
    """A network connection; what it sends arrives when its worker has its next round.

    It acknowledges each QoS 1 message on sight.
    """

    def __init__(self, site, listener):
        self.worker = site.workers[listener]
        self.wire = memory_wire(site, listener)
        self.outbox = []
        self.packets = []
        self._reader = PacketReader(1 << 20)

    def send(self, *packets):
        self.outbox.extend(codec.encode(packet, 5) for packet in packets)

    def connect(self, client_id, **fields):
        self.send(Connect(5, client_id, **{"clean_start": False, "keep_alive_s": 0, **fields}))

    def leave(self):
        """Lose the network connection, without a DISCONNECT."""
        self.outbox.append(LEFT)

    def arrive(self):
        """What the worker reads at the start of its round."""
        while self.outbox and not self.wire._paused and not self.closed:
            data = self.outbox.pop(0)
            if data is LEFT:
                self.wire._shut = True
                self.wire.connection.lost("closed by the client")
            else:
                self.wire._entrance.received(data)

    def take(self):
        """Read what has been flushed."""
        data = bytes(self.wire._arrived)
        self.wire._arrived.clear()
        for byte1, buffer, pos, end in self._reader.feed(data):
            packet = codec.decode(byte1, buffer, pos, end, 5)
            self.packets.append(packet)
            if isinstance(packet, Publish) and packet.qos == 1:
                self.send(Puback(packet.packet_id))

    @property
    def closed(self):
        return self.wire._shut

    def got(self, kind):
        return [packet for packet in self.packets if isinstance(packet, kind)]

    @property
    def accepted(self):
        return any(connack.reason == 0 for connack in self.got(Connack))


def run_round(worker, peers):
    """One round of a worker, as its loop has them."""
    worker.silence()
    mine = [peer for peer in peers if peer.worker is worker]
    for peer in mine:
        peer.arrive()
    worker.run_due()
    worker.flush()
    for peer in mine:
        peer.take()


def settle(site, peers):
    """Rounds of all workers until nothing is left to do."""
    while True:
        for worker in site._all_workers:
            run_round(worker, peers)
        waiting = [peer for peer in peers if peer.outbox and not peer.closed]
        if not waiting and all(worker.idle for worker in site._all_workers):
            return
