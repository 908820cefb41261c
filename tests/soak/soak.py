"""Hundreds of clients, coming and going at random, driven by one loop.

The same seed has the same clients do the same things in the same order; the time that each takes,
and so what happens at once, is the machine's.
"""

import contextlib
import random
import selectors
import ssl
import time

from tests.soak.client import Client
from tests.soak.model import Book, OwedError
from tests.soak.paho_clients import PahoClients
from tests.soak.wires import TRANSPORTS

TOPICS = [f"t/{first}/{second}" for first in range(6) for second in range(4)]
FILTERS = [*TOPICS, "t/#", *(f"t/{first}/#" for first in range(6)), "t/+/1", "t/+/2", "+/3/+"]
STATES = "state"
GROUP = "$share/workers/jobs/#"
QUIET_S = 60.0  # for what is owed at the end
REMEMBERED_S = 60.0
SLOW_S = 2.0
KEPT_PART = 0.5
WILLS_PART = 0.3
MEAN_PAUSE_S = 1.2
GROWTH = 1.15, 16_384  # of memory since a third of the time: a factor, and KiB
DATABASE_KIB = 16_384  # for its cache and index, which fill for minutes

# What a connected client does next, and how often.
ACTIONS = {
    "publish": 50,
    "publish_retained": 6,
    "publish_job": 10,
    "subscribe": 12,
    "unsubscribe": 5,
    "ping": 4,
    "stop_reading": 4,
    "leave": 4,
    "drop": 4,
    "take_over": 3,
}


