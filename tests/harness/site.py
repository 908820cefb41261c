"""A broker under test, reached by memory or by sockets, with a clock that the test moves."""

import ssl
import threading

from broker.broker import Broker, make_context
from broker.config import Configuration
from broker.guard.guard import Guard
from broker.handlers.table import build
from broker.settings import Settings
from broker.statistics import total
from broker.sys_topics import SysTopics
from broker.version import VERSION
from broker.worker import Worker
from tests.harness.client import Client
from tests.harness.clock import ManualClock
from tests.harness.wires import DEADLINE_S, SocketWire, WebSocketWire, memory_wire

TRANSPORTS = ("memory", "tcp", "tls", "ws")


class Site:
    """One broker and its clients; `close` ends them all.

    Args:
        transport:     one of TRANSPORTS.
        configuration: options for the broker, as text.
        listeners:     how many; each has a thread of its own, or in memory a worker.
        pki:           the folder of the test PKI, for TLS.
    """

    def __init__(self, transport, configuration="", listeners=1, pki=None):
        self.transport = transport
        self.clock = ManualClock()
        self.clients = []
        self._pki = pki
        one = "listener 0 127.0.0.1\n"
        if transport == "tls":
            one += f"certfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
        text = "allow_anonymous true\nsys_interval 0\n" + configuration + "\n" + one * listeners
        self.configuration = Configuration.parse(text)
        if transport == "memory":
            self._open_memory()
        else:
            self.broker = Broker(self.configuration, self.clock)
            self.broker.start()
            self.context = self.broker.context

    def _open_memory(self):
        configuration = self.configuration
        self.broker = None
        self.context = make_context(configuration)
        self.handlers = build()
        self._guard = Guard(configuration)
        self.settings = [
            Settings.of(listener, 1883 + place, self._guard.access(listener))
            for place, listener in enumerate(configuration.listeners)
        ]
        count = len(self.settings)
        self.workers = [Worker(f"memory {place}", self.clock) for place in range(count)]
        housekeeping = Worker("housekeeping", self.clock)
        self._all_workers = [*self.workers, housekeeping]
        if configuration["sys_interval"]:
            interval_s = configuration["sys_interval"]
            sys_topics = SysTopics(
                self.context, housekeeping, self._statistics, VERSION, interval_s
            )
            sys_topics.publish(housekeeping.now)

    def _statistics(self):
        return total(worker.statistics for worker in self._all_workers)

    def wire(self, listener=0):
        """A new network connection."""
        if self.transport == "memory":
            return memory_wire(self, listener)
        port = self.broker.ports[listener]
        if self.transport == "tls":
            context = ssl.create_default_context(cafile=f"{self._pki}/ca.pem")
            return SocketWire(self, port, context)
        wire = SocketWire(self, port)
        return WebSocketWire(wire) if self.transport == "ws" else wire

    def client(self, version=5, listener=0):
        """A client that has not sent its CONNECT."""
        client = Client(self, self.wire(listener), version)
        self.clients.append(client)
        return client

    def advance(self, seconds):
        """Let time pass, and the broker do what is due then.

        What clients have sent is handled before: each connected one gets a PINGRESP first, unless
        that would change what the test is about, in which case it used `send` and `nothing` itself.
        """
        self.settle()
        self.clock.advance(seconds)
        if self.broker is not None:
            self.broker.nudge()
        self.settle()

    def settle(self):
        """Wait until the broker has nothing left to do that does not wait for time or network."""
        if self.broker is None:
            while True:
                for worker in self._all_workers:
                    worker.silence()
                    worker.run_due()
                    worker.flush()
                if all(worker.idle for worker in self._all_workers):
                    return
        workers = [listener.loop for listener in self.broker._listeners]
        workers.append(self.broker._housekeeping)
        for _ in range(3):  # a post to another thread, its answer, and what follows from that
            for worker in workers:
                done = threading.Event()
                worker.post(done.set)
                assert done.wait(DEADLINE_S), f"{worker.name} does not answer"

    def stop(self):
        """Have the broker stop while clients are connected; `close` waits for it. Not in memory."""
        for listener in self.broker._listeners:
            listener.begin_stop()

    def close(self):
        for client in self.clients:
            client.wire.close()
        if self.broker is not None:
            self.clock.release()
            self.broker.stop()
