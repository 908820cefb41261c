"""docs/findings.md: MQTT.js in node and in Chromium."""

import json

import pytest

from tests.interop.browser import results_in_chromium
from tests.interop.cutting_proxy import CUTS, CUTS_ANEW
from tests.interop.findings import check, place
from tests.interop.test_mqtt_js import results_in_node

pytestmark = [pytest.mark.interop, pytest.mark.slow]
versions = pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5.0"])


def asked(brokers, version, schemes, broken_schemes):
    return json.dumps(
        {
            "version": version,
            "direct": [brokers.endpoint(scheme).url for scheme in schemes],
            "proxied": [brokers.endpoint(scheme, proxied=True).url for scheme in broken_schemes],
            "narrow": brokers.narrow(broken_schemes[0]).url,
            "cuts": len(CUTS),
            "cutsAnew": CUTS_ANEW,
        }
    )


def all_ok(results):
    assert {key: words for key, words in results.items() if words != "ok"} == {}


@versions
def test_in_node(version, findings_pki):
    with place(findings_pki) as brokers:
        findings = asked(brokers, version, ("mqtt", "ws", "mqtts"), ("mqtt", "ws"))
        ca = str(findings_pki / "ca.pem")
        results = results_in_node("", caFile=ca, findings=findings)
        reports = brokers.reports()
    all_ok(results)
    check("MQTT.js", version, reports)


@versions
def test_in_chromium(version, findings_pki, tmp_path):
    with place(findings_pki) as brokers:
        findings = asked(brokers, version, ("ws",), ("ws",))
        results = results_in_chromium(tmp_path, findings=findings)
        reports = brokers.reports()
    all_ok(results)
    check("MQTT.js", version, reports)
