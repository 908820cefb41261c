"""What the tests of access control share: brokers with their files, and clients of them."""

import pytest

from tests.conformance.conftest import pki, pytest_generate_tests
from tests.harness.site import Site

__all__ = ["pki", "pytest_generate_tests"]

SECRET = "secret"


class Files:
    """The folder of one test's files."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture(params=["memory", "tcp"])
def site(request, files):
    """`site(acl=…, passwords=…, configuration=…)` starts a broker.

    Passwords are plain text, which no thread has to work on.
    """
    sites = []

    def make(acl=None, passwords=None, configuration="", listeners=1, transport=request.param):
        lines = [configuration]
        if acl is not None:
            lines.append(f"acl_file {files.write('acl', acl)}")
        if passwords is not None:
            lines.append(f"password_file {files.write('passwords', passwords)}")
            lines.append("allow_plaintext_passwords true")
        sites.append(Site(transport, "\n".join(lines), listeners))
        return sites[-1]

    yield make
    for one in sites:
        one.close()


@pytest.fixture
def user(version):
    """`user(site, name)` is a client that is connected as this user, whose password is SECRET."""

    def connect(site, name, client_id=None, version=version, listener=0, kept=False, **options):
        one = site.client(version, listener)
        # 3.x: a password needs a user name, and the other way round it does not
        password = None if name is None else SECRET.encode()
        if kept and version == 5:
            options["properties"] = {0x11: 1000, **options.get("properties", {})}
        connack = one.connect(
            client_id or f"id of {name}",
            clean_start=not kept,
            user_name=name,
            password=password,
            **options,
        )
        assert connack.reason == 0
        return one

    return connect
