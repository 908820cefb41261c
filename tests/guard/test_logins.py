"""Who may connect: user names, passwords, and slow hashes that hold up nobody else."""

import contextlib
import threading

import pytest

from broker.broker import Broker
from broker.config import ConfigError
from broker.guard import hashes
from broker.guard.hashing import HashingThreads
from formats.mqtt.connect import Connack, Connect
from formats.mqtt.control import Pingreq, Pingresp
from tests.harness.site import Site
from tests.harness.wires import DEADLINE_S

BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORIZED, SERVER_BUSY = 0x86, 0x87, 0x89
RETURN_CODES = {0: 0, BAD_USER_NAME_OR_PASSWORD: 4, NOT_AUTHORIZED: 5, SERVER_BUSY: 3}


def answer(site, version, user_name=None, password=None, client_id="c", listener=0):
    """The reason code of a CONNACK, as in 5.0."""
    one = site.client(version, listener)
    reason = one.connect(client_id, user_name=user_name, password=password).reason
    if reason:
        assert one.wait_closed() == []
    if version == 5:
        return reason
    return {code: reason_5 for reason_5, code in RETURN_CODES.items()}[reason]


class TestPasswordFile:
    """5.0 and 3.1.1, 3.1.3.5 and 3.1.3.6"""

    def test_the_password_of_a_user_counts(self, site, version):
        broker = site(passwords="joe:secret\nann:other\n")
        assert answer(broker, version, "joe", b"secret") == 0
        assert answer(broker, version, "joe", b"other") == BAD_USER_NAME_OR_PASSWORD
        assert answer(broker, version, "joe") == BAD_USER_NAME_OR_PASSWORD
        assert answer(broker, version, "bob", b"secret") == BAD_USER_NAME_OR_PASSWORD
        assert answer(broker, version, "", b"secret") == BAD_USER_NAME_OR_PASSWORD

    @pytest.mark.parametrize("allowed", ["true", "false"])
    def test_without_a_user_name_allow_anonymous_counts(self, site, version, allowed):
        broker = site(passwords="joe:secret\n", configuration=f"allow_anonymous {allowed}")
        assert answer(broker, version) == (0 if allowed == "true" else NOT_AUTHORIZED)
        assert answer(broker, version, "joe", b"secret") == 0

    def test_each_listener_may_have_its_own(self, files, version):
        one, other = files.write("one", "joe:1\n"), files.write("other", "joe:2\n")
        text = (
            "per_listener_settings true\n"
            f"listener 0 127.0.0.1\npassword_file {one}\nallow_plaintext_passwords true\n"
            "allow_anonymous false\n"
            f"listener 0 127.0.0.1\npassword_file {other}\nallow_plaintext_passwords true\n"
            "allow_anonymous true\n"
        )
        site = Site("memory", text, listeners=0)
        assert answer(site, version, "joe", b"1") == 0
        assert answer(site, version, "joe", b"2") == BAD_USER_NAME_OR_PASSWORD
        assert answer(site, version, "joe", b"2", listener=1) == 0
        assert answer(site, version) == NOT_AUTHORIZED
        assert answer(site, version, listener=1) == 0
        site.close()

    def test_a_missing_file_is_a_warning_and_without_it_allow_anonymous_counts(self, tmp_path):
        with contextlib.closing(Site("memory", f"password_file {tmp_path}/none")) as site:
            assert any("there is no" in one for one in site.configuration.warnings)
            assert answer(site, 5, "joe", b"x") == 0

    def test_a_bad_file_is_an_error_before_anything_starts(self, files):
        path = files.write("passwords", "joe\n")
        with pytest.raises(ConfigError, match="passwords:1: there is no colon"):
            Broker(f"listener 0 127.0.0.1\npassword_file {path}")

    def test_so_is_a_missing_or_bad_acl_file(self, files, tmp_path):
        with pytest.raises(ConfigError, match="acl_file: there is no "):
            Broker(f"listener 0 127.0.0.1\nacl_file {tmp_path}/none")
        path = files.write("acl", "tpic a\n")
        with pytest.raises(ConfigError, match="acl:1: 'tpic' is not"):
            Broker(f"listener 0 127.0.0.1\nacl_file {path}")


