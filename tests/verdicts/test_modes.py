"""What becomes of a breach: `conformance`, `conformance_ignore`, `conformance_max_clients`."""

import pytest

from broker.broker import Broker
from broker.config import ConfigError
from formats.mqtt.acks import Puback, Pubcomp
from formats.mqtt.control import Disconnect, Pingreq, Pingresp
from tests.verdicts.deliveries import DELIVERIES, puback_twice, publish, say
from tests.verdicts.limits import LIMITS
from tests.verdicts.packets import PACKETS
from tests.verdicts.support import NAMES, Stage
from tests.verdicts.test_each_rule import NAMED, each

# After these the documents let the server go on, and so does `report`.
NOTICED = (
    *("PAYLOAD_NOT_UTF_8", "TEXT_DISALLOWED", "KEEP_ALIVE_LATE", "SERVER_KEEP_ALIVE_LATE"),
    "ACKNOWLEDGEMENT_UNKNOWN",
)
WITHOUT_END = [case for case in (*PACKETS, *LIMITS) if case.rule in NOTICED] + [
    case
    for case in DELIVERIES
    # Those that need a DISCONNECT end the connection anyway; some need another breach first.
    if not case.also and not case.rule.endswith(("MISSING", "INCOMPLETE"))
]
BROKEN = [case for case in PACKETS if case.rule not in NOTICED and case.rule[:10] != "DISCONNECT"]
ANY = pytest.mark.parametrize("version", [3, 4, 5], ids=NAMES.get)


def with_mode(case, mode):
    return f"conformance {mode}\n{case.configuration}"


def breaker(stage, client_id):
    """The latest client of this name."""
    return [one for one in stage.site.clients if one.wire.connection.client_id == client_id][-1]


def endings(one):
    """The reason codes of the DISCONNECT packets that it was sent before the close."""
    return [packet.reason for packet in one.wait_closed() if isinstance(packet, Disconnect)]


class TestReport:
    @pytest.mark.parametrize(("case", "version"), each(WITHOUT_END))
    def test_the_connection_goes_on(self, case, version):
        with Stage(version, with_mode(case, "report")) as stage:
            stage.perform(case.broken)
            (client,) = (one for one in stage.report()["clients"] if one["violations"])
            one = breaker(stage, client["client_id"])
            one.send(Pingreq())
            one.receive_skipping(Pingresp)


class TestEnforce:
    @pytest.mark.parametrize(("case", "version"), each(WITHOUT_END))
    def test_the_connection_ends_with_the_reason_of_the_rule(self, case, version):
        rule = NAMED[case.rule]
        with Stage(version, with_mode(case, "enforce")) as stage:
            stage.perform(case.broken)
            (client,) = (one for one in stage.report()["clients"] if one["violations"])
            (violation,) = client["violations"]
            assert (violation["summary"], violation["count"]) == (rule.summary, 1)
            one = breaker(stage, client["client_id"])
            assert endings(one) == ([rule.reason] if version == 5 else [])

    @pytest.mark.parametrize(("case", "version"), each(WITHOUT_END))
    def test_what_is_lawful_is_so_here(self, case, version):
        with Stage(version, with_mode(case, "enforce")) as stage:
            stage.perform(case.lawful)
            assert stage.violations() == []


class TestOff:
    @pytest.mark.parametrize(("case", "version"), each(WITHOUT_END))
    def test_nothing_is_recorded_and_the_connection_goes_on(self, case, version):
        with Stage(version, with_mode(case, "off")) as stage:
            stage.perform(case.broken)
            assert stage.report()["clients"] == []
            one = stage.site.clients[-1]
            one.send(Pingreq())
            one.receive_skipping(Pingresp)

    @pytest.mark.parametrize(("case", "version"), each(BROKEN))
    def test_what_ends_a_connection_ends_it_here_too(self, case, version):
        with Stage(version, with_mode(case, "off")) as stage:
            stage.perform(case.broken)
            assert stage.report()["clients"] == []
            assert endings(stage.site.clients[-1]) == (
                [NAMED[case.rule].reason] if version == 5 else []
            )

    @ANY
    @pytest.mark.parametrize("mode", ["report", "off"])
    @pytest.mark.parametrize("keep_alive_s", [1, 2, 20])
    def test_silence_ends_the_connection_after_one_and_a_half_times_the_keep_alive(
        self, version, mode, keep_alive_s
    ):
        with Stage(version, f"conformance {mode}") as stage:
            one = stage.client(keep_alive_s=keep_alive_s)
            stage.site.advance(1.5 * keep_alive_s - 0.1)
            assert not one.wire.connection.ended
            stage.site.advance(0.1)
            assert endings(one) == ([0x8D] if version == 5 else [])


