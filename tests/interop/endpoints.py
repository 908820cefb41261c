"""The ways to a broker: each transport is one listener of it and what a client needs for that."""

import ssl
from dataclasses import dataclass

from tests.interop.broker_process import MUTUAL, PLAIN, SNI, TLS

# scheme -> listener of client_testing.conf; "mutual" is TLS with a client certificate
LISTENERS = {"mqtt": PLAIN, "ws": PLAIN, "mqtts": TLS, "wss": SNI, "mutual": MUTUAL}
SCHEMES = tuple(LISTENERS)


@dataclass(frozen=True)
class Endpoint:
    """`ca`, `certificate` and `key` are paths, or None where the transport has no use for them."""

    scheme: str
    host: str
    port: int
    websocket: bool = False
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def url(self):
        scheme = "mqtts" if self.scheme == "mutual" else self.scheme
        return f"{scheme}://{self.host}:{self.port}" + ("/mqtt" if self.websocket else "")


def endpoint(broker, scheme):
    port = broker.port(LISTENERS[scheme])
    websocket = scheme in ("ws", "wss")
    if scheme in ("mqtt", "ws"):
        return Endpoint(scheme, "127.0.0.1", port, websocket)
    ca = broker.certificate("ca.pem")
    if scheme == "mutual":
        return Endpoint(
            scheme,
            "localhost",
            port,
            ca=ca,
            certificate=broker.certificate("client.pem"),
            key=broker.certificate("client.key"),
        )
    return Endpoint(scheme, "localhost", port, websocket, ca)


def tls_context(there):
    """What a Python client needs for TLS; None without."""
    if there.ca is None:
        return None
    context = ssl.create_default_context(cafile=there.ca)
    if there.certificate:
        context.load_cert_chain(there.certificate, there.key)
    return context
