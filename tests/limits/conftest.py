"""`site` makes brokers; `version` is a protocol level, all of them unless a test says less."""

import pytest

from tests.harness.site import Site


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("versions")
        versions = mark.args if mark else (3, 4, 5)
        metafunc.parametrize("version", versions, ids=lambda one: f"level {one}")


@pytest.fixture
def site():
    """`site(configuration, transport, listeners)`: a broker, stopped with the test."""
    sites = []

    def make(configuration="", transport="memory", listeners=1):
        sites.append(Site(transport, configuration, listeners))
        return sites[-1]

    yield make
    for one in sites:
        one.close()
