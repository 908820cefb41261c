"""Each test of the documents runs over every transport, for each version it binds.

`site` makes brokers; `client` makes clients of the version under test; `version` is its protocol
level. A test says `@pytest.mark.versions(5)` where it is not for all of 3, 4 and 5.
"""

import datetime

import pytest

from broker.pki import ensure_test_pki
from formats.mqtt.properties import SESSION_EXPIRY_INTERVAL
from tests.harness.site import TRANSPORTS, Site


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A folder with the test PKI."""
    folder = tmp_path_factory.mktemp("pki") / "pki"
    ensure_test_pki(folder, datetime.datetime.now(datetime.UTC))
    return folder


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("versions")
        versions = mark.args if mark else (3, 4, 5)
        names = {3: "3.1", 4: "3.1.1", 5: "5.0"}
        metafunc.parametrize("version", versions, ids=[names[one] for one in versions])


@pytest.fixture(params=TRANSPORTS)
def site(request, pki):
    """`site(configuration, listeners)` starts a broker; all are stopped at the end of the test."""
    sites = []

    def make(configuration="", listeners=1):
        sites.append(Site(request.param, configuration, listeners, pki))
        return sites[-1]

    yield make
    for one in sites:
        one.close()


@pytest.fixture
def client(site, version, request):
    """`client()` is a new network connection to the test's broker, made on first use.

    `@pytest.mark.configuration("…")` gives the broker options.
    """
    mark = request.node.get_closest_marker("configuration")
    made = []

    def connect(version=version, listener=0):
        if not made:
            made.append(site("\n".join(mark.args) if mark else "", 2))
        return made[0].client(version, listener)

    connect.site = lambda: made[0]
    return connect


@pytest.fixture
def connected(client, version):
    """`connected(client_id)` is a client whose CONNECT was accepted.

    With `kept` the session outlives the connection and an older one is resumed, in any version.
    """

    def connect(client_id, kept=False, version=version, listener=0, properties=None, **options):
        if kept:
            options["clean_start"] = False
            if version == 5:
                properties = {SESSION_EXPIRY_INTERVAL: 1000, **(properties or {})}
        one = client(version, listener)
        assert one.connect(client_id, properties=properties, **options).reason == 0
        return one

    return connect
