"""Database servers for a test, on free ports of the loopback interface."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_listens(port, server):
    """Another process says nothing when it is ready, so it is asked again and again."""
    pause = threading.Event()
    for _ in range(1_000):
        assert server.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            pause.wait(0.02)
    pytest.fail("the server does not listen")


def ended(server):
    """Wait for a server that was told to end; what it does with its last breath is not ours."""
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def zeo_server(path, port=None):
    """A ZEO server with the FileStorage `path`; gives its port."""
    port = port or free_port()
    with open(f"{path}.log", "ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "ZEO.runzeo", "-a", f"127.0.0.1:{port}", "-f", str(path)],
            stdout=log,
            stderr=log,
            cwd=Path(path).parent,
        )
    try:
        wait_until_it_listens(port, server)
        yield port
    finally:
        server.terminate()
        ended(server)


def postgresql_program(name):
    """Debian keeps these outside of PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None
    )
    if found is None:
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without(f"{name} is missing: apt-get install postgresql")
    return found


@contextmanager
def postgresql_cluster():
    """A cluster of its own; gives the URI of its server.

    PostgreSQL refuses to run as root, and the user it runs as then cannot enter `tmp_path`.
    """
    initdb, postgres = postgresql_program("initdb"), postgresql_program("postgres")
    other = {}
    folder = tempfile.mkdtemp(prefix="cluster-")
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            **other,
        )
        port = free_port()
        with open(f"{folder}/log", "wb") as log:
            server = subprocess.Popen(
                [
                    postgres, "-D", data, "-p", str(port), "-k", folder, "-F",
                    "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=40",
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
                **other,
            )  # fmt: skip
        try:
            wait_until_it_listens(port, server)
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            server.terminate()
            ended(server)
    finally:
        shutil.rmtree(folder)
