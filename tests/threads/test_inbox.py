"""Messages from other threads reach a session whole, each thread's in their order.

Model: `inbox`, and whether the owner has been woken. Next step: a putter appends, then wakes; the
owner drains. Invariant: nothing is lost, order per putter is kept, and no more alarms ring than
rounds begin. Driven by eight putters and the owner.
"""

import threading

from broker.clock import Clock
from broker.limits import QueueLimits
from broker.listeners.loop import Loop
from broker.message import Message
from broker.session.link import Delivery
from broker.session.session import Session

PUTTERS, EACH = 8, 1000
SOON_S = 10.0


class Counting(Loop):
    """Counts alarms and rounds."""

    def __init__(self):
        super().__init__("test", Clock())
        self.rings = self.rounds = 0

    def ring(self):
        self.rings += 1
        super().ring()

    def silence(self):
        self.rounds += 1
        super().silence()


class Link:
    """A connection that remembers what it was given."""

    version, congested, plain, maximum_out = 5, False, 0, 1 << 30

    def __init__(self, expected):
        self.out, self.got = [], []
        self.expected = expected
        self.complete = threading.Event()

    def send_qos0(self, message, retain, identifiers):
        self.got.append(message.payload)
        if len(self.got) == self.expected:
            self.complete.set()


def test_eight_threads_put_while_the_owner_drains():
    loop = Counting()
    link = Link(PUTTERS * EACH)
    session = Session("receiver", loop, QueueLimits())
    session.attach(link, 5, 65_535)
    owner = threading.Thread(target=loop.run)
    owner.start()

    def put(name):
        for number in range(EACH):
            message = Message("t", b"%d %d" % (name, number), 0, False, None, "")
            session.put(Delivery(message, 0, False, (), "", 0))

    putters = [threading.Thread(target=put, args=(name,)) for name in range(PUTTERS)]
    for thread in putters:
        thread.start()
    for thread in putters:
        thread.join()
    complete = link.complete.wait(SOON_S)
    loop.post(loop.stop)
    owner.join(SOON_S)
    assert complete
    for name in range(PUTTERS):
        head = b"%d " % name
        mine = [payload for payload in link.got if payload.startswith(head)]
        assert mine == [b"%d %d" % (name, number) for number in range(EACH)]
    # Two threads may both see the alarm silent; that is rare, and costs an empty round.
    assert loop.rings <= loop.rounds + PUTTERS
