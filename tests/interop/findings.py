"""The brokers that the clients of docs/findings.md are run against, and what they find.

Each client has brokers of its own, in this process, so that a report is of that client alone.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from broker.broker import Broker
from oracle.reports import summary
from tests.interop.cutting_proxy import CuttingProxy
from tests.interop.endpoints import Endpoint
from tests.interop.known_findings import KNOWN

DOCUMENTS = {4: "mqtt-3.1.1", 5: "mqtt-5.0"}
LISTENER = "listener 0 127.0.0.1\n"
ROOMY = """
allow_anonymous true
sys_interval 0
topic_alias_maximum 10
behaviour publish_error test_qos_1_2_errors 0x87
behaviour pubcomp_error test_qos_1_2_errors_pubcomp 0x92
behaviour disconnect_with_reason cmd/disconnectWithRC
"""
LEAST = {4: 55, 5: 95}  # statements that a client has to exercise
RECEIVE_MAXIMUM = 5
NARROW = f"""
allow_anonymous true
sys_interval 0
receive_maximum {RECEIVE_MAXIMUM}
server_keep_alive 2
"""


@dataclass
class Place:
    """Where clients connect.

    Attributes:
        proxy:  in front of the broker that has no limits.
        narrow: the broker with a small Receive Maximum and a Server Keep Alive.
    """

    broker: Broker
    proxy: CuttingProxy
    narrow_broker: Broker
    narrow_proxy: CuttingProxy
    pki: Path

    def endpoint(self, scheme="mqtt", proxied=False, port=0):
        websocket = scheme in ("ws", "wss")
        if scheme in ("mqtts", "wss"):
            port, host, ca = self.broker.ports[1], "localhost", str(self.pki / "ca.pem")
            return Endpoint(scheme, host, port, websocket, ca)
        port = port or (self.proxy.port if proxied else self.broker.ports[0])
        return Endpoint(scheme, "127.0.0.1", port, websocket)

    def narrow(self, scheme="mqtt"):
        return Endpoint(scheme, "127.0.0.1", self.narrow_proxy.port, scheme == "ws")

    def reports(self):
        return [self.broker.report(False), self.narrow_broker.report(False)]


@contextlib.contextmanager
def place(pki):
    """Two brokers, with proxies, for one client."""
    tls = f"{LISTENER}certfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
    with (
        Broker(ROOMY + LISTENER + tls) as broker,
        Broker(NARROW + LISTENER) as narrow,
        CuttingProxy(broker.ports[0]) as proxy,
        CuttingProxy(narrow.ports[0]) as narrow_proxy,
    ):
        yield Place(broker, proxy, narrow, narrow_proxy, pki)


def found(reports, version):
    """The statements that were broken, each with the lines that say how."""
    result = {}
    for report in reports:
        for client in report["clients"]:
            for one in client["violations"]:
                first = one["first"]
                result.setdefault(one["statement"], []).append(
                    f"{client['client_id']}: {one['summary']}, {one['count']} times, "
                    f"{first['packet']} {first['bytes']} {first['seen']}"
                )
                assert one["document"] == DOCUMENTS[version]
    return result


def exercised(reports):
    return {
        name for report in reports for client in report["clients"] for name in client["exercised"]
    }


def check(client, version, reports):
    """Nothing was found but what docs/findings.md explains, all of that, and not in a run that
    hardly did anything.
    """
    seen = found(reports, version)
    known = KNOWN[client, version]
    unexplained = {one: lines for one, lines in seen.items() if one not in known}
    words = "\n".join(summary.render(report) for report in reports)
    assert not unexplained, f"{unexplained}\n{words}"
    assert not set(known) - set(seen), f"no longer found: {set(known) - set(seen)}\n{words}"
    count = len(exercised(reports))
    print(f"exercised: {client} {DOCUMENTS[version]} {count}")
    assert count >= LEAST[version], f"no more than {count} statements exercised\n{words}"
