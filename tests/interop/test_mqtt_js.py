"""MQTT.js, the client of browsers: in node over every transport, in Chromium over ws and wss.

The scenarios are JavaScript (`mqtt_js/scenarios.js`), for 3.1, 3.1.1 and 5.0; here they are run.
"""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.broker_process import EXPIRED, MUTUAL, OTHER_HOST, SNI
from tests.interop.browser import results_in_chromium
from tests.interop.endpoints import SCHEMES, endpoint
from tests.interop.needs import mqtt_js, node

pytestmark = [pytest.mark.interop, pytest.mark.slow]
IN_NODE = Path(__file__).parent / "mqtt_js" / "in_node.js"
SCENARIOS = 8 * 3 + 6  # for each version, and for 5.0


def results_in_node(url, **asked):
    mqtt_js()
    run = subprocess.run(
        [node(), str(IN_NODE), json.dumps({"url": url, **asked})],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def public_key_hash(certificate_path):
    certificate = x509.load_pem_x509_certificate(Path(certificate_path).read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def check(results):
    assert {key: words for key, words in results.items() if words != "ok"} == {}
    assert len(results) == SCENARIOS


def files_for(there):
    named = {"caFile": there.ca, "certFile": there.certificate, "keyFile": there.key}
    return {name: path for name, path in named.items() if path}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_in_node(broker, scheme):
    there = endpoint(broker, scheme)
    check(results_in_node(there.url, **files_for(there)))


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_in_chromium(broker, tmp_path, scheme):
    there = endpoint(broker, scheme)
    keys = [public_key_hash(broker.certificate("server.pem"))] if scheme == "wss" else []
    check(results_in_chromium(tmp_path, keys, url=there.url))


def test_chromium_refuses_the_certificate_of_another_host(broker, tmp_path):
    keys = [public_key_hash(broker.certificate("server.pem"))]
    url = f"wss://localhost:{broker.port(OTHER_HOST)}/mqtt"
    results = results_in_chromium(tmp_path, keys, url=url, only="connect")
    assert results["connect"] != "connected"


@pytest.mark.parametrize(
    ("listener", "host", "words"),
    [
        (OTHER_HOST, "localhost", "does not match certificate's altnames"),
        (EXPIRED, "localhost", "certificate has expired"),
        (SNI, "127.0.0.1", ""),  # an address is not a name for SNI
        (MUTUAL, "localhost", ""),  # without a certificate
    ],
)
def test_node_fails_where_it_has_to(broker, listener, host, words):
    url = f"mqtts://{host}:{broker.port(listener)}"
    results = results_in_node(url, caFile=broker.certificate("ca.pem"), only="connect")
    assert results["connect"] != "connected"
    assert words in results["connect"]
