"""The words of the command line, as docs/ci and `--help` have them.

Threads: the main thread's.
"""

import argparse
from collections.abc import Sequence

from broker.config import ConfigError
from broker.version import VERSION
from oracle.reports.standing import FAIL_ON


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
    add(
        "--report",
        metavar="FILE",
        action="append",
        default=[],
        help="write what clients did and broke, as .json, .xml (JUnit), .md or .html; may be"
        " repeated",
    )
    add(
        "--fail-on",
        choices=FAIL_ON,
        help="which broken rules make the exit code 3: those that a client must keep (the default"
        " with COMMAND), those that it should keep, too, or none",
    )
    add(
        "--trace",
        metavar="FILE",
        action="append",
        default=[],
        help="write every packet, as JSON lines, or for Wireshark if it ends in .pcapng",
    )
    add(
        "--msc",
        metavar="FILE",
        action="append",
        default=[],
        help="draw the packets as a sequence chart, in Mermaid",
    )
    add("--health", action="store_true", help="ask the broker that runs: exit code 0 if it answers")
    add("--pack", metavar="FILE", help="make a database of persistence smaller, and exit")
    add(
        "--passwd",
        nargs=2,
        metavar=("FILE", "USER"),
        help="set a user's password in a password file, which is made if it is not there, and exit;"
        " asks for it, or reads a line from standard input",
    )
    add(
        "-D",
        "--passwd-delete",
        nargs=2,
        metavar=("FILE", "USER"),
        help="delete a user from a password file, and exit",
    )
    add("--tls-keylog", metavar="FILE", help="append the secrets of TLS sessions, for Wireshark")
    add(
        "command",
        nargs="*",
        metavar="-- COMMAND",
        help="run a program that finds the broker in MQTT_HOST, MQTT_PORT, ..., and end with it",
    )
    return parser


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """What stands behind the first `--` is COMMAND, whatever it looks like."""
    ours, command = list(words), None
    if "--" in ours:
        place = ours.index("--")
        ours, command = ours[:place], ours[place + 1 :]
    arguments = argument_parser().parse_args(ours)
    if arguments.command:
        raise ConfigError(f"{arguments.command[0]}: write `--` before a command")
    if command == []:
        raise ConfigError("--: there is no command after it")
    arguments.command = command
    return arguments
