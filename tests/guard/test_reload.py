"""Password and ACL files that are read again while clients are connected."""

import pytest

from broker.broker import Broker
from tests.guard.test_logins import BAD_USER_NAME_OR_PASSWORD, answer


@pytest.fixture
def site(site):
    """One over sockets: only a whole broker reloads."""
    return lambda *arguments, **options: site(*arguments, **{**options, "transport": "tcp"})


@pytest.fixture(params=["0", "1"], ids=["QoS 0", "QoS 1"])
def qos(request):
    return int(request.param)


def test_rights_change_for_who_is_connected(site, files, user, qos):
    broker = site("user joe\ntopic a\nuser ann\ntopic #\n", configuration="conformance off")
    joe, ann = user(broker, "joe"), user(broker, "ann")
    joe.subscribe("#", qos=1)
    ann.subscribe("#", qos=1)
    for _ in range(2):
        joe.publish("a", b"", qos)
        joe.publish("b", b"", qos)
    assert [one.topic for one in ann.receive_messages()] == ["a", "a"]
    assert [one.topic for one in joe.receive_messages()] == ["a", "a"]

    files.write("acl", "user joe\ntopic b\nuser ann\ntopic #\n")
    assert broker.broker.reload() == []
    for _ in range(2):
        joe.publish("a", b"", qos)
        joe.publish("b", b"", qos)
        ann.publish("a", b"", qos)
    topics = ["b", "a", "b", "a"]
    assert [one.topic for one in ann.receive_messages()] == topics
    assert [one.topic for one in joe.receive_messages()] == ["b", "b"]


def test_a_will_that_may_no_longer_be_published_is_not(site, files, user):
    from formats.mqtt.connect import Will

    broker = site("topic #\n")
    one = user(broker, None, "one")
    one.subscribe("#")
    gone = user(broker, None, "gone", will=Will("gone", b"", 0, False))
    files.write("acl", "topic read #\n")
    broker.broker.reload()
    gone.drop()
    one.nothing()


def test_passwords_change_and_nobody_is_disconnected(site, files, user, version):
    broker = site(passwords="joe:secret\n")
    joe = user(broker, "joe")
    files.write("passwords", "joe:other\nann:new\n")
    assert broker.broker.reload() == []
    joe.fence()
    assert answer(broker, version, "joe", b"secret", "other") == BAD_USER_NAME_OR_PASSWORD
    assert answer(broker, version, "joe", b"other", "other") == 0
    assert answer(broker, version, "ann", b"new", "another") == 0


@pytest.mark.parametrize("broken", ["acl", "passwords"])
def test_a_broken_file_keeps_all_as_it_was_and_says_so(site, files, user, version, broken):
    broker = site("user joe\ntopic a\n", "joe:secret\n")
    joe = user(broker, "joe")
    files.write("acl", "user joe\ntopic b\n" + ("tpic c\n" if broken == "acl" else ""))
    files.write("passwords", "joe:other\n" + ("joe\n" if broken == "passwords" else ""))
    (problem,) = broker.broker.reload()
    assert problem.startswith(f"{files.folder}/{broken}:")
    assert problem.endswith("; what was read before stays in force")
    joe.subscribe("#")
    joe.publish("a", b"")
    joe.publish("b", b"")
    assert [one.topic for one in joe.receive_messages()] == ["a"]
    assert answer(broker, version, "joe", b"secret", "other") == 0


def test_every_problem_is_said_and_a_file_that_has_gone_is_one(site, files):
    broker = site("topic a\n", "joe:secret\n")
    (files.folder / "acl").unlink()
    files.write("passwords", "joe\n")
    problems = broker.broker.reload()
    assert [problem.split(":")[0] for problem in problems] == [
        str(files.folder / "passwords"),
        str(files.folder / "acl"),
    ]


def test_a_broker_without_such_files_has_nothing_to_reload():
    with Broker("listener 0 127.0.0.1\nallow_anonymous true") as broker:
        assert broker.reload() == []
