"""The pytest plugin: a broker for each test, and a verdict on the client; docs/pytest.md.

Every run of pytest in an environment that has this package imports this module, whatever it tests.
So nothing but pytest is imported here; what a fixture needs comes with the first that is used.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from broker.testing.fixture import MqttBroker, Tls
    from broker.testing.run import Reports, Run
    from broker.testing.verdict import Verdict

FAIL_ON = ("violation", "should", "never")
DEFAULT_FAIL_ON, NEVER = "violation", "never"
FROM_WORKER = "touchstone_report"  # in what a process of pytest-xdist hands over

RUN: "pytest.StashKey[Run]" = pytest.StashKey()
REPORTS: "pytest.StashKey[Reports]" = pytest.StashKey()
BROKER: "pytest.StashKey[MqttBroker]" = pytest.StashKey()  # of a test
SESSION_BROKER: "pytest.StashKey[MqttBroker]" = pytest.StashKey()
PROBLEMS: "pytest.StashKey[list[str]]" = pytest.StashKey()
VERDICT: "pytest.StashKey[Verdict]" = pytest.StashKey()

MARKERS = (
    "mqtt_broker(*lines, tls=False): configuration of the test's broker; whether it speaks TLS",
    "mqtt_fail_on(what): which violations fail the test: 'violation', 'should' or 'never'",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mqtt", "MQTT broker (touchstone)")
    group.addoption(
        "--mqtt-broker-config",
        metavar="FILE",
        help="configuration of the brokers of all tests; its ports are replaced by free ones",
    )
    group.addoption(
        "--mqtt-report",
        metavar="FILE",
        action="append",
        default=[],
        help="write what the clients of all tests did and broke, as .json, .xml (JUnit), .md or"
        " .html; may be repeated",
    )
    parser.addini(
        "mqtt_broker_config",
        "configuration of the brokers of all tests, relative to the folder of this file",
    )
    parser.addini("mqtt_broker_tls", "every broker has ports with TLS", type="bool", default=False)
    parser.addini(
        "mqtt_fail_on",
        "which violations fail a test: violation, should or never; without it, `violation` where"
        " `mqtt_verdict` is used",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    _checked(config.getini("mqtt_fail_on") or DEFAULT_FAIL_ON, "mqtt_fail_on")
    paths = config.getoption("mqtt_report")
    if paths:
        from oracle.reports.writing import renderer

        for path in paths:
            try:
                renderer(Path(path))
            except ValueError as error:
                raise pytest.UsageError(f"--mqtt-report {error}") from None


# The fixtures.


@pytest.fixture
def mqtt_broker(request: pytest.FixtureRequest) -> "Iterator[MqttBroker]":
    """A broker for this test alone, at ports of its own.

    Attributes: host, port, url, ws_url, tls, credentials, environment; reset().
    """
    node = request.node
    marks = list(node.iter_markers("mqtt_broker"))
    lines = [line for mark in reversed(marks) for line in mark.args]  # the closest one counts
    tls = "mqtt_tls" in request.fixturenames or any(mark.kwargs.get("tls") for mark in marks)
    broker = _started(request, lines, tls)
    node.stash[BROKER] = broker
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def mqtt_broker_session(request: pytest.FixtureRequest) -> "Iterator[MqttBroker]":
    """One broker for all tests that ask for it; each process of pytest-xdist has its own.

    What one test leaves behind the next one finds, until `reset()`.
    """
    broker = _started(request, (), False)
    request.session.stash[SESSION_BROKER] = broker
    yield broker
    broker.stop()


@pytest.fixture
def mqtt_tls(mqtt_broker: "MqttBroker") -> "Tls":
    """Where the test's broker speaks TLS, and the certificates for its client."""
    return mqtt_broker.tls


@pytest.fixture
def mqtt_verdict(request: pytest.FixtureRequest) -> "Verdict":
    """What the client did with the broker of this test; at the end none of it may stand.

    Attributes: violations, exercised, clients, client(client_id), report; assert_clean(allow=...),
    expect(statement).
    """
    from broker.testing.run import verdict_on

    names = request.fixturenames
    if "mqtt_broker_session" in names and "mqtt_broker" not in names:
        broker = request.getfixturevalue("mqtt_broker_session")
    else:
        broker = request.getfixturevalue("mqtt_broker")
    verdict = verdict_on(broker, _fail_on(request.node, DEFAULT_FAIL_ON))
    request.node.stash[VERDICT] = verdict
    return verdict