class Held:
    """In place of PBKDF2: each hash waits until the test lets it go."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.verified = []

    def verify(self, password):
        self.begun.release()
        assert self.go.acquire(timeout=DEADLINE_S)
        self.verified.append(password)
        return password == b"secret"

    def wait_for(self, count):
        for _ in range(count):
            assert self.begun.acquire(timeout=DEADLINE_S)

    def release(self, count):
        self.go.release(count)


@pytest.fixture
def held(monkeypatch):
    one = Held()
    monkeypatch.setattr(hashes.Pbkdf2, "verify", lambda _hash, password: one.verify(password))
    yield one
    one.release(1000)


@pytest.fixture
def slow_site(files):
    """`slow_site(configuration)` has a user joe, with the password `secret`, of a slow hash."""
    sites = []

    def make(configuration="", transport="tcp", listeners=1):
        path = files.write("passwords", f"joe:{hashes.make_hash(b'secret')}\n")
        configuration += f"\npassword_file {path}"
        sites.append(Site(transport, configuration, listeners))
        return sites[-1]

    yield make
    for one in sites:
        one.close()


def login(site, version, client_id, password=b"secret"):
    """A client that has sent its CONNECT, and no more."""
    one = site.client(version)
    one.send(Connect(version, client_id, True, 0, "joe", password, None, None))
    return one


class TestSlowHash:
    def test_it_counts_as_any_other(self, slow_site, version):
        site = slow_site()
        assert answer(site, version, "joe", b"secret") == 0
        assert answer(site, version, "joe", b"other") == BAD_USER_NAME_OR_PASSWORD
        assert answer(site, version, "ann", b"secret") == BAD_USER_NAME_OR_PASSWORD
        assert answer(site, version) == 0

    @pytest.mark.parametrize("waiting", [1, 20])
    def test_messages_flow_while_logins_wait(self, held, slow_site, version, waiting):
        site = slow_site()
        one, other = site.client(version), site.client(version)
        one.connect("one")
        other.connect("other")
        other.subscribe("a", qos=1)
        logins = [login(site, version, f"login {place}") for place in range(waiting)]
        held.wait_for(min(waiting, 2))
        for number in range(3):
            one.publish("a", b"%d" % number, 1)
            assert other.receive_message().payload == b"%d" % number
        held.release(waiting)
        for client in logins:
            assert client.receive(Connack).reason == 0
            client.fence()

    def test_what_comes_behind_the_connect_waits_for_its_answer(self, held, slow_site, version):
        site = slow_site()
        one = site.client(version)
        connect = Connect(version, "c", True, 0, "joe", b"secret", None, None)
        one.send(connect, Pingreq())
        held.wait_for(1)
        one.send(Pingreq())
        held.release(1)
        one.receive(Connack)
        one.receive(Pingresp)
        one.receive(Pingresp)

    @pytest.mark.statement("MQTT5-3.1.2-22", "MQTT3-3.1.2-24")
    def test_the_keep_alive_counts_from_the_answer(self, held, slow_site, version):
        site = slow_site()
        one = site.client(version)
        one.send(Connect(version, "c", True, 10, "joe", b"secret", None, None))
        held.wait_for(1)
        site.advance(20)
        held.release(1)
        assert one.receive(Connack).reason == 0
        site.advance(14)
        one.fence()

    def test_who_goes_away_meanwhile_is_forgotten(self, held, slow_site, version):
        site = slow_site()
        first = [login(site, version, f"first {place}") for place in range(2)]
        held.wait_for(2)
        gone = [login(site, version, f"gone {place}", b"gone") for place in range(3)]
        site.settle()  # their CONNECTs are in the queue
        for one in gone:
            one.drop()
        site.settle()
        held.release(2)
        for one in first:
            one.receive(Connack)
        last = login(site, version, "last")
        held.release(1)
        assert last.receive(Connack).reason == 0
        assert held.verified == [b"secret"] * 3
        assert not any(f"gone {place}" in site.context.registry for place in range(3))

    def test_who_goes_away_during_its_hash_has_no_session(self, held, slow_site, version):
        site = slow_site()
        gone = login(site, version, "gone")
        held.wait_for(1)
        gone.drop()
        site.settle()
        held.release(1)
        last = login(site, version, "last")
        held.release(1)
        last.receive(Connack)
        assert "gone" not in site.context.registry

    def test_more_than_may_wait_are_told_that_the_server_is_busy(self, held, slow_site, version):
        site = slow_site("max_waiting_logins 2")
        first = [login(site, version, f"first {place}") for place in range(2)]
        held.wait_for(2)
        queued = [login(site, version, f"queued {place}") for place in range(2)]
        site.settle()
        refused = login(site, version, "refused")
        assert refused.receive(Connack).reason == (SERVER_BUSY if version == 5 else 3)
        assert refused.wait_closed() == []
        held.release(4)
        for one in (*first, *queued):
            assert one.receive(Connack).reason == 0

    def test_the_last_of_two_logins_of_a_client_id_takes_over(self, slow_site, version):
        site = slow_site()
        first = login(site, version, "same")
        first.receive(Connack)
        second = login(site, version, "same")
        second.receive(Connack)
        assert first.closed_with() == (0x8E if version == 5 else None)
        second.fence()

    def test_the_broker_stops_while_logins_wait(self, held, slow_site):
        site = slow_site()
        login(site, 5, "one")
        held.wait_for(1)
        login(site, 5, "other")
        held.release(1)
        site.close()


class TestHashingThreads:
    def test_they_begin_with_the_first_job_and_end(self):
        def begun():  # those of other tests may still be on their way out
            return [one for one in set(threading.enumerate()) - before if "hashing" in one.name]

        before = set(threading.enumerate())
        pool = HashingThreads(10)
        assert not begun()
        done = threading.Event()
        assert pool.submit(done.set)
        assert done.wait(DEADLINE_S)
        assert begun()
        pool.stop(DEADLINE_S)
        assert not begun()
        assert not pool.submit(done.set)

    def test_a_job_that_fails_is_logged_and_the_next_runs(self, caplog):
        pool = HashingThreads(10)
        done = threading.Event()
        for _ in range(3):
            assert pool.submit(lambda: 1 // 0)
        pool.submit(done.set)
        assert done.wait(DEADLINE_S)
        pool.stop(DEADLINE_S)
        assert caplog.text.count("ZeroDivisionError") >= 2
