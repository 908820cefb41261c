"""What the fixture `mqtt_broker` gives a test: where its broker is, and how to have it forget.

Threads: the test's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.config import ConfigError, Configuration
from broker.running import environment
from broker.testing.embedded import Embedded
from oracle.reports.standing import Report, Violation

# client, document, statement, summary: what counts as the same violation
Identity = tuple[str | None, str, str, str]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and its password.

    The SCRAM methods of enhanced authentication (MQTT 5.0, 4.12) check them. Those of CONNECT are
    accepted and not looked at, like all others.
    """

    user_name: str
    password: str


@dataclass(frozen=True, slots=True)
class Tls:
    """The ports of a broker that speak TLS, and the files that a client needs.

    Attributes:
        port, url, wss_url: take clients without a certificate.
        mutual_port: takes clients with `certificate` only; None where there is none.
    """

    host: str
    port: int
    url: str
    wss_url: str
    mutual_port: int | None
    ca_file: str
    certificate: str
    key: str


class MqttBroker:
    """A broker that runs, made for one test (`mqtt_broker`) or for all (`mqtt_broker_session`).

    Args:
        configure: makes its configuration.
        retire:    gets the report of a broker that has ended.
    """

    def __init__(
        self, configure: Callable[[], Configuration], retire: Callable[[Report], None]
    ) -> None:
        self._configure = configure
        self._retire = retire
        self._broker = Embedded(configure())
        self._broker.start()
        self._stopped = False
        self.counted: dict[Identity, int] = {}  # violations that earlier tests answer for
        self._look()

    def _look(self) -> None:
        self._variables = environment(self._broker.configuration, self._broker.ready, "")
        del self._variables["MQTT_READY_FILE"]

    @property
    def environment(self) -> dict[str, str]:
        """`MQTT_HOST`, `MQTT_PORT`, ... for a client in a process of its own."""
        return dict(self._variables)

    @property
    def host(self) -> str:
        return self._variables["MQTT_HOST"]

    @property
    def port(self) -> int:
        """Takes all versions of MQTT, and WebSocket beside them."""
        return int(self._plain("MQTT_PORT"))

    @property
    def url(self) -> str:
        """`mqtt://127.0.0.1:40101`"""
        return self._plain("MQTT_URL")

    @property
    def ws_url(self) -> str:
        """`ws://127.0.0.1:40101/mqtt`"""
        return self._plain("MQTT_WS_URL")

    def _plain(self, name: str) -> str:
        if name not in self._variables:
            raise ConfigError("this broker has no listener without TLS")
        return self._variables[name]

    @property
    def ports(self) -> list[int]:
        """Of all listeners, in the order of the configuration."""
        return self._broker.ports

    @property
    def tls(self) -> Tls:
        found = self._variables
        if "MQTT_TLS_PORT" not in found:
            raise ConfigError(
                "this broker has no port with TLS: ask for the fixture `mqtt_tls`, or mark the test"
                " with @pytest.mark.mqtt_broker(tls=True)"
            )
        mutual = found.get("MQTT_MTLS_PORT")
        return Tls(
            self.host,
            int(found["MQTT_TLS_PORT"]),
            found["MQTT_TLS_URL"],
            found["MQTT_WSS_URL"],
            int(mutual) if mutual else None,
            found.get("MQTT_CA_FILE", ""),
            found.get("MQTT_CLIENT_CERT_FILE", ""),
            found.get("MQTT_CLIENT_KEY_FILE", ""),
        )

    @property
    def credentials(self) -> Credentials:
        users = self._broker.configuration["auth_user"]
        if not users:
            raise ConfigError("the configuration of this broker has no auth_user")
        return Credentials(*users[0])

    @property
    def running(self) -> Embedded:
        """The broker itself: `context`, `statistics()`, ..."""
        return self._broker

    def report(self) -> Report:
        """What each client was seen to do, once the broker has handled what was sent by now."""
        if not self._stopped:
            self._broker.settle()
        return self._broker.report(self._stopped)

    def reset(self) -> None:
        """Have a new broker at the same ports: no connections, sessions, retained messages, and
        nothing recorded. Clients that are connected lose their connections."""
        ports = self._broker.ports
        self._end()
        configuration = self._configure()
        for listener, port in zip(configuration.listeners, ports, strict=True):
            listener.port = port
        broker = Embedded(configuration)
        broker.start()
        self._broker = broker
        self._stopped = False
        self.counted = {}
        self._look()

    def stop(self) -> None:
        """End it; a second time, nothing."""
        if not self._stopped:
            self._end()

    def _end(self) -> None:
        self._broker.settle()
        self._broker.stop()
        self._stopped = True
        self._retire(self._broker.report(True))

    def settle_accounts(self) -> None:
        """The next test answers for none of the violations that there are now."""
        self.counted = {
            identity_of(client, violation): violation["count"]
            for client in self.report()["clients"]
            for violation in client["violations"]
        }


def identity_of(client: dict[str, Any], violation: Violation) -> Identity:
    name = client["client_id"] if client["client_id"] is not None else client["address"]
    return name, violation["document"], violation["statement"], violation["summary"]
