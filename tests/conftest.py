"""What all tests share: a mark that names no statement of the catalogue is a collection error."""

import os

import pytest
from hypothesis import settings

from oracle.statements import by_key

# Where the package is installed the first one is there already, and this changes nothing.
pytest_plugins = ["broker.pytest_plugin", "pytester"]

# In CI a run that fails must fail again; elsewhere each run looks at other examples.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    unknown = [
        f"{item.nodeid}: there is no statement {key!r}"
        for item in report.result or []
        if isinstance(item, pytest.Item)
        for mark in item.iter_markers("statement")
        for key in mark.args
        if key not in by_key()
    ]
    if unknown:
        report.outcome = "failed"
        report.longrepr = "\n".join(unknown)
    return report
