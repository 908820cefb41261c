"""When reports are written while the broker runs, on a clock that the test moves."""

import json
import logging

import pytest

from broker.config import ConfigError
from broker.reporting import INTERVAL_S, Reporting, check_paths
from tests.harness.clock import ManualClock


class Run:
    """A run whose report says how often it was made."""

    def __init__(self, *paths):
        self.clock = ManualClock()
        self.activity = 0
        self.made = 0
        self.takes_s = 0
        self.reporting = Reporting(
            self.make, lambda: self.activity, [*map(str, paths)], "violation", self.clock
        )

    def make(self, complete):
        self.made += 1
        self.clock.advance(self.takes_s)
        return {"complete": complete, "made": self.made}

    def after(self, seconds):
        self.clock.advance(seconds)
        self.reporting.keep_current()
        return self.made


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.json"


@pytest.fixture
def run(path):
    return Run(path)


def test_one_is_there_from_the_beginning(run, path):
    path.write_text("of the last run")
    run.reporting.keep_current()
    assert content(path) == {"complete": False, "made": 1}


def test_while_nothing_happens_none_is_made(run):
    assert [run.after(INTERVAL_S) for _ in range(3)] == [1, 1, 1]


def test_what_happens_is_reported_but_not_at_once(run):
    run.reporting.keep_current()
    run.activity += 1
    assert run.after(INTERVAL_S - 0.5) == 1
    assert run.reporting.wait_s() == 0.5
    assert run.after(0.5) == 2
    run.activity += 1
    assert run.after(INTERVAL_S) == 3


def test_one_that_takes_long_is_made_less_often(run):
    run.takes_s = 2
    run.reporting.keep_current()
    run.activity += 1
    assert run.after(INTERVAL_S) == 1
    assert run.reporting.wait_s() == 40 - INTERVAL_S


def test_at_once_when_asked_for(run, path):
    run.reporting.keep_current()
    run.reporting.write_now()
    assert content(path) == {"complete": False, "made": 2}


def test_the_last_is_complete(run, path):
    report, problems = run.reporting.write_last()
    assert report == content(path) == {"complete": True, "made": 1}
    assert problems == []


def test_without_files_nothing_is_made_until_the_end():
    run = Run()
    assert run.reporting.wait_s() is None
    assert run.after(INTERVAL_S) == 0
    assert run.reporting.write_last() == ({"complete": True, "made": 1}, [])


def test_one_that_cannot_be_written_is_a_warning_and_hinders_no_other(tmp_path, path, caplog):
    missing = tmp_path / "gone" / "r.json"
    run = Run(missing, path)
    with caplog.at_level(logging.WARNING, "touchstone"):
        run.reporting.keep_current()
    assert content(path)["made"] == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"--report {missing}: No such file or directory"
    ]
    _, problems = run.reporting.write_last()
    assert problems == [f"--report {missing}: No such file or directory"]


@pytest.mark.parametrize("name", ["r.json", "r.xml", "r.md", "r.html", "R.HTML"])
def test_a_path_that_is_good(tmp_path, name, monkeypatch):
    check_paths([str(tmp_path / name)])
    monkeypatch.chdir(tmp_path)
    check_paths([name])


@pytest.mark.parametrize("name", ["r", "r.pdf", ".json", "json", "gone/r.json", "folder.json"])
def test_a_path_that_is_not(tmp_path, name):
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ConfigError, match=r"^--report "):
        check_paths([str(tmp_path / name)])