class Soak:
    """One run.

    Args:
        broker:  see `BrokerProcess`.
        clients: how many, besides those of paho and those that watch.
        seed:    of what they do.
        say:     takes a line of progress.
    """

    def __init__(self, broker, clients, seed, say=lambda line: None):
        self.broker = broker
        self.say = say
        self.random = random.Random(seed)
        self.book = Book()
        self.selector = selectors.DefaultSelector()
        self.tls = ssl.create_default_context(cafile=str(broker.folder / "pki" / "ca.pem"))
        self.clients = [
            Client(
                self,
                f"client-{number}",
                self.random.choice((3, 4, 5)),
                self.random.random() < KEPT_PART,
                self.random.random() < WILLS_PART,
            )
            for number in range(clients)
        ]
        self.workers = [Client(self, f"worker-{number}", version, True)
                        for number, version in enumerate((3, 4, 5, 5))]  # fmt: skip
        self.watchers = [Client(self, f"watcher-{version}", version, True) for version in (4, 5)]
        self.members = [*self.workers, *self.watchers]
        self.next_at = {}  # client -> when it does something
        self.slow = {}  # client -> when it reads again
        self.abandoned = set()  # wires that were taken over

    # The loop.

    def abandon(self, wire):
        """Read no more of a connection than that it ends."""
        wire.owner = None
        wire.pause(False)
        self.abandoned.add(wire)

    def turn(self, patience_s=0.01):
        """Serve whatever is ready."""
        for key, events in self.selector.select(patience_s):
            wire = key.data
            if wire.sock.fileno() < 0:
                continue  # closed by what came before it in this turn
            if events & selectors.EVENT_WRITE:
                wire.flush()
            if events & selectors.EVENT_READ:
                if wire.owner is not None:
                    wire.owner.readable()
                elif wire.receive() is None:
                    wire.close()
                    self.abandoned.discard(wire)

    def until(self, done, what, patience_s=QUIET_S):
        deadline = time.monotonic() + patience_s
        while not done():
            self.turn()
            if time.monotonic() > deadline:
                raise OwedError(f"not in {patience_s:g} s: {what()}")

    # What clients do.

    def connect(self, client, clean=False):
        transport = self.random.choice(TRANSPORTS)
        client.connect(transport, self.random.choice(self.broker.ports(transport)), clean)

    def act(self, client, now):
        """One thing that this client does; when the next is due."""
        self.next_at[client] = now + self.random.expovariate(1 / MEAN_PAUSE_S)
        if client.wire is None:
            self.connect(client, clean=self.random.random() < 0.1)
        elif client.greeted and not client.leaving:
            choice = self.random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
            getattr(self, f"_{choice}")(client, now)
        elif not client.leaving and self.random.random() < 0.02:
            client.drop()  # before it has its CONNACK

    def _publish(self, client, _now):
        for _ in range(self.random.randint(1, 5)):
            client.publish(self.random.choice(TOPICS), self.random.randint(0, 2))

    def _publish_retained(self, client, _now):
        client.publish(f"{STATES}/{client.client_id}", self.random.randint(1, 2), retain=True)

    def _publish_job(self, client, _now):
        client.publish(f"jobs/{self.random.randint(0, 3)}", self.random.randint(0, 2))

    def _subscribe(self, client, _now):
        client.subscribe(self.random.choice(FILTERS), self.random.randint(0, 2))

    def _unsubscribe(self, client, _now):
        granted = sorted(self.book.session(client.client_id).granted)
        if granted:
            client.unsubscribe(self.random.choice(granted))

    def _ping(self, client, _now):
        client.ping()

    def _stop_reading(self, client, now):
        client.wire.pause(True)
        self.slow[client] = now + self.random.uniform(0.1, SLOW_S)
        self.next_at[client] = max(self.next_at[client], self.slow[client])

    def _leave(self, client, _now):
        client.leave()

    def _drop(self, client, _now):
        client.drop()

    def _take_over(self, client, _now):
        self.connect(client)

    # The run.

    def run(self, duration_s):
        """All of it; returns what was counted. Raises OwedError."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            self.begin()
            before = self.broker.held()
            paho = stack.enter_context(PahoClients(self.broker, self.random.random()))
            held = self.broker.held()
            began = said = time.monotonic()
            while (now := time.monotonic()) < began + duration_s:
                for client, due in list(self.slow.items()):
                    if due <= now:
                        self.read_on(client)
                for client in self.clients + self.workers:
                    if self.next_at.get(client, 0.0) <= now:
                        self._step(client, now)
                paho.step()
                self.turn()
                if now - began < duration_s / 3:
                    held = self.broker.held()
                if now - said >= 10:
                    said = now
                    self.book.forget(now - REMEMBERED_S)
                    self.say(f"{now - began:.0f} s: {dict(self.book.counts)} {self.broker.held()}")
            self.finish()
            paho.finish()
            paho.close()
            self.everybody_goes()
            self.check_held(before, held)
            return {**self.book.counts, "by paho": paho.delivered, **self.broker.held()}

    def _step(self, client, now):
        if client in self.workers:  # they come and go, and keep what they have
            self.next_at[client] = now + self.random.expovariate(1 / MEAN_PAUSE_S) * 4
            if client.wire is None:
                self.connect(client)
            elif client.greeted and not client.leaving:
                self.random.choice((client.drop, client.leave, lambda: self.connect(client)))()
            return
        self.act(client, now)

    def begin(self):
        """Who is to miss nothing is there first."""
        for client in self.members:
            self.connect(client)
        self.until(lambda: all(one.greeted for one in self.members), lambda: "CONNACKs")
        for watcher in self.watchers:
            self.book.will_watchers[watcher.client_id] = set()
            watcher.subscribe("wills/#", 1)
        for worker in self.workers:
            worker.subscribe(GROUP, 1)
        self.until(lambda: not any(one.asking for one in self.members), lambda: "SUBACKs")
        now = time.monotonic()
        self.next_at = {client: now + self.random.uniform(0, 3) for client in self.clients}
        self.next_at |= dict.fromkeys(self.workers, now + 5)

    def read_on(self, client):
        self.slow.pop(client, None)
        if client.wire is not None:
            client.wire.pause(False)

    def finish(self):
        """Everybody who has a session comes and gets all that is owed."""
        for client in list(self.slow):
            self.read_on(client)
        everybody = [*self.clients, *self.members]
        self.until(lambda: not any(one.leaving and one.wire for one in everybody), lambda: "closes")
        for client in everybody:
            if client.wire is None:
                self.connect(client)
        self.until(
            lambda: all(one.greeted and not one.outgoing for one in everybody),
            lambda: [(one.client_id, one.outgoing) for one in everybody if one.outgoing],
        )
        self.until(lambda: not self.book.left(), lambda: "\n".join(self.book.left()[:20]))
        self.check_retained()

    def check_retained(self):
        """A newcomer gets the latest of each topic."""
        newcomer = Client(self, "newcomer", 5, False)
        got = {}
        came = self.book.came

        def note(client_id, publish):
            if client_id == "newcomer" and publish.retain:
                got[publish.topic] = int(publish.payload.split()[1])
            came(client_id, publish)

        self.book.came = note
        newcomer.connect("tcp", self.broker.plain[0])
        self.until(lambda: newcomer.greeted, lambda: "CONNACK")
        newcomer.subscribe(f"{STATES}/#", 1)
        due = {topic: first for topic, (first, _) in self.book.retained.items() if first}
        self.until(lambda: due.keys() <= got.keys(), lambda: f"retained: {due.keys() - got.keys()}")
        for topic, number in due.items():
            if not number <= got[topic] <= self.book.retained[topic][1]:
                raise OwedError(f"retained in {topic} is {got[topic]}, not {number}")
        self.clients.append(newcomer)

    def everybody_goes(self):
        """All sessions end."""
        everybody = [*self.clients, *self.members]
        for clean in (False, True):
            if clean:
                for client in everybody:
                    client.kept = False
                    self.connect(client, clean=True)
                self.until(lambda: all(one.greeted for one in everybody), lambda: "CONNACKs")
            for client in everybody:
                client.leave()
            self.until(lambda: not any(one.wire for one in everybody), lambda: "closes")
        self.until(lambda: not self.abandoned, lambda: "closes of those taken over")
        last = Client(self, "last", 5, False)
        counted = {}

        def note(_client_id, publish):
            counted[publish.topic.removeprefix("$SYS/broker/")] = int(publish.payload)

        self.book.came = note
        last.connect("tcp", self.broker.plain[0])
        self.until(lambda: last.greeted, lambda: "CONNACK")
        names = ("clients/total", "clients/connected", "subscriptions/count")
        for name in names:
            last.subscribe(f"$SYS/broker/{name}", 0)
        expected = dict(zip(names, (1, 1, 3), strict=True))
        self.until(lambda: counted == expected, lambda: f"counts {counted}, not {expected}")
        last.leave()
        self.until(lambda: last.wire is None, lambda: "close")

    def check_held(self, before, early):
        """What the process holds is what it held when nobody but the members had come."""
        for name in {"descriptors", "threads"} & before.keys():
            self._wait_for_less(name, before[name] - len(self.members) * (name == "descriptors"))
        if early:
            factor, more = GROWTH
            more += DATABASE_KIB if self.broker.persistent else 0
            now, then = self.broker.held()["resident KiB"], early["resident KiB"]
            if now > then * factor + more:
                raise OwedError(f"{now} KiB of memory, {then} at a third of the time")

    def _wait_for_less(self, name, allowed):
        self.until(
            lambda: self.broker.held()[name] <= allowed,
            lambda: f"{name}: {self.broker.held()[name]}, {allowed} before",
        )

    def close(self):
        for client in [*self.clients, *self.members]:
            if client.wire is not None:
                client.wire.close()
        for wire in self.abandoned:
            wire.close()
        self.selector.close()
