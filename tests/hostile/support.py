"""What tests beside hostile peers look at: who is still served, and what the broker does."""

import socket
import threading
from contextlib import contextmanager

from formats.mqtt.publish import Publish

DEADLINE_S = 10.0
QUIET_S = 0.1
SPINNING = 20  # rounds in QUIET_S: a loop that is busy makes thousands


class Bystanders:
    """A publisher and a subscriber that do everything right."""

    def __init__(self, site, listener=0, version=5):
        self.publisher = site.client(version, listener)
        self.subscriber = site.client(version, listener)
        self.publisher.connect(f"publisher {listener}")
        self.subscriber.connect(f"subscriber {listener}")
        self.topic = f"bystanders/{listener}"
        self.subscriber.subscribe(self.topic, qos=2)
        self._count = 0

    def check(self):
        """A message of each QoS gets through, once."""
        for qos in (0, 1, 2):
            self._count += 1
            payload = b"%d" % self._count
            self.publisher.publish(self.topic, payload, qos)
            publish = self.subscriber.receive_message()
            assert isinstance(publish, Publish)
            assert (publish.payload, publish.qos) == (payload, qos)


def rest_of(sock):
    """All that comes until the broker closes; fails if it does not."""
    parts = []
    try:
        while part := sock.recv(1 << 20):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def is_open(sock):
    """Whether the broker has not closed; nothing may have arrived."""
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        sock.settimeout(DEADLINE_S)


def open_connections(site):
    """How many connections the listeners hold, those among them that are being closed."""
    return sum(len(listener._open) for listener in site.broker._listeners)


@contextmanager
def rounds(site, listener=0):
    """A list that has an element for each round of the listener's loop meanwhile."""
    loop = site.broker._listeners[listener].loop
    counted = []
    silence = loop.silence

    def count():
        counted.append(None)
        silence()

    loop.silence = count
    try:
        yield counted
    finally:
        del loop.silence


def assert_at_rest(site, listener=0):
    """While nothing happens the loop makes no rounds."""
    site.settle()
    with rounds(site, listener) as counted:
        threading.Event().wait(QUIET_S)  # to see what is done in it: nothing ends it
    assert len(counted) < SPINNING, f"{len(counted)} rounds in {QUIET_S} s"
