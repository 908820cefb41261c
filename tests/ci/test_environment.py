"""What COMMAND is told of listeners, and that docs/ci/environment.md is about the same."""

import re

import pytest

from broker.config import Configuration
from broker.running import VARIABLES, environment
from tests.ci.processes import ROOT

ANYWHERE = ["0.0.0.0", "::"]


def told(text, *listeners, folder=None):
    """The variables for a configuration whose listeners are open at (port, addresses, TLS)."""
    opened = [
        {"port": port, "addresses": addresses, "tls": tls} for port, addresses, tls in listeners
    ]
    ready = {"listeners": opened, "test_pki_dir": folder}
    return environment(Configuration.parse(text), ready, "ready.json")


@pytest.mark.parametrize(
    ("addresses", "host", "in_url"),
    [
        (ANYWHERE, "localhost", "localhost"),
        (["0.0.0.0"], "localhost", "localhost"),
        (["127.0.0.1", "::1"], "localhost", "localhost"),
        (["127.0.0.1"], "127.0.0.1", "127.0.0.1"),
        (["::1"], "::1", "[::1]"),
        (["192.0.2.7"], "192.0.2.7", "192.0.2.7"),
    ],
    ids=str,
)
def test_the_host_is_one_that_reaches_the_listener(addresses, host, in_url):
    variables = told(f"listener 1883 {addresses[0]}", (1883, addresses, False))
    assert variables["MQTT_HOST"] == host
    assert variables["MQTT_URL"] == f"mqtt://{in_url}:1883"
    assert variables["MQTT_WS_URL"] == f"ws://{in_url}:1883/mqtt"


@pytest.mark.parametrize("addresses", [["127.0.0.1", "::1"], ["127.0.0.1"], ["::1"]], ids=str)
def test_without_an_address_it_is_localhost(addresses):
    """As TLS clients name the server they want, even where one of the two is missing."""
    assert told("listener 1883", (1883, addresses, False))["MQTT_HOST"] == "localhost"


def test_the_first_plain_listener():
    tls = "listener 3\ncertfile c\nkeyfile k\n"
    text = f"test_pki_dir .\n{tls}listener 1\nlistener 2"
    variables = told(text, (3, ANYWHERE, True), (1, ANYWHERE, False), (2, ANYWHERE, False))
    assert (variables["MQTT_PORT"], variables["MQTT_TLS_PORT"]) == ("1", "3")
    assert variables["MQTT_PORTS"] == "3 1 2"


def test_nothing_is_said_of_what_is_not_there():
    assert {*told("listener 1", (1, ANYWHERE, False))} == {
        "MQTT_HOST",
        "MQTT_PORT",
        "MQTT_URL",
        "MQTT_WS_URL",
        "MQTT_PORTS",
        "MQTT_READY_FILE",
    }


def test_the_shipped_configuration():
    path = ROOT / "client_testing.conf"
    configuration = Configuration.load(str(path))
    opened = [
        {"port": each.port, "addresses": ANYWHERE, "tls": each.has_tls}
        for each in configuration.listeners
    ]
    ready = {"listeners": opened, "test_pki_dir": None}
    variables = environment(configuration, ready, "ready.json")
    ports = {name: value for name, value in variables.items() if name.endswith("_PORT")}
    assert ports == {"MQTT_PORT": "1883", "MQTT_TLS_PORT": "18886", "MQTT_MTLS_PORT": "18884"}


def test_files_that_are_there_are_named_wherever_the_command_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pki").mkdir()
    for name in ("ca.pem", "client.pem"):
        (tmp_path / "pki" / name).touch()
    variables = told("listener 1", (1, ANYWHERE, False), folder="pki")
    assert variables["MQTT_CA_FILE"] == str((tmp_path / "pki" / "ca.pem").resolve())
    assert variables["MQTT_CLIENT_CERT_FILE"] == str((tmp_path / "pki" / "client.pem").resolve())
    assert "MQTT_CLIENT_KEY_FILE" not in variables


def test_the_page_has_every_variable():
    page = (ROOT / "docs" / "ci" / "environment.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"(?m)^\| `(MQTT_\w+)`", page)) == VARIABLES