def _started(request: pytest.FixtureRequest, lines: Any, tls: bool) -> "MqttBroker":
    """A broker; a skip where the test needs a package that is not here, a failure otherwise."""
    from broker.behaviours import BehaviourError
    from broker.config import ConfigError
    from broker.listeners.tcp import ListenerError
    from broker.pki import PkiError
    from persistence.errors import StoreError

    try:
        return _run(request).broker(lines, tls)
    except PkiError as error:
        if isinstance(error.__cause__, ImportError):
            pytest.skip(str(error))
        pytest.fail(f"mqtt_broker: {error}", pytrace=False)
    except (ConfigError, BehaviourError, ListenerError, StoreError) as error:
        pytest.fail(f"mqtt_broker: {error}", pytrace=False)


def _run(request: pytest.FixtureRequest) -> "Run":
    from broker.testing.run import Run

    config = request.config
    if RUN not in config.stash:
        folders = request.getfixturevalue("tmp_path_factory")
        file = config.getoption("mqtt_broker_config")
        if file is not None:
            file = os.path.join(config.invocation_params.dir, file)
        elif config.getini("mqtt_broker_config"):
            folder = config.rootpath if config.inipath is None else config.inipath.parent
            file = os.path.join(folder, config.getini("mqtt_broker_config"))
        run = Run(lambda: folders.mktemp("mqtt"), file, config.getini("mqtt_broker_tls"))
        config.stash[RUN] = run
        config.stash[REPORTS] = run.reports
    return config.stash[RUN]


# A violation fails its test.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    try:
        result = yield
    except (Exception, pytest.fail.Exception) as error:
        verdict = _verdict(item)
        if verdict is not None:
            text = verdict.account(_fail_on(item, NEVER))
            if text and not verdict.has_told(error):
                item.add_report_section("call", "mqtt", text)
        raise
    _fail_if_broken(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    try:
        result = yield
        _fail_if_broken(item)
    finally:
        if _uses_session_broker(item):
            item.session.stash[SESSION_BROKER].settle_accounts()
    return result


def _fail_if_broken(item: pytest.Item) -> None:
    """What the clients have broken since this was last asked fails the test."""
    verdict = _verdict(item)
    text = verdict.account(_fail_on(item, NEVER)) if verdict is not None else ""
    if text:
        pytest.fail(text, pytrace=False)


def _uses_session_broker(item: pytest.Item) -> bool:
    return (
        "mqtt_broker_session" in getattr(item, "fixturenames", ())
        and SESSION_BROKER in item.session.stash
    )


def _verdict(item: pytest.Item) -> "Verdict | None":
    """That of the test's own, or one because all tests are to have one."""
    if VERDICT not in item.stash and _fail_on(item, NEVER) != NEVER:
        broker = item.stash.get(BROKER, None)
        if broker is None and _uses_session_broker(item):
            broker = item.session.stash[SESSION_BROKER]
        if broker is not None:
            from broker.testing.run import verdict_on

            item.stash[VERDICT] = verdict_on(broker, _fail_on(item, NEVER))
    return item.stash.get(VERDICT, None)


def _fail_on(item: pytest.Item, default: str) -> str:
    """The closest mark, else the ini file, else `violation` with a verdict of the test's own."""
    mark = item.get_closest_marker("mqtt_fail_on")
    if mark is not None:
        return _checked(mark.args[0] if mark.args else "", f"{item.nodeid}: mqtt_fail_on")
    own = "mqtt_verdict" in getattr(item, "fixturenames", ())
    ini: str = item.config.getini("mqtt_fail_on")
    return ini or (DEFAULT_FAIL_ON if own else default)


def _checked(fail_on: str, name: str) -> str:
    if fail_on not in FAIL_ON:
        raise pytest.UsageError(f"{name} is {fail_on!r}, not one of {', '.join(FAIL_ON)}")
    return fail_on


# The reports, of all processes.


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process of pytest-xdist has ended."""
    paths = node.config.getoption("mqtt_report")
    if paths:
        text = getattr(node, "workeroutput", {}).get(FROM_WORKER)
        reports = _reports(node.config)
        if text is None:
            reports.miss()
        else:
            reports.add_text(text)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    paths = config.getoption("mqtt_report")
    if not paths:
        return
    reports = _reports(config)
    if hasattr(config, "workeroutput"):
        config.workeroutput[FROM_WORKER] = reports.as_text()
        return
    problems = reports.write(paths, config.getini("mqtt_fail_on") or DEFAULT_FAIL_ON)
    if problems:
        config.stash[PROBLEMS] = problems
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    paths = config.getoption("mqtt_report")
    if paths:
        terminalreporter.section("mqtt")
        fail_on = config.getini("mqtt_fail_on") or DEFAULT_FAIL_ON
        terminalreporter.write(_reports(config).summary(fail_on))
        for problem in config.stash.get(PROBLEMS, ()):
            terminalreporter.write_line(problem, red=True)


def _reports(config: pytest.Config) -> "Reports":
    if REPORTS not in config.stash:
        from broker.testing.run import Reports

        config.stash[REPORTS] = Reports()
    return config.stash[REPORTS]
