"""Connections whose packets are written to trace files; the others know nothing of it.

Threads: a connection belongs to its worker; the trace takes what they all hand it.
"""

from itertools import count

from broker.connection import Connection, Handlers
from broker.context import Context
from broker.output import Transport
from broker.settings import Settings
from broker.worker import Worker
from oracle.trace.recorder import Tap, Trace


class Tracing:
    """Makes connections that are traced."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._numbers = count(1)

    def connection(
        self,
        worker: Worker,
        context: Context,
        settings: Settings,
        transport: Transport,
        address: str,
        handlers: Handlers,
    ) -> Connection:
        """As `Connection` is made."""
        connection = TracedConnection(worker, context, settings, transport, address, handlers)
        connection.tracing = self
        connection.tapped = None
        return connection

    def tap(self, connection: Connection) -> Tap:
        """Begin to trace a connection that has got as far as MQTT."""
        return self.trace.open_connection(
            next(self._numbers),
            connection.settings.port,
            connection.address,
            connection.transport_name,
            connection.worker.clock.wall(),
        )


class TracedConnection(Connection):
    """A connection that shows all that passes to a tap."""

    __slots__ = ("tapped", "tracing")

    tracing: Tracing
    tapped: Tap | None  # from its first bytes of MQTT on

    def received(self, data: bytes) -> None:
        if data:  # nothing comes, when what was kept is looked at again
            self._open().received(data)
        super().received(data)

    def sending(self, data: bytes, count: int) -> None:
        super().sending(data, count)
        self._open().sent([data])

    def sending_parts(self, parts: list[bytes], size: int) -> None:
        super().sending_parts(parts, size)
        self._open().sent([b"".join(parts)])

    def gone(self, peer_closed: bool) -> None:
        super().gone(peer_closed)
        if self.tapped is not None:
            self.tapped.ended("closed")
            self.tapped = None

    def _open(self) -> Tap:
        if self.tapped is None:
            self.tapped = self.tracing.tap(self)
        return self.tapped
