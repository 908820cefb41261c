"""What only some runs need, or only their end, imported when it is needed.

A broker that tests clients is started again and again, and most of the time that takes goes into
imports. Those of a listener with TLS, of traces, reports and of `-- COMMAND` are a third of all;
here are the functions that they are for, and what is not in this module is imported at the top of
whatever needs it.

Threads: any.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker.config import Configuration, ListenerConfiguration
    from broker.layers.tls_maker import TlsMaker
    from broker.tracing import Tracing
    from oracle.ledger import Record
    from oracle.reports.standing import Report
    from oracle.trace.output import Output
    from oracle.trace.recorder import Trace
    from oracle.verdict import Ignored


# TLS


def tls_maker(listener: "ListenerConfiguration", keylog: str | None) -> "TlsMaker":
    """See `broker.tls_listeners`."""
    from broker.tls_listeners import tls_maker

    return tls_maker(listener, keylog)


def check_tls(configuration: "Configuration") -> None:
    """See `broker.tls_listeners`."""
    from broker.tls_listeners import check_tls

    check_tls(configuration)


# Traces


def open_trace(path: Path) -> "Output":
    """See `oracle.trace.files`."""
    from oracle.trace.files import open_trace

    return open_trace(path)


def draw(path: Path) -> "Output":
    """A sequence chart."""
    from oracle.trace.msc import SequenceChart

    return SequenceChart(path)


def trace(outputs: Sequence["Output"], wall: Callable[[], float]) -> "Trace":
    """What every packet goes to."""
    from oracle.trace.recorder import Trace

    return Trace(outputs, wall)


def tracing(trace: "Trace") -> "Tracing":
    """What has a broker's connections traced."""
    from broker.tracing import Tracing

    return Tracing(trace)


# Reports


def ignored(words: str) -> "Ignored":
    """See `oracle.verdict.parse_ignored`."""
    from oracle.verdict import parse_ignored

    return parse_ignored(words)


def report(
    about: dict[str, Any],
    times: Mapping[str, float],
    clients: Iterable["Record"],
    dropped: int,
    ignored: Iterable["Ignored"],
    wall: Callable[[float], float],
) -> "Report":
    """See `oracle.verdict.build`; `times` go into the part about the broker."""
    from oracle.verdict import build, iso

    about = {**about, **{name: iso(at) for name, at in times.items()}}
    return build(about, clients, dropped, ignored, wall)


def check_report(path: Path) -> None:
    """Raises ValueError for an ending that no report has."""
    from oracle.reports.writing import renderer

    renderer(path)


def write_report(report: "Report", path: str, fail_on: str) -> None:
    """See `oracle.reports.writing`."""
    from oracle.reports.writing import write

    write(report, path, fail_on)


def summary(report: "Report", fail_on: str) -> str:
    """What a run ends with on standard error."""
    from oracle.reports.summary import render

    return render(report, fail_on)


def github_page(report: "Report", fail_on: str) -> str:
    """For the page of a job of GitHub Actions."""
    from oracle.reports.markdown import render

    return render(report, fail_on)


def github_lines(report: "Report", fail_on: str) -> str:
    """What a step of GitHub Actions prints."""
    from oracle.reports.github import render

    return render(report, fail_on)


def prepare_end() -> None:
    """Import what the end of every run needs: the files may be others by then."""
    import oracle.reports.github
    import oracle.reports.markdown
    import oracle.reports.summary
    import oracle.verdict  # noqa: F401


# Password files


def change_passwords(arguments: argparse.Namespace) -> None:
    """See `broker.guard.passwd.run`."""
    from broker.guard.passwd import run

    run(arguments)
