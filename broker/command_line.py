"""The command line: `python startbroker.py -c client_testing.conf`.

Standard output gets one line, `ready` and the ports, once all listeners are open; the log goes
where the configuration says. The exit code is 0 after SIGTERM or SIGINT, 1 if something could not
be opened, 2 if the configuration or the command line is wrong.

Threads: all of this runs on the main thread, which does nothing but wait for a signal.
"""

import argparse
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from broker.behaviours import BehaviourError, Behaviours
from broker.broker import Broker
from broker.config import ConfigError, Configuration
from broker.listeners.tcp import ListenerError
from broker.logging_setup import LOGGER, set_up_logging
from broker.pki import PkiError
from broker.store import pack_file
from broker.version import VERSION
from persistence.errors import StoreError

STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)
]
# Windows does not interrupt a wait for a signal.
WAKE_S = 0.5 if os.name == "nt" else None

CANNOT_OPEN, WRONG_CONFIGURATION = 1, 2
INTERRUPTED = 130


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="touchstone",
        description="An MQTT 3.1, 3.1.1 and 5.0 broker to test clients against.",
        epilog="Without a configuration it serves this machine only, on port 1883. Every option"
        " can come from the environment, too: TOUCHSTONE_LISTENER=1883.",
    )
    add = parser.add_argument
    add("-c", "--config-file", metavar="FILE", help="the configuration, in Mosquitto's format")
    add("-p", "--port", metavar="PORT", help="the default listener's port")
    add("-v", "--verbose", action="store_true", help="log everything")
    add("-q", "--quiet", action="store_true", help="log nothing")
    add("-d", "--daemon", action="store_true", help="refused: run it in the background with `&`")
    add("--version", action="version", version=f"touchstone {VERSION}")
    add("--test-config", action="store_true", help="check the configuration and exit")
    add("--strict", action="store_true", help="make an unknown option an error")
    add("--ready-file", metavar="PATH", help="write where the listeners are, as JSON, once all are")
    add("--pack", metavar="FILE", help="make a database of persistence smaller, and exit")
    add("--tls-keylog", metavar="FILE", help="append the secrets of TLS sessions, for Wireshark")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = argument_parser().parse_args(argv)
    if arguments.daemon:
        _complain("-d: this broker stays in the foreground; start it with `&` or a service manager")
        return WRONG_CONFIGURATION
    try:
        if arguments.pack is not None:
            before, after = pack_file(arguments.pack)
            _say(f"{arguments.pack}: {before} bytes before, {after} after")
            return 0
        configuration = read_configuration(arguments)
        if arguments.test_config:
            for warning in configuration.warnings:
                _complain(warning)
            _say(f"{arguments.config_file or 'the default configuration'} is good")
            return 0
        set_up_logging(configuration, arguments.verbose, arguments.quiet)
        for warning in configuration.warnings:
            LOGGER.warning("%s", warning)
        return serve(configuration, arguments.ready_file)
    except ConfigError as error:
        _complain(str(error))
        return WRONG_CONFIGURATION
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
    return configuration


def serve(configuration: Configuration, ready_file: str | None) -> int:
    """Run the broker until a signal ends it."""
    # Messages and what holds them make no cycles, and there are many: by default the collector
    # would look at them all again and again, for 10 to 20 % of the time at QoS 1.
    gc.set_threshold(100_000, 50, 100)
    # A SimpleQueue may be put to from a signal handler even while it is being read: an Event
    # could deadlock there.
    signals: SimpleQueue[int] = SimpleQueue()
    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            os._exit(INTERRUPTED)  # asked twice: do not wait for the clients
        received.append(number)
        signals.put(number)

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    pid_file: str | None = configuration["pid_file"]
    try:
        if ready_file:
            _remove(ready_file)  # that of the last run says nothing about this one
        broker = Broker(configuration)
        broker.start()
        try:
            if pid_file:
                _write_whole(pid_file, f"{os.getpid()}\n")
            if ready_file:
                _write_whole(ready_file, json.dumps(broker.ready, indent=2) + "\n")
            _say(" ".join(["ready", *map(str, broker.ports)]))
            _wait(signals)
        finally:
            broker.stop()
            if pid_file:
                _remove(pid_file)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _wait(signals: "SimpleQueue[int]") -> None:
    while True:
        try:
            signals.get(timeout=WAKE_S)
            return
        except Empty:
            continue


def _write_whole(path: str, text: str) -> None:
    """Write a file that is there with all its content or not at all."""
    unfinished = f"{path}.{os.getpid()}"
    with open(unfinished, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(unfinished, path)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _say(line: str) -> None:
    _print(line, sys.stdout)


def _complain(line: str) -> None:
    _print(line, sys.stderr)


def _print(line: str, stream: Any) -> None:
    if stream is None:  # the process was started with it closed
        return
    try:
        print(line, file=stream, flush=True)
    except (OSError, ValueError):
        # Nobody reads any more. What is left in the buffer must not fail again at the exit of
        # the interpreter, which would change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
