"""Whole runs of pytest with the plugin: what fails, what is said, what is written."""

import json
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

# Other plugins of this environment, which take longer to load than the tests to run.
ALONE = ("-p", "no:hypothesispytest", "-p", "no:timeout", "-p", "no:cacheprovider")

BREAKS = """
    import socket

    CONNECT = bytes.fromhex("1014 0004 4d515454 04 02 0000 0008") + b"breaks-1"

    def break_it(broker):
        with socket.create_connection((broker.host, broker.port), 20) as peer:
            peer.sendall(CONNECT + CONNECT)
            while peer.recv(4096):
                pass

    def keep_it(broker, client_id=b"keeps-11"):
        with socket.create_connection((broker.host, broker.port), 20) as peer:
            peer.sendall(CONNECT[:-8] + client_id)
            assert peer.recv(4096)
            peer.sendall(bytes.fromhex("e000"))
"""
EXTRA = """
    import pytest
    from breaks import break_it, keep_it
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Write the tests of a client library, run them in a process of their own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in ("CI", "BUILD_NUMBER"):  # with them pytest says everything a second time
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(breaks=BREAKS)

    def run(tests, *options, ini=""):
        pytester.makefile(".ini", pytest="[pytest]\n" + textwrap.dedent(ini))
        pytester.makepyfile(test_it=EXTRA + textwrap.indent(textwrap.dedent(tests), "    "))
        return pytester.runpytest_subprocess("-p", "broker.pytest_plugin", *ALONE, *options)

    return run


TEXT = [
    "*1 violation stands*",
    "*MQTT3-3.1.0-2 MUST*second CONNECT*",
    "*client    'breaks-1' at 127.0.0.1:*(3.1.1, tcp), connection 1*",
    "*expected *",
    "*seen *",
    "*packet    CONNECT, 22 bytes*",
    "*10 14 00 04 4d 51 54 54 04 02*",
    "*packets   received  CONNECT*client id 'breaks-1'*",
    "*received  CONNECT*<-- here*",
]


class TestWhatFails:
    def test_a_violation_fails_a_test_that_has_a_verdict(self, suite):
        result = suite("""
            def test_broken(mqtt_broker, mqtt_verdict):
                break_it(mqtt_broker)

            def test_kept(mqtt_broker, mqtt_verdict):
                keep_it(mqtt_broker)
        """)
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.fnmatch_lines(TEXT)

    def test_without_one_it_does_not(self, suite):
        suite("""
            def test_broken(mqtt_broker):
                break_it(mqtt_broker)
        """).assert_outcomes(passed=1)

    def test_unless_the_ini_file_says_so(self, suite):
        result = suite(
            """
            def test_broken(mqtt_broker):
                break_it(mqtt_broker)

            @pytest.mark.mqtt_fail_on("never")
            def test_on_purpose(mqtt_broker):
                break_it(mqtt_broker)
            """,
            ini="mqtt_fail_on = violation",
        )
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.fnmatch_lines(TEXT)

    def test_assert_clean_says_everything_once(self, suite):
        result = suite("""
            def test_broken(mqtt_broker, mqtt_verdict):
                break_it(mqtt_broker)
                mqtt_verdict.assert_clean()
        """)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(TEXT)
        assert result.stdout.str().count("<-- here") == 1

    def test_a_plain_assert_says_it_in_a_line_and_then_in_full(self, suite):
        result = suite("""
            def test_broken(mqtt_broker, mqtt_verdict):
                break_it(mqtt_broker)
                assert mqtt_verdict
        """)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*assert <mqtt_verdict: <MQTT3-3.1.0-2 MUST*'breaks-1')>>"])
        result.stdout.fnmatch_lines(TEXT)

    def test_a_test_that_fails_for_itself_says_what_was_broken_beside_it(self, suite):
        result = suite("""
            def test_broken(mqtt_broker, mqtt_verdict):
                break_it(mqtt_broker)
                raise LookupError("of its own")
        """)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*LookupError: of its own"])
        result.stdout.fnmatch_lines(TEXT)

    def test_what_a_fixture_breaks_while_it_ends_is_an_error(self, suite):
        result = suite("""
            @pytest.fixture
            def client(mqtt_broker):
                yield
                break_it(mqtt_broker)

            def test_broken(client, mqtt_verdict):
                pass
        """)
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(TEXT)

    @pytest.mark.parametrize(
        ("ini", "failed"), [("", 0), ("mqtt_fail_on = violation", 0), ("mqtt_fail_on = should", 1)]
    )
    def test_advice_fails_where_it_is_asked_for(self, suite, ini, failed):
        result = suite(
            """
            import socket

            CONTROL_CHARACTER = bytes.fromhex("100d 0004 4d515454 04 02 003c 0001 01")

            def test_advice(mqtt_broker, mqtt_verdict):
                with socket.create_connection((mqtt_broker.host, mqtt_broker.port), 20) as peer:
                    peer.sendall(CONTROL_CHARACTER)
                    assert peer.recv(4096)
                (violation,) = mqtt_verdict.clients[0].violations
                assert violation.level.startswith("SHOULD")
            """,
            ini=ini,
        )
        result.assert_outcomes(failed=failed, passed=1 - failed)

    @pytest.mark.parametrize("ini", ["mqtt_fail_on = mustard", "mqtt_fail_on = Violation"])
    def test_an_unknown_word_is_an_error(self, suite, ini):
        result = suite("def test_nothing():\n    pass", ini=ini)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*mqtt_fail_on is*, not one of violation, should, never*"])


class TestSessionBroker:
    def test_a_test_answers_for_its_own_violations_only(self, suite):
        result = suite("""
            def test_broken(mqtt_broker_session, mqtt_verdict):
                break_it(mqtt_broker_session)

            def test_kept(mqtt_broker_session, mqtt_verdict):
                keep_it(mqtt_broker_session)
                assert len(mqtt_verdict.clients) == 2

            def test_broken_again(mqtt_broker_session, mqtt_verdict):
                break_it(mqtt_broker_session)

            def test_reset(mqtt_broker_session, mqtt_verdict):
                mqtt_broker_session.reset()
                assert mqtt_verdict.clients == []
        """)
        result.assert_outcomes(failed=2, passed=2)

    def test_it_serves_fixtures_of_every_scope(self, suite):
        suite("""
            @pytest.fixture(scope="module")
            def url(mqtt_broker_session):
                return mqtt_broker_session.url

            def test_url(url, mqtt_broker_session):
                assert url == mqtt_broker_session.url
        """).assert_outcomes(passed=1)


class TestConfiguration:
    TESTS = """
        def test_it(mqtt_broker):
            configuration = mqtt_broker.running.configuration
            assert configuration["receive_maximum"] == 7
            assert mqtt_broker.port != 18830
            keep_it(mqtt_broker)

        @pytest.mark.mqtt_broker("receive_maximum 8", "behaviour echo_user_properties")
        def test_mark(mqtt_broker):
            configuration = mqtt_broker.running.configuration
            assert configuration["receive_maximum"] == 8
            assert len(configuration["behaviour"]) == 1
    """

    @pytest.fixture
    def file(self, pytester):
        pytester.makefile(
            ".conf", broker="listener 18830\nreceive_maximum 7\nallow_anonymous true\n"
        )

    def test_from_the_command_line(self, suite, file):
        suite(self.TESTS, "--mqtt-broker-config", "broker.conf").assert_outcomes(passed=2)

    def test_from_the_ini_file(self, suite, file):
        suite(self.TESTS, ini="mqtt_broker_config = broker.conf").assert_outcomes(passed=2)

    def test_the_file_of_this_repository(self, suite, pytester):
        pytester.makefile(".conf", client=(ROOT / "client_testing.conf").read_text("utf-8"))
        suite(
            """
            def test_it(mqtt_broker, mqtt_tls):
                assert len(mqtt_broker.ports) >= 6
                assert mqtt_tls.port not in range(18880, 18890)
                assert mqtt_broker.credentials.user_name == "user"
            """,
            "--mqtt-broker-config=client.conf",
        ).assert_outcomes(passed=1)

    @pytest.mark.parametrize(
        ("lines", "says"),
        [
            ("receive_maximum 0", "receive_maximum: 0 is not between 1 and 65535"),
            ("recieve_maximum 1", "recieve_maximum: no option has this name"),
            ("behaviour no_such", "no_such"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, suite, lines, says):
        result = suite(f"""
            @pytest.mark.mqtt_broker("{lines}")
            def test_it(mqtt_broker):
                pass
        """)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([f"*mqtt_broker: *{says}*"])

    def test_every_broker_may_have_tls(self, suite):
        suite(
            "def test_it(mqtt_broker_session):\n    assert mqtt_broker_session.tls.mutual_port",
            ini="mqtt_broker_tls = true",
        ).assert_outcomes(passed=1)

    def test_without_the_package_for_it_tls_is_a_skip(self, suite):
        result = suite(
            """
            import sys

            def test_it(mqtt_tls):
                pass

            @pytest.fixture(autouse=True, scope="session")
            def missing():
                sys.modules["cryptography"] = None
            """,
            "-rs",
        )
        result.assert_outcomes(skipped=1)
        result.stdout.fnmatch_lines(["*SKIPPED*pip install cryptography*"])


class TestReports:
    TESTS = """
        @pytest.mark.parametrize("number", range(10, 18))
        def test_kept(mqtt_broker, mqtt_verdict, number):
            keep_it(mqtt_broker, b"keeps-%d" % number)

        def test_same(mqtt_broker):
            keep_it(mqtt_broker, b"keeps-10")

        def test_broken(mqtt_broker):
            break_it(mqtt_broker)

        def test_broken_after_reset(mqtt_broker):
            break_it(mqtt_broker)
            mqtt_broker.reset()
            break_it(mqtt_broker)
    """

    @pytest.mark.parametrize("processes", [(), ("-n", "3")], ids=["alone", "xdist"])
    def test_all_tests_are_in_one(self, suite, pytester, processes):
        result = suite(
            self.TESTS, *processes, "--mqtt-report=all.json", "--mqtt-report", "all.html"
        )
        result.assert_outcomes(passed=11)
        result.stdout.fnmatch_lines(["*= mqtt =*", "touchstone *9 clients: 1 violation stands*"])
        report = json.loads((pytester.path / "all.json").read_text("utf-8"))
        assert (pytester.path / "all.html").exists()
        assert report["broker"]["complete"]
        clients = {client["client_id"]: client for client in report["clients"]}
        assert sorted(clients) == ["breaks-1", *(f"keeps-{number}" for number in range(10, 18))]
        assert clients["keeps-10"]["connections"] == 2
        assert clients["breaks-1"]["connections"] == 3
        (violation,) = clients["breaks-1"]["violations"]
        assert violation["count"] == 3
        assert report["coverage"]["mqtt-3.1.1"]["violated"] == 1
        schema = json.loads((ROOT / "docs/report.schema.json").read_text("utf-8"))
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate(report, schema)

    def test_a_process_that_crashes_is_missed(self, suite, pytester):
        result = suite(
            """
            import os

            def test_kept(mqtt_broker):
                keep_it(mqtt_broker)

            def test_crash():
                os._exit(3)
            """,
            *("-n", "2", "--dist", "each", "--max-worker-restart=0", "--mqtt-report=all.json"),
        )
        assert result.ret
        report = json.loads((pytester.path / "all.json").read_text("utf-8"))
        assert not report["broker"]["complete"]

    def test_without_a_broker_it_is_empty(self, suite, pytester):
        result = suite("def test_nothing():\n    pass", "--mqtt-report=all.json")
        result.assert_outcomes(passed=1)
        assert json.loads((pytester.path / "all.json").read_text("utf-8"))["clients"] == []

    def test_an_ending_that_is_none_is_an_error(self, suite):
        result = suite("def test_nothing():\n    pass", "--mqtt-report=all.pdf")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*--mqtt-report all.pdf: a report is a file that ends in*"])

    def test_a_file_that_cannot_be_written_fails_the_run(self, suite):
        result = suite("def test_nothing():\n    pass", "--mqtt-report=no/all.json")
        result.assert_outcomes(passed=1)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines(["*--mqtt-report no/all.json: No such file or directory*"])


class TestProcesses:
    def test_each_has_brokers_of_its_own(self, suite):
        result = suite(
            """
            @pytest.mark.parametrize("number", range(40))
            def test_alone(mqtt_broker, mqtt_broker_session, mqtt_verdict, number):
                keep_it(mqtt_broker)
                keep_it(mqtt_broker_session)
                assert len(mqtt_verdict.clients) == 1
                assert mqtt_broker.port != mqtt_broker_session.port

            def test_tls(mqtt_tls):
                pass
            """,
            *("-n", "4"),
        )
        result.assert_outcomes(passed=41)


class TestLoading:
    def test_nothing_of_the_broker_is_imported_before_a_fixture_is_used(self, suite):
        suite("""
            import sys

            def test_nothing():
                ours = {name for name in sys.modules if name.split(".")[0] in (
                    "broker", "formats", "oracle", "persistence")}
                assert ours == {"broker", "broker.pytest_plugin"}
        """).assert_outcomes(passed=1)

    def test_it_is_loaded_once_however_often_it_is_asked_for(self, suite, pytester, monkeypatch):
        # As an installed package announces it, and as pyproject.toml does.
        folder = pytester.path / "mqtt_touchstone-0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: mqtt-touchstone\nVersion: 0\n"
        )
        name = "broker.pytest_plugin"
        assert f'"{name}" = "{name}"' in (ROOT / "pyproject.toml").read_text("utf-8")
        (folder / "entry_points.txt").write_text(f"[pytest11]\n{name} = {name}\n")
        (folder / "RECORD").write_text("")
        monkeypatch.setenv(
            "PYTHONPATH", f"{ROOT}{';' if sys.platform == 'win32' else ':'}{folder.parent}"
        )
        pytester.makeconftest(f"pytest_plugins = [{name!r}]")
        tests = "def test_it(mqtt_broker):\n    keep_it(mqtt_broker)"
        suite(tests).assert_outcomes(passed=1)
        pytester.makefile(".ini", pytest="[pytest]")
        pytester.runpytest_subprocess().assert_outcomes(passed=1)  # by its entry point
