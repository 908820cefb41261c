"""The command line: `python startbroker.py -c client_testing.conf`.

Standard output gets one line, `ready` and the ports, once all listeners are open, and what COMMAND
writes there; the log goes where the configuration says, the summary to standard error. The exit
code is 0 after SIGTERM or SIGINT, 1 if something could not be opened or a report not be written,
2 if the configuration or the command line is wrong, 3 if a violation stands and `--fail-on` asks
for it; with `-- COMMAND`, that of COMMAND comes first.

Threads: all of this runs on the main thread, which waits for signals and for the end of COMMAND,
and writes reports.
"""

import argparse
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any

from broker import late
from broker.arguments import parse_arguments
from broker.behaviours import BehaviourError, Behaviours
from broker.broker import Broker, ignored_statements
from broker.clock import Clock
from broker.config import ConfigError, Configuration
from broker.guard.guard import Guard
from broker.listeners.health import unhealthy_because
from broker.listeners.tcp import ListenerError
from broker.logging_setup import LOGGER, NOTICE, set_up_logging
from broker.option_types import EVERY_INTERFACE
from broker.pki import PkiError
from broker.reporting import Reporting, check_paths, github_lines, on_github
from broker.running import EVERYWHERE, Command, CommandError, environment
from broker.store import pack_file
from broker.whole_files import remove, write_whole
from oracle.reports.standing import NEVER, VIOLATION, standing
from persistence.errors import StoreError

if TYPE_CHECKING:
    from oracle.trace.output import Output
    from oracle.trace.recorder import Trace

STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
]
REPORT_SIGNAL: int | None = getattr(signal, "SIGUSR1", None)  # Windows has none
RELOAD_SIGNAL: int | None = getattr(signal, "SIGHUP", None)
COMMAND_ENDED = 0  # where the number of a signal stands otherwise
# Windows does not interrupt a wait for a signal.
SETTLED_S = 1.0  # after which the first clients have had their CONNACK
WAKE_S = 0.5 if os.name == "nt" else None

UNHEALTHY, CANNOT_OPEN, WRONG_CONFIGURATION, VIOLATION_STANDS, INTERRUPTED = 1, 1, 2, 3, 130

Events = SimpleQueue[int]


def main(argv: Sequence[str] | None = None) -> int:
    try:
        arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    except ConfigError as error:
        _complain(str(error))
        return WRONG_CONFIGURATION
    if arguments.daemon:
        _complain("-d: this broker stays in the foreground; start it with `&` or a service manager")
        return WRONG_CONFIGURATION
    try:
        if arguments.pack is not None:
            before, after = pack_file(arguments.pack)
            _say(f"{arguments.pack}: {before} bytes before, {after} after")
            return 0
        if arguments.passwd is not None or arguments.passwd_delete is not None:
            late.change_passwords(arguments)
            return 0
        configuration = read_configuration(arguments)
        if arguments.test_config:
            for warning in configuration.warnings:
                _complain(warning)
            late.check_tls(configuration)
            Guard(configuration)
            _say(f"{arguments.config_file or 'the default configuration'} is good")
            return 0
        if arguments.health:
            return ask_health(configuration, arguments.ready_file)
        check_paths(arguments.report)
        set_up_logging(configuration, arguments.verbose, arguments.quiet)
        for warning in configuration.warnings:
            LOGGER.warning("%s", warning)
        return serve(configuration, arguments)
    except ConfigError as error:
        _complain(str(error))
        return WRONG_CONFIGURATION
    except CommandError as error:
        _complain(str(error))
        return error.exit_code
    except (ListenerError, PkiError, StoreError, OSError) as error:
        _complain(str(error))
        return CANNOT_OPEN