class TestListeners:
    MODES = "listener 0 127.0.0.1\nconformance off\nlistener 0 127.0.0.1\nconformance enforce\n"

    @ANY
    @pytest.mark.parametrize("transport", ["memory", "tcp"])
    def test_each_has_its_own_mode(self, version, transport):
        with Stage(version, self.MODES, transport) as stage:
            clients = [stage.client(f"on {place}", listener=place) for place in range(3)]
            for one in clients:
                say(one, Pubcomp(7))
            off, enforce, report = clients
            assert endings(enforce) == ([0x82] if version == 5 else [])
            off.fence()
            report.fence()
            found = {one["client_id"]: one["violations"] for one in stage.report()["clients"]}
            assert found.keys() == {"on 1", "on 2"}
            assert [len(violations) for violations in found.values()] == [1, 1]

    def test_the_report_says_which_it_has(self):
        with Stage(5, self.MODES, "tcp") as stage:
            modes = [one["mode"] for one in stage.report()["broker"]["listeners"]]
        assert modes == ["off", "enforce", "report"]


class TestIgnore:
    def test_a_statement_is_silenced_with_its_reason(self):
        silence = "conformance_ignore mqtt-5.0:MQTT-2.2.1-5 a known fault, see #12"
        with Stage(5, silence) as stage:
            puback_twice(stage)
            say(stage.client("other"), Pubcomp(7))
            report = stage.report()
        found = {one["client_id"]: one["violations"] for one in report["clients"]}
        (violation,) = found["subscriber"]
        assert violation["silenced"] == "a known fault, see #12"
        (violation,) = found["other"]
        assert violation["silenced"] is None
        assert report["ignored"] == [
            {
                "document": "mqtt-5.0",
                "statement": "MQTT-2.2.1-5",
                "reason": "a known fault, see #12",
            }
        ]

    def test_the_same_id_of_the_other_document_is_not(self):
        with Stage(4, "conformance_ignore mqtt-5.0:MQTT-4.6.0-2 why") as stage:
            one = stage.client("subscriber")
            one.subscribe("t", qos=1)
            stage.client("publisher").send(publish(1), publish(2))
            say(one, Puback(2))
            (violation,) = stage.violations()
        assert violation["statement"] == "MQTT-4.6.0-2"
        assert violation["silenced"] is None

    @pytest.mark.parametrize(
        ("words", "what"),
        [
            ("mqtt-5.0:MQTT-4.6.0-2", "needs the reason why"),
            ("mqtt-5.0:MQTT-9.9.9-9 why", "has no statement 'MQTT-9.9.9-9'"),
            ("mqtt-4.0:MQTT-4.6.0-2 why", "is not DOCUMENT:STATEMENT"),
            ("MQTT-4.6.0-2 why", "is not DOCUMENT:STATEMENT"),
        ],
    )
    def test_a_line_that_is_wrong_is_named(self, words, what):
        text = f"listener 0 127.0.0.1\nallow_anonymous true\nconformance_ignore {words}\n"
        with pytest.raises(ConfigError) as raised:
            Broker(text)
        assert what in str(raised.value)
        assert "3" in str(raised.value).partition("conformance_ignore")[0]


class TestMaximum:
    def test_further_clients_are_counted_only(self):
        with Stage(5, "conformance_max_clients 2") as stage:
            for name in ("a", "b", "c", "d", "a", "d"):
                say(stage.client(name), Pubcomp(7))
            report = stage.report()
        assert [one["client_id"] for one in report["clients"]] == ["a", "b"]
        assert [one["connections"] for one in report["clients"]] == [2, 1]
        assert report["dropped"] == {"clients": 3}
