"""Debian's mosquitto_pub and mosquitto_sub."""

import pytest

from tests.interop.broker_process import EXPIRED, MUTUAL, OTHER_HOST, PLAIN, SNI, TLS
from tests.interop.mosquitto_clients import Subscriber, publish

pytestmark = pytest.mark.interop
every_version = pytest.mark.parametrize("version", [3, 4, 5], ids=["3.1", "3.1.1", "5.0"])
every_listener = pytest.mark.parametrize(
    ("shipped", "certificate"),
    [(PLAIN, None), (TLS, None), (SNI, None), (MUTUAL, "client")],
    ids=["plain", "tls", "sni", "mutual"],
)


@pytest.fixture
def subscriber(broker):
    running = []

    def start(shipped, version, count, *arguments, certificate=None):
        running.append(
            Subscriber(broker, shipped, version, count, *arguments, certificate=certificate)
        )
        return running[-1]

    yield start
    for one in running:
        one.close()


def published(broker, shipped, version, *arguments, **more):
    run = publish(broker, shipped, version, *arguments, **more)
    assert run.returncode == 0, run.stderr
    return run


@every_version
@every_listener
def test_every_qos(broker, subscriber, name, version, shipped, certificate):
    for granted in "012":
        topic = f"{name}/{granted}"
        receiving = subscriber(
            shipped, version, 3, "-q", granted, "-t", topic, "-F", "%t %q %p",
            certificate=certificate,
        )  # fmt: skip
        assert receiving.granted == granted.encode()
        for sent in "012":
            published(
                broker, shipped, version, "-q", sent, "-t", topic, "-m", sent,
                certificate=certificate,
            )  # fmt: skip
        expected = [f"{topic} {min(sent, granted)} {sent}".encode() for sent in "012"]
        assert receiving.lines() == expected


@every_version
@every_listener
def test_half_a_megabyte(broker, subscriber, name, version, shipped, certificate):
    payload = b"0123456789" * 50_000
    receiving = subscriber(shipped, version, 1, "-t", name, certificate=certificate)
    published(
        broker, shipped, version, "-q", "1", "-t", name, "-s",
        certificate=certificate, payload=payload,
    )  # fmt: skip
    assert receiving.lines() == [payload]


@every_version
def test_a_line_is_a_message(broker, subscriber, name, version):
    receiving = subscriber(PLAIN, version, 500, "-q", "2", "-t", name)
    numbers = [str(number).encode() for number in range(500)]
    published(broker, PLAIN, version, "-q", "2", "-t", name, "-l", payload=b"\n".join(numbers))
    assert receiving.lines() == numbers


@every_version
def test_retained_set_and_cleared(broker, subscriber, name, version):
    published(broker, PLAIN, version, "-r", "-t", name, "-q", "1", "-m", "kept")
    receiving = subscriber(PLAIN, version, 1, "-t", name, "-F", "%r %p")
    assert receiving.lines() == [b"1 kept"]
    published(broker, PLAIN, version, "-r", "-t", name, "-q", "1", "-n")
    receiving = subscriber(PLAIN, version, 1, "-t", name, "-F", "%r %p")
    published(broker, PLAIN, version, "-t", name, "-m", "first after all")
    assert receiving.lines() == [b"0 first after all"]


@every_version
def test_a_session_that_queues(broker, name, version, subscriber):
    session = ["-i", name, "-c", "-q", "1", "-t", name]
    if version == 5:
        session += ["-x", "3600"]
    published(broker, PLAIN, version, "-q", "1", "-t", name, "-m", "before the session")
    first = subscriber(PLAIN, version, 1, *session)
    published(broker, PLAIN, version, "-q", "1", "-t", name, "-m", "present")
    assert first.lines() == [b"present"]
    published(broker, PLAIN, version, "-q", "1", "-t", name, "-m", "away")
    assert subscriber(PLAIN, version, 1, *session).lines() == [b"away"]


def test_properties(broker, subscriber, name):
    receiving = subscriber(PLAIN, 5, 1, "-t", name, "-F", "%C %R %D %P %p")
    sent = ("content-type", "text/plain"), ("response-topic", f"{name}/answer")
    sent += (("correlation-data", "42"),)
    words = [word for pair in sent for word in ("-D", "publish", *pair)]
    for key, value in (("b", "1"), ("a", "2"), ("b", "3")):
        words += ["-D", "publish", "user-property", key, value]
    published(broker, PLAIN, 5, "-t", name, "-m", "x", *words)
    assert receiving.lines() == [f"text/plain {name}/answer 42 b:1 a:2 b:3 x".encode()]


@pytest.mark.parametrize("publishing", [3, 4, 5])
def test_a_topic_joins_the_versions(broker, subscriber, name, publishing):
    receiving = [subscriber(PLAIN, version, 1, "-t", name) for version in (3, 4, 5)]
    published(broker, TLS, publishing, "-t", name, "-m", "grüße")
    assert [one.lines() for one in receiving] == [["grüße".encode()]] * 3


@every_version
@pytest.mark.parametrize(
    "certificate", [None, "expired-client", "revoked-client", "foreign-client"]
)
def test_a_client_certificate_that_is_refused(broker, name, certificate, version):
    run = publish(broker, MUTUAL, version, "-t", name, "-m", "x", certificate=certificate)
    assert run.returncode != 0


@every_version
@pytest.mark.parametrize("listener", [OTHER_HOST, EXPIRED])
def test_a_server_certificate_that_the_client_refuses(broker, name, listener, version):
    run = publish(broker, listener, version, "-t", name, "-m", "x")
    assert run.returncode != 0


def test_tls_on_the_plain_port_and_the_reverse(broker, name):
    ca = broker.certificate("ca.pem")
    assert publish(broker, PLAIN, 4, "-t", name, "-m", "x", "--cafile", ca).returncode != 0
    run = publish(broker, PLAIN, 4, "-t", name, "-m", "x", "-p", str(broker.port(TLS)))
    assert run.returncode != 0
    published(broker, PLAIN, 4, "-t", name, "-m", "all others go on")
