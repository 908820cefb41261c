"""The broker: from a configuration to listeners that serve it.

    with Broker("listener 0 127.0.0.1\\nallow_anonymous true") as broker:
        connect_to(broker.ports[0])

Threads: made, started and stopped by whoever owns it; each listener and the housekeeping have a
thread of their own in between. Several brokers in one process do not know of each other.
"""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from broker import late
from broker.authentication.methods import Methods
from broker.behaviours import Behaviours
from broker.clock import Clock
from broker.config import ConfigError, Configuration, ListenerConfiguration
from broker.connection import Connection
from broker.context import Context
from broker.guard.guard import Guard
from broker.handlers.table import build as build_handlers
from broker.housekeeping import Housekeeping
from broker.journal import Journal
from broker.keeping import Keeping
from broker.limits import Limits, QueueLimits
from broker.listeners.door import Door, Hall
from broker.listeners.tcp import TcpListener, bind
from broker.message import NEVER
from broker.pki import PkiError, ensure_test_pki
from broker.settings import Settings
from broker.statistics import Statistics, total
from broker.store import Store, open_store
from broker.sys_topics import SysTopics
from broker.version import VERSION
from oracle.ledger import Ledger
from oracle.reports.standing import Report

if TYPE_CHECKING:
    from broker.layers.tls_maker import TlsMaker
    from oracle.trace.recorder import Trace
    from oracle.verdict import Ignored

log = logging.getLogger("touchstone")

RETAINED_SWEEP_S = 60.0  # how often expired retained messages are looked for
STOP_S = 1.5  # how long clients may take to read what is due to them when the broker stops
JOIN_S = 1.0  # how long a thread may take that waits for no client
WRITE_S = 1.0  # for the last commit


