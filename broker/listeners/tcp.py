"""A TCP listener: its server sockets, and what it accepts.

Threads: made and bound on the thread that starts the broker; after `start` its own loop's, but for
`stop`.
"""

import errno
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from broker.clock import Clock
from broker.connection import Connection, Handlers
from broker.context import Context
from broker.entrance import Entrance
from broker.handlers.unwelcome import refusing
from broker.layers.tls import TlsLayer
from broker.listeners.descriptors import Reserve, limit_for_clients
from broker.listeners.door import REASONS, Door
from broker.listeners.loop import Loop
from broker.listeners.polling import READ
from broker.listeners.stream import Stream
from broker.output import Transport
from broker.settings import Settings
from broker.worker import Worker

log = logging.getLogger("touchstone")

BACKLOG = 1024
PORTS_TRIED = 5  # for `listener 0`
FAMILIES = {None: socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
ACCEPTS_A_ROUND = 64  # so that a rush of clients does not stop those that are connected
WITHOUT_DESCRIPTORS_S = 1.0  # how long not to accept when the process has no file descriptor left
WITHOUT_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
UNWELCOME_S = 2.0  # how long one that came too many may take to send its CONNECT
SHUTTING_DOWN = 0x8B


MakeConnection = Callable[[Worker, Context, Settings, Transport, str, Handlers], Connection]


class ListenerError(Exception):
    """A listener cannot be opened; one line that says which and why."""


def bind(address: str, port: int, domain: str | None) -> list[socket.socket]:
    """`bind_once`, again where a port that is free for IPv4 turns out not to be for IPv6."""
    for _ in range(PORTS_TRIED - 1 if not port else 0):
        try:
            return bind_once(address, port, domain)
        except ListenerError:
            continue
    return bind_once(address, port, domain)


def bind_once(address: str, port: int, domain: str | None) -> list[socket.socket]:
    """Server sockets for one listener, IPv4 and IPv6 as the address has them, on one port.

    Raises:
        ListenerError: the port is in use, may not be used, or the address is none of ours.
    """
    shown = f"port {port}" + (f" of {address}" if address else "")
    try:
        found = socket.getaddrinfo(
            address or None, port, FAMILIES[domain], socket.SOCK_STREAM, 0, socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenerError(f"cannot listen on {shown}: {error.strerror}") from None
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    # IPv4 first: it is there everywhere, and gives the port to IPv6 where any will do.
    for kind, _, _, _, place in sorted(set(found), key=lambda one: one[0] != socket.AF_INET):
        try:
            server = socket.socket(kind, socket.SOCK_STREAM)
        except OSError as error:  # this system has no IPv6
            problem = problem or error
            continue
        try:
            # On Windows, SO_REUSEADDR would share the port with whoever has it.
            exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
            server.setsockopt(socket.SOL_SOCKET, exclusive or socket.SO_REUSEADDR, 1)
            if kind == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((place[0], port, *place[2:]))
            server.listen(BACKLOG)
        except OSError as error:
            server.close()
            # An IPv6 address that this machine has not got is no reason to do without IPv4.
            if error.errno != errno.EADDRNOTAVAIL or not sockets:
                for other in sockets:
                    other.close()
                reason = error.strerror or str(error)
                raise ListenerError(f"cannot listen on {shown}: {reason}") from None
            continue
        server.setblocking(False)
        port = server.getsockname()[1]
        sockets.append(server)
    if not sockets:
        raise ListenerError(f"cannot listen on {shown}: {problem}")
    return sockets


class TcpListener:
    """One `listener` of the configuration.

    Args:
        tls:  makes the TLS layer of each connection; None for plain TCP.
        door: lets connections in, or not.
        make: makes the connection.
    """

    def __init__(
        self,
        context: Context,
        settings: Settings,
        handlers: Handlers,
        clock: Clock,
        sockets: list[socket.socket],
        tls: Callable[[], TlsLayer] | None,
        door: Door,
        nodelay: bool = True,
        origins: tuple[str, ...] = (),
        make: MakeConnection = Connection,
    ) -> None:
        self.addresses: list[str] = [one.getsockname()[0] for one in sockets]
        self.port: int = sockets[0].getsockname()[1]
        self.tls = tls is not None
        self.loop = Loop(f"listener {self.port}", clock)
        self._context = context
        self._settings = settings
        self._handlers = handlers
        self._sockets = sockets
        self._make_tls = tls
        self._door = door
        self._unwelcome = {
            limit: refusing(handlers, reason, f"{limit} is reached")
            for limit, reason in REASONS.items()
        }
        self._reserve = Reserve()
        self._nodelay = nodelay
        self._origins = origins
        self._make = make
        self._open: dict[Stream, Connection] = {}
        self._accepts = False
        self._stopping = False
        self._thread = threading.Thread(target=self.loop.run, name=self.loop.name, daemon=True)

    def start(self) -> None:
        """Accept connections, on a thread of its own."""
        self._accepting(True)
        self._thread.start()

    def _accepting(self, accepting: bool) -> None:
        if accepting == self._accepts:
            return
        self._accepts = accepting
        for server in self._sockets:
            events = READ if accepting else 0
            self.loop.watch(server, READ - events, events, partial(self._accept, server))

    def _accept(self, server: socket.socket, _events: int) -> None:
        for _ in range(ACCEPTS_A_ROUND):
            if not self._accepts:  # since this round's events were asked for
                return
            try:
                sock, peer = server.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(server, error)
                return
            self.loop.statistics.sockets += 1
            if sock.fileno() >= limit_for_clients():
                self.loop.limited("descriptors", f"{peer[0]}: closed, the rest is for files")
                sock.close()
                continue
            self._admit(sock, peer)

    def _cannot_accept(self, server: socket.socket, error: OSError) -> None:
        """Most likely no file descriptor is left, and not even the next attempt would help: close
        who waits, and try again in a while."""
        words = f"accepts nothing for a moment: {error.strerror}"
        if error.errno in WITHOUT_DESCRIPTORS:
            self.loop.limited("descriptors", words)
            if self._reserve.give():
                with suppress(OSError):
                    for _ in range(ACCEPTS_A_ROUND):
                        server.accept()[0].close()
                self._reserve.take()
        else:
            log.error("port %d: %s", self.port, words)
        self._accepting(False)
        self.loop.timers.at(self.loop.now + WITHOUT_DESCRIPTORS_S, self._accept_again)

    def _accept_again(self, _now: float) -> None:
        if self._sockets:  # it has not stopped meanwhile
            self._reserve.take()
            self._accepting(True)

    def _admit(self, sock: socket.socket, peer: Any) -> None:
        """Let a client in; or if there are too many let it say who it is, and tell it."""
        host, port = peer[:2]
        door = self._door
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        limit = door.enter(host, self.loop.now)
        if not limit:
            self._welcome(sock, address, self._handlers, partial(door.leave, host))
            return
        self.loop.limited(limit, f"{host}: refused")
        if not door.wait_outside():
            sock.close()
            return
        connection = self._welcome(sock, address, self._unwelcome[limit], door.go_away)
        self.loop.timers.at(self.loop.now + UNWELCOME_S, lambda _now: connection.close())

    def _welcome(
        self, sock: socket.socket, address: str, handlers: Handlers, leaving: Callable[[], None]
    ) -> Connection:
        sock.setblocking(False)
        if self._nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(self.loop, sock)
        connection = self._make(self.loop, self._context, self._settings, stream, address, handlers)
        entrance = Entrance(connection, self._make_tls, self._origins)

        def receive(data: bytes) -> None:
            entrance.received(data)
            if entrance.plain:
                stream.receive = connection.received  # from here on nothing lies between

        stream.receive = receive
        stream.lose = connection.lost
        stream.drained = connection.drained
        stream.leaving = leaving
        stream.gone = lambda: self._forget(stream, connection)
        self._open[stream] = connection
        stream.open()
        return connection

    def _forget(self, stream: Stream, connection: Connection) -> None:
        self._open.pop(stream, None)
        connection.gone(stream.peer_closed or self._stopping)
        stream.receive = stream.lose = _nothing  # what they hold together can go
        stream.drained = stream.gone = stream.leaving = _nothing_at_all
        self._end_if_closed()

    def begin_stop(self) -> None:
        """Have the loop accept no more, tell every client, and end. From any thread."""
        self.loop.post(self._stop)

    def _stop(self) -> None:
        self._accepting(False)
        for server in self._sockets:
            server.close()
        self._sockets = []
        self._reserve.give()
        self.loop.post(self._tell_all)  # after what waits in inboxes now

    def _tell_all(self) -> None:
        self._stopping = True
        for connection in list(self._open.values()):
            if connection.connected:
                connection.disconnect(SHUTTING_DOWN, None, "the broker stops")
            else:
                connection.close()
        self._end_if_closed()

    def _end_if_closed(self) -> None:
        if self._stopping and not self._open:
            self.loop.stop()

    def end(self) -> None:
        """Have the loop end even though clients do not take what is due to them. From any
        thread."""
        self.loop.post(self._end)

    def _end(self) -> None:
        self._stopping = True
        for stream in list(self._open):
            stream.close()
        self._end_if_closed()

    def join(self, patience_s: float) -> bool:
        """Wait for the end; False when it does not come in time."""
        if self._thread.is_alive():
            self._thread.join(patience_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Give up the sockets of a listener that was never started."""
        for server in self._sockets:
            server.close()
        self._reserve.give()
        self.loop.close()


def _nothing(_: object) -> None:
    """What a closed stream calls."""


def _nothing_at_all() -> None:
    """What a closed stream calls."""
