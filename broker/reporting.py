"""The reports of a run: written while it runs, when asked for, and at its end.

Whoever stops a broker with SIGKILL has a report that is a few seconds old; so a file is written
soon after something happened, not only at the end.

Threads: the main thread's alone. Listeners are not waited for: what they do while a report is made
is in the next one.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from broker import late
from broker.clock import Clock
from broker.config import ConfigError
from oracle.reports.standing import Report

log = logging.getLogger("touchstone")

INTERVAL_S = 5.0  # between two reports that nobody asked for
SHARE = 20  # making and writing them takes one part in so many of the time, at most


def check_paths(paths: Sequence[str]) -> None:
    """Raises ConfigError where a report cannot be written, for its ending or its folder."""
    for path in paths:
        try:
            late.check_report(Path(path))
        except ValueError as error:
            raise ConfigError(f"--report {error}") from None
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ConfigError(f"--report {path}: there is no folder {folder}")
        if os.path.isdir(path):
            raise ConfigError(f"--report {path}: is a folder")


class Reporting:
    """Writes what `make_report` makes to every one of `paths`.

    Args:
        make_report: makes the report; its argument is whether the run is over.
        activity:    changes when there may be something new to report; cheap.
        fail_on:     which violations stand (`oracle/reports/standing.py`).
    """

    def __init__(
        self,
        make_report: Callable[[bool], Report],
        activity: Callable[[], object],
        paths: Sequence[str],
        fail_on: str,
        clock: Clock,
    ) -> None:
        self._make_report = make_report
        self._activity = activity
        self._paths = paths
        self._fail_on = fail_on
        self._clock = clock
        self._due = clock.now()
        self._written: object = None  # the activity that the files have

    def wait_s(self) -> float | None:
        """How long until `keep_current` should be called; None: never."""
        if not self._paths:
            return None
        return max(0.0, self._due - self._clock.now())

    def keep_current(self) -> None:
        """Write the reports if that is due and something happened since."""
        if not self._paths or self._clock.now() < self._due:
            return
        if self._activity() == self._written:
            self._due = self._clock.now() + INTERVAL_S
        else:
            self.write_now()

    def write_now(self) -> Report:
        """Write the reports as things stand. A file that cannot be written is a warning."""
        begun = self._clock.now()
        self._written = self._activity()
        report = self._make_report(False)
        for problem in self._write(report):
            log.warning("%s", problem)
        ended = self._clock.now()
        self._due = ended + max(INTERVAL_S, SHARE * (ended - begun))
        return report

    def write_last(self) -> tuple[Report, list[str]]:
        """Write the reports when the run is over: the report, and what could not be written."""
        report = self._make_report(True)
        return report, self._write(report)

    def _write(self, report: Report) -> list[str]:
        problems = []
        for path in self._paths:
            try:
                late.write_report(report, path, self._fail_on)
            except OSError as error:
                problems.append(f"--report {path}: {error.strerror or error}")
        return problems


def on_github(environment: Mapping[str, str]) -> bool:
    """Whether this is a step of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def github_lines(report: Report, fail_on: str, environment: Mapping[str, str]) -> str:
    """What a step of GitHub Actions has to print; the page of its job gets the Markdown.

    Raises:
        OSError: that page cannot be written.
    """
    path = environment.get("GITHUB_STEP_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8", newline="\n") as file:
            file.write(late.github_page(report, fail_on) + "\n")
    return late.github_lines(report, fail_on)