def read_configuration(arguments: argparse.Namespace) -> Configuration:
    """What the file, the environment and the command line say together."""
    given = {"port": arguments.port, "keylog": arguments.tls_keylog}
    switches = {key: words for key, words in given.items() if words is not None}
    if arguments.config_file is None:
        configuration = Configuration.parse(
            "", environment=os.environ, strict=arguments.strict, switches=switches
        )
    else:
        configuration = Configuration.load(
            arguments.config_file, os.environ, arguments.strict, switches
        )
    behaviours = zip(configuration.places("behaviour"), configuration["behaviour"], strict=True)
    for place, words in behaviours:
        try:
            Behaviours.of((words,))
        except BehaviourError as error:
            raise ConfigError(f"{place}: behaviour: {error}") from None
    ignored_statements(configuration)  # for --test-config: nothing else reads them then
    return configuration


def ask_health(configuration: Configuration, ready_file: str | None) -> int:
    """Whether the broker of this configuration answers, at its first listener without TLS."""
    listeners = [(each.address, each.port, each.has_tls) for each in configuration.listeners]
    if ready_file is not None:
        with open(ready_file, encoding="utf-8") as file:
            opened = json.load(file)["listeners"]
        listeners = [(each["addresses"][0], each["port"], each["tls"]) for each in opened]
    address, port, tls = min(listeners, key=lambda listener: listener[2])
    if not port:
        raise ConfigError("--health: which port is free is not known without --ready-file")
    here = not address or address in (*EVERYWHERE, EVERY_INTERFACE)
    problem = unhealthy_because(None if here else address, port, tls)
    if problem:
        _complain(problem)
        return UNHEALTHY
    return 0


def serve(configuration: Configuration, arguments: argparse.Namespace) -> int:
    """Run the broker until a signal, or COMMAND, ends it; the exit code."""
    # Messages and what holds them make no cycles, and there are many: by default the collector
    # would look at them all again and again, for 10 to 20 % of the time at QoS 1.
    gc.set_threshold(100_000, 50, 100)
    # What is read at once takes some 100 KiB, again and again. glibc maps and unmaps such blocks,
    # which costs more than all that is done with them, until one as large has been freed
    # (mallopt(3), M_MMAP_THRESHOLD): messages of 16 KiB cost up to a third less.
    bytes(1 << 20)
    # What no line of the log says need not be found out for each ("Logging HOWTO", optimization).
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # A SimpleQueue may be put to from a signal handler even while it is being read: an Event
    # could deadlock there.
    events: Events = SimpleQueue()
    received: list[int] = []
    command: Command | None = None

    def on_stop(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:  # asked twice: do not wait for anybody
            if command is not None:
                command.kill()
            os._exit(INTERRUPTED)
        received.append(number)
        events.put(number)

    handlers: dict[int, Callable[[int, FrameType | None], None]]
    handlers = dict.fromkeys(STOP_SIGNALS, on_stop)
    for each in (REPORT_SIGNAL, RELOAD_SIGNAL):
        if each is not None:
            handlers[each] = lambda number, _frame: events.put(number)
    with contextlib.ExitStack() as undo:
        for number, handler in handlers.items():
            undo.callback(signal.signal, number, signal.signal(number, handler))
        clock = Clock()
        broker = Broker(configuration, clock, _open_trace(arguments, clock, undo))
        reporting = Reporting(
            broker.report,
            lambda: _activity(broker),
            arguments.report,
            arguments.fail_on or VIOLATION,
            broker.clock,
        )
        _start(broker, configuration, arguments, undo)
        reporting.keep_current()  # that of the last run says nothing about this one
        if arguments.command is not None:
            variables = environment(configuration, broker.ready, arguments.ready_file)
            command = Command(arguments.command, variables, lambda: events.put(COMMAND_ENDED))
            undo.callback(command.kill)
        _wait(events, reporting, broker, command)
        broker.stop()
        return _conclude(reporting, arguments, command)


def _open_trace(
    arguments: argparse.Namespace, clock: Clock, undo: contextlib.ExitStack
) -> "Trace | None":
    """What every packet goes to; None if nothing was asked for."""
    outputs: list[Output] = []
    for option, begin in (("trace", late.open_trace), ("msc", late.draw)):
        for path in getattr(arguments, option):
            try:
                outputs.append(begin(Path(path)))
            except ValueError as error:
                raise ConfigError(f"--{option}: {error}") from None
            except OSError as error:
                raise OSError(f"--{option} {path}: {error.strerror}") from None
    if not outputs:
        return None
    trace = late.trace(outputs, clock.wall)
    undo.callback(trace.close)
    return trace


def _start(
    broker: Broker,
    configuration: Configuration,
    arguments: argparse.Namespace,
    undo: contextlib.ExitStack,
) -> None:
    """Start it, and tell everybody."""
    pid_file: str | None = configuration["pid_file"]
    if arguments.ready_file is not None:
        remove(arguments.ready_file)  # that of the last run says nothing about this one
    elif arguments.command is not None:
        folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="touchstone-"))
        arguments.ready_file = os.path.join(folder, "ready.json")
    broker.start()
    undo.callback(broker.stop)
    if pid_file:
        undo.callback(remove, pid_file)
        write_whole(pid_file, f"{os.getpid()}\n")
    if arguments.ready_file is not None:
        write_whole(arguments.ready_file, json.dumps(broker.ready, indent=2) + "\n")
    _say(" ".join(["ready", *map(str, broker.ports)]))


