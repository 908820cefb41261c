"""What is logged, and where."""

import io
import logging
import sys

import pytest

from broker.config import Configuration
from broker.logging_setup import LOGGER, NOTICE, levels_to_log, printable, set_up_logging


@pytest.fixture(autouse=True)
def _restored_logger():
    before = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    yield
    for handler in LOGGER.handlers:
        handler.close()
    LOGGER.handlers[:], LOGGER.level, LOGGER.propagate = before
    LOGGER.manager._clear_cache()


def set_up(*lines, **how):
    set_up_logging(Configuration.parse("\n".join(lines)), **how)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a/b é 漢", "a/b é 漢"),
        ("a\nb\x1b[2J\x00", "a\\nb\\x1b[2J\\x00"),
        ("\u202e\ud800", "\\u202e\\ud800"),
        ("a" * 65_535, "a" * 1_000 + "…"),
    ],
)
def test_printable_shows_control_characters(text, seen):
    assert printable(text) == seen


@pytest.mark.parametrize(
    ("types", "least", "levels"),
    [
        ((), None, {20, 25, 30, 40, 50}),
        (("all",), None, {10, 20, 25, 30, 40, 50}),
        (("error", "notice"), None, {25, 40, 50}),
        ((), "debug", {10, 20, 25, 30, 40, 50}),
        ((), "warning", {30, 40, 50}),
        (("all",), "error", {40, 50}),
        (("none",), None, set()),
        ((), "none", set()),
        (("subscribe",), None, set()),
    ],
)
def test_levels(types, least, levels):
    assert levels_to_log(types, least) == levels


def test_information_goes_to_standard_error_with_the_time(capsys):
    set_up("log_timestamp_format then")
    LOGGER.info("Starting TCP listener on address %r port %d", "", 1883)
    LOGGER.debug("not this")
    LOGGER.log(NOTICE, "and this")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "then INFO: Starting TCP listener on address '' port 1883\nthen NOTICE: and this\n"
    )


def test_a_file_and_standard_output_without_the_time(tmp_path, capsys):
    set_up(f"log_dest file {tmp_path / 'a log'}", "log_dest stdout", "log_timestamp false")
    LOGGER.error("é")
    assert (tmp_path / "a log").read_text(encoding="utf-8") == "ERROR: é\n"
    assert capsys.readouterr() == ("ERROR: é\n", "")


@pytest.mark.parametrize(
    ("line", "how"), [("log_dest none", {}), ("", {"quiet": True}), ("log_type none", {})]
)
def test_nothing(line, how, capsys):
    set_up(line, **how)
    LOGGER.critical("x")
    assert capsys.readouterr() == ("", "")


def test_verbose_is_everything(capsys):
    set_up("log_type error", "log_timestamp false", verbose=True)
    LOGGER.debug("x")
    assert capsys.readouterr().err == "DEBUG: x\n"


def test_a_stream_that_nobody_reads_is_no_trouble(monkeypatch, capsys):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    set_up("log_dest stdout")
    stream.close()
    LOGGER.warning("x")
    assert capsys.readouterr().err == ""


def test_a_process_without_streams(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    set_up("log_dest stderr")
    LOGGER.warning("x")
    assert isinstance(LOGGER.handlers[0], logging.NullHandler)
