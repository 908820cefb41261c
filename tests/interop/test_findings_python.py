"""docs/findings.md: paho-mqtt, aiomqtt and gmqtt."""

import pytest

from tests.interop.asyncio_drivers import AiomqttDriver, GmqttDriver
from tests.interop.drivers import PahoDriver
from tests.interop.findings import check, place
from tests.interop.python_scenario import run

CLIENTS = {
    "paho-mqtt": (PahoDriver, ("mqtt", "ws", "mqtts"), ("mqtt", "ws")),
    "aiomqtt": (AiomqttDriver, ("mqtt", "ws", "mqtts"), ("mqtt", "ws")),
    "gmqtt": (GmqttDriver, ("mqtt", "mqtts"), ("mqtt",)),
}


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_oracle_finds(client, version, findings_pki):
    driver_class, schemes, broken_schemes = CLIENTS[client]
    with place(findings_pki) as brokers:
        run(driver_class, brokers, version, schemes, broken_schemes)
        reports = brokers.reports()
    check(client, version, reports)
