"""One TCP socket: reading into its connection, writing what the network takes, closing in order.

Threads: the listener's own.
"""

import logging
import socket
import sys
from collections import deque
from collections.abc import Callable

from broker.listeners.loop import Loop
from broker.listeners.polling import READ, WRITE

log = logging.getLogger("touchstone")

# An empty deque takes 600 bytes, and most connections never need one; nothing is ever added to it.
NOTHING: deque[memoryview] = deque()


class Stream:
    """The `Transport` of a connection: TCP, in order and without loss [MQTT5-4.2.0-1].

    Whoever accepts the socket says in a subclass what is done when something happens to it.

    Attributes:
        receive: who gets the bytes; set by whoever accepted the socket.
    """

    __slots__ = (
        "_closed",
        "_ended",
        "_finishing",
        "_interest",
        "_loop",
        "_paused",
        "_rest",
        "_shut",
        "_sock",
        "peer_closed",
        "receive",
        "unsent",
    )

    def __init__(self, loop: Loop, sock: socket.SocketType) -> None:
        self._loop = loop
        self._sock = sock
        self._interest = 0
        self._paused = False
        self._ended = False  # the peer sends no more
        self.peer_closed = False  # it has closed the connection
        self._finishing = False
        self._shut = False
        self._closed = False
        self._rest = NOTHING
        self.unsent = 0
        self.receive: Callable[[bytes], None] = _nothing

    def leaving(self) -> None:
        """Called once, when the end of it begins."""

    def lose(self, words: str) -> None:
        """Called, with words, when the network connection is gone without our doing."""

    def drained(self) -> None:
        """Called when everything unsent has gone out."""

    def gone(self) -> None:
        """Called once, when the socket is closed for good."""

    def open(self) -> None:
        """Begin to read."""
        self._loop.watch(self._sock, 0, READ, self._ready)
        self._interest = READ

    def _watch(self) -> None:
        reads = not (self._paused or self._ended)
        interest = (READ if reads else 0) | (WRITE if self._rest else 0)
        if interest != self._interest and not self._closed:
            self._loop.watch(self._sock, self._interest, interest, self._ready)
            self._interest = interest

    def _ready(self, events: int) -> None:
        try:
            if events & READ and not self._paused:
                loop = self._loop
                try:
                    count = self._sock.recv_into(loop.buffer)
                except (BlockingIOError, InterruptedError):
                    pass
                except OSError as error:
                    self._lost(error.strerror or str(error))
                else:
                    if count:
                        loop.statistics.bytes_received += count
                        self.receive(bytes(loop.view[:count]))
                    else:
                        self._half_closed()
            if events & WRITE and self._rest:
                self._write()
        except Exception:
            log.exception("a bug of the broker ends a connection")
            self._lost("ended by a bug of the broker")

    def send(self, data: bytes) -> None:
        """Send now what the network takes, the rest when it takes more."""
        if self._shut:
            return
        if self._rest:
            self._rest.append(memoryview(data))
            self.unsent += len(data)
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._lost(error.strerror or str(error))
            return
        if sent < len(data):
            self._rest = deque((memoryview(data)[sent:],))
            self.unsent = len(data) - sent
            self._watch()

    def send_parts(self, parts: list[bytes], size: int) -> None:
        """The same of several pieces, `size` bytes in all, copied by the kernel alone."""
        if sys.platform == "win32":  # which has no sendmsg
            self.send(b"".join(parts))
            return
        if self._shut:
            return
        sent = 0
        if not self._rest:
            try:
                sent = self._sock.sendmsg(parts)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._lost(error.strerror or str(error))
                return
            if sent == size:
                return
            self._rest = deque()
        self.unsent += size - sent
        for part in parts:
            if sent < len(part):
                self._rest.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        self._watch()

    def _write(self) -> None:
        rest = self._rest
        try:
            while rest:
                sent = self._sock.send(rest[0])
                self.unsent -= sent
                if sent < len(rest[0]):
                    rest[0] = rest[0][sent:]
                    return
                rest.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error.strerror or str(error))
            return
        self._watch()
        if self._finishing:
            self._shut_down()
        else:
            self.drained()

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        self._watch()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._watch()

    def finish(self) -> None:
        """Half-close after what is unsent, take what the peer still sends, then close.

        An immediate close would let packets of the peer that are on their way turn into a reset,
        which eats the reason code that we sent last.
        """
        if self._finishing:
            return
        self._finishing = True
        self.leaving()
        self._paused = False
        self._loop.drain(self)
        if not self._rest:
            self._shut_down()
        if self._interest != READ or self._rest:  # seldom
            self._watch()

    def _shut_down(self) -> None:
        if self._ended:
            self.close()
            return
        self._shut = True
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.peer_closed = True  # it has gone first
            self.close()

    def _half_closed(self) -> None:
        """The peer sends no more; it may still read what waits for it."""
        words = "closed by the client"
        self.peer_closed = True
        if not self._rest:
            self._lost(words)
            return
        self._ended = True
        if self._finishing:
            self._watch()
        else:
            self.finish()
            self.lose(words)

    def _lost(self, words: str) -> None:
        self.peer_closed = True
        if not self._finishing:
            self.lose(words)
        self.close()

    def close(self) -> None:
        """Close at once."""
        if self._closed:
            return
        self._closed = True
        loop = self._loop
        if self._interest:
            loop.closing(self._sock)
            self._interest = 0
        if not self._finishing:
            self._finishing = True
            self.leaving()
        loop.draining.pop(self, None)
        self._rest = NOTHING
        self._shut = True
        self._sock.close()
        self.receive = _nothing
        try:
            self.gone()  # which may ask what never left
        finally:
            self.unsent = 0


def _nothing(_data: bytes) -> None:
    """What a stream gives its bytes to that is not open."""