class Broker:
    """One broker, started and stopped once; any number in one process.

    A `with` block has it running: when the block begins every port is open, `ports` says which,
    and all serving is done by threads of the broker. When the block ends, however it does, 5.0
    clients have had DISCONNECT 0x8B, what was due to clients is sent as far as they read it
    (1.5 s), the ports are free again, and no thread or file descriptor is left. Logging is the
    caller's: the logger is "touchstone".

    Args:
        configuration: read already, or text in its dialect, or None for the default one. A text
                       has no file that its paths could be relative to: they are relative to the
                       current directory.
        clock:         for tests that move time.
        trace:         takes every packet; it is closed when the broker has stopped.

    Raises:
        ConfigError, BehaviourError: what the operator got wrong.
    """

    def __init__(
        self,
        configuration: Configuration | str | None = None,
        clock: Clock | None = None,
        trace: "Trace | None" = None,
    ) -> None:
        if configuration is None:
            configuration = Configuration.default()
        elif isinstance(configuration, str):
            configuration = Configuration.parse(configuration)
        self.configuration = configuration
        self.clock = clock or Clock()
        keeping = Keeping(self.clock) if configuration["persistence"] else None
        self.context = make_context(configuration, keeping)
        self._guard = Guard(configuration)
        self._hall = Hall(
            configuration["global_max_connections"], configuration["max_connections_per_address"]
        )
        self._listeners: list[TcpListener] = []
        self._tls: list[tuple[str, TlsMaker]] = []  # with the line of each
        self._housekeeping = Housekeeping(self.clock)
        self._handlers = build_handlers()
        self._store: Store | None = None
        self._tracing = late.tracing(trace) if trace is not None else None
        self._ignored = ignored_statements(configuration)
        self._started = self.clock.wall()
        self._ports: list[int] = []

    def start(self) -> None:
        """Open every listener, then serve. When this raises, nothing has been started.

        Raises:
            ListenerError: a port that cannot be opened; then none is.
            ConfigError:   certificate files that cannot be used.
            PkiError:      the test PKI cannot be made.
            StoreError:    the database cannot be used.
        """
        self._ensure_test_pki()
        try:
            for listener in self.configuration.listeners:
                self._listeners.append(self._open(listener))
            self._ports = [listener.port for listener in self._listeners]
            self._open_store()
        except BaseException:
            for opened in self._listeners:
                opened.close()
            self._listeners = []
            if self._store is not None:
                self._store.database.close()
                self._store = None
            raise
        self._start_housekeeping()
        for listener, opened in zip(self.configuration.listeners, self._listeners, strict=True):
            where = "" if listener.address else ", loopback only"
            log.info(
                "Starting TCP listener on address '%s' port %d%s",
                listener.address,
                opened.port,
                where,
            )
            opened.start()

    def _ensure_test_pki(self) -> None:
        folder = self.configuration["test_pki_dir"]
        if folder is not None:
            ensure_test_pki(Path(folder), datetime.fromtimestamp(self.clock.wall(), UTC))

    def _open_store(self) -> None:
        """Open the database, put back what it holds, and have every worker note its changes."""
        keeping = self.context.keeping
        if keeping is None:
            return
        self._store = open_store(self.configuration, keeping)
        writer, housekeeping = self._store.writer, self._housekeeping
        # Places go on behind those that the database holds, which `fill` finds out.
        housekeeping.journal = Journal(writer, housekeeping.post, lambda: keeping.next_place())
        self._store.fill(self.context, housekeeping)
        housekeeping.journal.submit()
        for worker in (*(listener.loop for listener in self._listeners), housekeeping):
            worker.journal = Journal(writer, worker.post, keeping.next_place)
            writer.wait_for(worker.journal.is_begun)
        writer.start()

    def _open(self, listener: ListenerConfiguration) -> TcpListener:
        tls = None
        if listener.has_tls:
            tls = late.tls_maker(listener, self.configuration["keylog"])
            self._tls.append((listener.line, tls))
        sockets = bind(listener.address, listener.port, listener["socket_domain"])
        return TcpListener(
            self.context,
            Settings.of(listener, sockets[0].getsockname()[1], self._guard.access(listener)),
            self._handlers,
            self.clock,
            sockets,
            tls,
            Door(
                self._hall,
                listener["max_connections"],
                listener["max_connect_rate"],
                self.clock.now(),
            ),
            listener["set_tcp_nodelay"],
            tuple(listener["websockets_origin"]),
            Connection if self._tracing is None else self._tracing.connection,
        )

    def _start_housekeeping(self) -> None:
        housekeeping = self._housekeeping
        interval_s = self.configuration["sys_interval"]
        if interval_s:
            sys_topics = SysTopics(self.context, housekeeping, self.statistics, VERSION, interval_s)
            sys_topics.publish(housekeeping.now)
        self._sweep(housekeeping.now)
        housekeeping.start()

    def _sweep(self, now: float) -> None:
        self.context.retained.drop_expired(now)
        self._housekeeping.timers.at(now + RETAINED_SWEEP_S, self._sweep)

    def stop(self) -> None:
        """Accept no more, tell every client, send what is due, and end; a second time, nothing.

        Nothing, too, if it never started.
        """
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.begin_stop()
        clock = Clock()  # of this machine: a clock that a test moves does not limit this wait
        deadline = clock.now() + STOP_S
        for listener in listeners:
            listener.join(max(0.0, deadline - clock.now()))
        for listener in listeners:
            listener.end()
        for listener in listeners:
            listener.join(JOIN_S)
        self._guard.stop(JOIN_S)
        self._housekeeping.stop(JOIN_S)
        if self._store is not None:
            store, self._store = self._store, None
            if not store.writer.stop(WRITE_S):
                log.error("the database could not be written: what it had not taken yet is lost")
        if self._tracing is not None:
            self._tracing.trace.close()

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def reload_tls(self) -> list[str]:
        """Load the files of TLS again, for connections from now on; one call at a time.

        Returns:
            What is wrong with them, in words for the log. The listeners concerned keep what they
            have.
        """
        problems = []
        try:
            self._ensure_test_pki()
        except PkiError as error:
            problems.append(str(error))
        for line, tls in self._tls:
            if words := tls.reload():
                problems.append(f"{line}: {words}; what was loaded before stays in force")
        return problems

    def reload(self) -> list[str]:
        """Read all files again that say who may do what, without dropping a connection.

        Returns:
            What is wrong with them, in words for the log: as long as anything is, none of the
            password and ACL files takes effect, and of the TLS files none of the listener's.
        """
        problems = self._guard.reload()
        self.context.tree.forget_routes()
        return problems + self.reload_tls()

    def nudge(self) -> None:
        """Have every thread look at the clock: it was moved."""
        for listener in self._listeners:
            listener.loop.nudge()
        self._housekeeping.nudge()

    def statistics(self) -> Statistics:
        """What all threads have counted."""
        workers = [listener.loop.statistics for listener in self._listeners]
        return total([*workers, self._housekeeping.statistics])

    @property
    def ports(self) -> list[int]:
        """The port of each listener, in the order of the configuration."""
        return list(self._ports)

    @property
    def ready(self) -> dict[str, Any]:
        """Where everything is, for `--ready-file`."""
        folder = self.configuration["test_pki_dir"]
        return {
            "broker": f"touchstone {VERSION}",
            "pid": os.getpid(),
            "listeners": [
                {
                    "port": listener.port,
                    "addresses": listener.addresses,
                    "tls": listener.tls,
                    "protocols": ["mqtts", "wss"] if listener.tls else ["mqtt", "ws"],
                }
                for listener in self._listeners
            ],
            "test_pki_dir": folder,
        }

    def report(self, complete: bool) -> Report:
        """What every client was seen to do, as docs/report.schema.json has it.

        Args:
            complete: the broker has stopped.
        """
        now = self.clock.wall()
        offset = now - self.clock.now()
        listeners = [
            {"port": port, "tls": listener.has_tls, "mode": listener["conformance"]}
            for listener, port in zip(self.configuration.listeners, self._ports, strict=True)
        ]
        about = {
            "name": "touchstone",
            "version": VERSION,
            "complete": complete,
            "listeners": listeners,
        }
        clients, dropped = self.context.ledger.clients()
        times = {"started": self._started, "written": now}
        return late.report(about, times, clients, dropped, self._ignored, lambda at: at + offset)


def ignored_statements(configuration: Configuration) -> "list[Ignored]":
    """What `conformance_ignore` silences.

    Raises:
        ConfigError: a line that names no statement.
    """
    lines = configuration["conformance_ignore"]
    ignored = []
    for place, words in zip(configuration.places("conformance_ignore"), lines, strict=True):
        try:
            ignored.append(late.ignored(words))
        except ValueError as error:
            raise ConfigError(f"{place}: conformance_ignore: {error}") from None
    return ignored


def make_context(configuration: Configuration, keeping: Keeping | None = None) -> Context:
    """What all connections share, as configured."""
    try:
        methods = Methods(
            configuration["auth_method"],
            dict(configuration["auth_user"]),
            configuration["auth_challenge"],
        )
    except ValueError as error:
        raise ConfigError(f"auth_user: {error}") from None
    return Context(
        methods,
        Behaviours.of(configuration["behaviour"]),
        configuration["overlapping_single"],
        QueueLimits(
            configuration["max_queued_messages"],
            configuration["max_queued_bytes"],
            configuration["global_max_queued_messages"],
            configuration["global_max_queued_bytes"],
            configuration["queue_qos0_messages"],
        ),
        configuration["upgrade_outgoing_qos"],
        configuration["retain_expiry_interval"] or NEVER,
        keeping,
        Ledger(configuration["conformance_max_clients"]),
        Limits.of(configuration),
    )
