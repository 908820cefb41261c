"""`--passwd` and `--passwd-delete`: what becomes of the file."""

import io
import os
import stat
import sys

import pytest

from broker.command_line import main
from broker.guard import passwd
from broker.guard.password_file import read_passwords

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


class Input(io.TextIOWrapper):
    """Standard input that is a pipe, or says that it is a terminal."""

    def __init__(self, data, terminal=False):
        super().__init__(io.BytesIO(data))
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.fixture
def run(monkeypatch):
    """`run(ARGUMENT, …, typed=bytes)` is the exit code."""

    def call(*arguments, typed=b"secret\n"):
        monkeypatch.setattr(sys, "stdin", Input(typed))
        return main([str(one) for one in arguments])

    return call


@pytest.fixture
def path(tmp_path):
    return tmp_path / "passwords"


def fits(path, user_name, password):
    return read_passwords(str(path), allow_plaintext=True).verify(user_name, password)


class TestPasswd:
    def test_it_makes_a_file_and_adds_and_changes_users(self, run, path):
        assert run("--passwd", path, "joe") == 0
        assert run("--passwd", path, "änn", typed="wörd\r\n".encode()) == 0
        assert fits(path, "joe", b"secret")
        assert fits(path, "änn", "wörd".encode())
        assert run("--passwd", path, "joe", typed=b"other") == 0
        assert not fits(path, "joe", b"secret")
        assert fits(path, "joe", b"other")
        assert len(path.read_bytes().splitlines()) == 2

    @POSIX
    def test_a_new_file_is_for_its_owner_only(self, run, path):
        run("--passwd", path, "joe")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @POSIX
    def test_a_file_that_is_there_keeps_its_mode_and_its_link(self, run, path, tmp_path):
        path.write_text("")
        path.chmod(0o640)
        link = tmp_path / "link"
        link.symlink_to(path)
        assert run("--passwd", link, "joe") == 0
        assert link.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_other_lines_stay_as_they_are(self, run, path):
        path.write_bytes(b"# all\n\nann:x\r\njoe:1\njoey:2\nbob:3")
        assert run("--passwd", path, "joe") == 0
        lines = path.read_bytes().split(b"\n")
        assert lines[3].startswith(b"joe:$7$")
        assert [*lines[:3], *lines[4:]] == [b"# all", b"", b"ann:x\r", b"joey:2", b"bob:3"]
        assert run("--passwd", path, "new") == 0
        assert path.read_bytes().split(b"\n")[5:6] == [b"bob:3"]
        assert path.read_bytes().split(b"\n")[6].startswith(b"new:$7$")

    @pytest.mark.parametrize("name", ["", "a:b", "a\nb", "#a", "\u202ea", "x" * 65_536])
    def test_a_name_that_no_line_can_have_is_refused(self, run, path, name, capsys):
        assert run("--passwd", path, name) == 2
        assert "--passwd" in capsys.readouterr().err
        assert not path.exists()

    @pytest.mark.parametrize("typed", [b"", b"\n", b"x" * 70_000])
    def test_so_is_a_password_that_nobody_can_send_or_that_is_empty(self, run, path, typed):
        assert run("--passwd", path, "joe", typed=typed) == 2
        assert not path.exists()

    def test_a_terminal_is_asked_twice(self, monkeypatch, path):
        answers = iter(["secret", "secret", "one", "other"])
        monkeypatch.setattr(sys, "stdin", Input(b"", terminal=True))
        monkeypatch.setattr(passwd.getpass, "getpass", lambda _prompt: next(answers))
        assert main(["--passwd", str(path), "joe"]) == 0
        assert fits(path, "joe", b"secret")
        assert main(["--passwd", str(path), "joe"]) == 2
        assert fits(path, "joe", b"secret")

    def test_when_it_cannot_be_replaced_nothing_is_left_beside_it(self, run, path, monkeypatch):
        run("--passwd", path, "joe")
        before = path.read_bytes()

        def fail(*_names):
            raise OSError("no")

        monkeypatch.setattr(passwd.os, "replace", fail)
        assert run("--passwd", path, "joe", typed=b"other") == 1
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_a_folder_that_is_not_there_is_an_error(self, run, tmp_path):
        assert run("--passwd", tmp_path / "none" / "passwords", "joe") == 1


class TestDelete:
    @pytest.mark.parametrize("switch", ["-D", "--passwd-delete"])
    def test_it_takes_the_user_out(self, run, path, switch):
        path.write_bytes(b"# all\njoe:1\njoey:2\n")
        assert run(switch, path, "joe") == 0
        assert path.read_bytes() == b"# all\njoey:2\n"

    def test_a_user_that_is_not_there_is_an_error(self, run, path, capsys):
        path.write_bytes(b"joey:2\n")
        assert run("-D", path, "joe") == 2
        assert "there is no user 'joe'" in capsys.readouterr().err


def test_a_bad_file_is_found_by_test_config(run, tmp_path, path, capsys):
    path.write_bytes(b"joe\n")
    configuration = tmp_path / "broker.conf"
    configuration.write_text(f"listener 0 127.0.0.1\npassword_file {path}\n")
    assert run("-c", configuration, "--test-config") == 2
    assert "passwords:1: there is no colon" in capsys.readouterr().err
