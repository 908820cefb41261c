"""A TCP listener: its server sockets, and what it accepts.

Threads: made and bound on the thread that starts the broker; after `start` its own loop's, but for
`stop`.
"""

import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from broker.clock import Clock
from broker.connection import Connection, Handlers
from broker.context import Context
from broker.entrance import Entrance
from broker.handlers.unwelcome import refusing
from broker.layers.detect import CONNECT
from broker.listeners.descriptors import Reserve, limit_for_clients
from broker.listeners.door import REASONS, Door
from broker.listeners.loop import Loop
from broker.listeners.polling import READ
from broker.listeners.stream import Stream
from broker.option_types import EVERY_INTERFACE
from broker.output import Transport
from broker.settings import Settings
from broker.worker import Worker

if TYPE_CHECKING:
    from broker.layers.tls import TlsLayer

log = logging.getLogger("touchstone")

BACKLOG = 1024
PORTS_TRIED = 5  # for `listener 0`
FAMILIES = {None: socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
ACCEPTS_A_ROUND = 64  # so that a rush of clients does not stop those that are connected
WITHOUT_DESCRIPTORS_S = 1.0  # how long not to accept when the process has no file descriptor left
WITHOUT_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
UNWELCOME_S = 2.0  # how long one that came too many may take to send its CONNECT
SHUTTING_DOWN = 0x8B
INHERITS_NODELAY = sys.platform == "linux"  # what is accepted, from the server's socket


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

    Without an address they are those of the loopback interface; "*" is every interface.

    Raises:
        ListenerError: the port is in use, may not be used, or the address is none of ours.
    """
    shown = f"port {port}" + (f" of {address}" if address else "")
    try:
        # No host is loopback, whatever a hosts file says, and with AI_PASSIVE every interface.
        found = socket.getaddrinfo(
            None if address in ("", EVERY_INTERFACE) else address,
            port,
            FAMILIES[domain],
            socket.SOCK_STREAM,
            0,
            socket.AI_PASSIVE if address == EVERY_INTERFACE else 0,
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


class Guest(Stream):
    """The stream of a connection that was let in, or waits outside for its refusal.

    Args:
        host: as the door knows it; "" for one that waits outside.
    """

    __slots__ = ("_entrance", "_host", "_listener", "connection")

    connection: Connection  # until the socket is closed

    def __init__(self, listener: "TcpListener", sock: socket.SocketType, host: str) -> None:
        Stream.__init__(self, listener.loop, sock)  # `super` would be a call more
        self._listener = listener
        self._host = host
        self._entrance: Entrance | None = None
        self.receive = self._enter

    def _enter(self, data: bytes) -> None:
        """Take the first bytes, until nothing lies between the network and the connection."""
        connection, listener, entrance = self.connection, self._listener, self._entrance
        if entrance is None:
            if data[0] == CONNECT and not listener.tls:  # as nearly all begin: a way in less
                self.receive = connection.received
                connection.received(data)
                return
            entrance = self._entrance = listener.entrance(connection)
        entrance.received(data)
        if entrance.plain and self._sock.fileno() >= 0:
            self.receive = connection.received
            self._entrance = None

    def lose(self, words: str) -> None:
        self.connection.lost(words)

    def drained(self) -> None:
        self.connection.drained()

    def leaving(self) -> None:
        if self._host:
            self._listener.door.leave(self._host)
        else:
            self._listener.door.go_away()

    def gone(self) -> None:
        connection = self.connection
        del self.connection  # what they hold together can go
        self._entrance = None
        self._listener.forget(self, connection)


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
        tls: "Callable[[], TlsLayer] | None",
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
        self.door = door
        self._unwelcome = {
            limit: refusing(handlers, reason, f"{limit} is reached")
            for limit, reason in REASONS.items()
        }
        self._reserve = Reserve()
        self._nodelay = nodelay and not INHERITS_NODELAY
        if nodelay and INHERITS_NODELAY:
            for one in sockets:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._origins = origins
        self._make = make
        self._open: dict[Guest, Connection] = {}
        self._accepts = False
        self._expected = 1  # clients at once, as far as that shows
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
        """Accept as many as are expected: to find out that there are no more would cost a system
        call and an exception for nearly each. When all come, the next round expects more."""
        expected = self._expected
        family = server.family
        for count in range(expected):
            if not self._accepts:  # since this round's events were asked for
                return
            try:
                # What `accept` does, but for the class in Python that it puts around the socket:
                # with it, accepting and closing take 17 microseconds instead of 12.
                descriptor, peer = server._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._expected = count or 1
                return
            except OSError as error:
                self._cannot_accept(server, error)
                return
            sock = socket.SocketType(family, socket.SOCK_STREAM, 0, descriptor)
            self.loop.statistics.sockets += 1
            if descriptor >= limit_for_clients():
                self.loop.limited("descriptors", f"{peer[0]}: closed, the rest is for files")
                sock.close()
                continue
            self._admit(sock, peer)
        self._expected = min(2 * expected, ACCEPTS_A_ROUND)

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

    def _admit(self, sock: socket.SocketType, peer: Any) -> None:
        """Let a client in; or if there are too many let it say who it is, and tell it."""
        host = sys.intern(peer[0])  # each connection from there keeps it
        address = f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
        loop, handlers = self.loop, self._handlers
        limit = self.door.enter(host, loop.now)
        if limit:
            loop.limited(limit, f"{host}: refused")
            if not self.door.wait_outside():
                sock.close()
                return
            host, handlers = "", self._unwelcome[limit]
        sock.setblocking(False)
        if self._nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        guest = Guest(self, sock, host)
        connection = self._make(loop, self._context, self._settings, guest, address, handlers)
        guest.connection = self._open[guest] = connection
        guest.open()
        if limit:
            loop.timers.at(loop.now + UNWELCOME_S, lambda _now: connection.close())

    def entrance(self, connection: Connection) -> Entrance:
        """The way in of a connection that does not begin with MQTT."""
        return Entrance(connection, self._make_tls, self._origins)

    def forget(self, guest: Guest, connection: Connection) -> None:
        """Its socket is closed."""
        self._open.pop(guest, None)
        connection.gone(guest.peer_closed or self._stopping)
        if self._stopping:
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
