"""One run of the tests in one process: makes its brokers, and keeps what they reported.

Threads: the one that runs the tests.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from broker.clock import Clock
from broker.testing.fixture import MqttBroker
from broker.testing.merging import Merged
from broker.testing.setting_up import Wanted, configure
from broker.testing.verdict import Verdict
from oracle.reports import standing, summary
from oracle.reports.standing import Report
from oracle.reports.writing import write
from oracle.verdict import iso


def verdict_on(broker: MqttBroker, fail_on: str) -> Verdict:
    """A verdict that has violations to show even where none is to fail a test."""
    return Verdict(broker, standing.VIOLATION if fail_on == standing.NEVER else fail_on)


class Run:
    """Args:
    new_folder: makes an empty folder that is this process's own.
    file:       the configuration that all brokers start from, or None.
    tls:        every broker has ports with TLS.
    """

    def __init__(self, new_folder: Callable[[], Path], file: str | None, tls: bool) -> None:
        self._new_folder = new_folder
        self._file = file
        self._tls = tls
        self._pki: Path | None = None
        self.reports = Reports()

    def broker(self, lines: Sequence[str] = (), tls: bool = False) -> MqttBroker:
        """A broker that runs.

        Raises:
            ConfigError, BehaviourError: what is wrong with the configuration.
            PkiError: the certificates cannot be made.
            ListenerError: a port cannot be opened.
        """
        wanted = Wanted(tuple(lines), self._file, tls or self._tls)
        return MqttBroker(
            lambda: configure(wanted, self._pki_folder, self._new_folder), self.reports.add
        )

    def _pki_folder(self) -> Path:
        if self._pki is None:
            self._pki = self._new_folder() / "test-pki"
        return self._pki


class Reports:
    """What the brokers of a run reported, in all processes of it."""

    def __init__(self) -> None:
        self._merged = Merged(_now())
        self._complete = True

    def add(self, report: Report) -> None:
        self._merged.add(report)

    def as_text(self) -> str:
        """For another process's `add_text`; ASCII."""
        return json.dumps(self.merged())

    def add_text(self, text: str) -> None:
        self.add(json.loads(text))

    def miss(self) -> None:
        """Another process ended without its report."""
        self._complete = False

    def merged(self) -> Report:
        return self._merged.report(_now(), self._complete)

    def write(self, paths: Sequence[str], fail_on: str) -> list[str]:
        """Write all of it to files; what could not be written."""
        problems = []
        report = self.merged()
        for path in paths:
            try:
                write(report, path, fail_on)
            except OSError as error:
                problems.append(f"--mqtt-report {path}: {error.strerror or error}")
        return problems

    def summary(self, fail_on: str) -> str:
        return summary.render(self.merged(), fail_on)


def _now() -> str:
    return iso(Clock().wall())
