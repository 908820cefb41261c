"""Dockerfile and .dockerignore: their instructions, and what they run, in a folder."""

import fnmatch
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib

import pytest

from tests.ci.processes import ROOT, SOON, broker_command, environment
from tests.ci.steps import CHECKOUT

CONFIGURATION = "/etc/touchstone/touchstone.conf"
STATE = "/var/lib/touchstone"
PACKAGES = ("broker", "formats", "oracle", "persistence")


def instructions():
    """(instruction, arguments) in their order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    return [tuple(line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


def the(name):
    """The arguments of an instruction that is there once."""
    (arguments,) = (arguments for each, arguments in instructions() if each == name)
    return arguments


def in_folder(words, tmp_path):
    """A command line of the image, with the files of a folder in the place of the image's."""
    return [
        word.replace(CONFIGURATION, str(tmp_path / "touchstone.conf"))
        for word in (broker_command() + words[1:] if words[0] == "touchstone" else words)
    ]


@pytest.fixture
def configuration(tmp_path):
    """The image's configuration, on one free port for each of its own; its ports."""
    text = (ROOT / "docs" / "ci" / "container.conf").read_text(encoding="utf-8")
    ports = re.findall(r"(?m)^listener (\d+) \*$", text)
    text = re.sub(r"(?m)^listener \d+ \*$", "listener 0", text).replace(STATE, tmp_path.as_posix())
    (tmp_path / "touchstone.conf").write_text(text, encoding="utf-8")
    return ports


@pytest.fixture
def container(tmp_path, configuration):
    """The image's ENTRYPOINT and CMD."""
    words = json.loads(the("ENTRYPOINT")) + json.loads(the("CMD"))
    process = subprocess.Popen(
        in_folder(words, tmp_path),
        cwd=tmp_path,
        env=environment(TOUCHSTONE_MAXIMUM_QOS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def health(tmp_path, *more):
    """The image's HEALTHCHECK."""
    words = json.loads(the("HEALTHCHECK").partition(" CMD ")[2])
    return subprocess.run(
        [*in_folder(words, tmp_path), *more],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=SOON,
    )


def test_the_configuration_is_where_the_commands_look():
    assert ("COPY", f"docs/ci/container.conf {CONFIGURATION}") in instructions()
    assert ROOT.joinpath("docs/ci/container.conf").exists()
    for command in (the("CMD"), the("HEALTHCHECK").partition(" CMD ")[2]):
        assert CONFIGURATION in json.loads(command)


def test_every_port_is_exposed(configuration):
    assert the("EXPOSE").split() == configuration


def test_every_listener_is_reached_from_outside():
    path = ROOT / "docs" / "ci" / "container.conf"
    lines = re.findall(r"(?m)^listener .*$", path.read_text(encoding="utf-8"))
    assert [line.split()[2:] for line in lines] == [["*"]] * 3


def test_it_does_not_run_as_root_and_may_write_its_state():
    (user,) = (arguments for _, arguments in instructions() if arguments.startswith("useradd"))
    assert re.search(r"--uid (\d+) .*--user-group", user)[1] == the("USER").partition(":")[0]
    assert ("RUN", f"install -d -o touchstone -g touchstone {STATE}") in instructions()
    assert the("WORKDIR") == STATE
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name in ("RUN", "COPY"))


@pytest.mark.skipif(os.name == "nt", reason="the commands are those of a Unix shell")
def test_what_is_run_for_the_image_is_run_without_an_error(tmp_path):
    # useradd, install and pip would change this machine: they stand here for what they would do.
    calls = tmp_path / "calls"
    for name in ("useradd", "install", "python"):
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho {name} "$@" >>{shlex.quote(str(calls))}\n')
        path.chmod(0o755)
    for name, arguments in instructions():
        if name == "RUN":
            path = f"{tmp_path / 'programs'}:/usr/bin:/bin"
            subprocess.run(["/bin/sh", "-c", arguments], env={"PATH": path}, check=True)
    called = calls.read_text().splitlines()
    assert [line.split()[0] for line in called] == ["python", "useradd", "install"]
    source = re.match(r"\. (\S+)", the_first("COPY"))[1]
    assert called[0].split()[1:4] == ["-m", "pip", "install"]
    assert called[0].endswith(source)


def the_first(name):
    return next(arguments for each, arguments in instructions() if each == name)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
class TestRunning:
    def test_it_serves_until_docker_stop(self, container):
        assert len(container.stdout.readline().split()) == 4
        container.send_signal(signal.SIGTERM)
        container.communicate(timeout=SOON)
        assert container.returncode == 0

    def test_it_is_healthy_while_it_serves(self, container, tmp_path):
        port = container.stdout.readline().split()[1]
        # The first listener is the one that is asked; its port is known now.
        path = tmp_path / "touchstone.conf"
        first, _, _ = path.read_text(encoding="utf-8").partition("# TLS")
        path.write_text(first.replace("listener 0", f"listener {port}"), encoding="utf-8")
        done = health(tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        container.terminate()
        container.communicate(timeout=SOON)
        done = health(tmp_path)
        assert (done.returncode, done.stderr) == (1, f"port {port}: Connection refused\n")


def ignored_by_docker(path):
    """Whether `.dockerignore` leaves a file out: of its patterns, the last that fits counts."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        pattern = line.removeprefix("!")
        deep = pattern.removeprefix("**/")
        parts = path.split("/")
        heads = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        if deep != pattern:
            fits = any(fnmatch.fnmatch(part, deep) for part in parts)
        else:
            fits = pattern == "*" or pattern in heads
        if fits:
            ignored = not line.startswith("!")
    return ignored


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("broker/broker.py", False),
        ("oracle/catalogue/NOTICE", False),
        ("docs/ci/container.conf", False),
        ("pyproject.toml", False),
        ("README.md", False),
        ("docs/conformance.md", True),
        (".git/config", True),
        ("test-pki/ca.pem", True),
        ("broker/__pycache__/broker.pyc", True),
        (".venv/bin/python", True),
    ],
)
def test_what_docker_gets(path, ignored):
    assert ignored_by_docker(path) == ignored


def test_what_is_built_has_what_the_build_reads():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    modules = [f"{name}.py" for name in project["tool"]["setuptools"]["py-modules"]]
    for name in (*PACKAGES, *modules, project["project"]["readme"], "setup.py"):
        assert not ignored_by_docker(name), name
        assert name in CHECKOUT


def test_every_file_of_a_package_is_installed_with_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]
    missing = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and not any(
            fnmatch.fnmatch(path.relative_to(ROOT / package).as_posix(), pattern)
            for pattern in patterns.get(package, ())
        )
    ]
    assert missing == []


def test_python_of_the_image_is_one_that_is_supported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    least = re.match(r">=3\.(\d+)", project["project"]["requires-python"])[1]
    image = re.fullmatch(r"python:3\.(\d+)-slim", the("FROM"))[1]
    assert int(image) >= int(least)
    assert sys.version_info >= (3, int(least))