def _activity(broker: Broker) -> object:
    counted = broker.statistics()
    return counted.sockets, counted.bytes_received, counted.violations


def _reload(broker: Broker) -> None:
    """Have what the files hold now take effect."""
    problems = broker.reload()
    for problem in problems:
        LOGGER.error("%s", problem)
    if not problems:
        LOGGER.log(NOTICE, "the files are loaded again")


def _wait(events: Events, reporting: Reporting, broker: Broker, command: Command | None) -> None:
    """Until COMMAND has ended or a signal has ended it, or, without one, until a signal."""
    settles: float | None = SETTLED_S
    while True:
        waits = [wait for wait in (WAKE_S, reporting.wait_s(), settles) if wait is not None]
        try:
            event = events.get(timeout=min(waits, default=None))
        except Empty:
            if settles is not None:
                settles = None
                late.prepare_end()
            reporting.keep_current()
            continue
        if event == REPORT_SIGNAL:
            reporting.write_now()
            continue
        if event == RELOAD_SIGNAL:
            _reload(broker)
            continue
        if command is not None and event != COMMAND_ENDED:
            command.end(event)
        return


def _conclude(reporting: Reporting, arguments: argparse.Namespace, command: Command | None) -> int:
    """Write and say what the run has shown; the exit code."""
    fail_on = arguments.fail_on or VIOLATION
    report, problems = reporting.write_last()
    for problem in problems:
        _complain(problem)
    if not arguments.quiet:
        _complain(late.summary(report, fail_on).rstrip("\n"))
    if on_github(os.environ):
        try:
            if lines := github_lines(report, fail_on, os.environ):
                _say(lines.rstrip("\n"))
        except OSError as error:
            _complain(f"GITHUB_STEP_SUMMARY: {error}")
    if command is not None and command.status:
        return command.status
    if problems:
        return CANNOT_OPEN
    # Whoever starts a broker in the background and ends it with SIGTERM does not expect that its
    # exit code depends on clients, unless it was asked to.
    if command is None and arguments.fail_on is None:
        fail_on = NEVER
    return VIOLATION_STANDS if standing(report, fail_on) else 0


def _say(line: str) -> None:
    _print(line, sys.stdout)


def _complain(line: str) -> None:
    _print(line, sys.stderr)


def _print(line: str, stream: Any) -> None:
    if stream is None:  # the process was started with it closed
        return
    encoding = stream.encoding or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        # Nobody reads any more. What is left in the buffer must not fail again at the exit of
        # the interpreter, which would change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
