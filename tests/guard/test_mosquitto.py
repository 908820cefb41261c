"""Mosquitto's own programs: its password files here and ours there, its clients, its ACL."""

import contextlib
import subprocess

import pytest

from broker.access import Client
from broker.broker import Broker
from broker.guard.acl_file import read_acl
from broker.guard.passwd import set_password
from broker.guard.password_file import read_passwords
from broker.guard.rights import AclRights
from tests.guard.test_acl import Source
from tests.interop.needs import program

pytestmark = pytest.mark.interop

DEADLINE_S = 20
NOT_AUTHORIZED, BAD_USER_NAME_OR_PASSWORD = 5, 4


def passwd(*arguments):
    mosquitto_passwd = program("mosquitto", "mosquitto_passwd")
    subprocess.run(
        [mosquitto_passwd, *arguments], check=True, capture_output=True, timeout=DEADLINE_S
    )


def publish(port, *arguments):
    """The exit code of mosquitto_pub, which is the return code of CONNACK."""
    command = [program("mosquitto-clients", "mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port)]
    done = subprocess.run(
        [*command, "-t", "a", "-m", "x", *arguments], capture_output=True, timeout=DEADLINE_S
    )
    return done.returncode


@pytest.mark.parametrize("kind", ["sha512", "sha512-pbkdf2"])
def test_its_password_files_are_read(tmp_path, kind):
    path = str(tmp_path / "passwords")
    passwd("-H", kind, "-c", "-b", path, "joe", "secret")
    passwd("-H", kind, "-b", path, "änn", "pässword")
    passwords = read_passwords(path, allow_plaintext=False)
    assert passwords.verify("joe", b"secret")
    assert passwords.verify("änn", "pässword".encode())
    assert not passwords.verify("joe", b"other")


def test_it_changes_our_password_files(tmp_path):
    path = str(tmp_path / "passwords")
    set_password(path, "joe", b"secret")
    set_password(path, "ann", b"secret")
    passwd("-b", path, "ann", "other")
    passwd("-D", path, "joe")
    passwords = read_passwords(path, allow_plaintext=False)
    assert passwords.verify("ann", b"other")
    assert not passwords.verify("joe", b"secret")


@pytest.mark.parametrize("spoken", ["mqttv31", "mqttv311", "mqttv5"])
def test_its_clients_come_in_with_their_passwords(tmp_path, spoken):
    path = str(tmp_path / "passwords")
    passwd("-c", "-b", path, "joe", "secret")
    with Broker(f"listener 0 127.0.0.1\npassword_file {path}") as broker:
        port = broker.ports[0]
        assert publish(port, "-V", spoken, "-u", "joe", "-P", "secret") == 0
        refused = publish(port, "-V", spoken, "-u", "joe", "-P", "other")
        assert refused == (0x86 if spoken == "mqttv5" else BAD_USER_NAME_OR_PASSWORD)
        refused = publish(port, "-V", spoken)
        assert refused == (0x87 if spoken == "mqttv5" else NOT_AUTHORIZED)


ACL = """
topic read anon/#
user joe
topic deny a/secret
topic a/#
topic read r/+
topic write w/+
topic read two words
user boss
topic #
user ann
pattern read end
pattern readwrite c/%c/#
pattern write u/%u/x
pattern deny c/%c/no
pattern all
"""
TOPICS = [
    *("anon/a", "a", "a/b", "a/secret", "r", "r/a", "r/a/b", "w/a", "two words", "all"),
    *("c/one/a", "c/one", "c/one/no", "c/two/a", "u/joe/x", "u/ann/x", "u/joe/y"),
]


@contextlib.contextmanager
def mosquitto(folder, acl):
    """The port of a Mosquitto with this list and our password file."""
    command = program("mosquitto", "mosquitto")
    (folder / "acl").write_text(acl)
    for user in ("joe", "ann", "boss"):
        set_password(str(folder / "passwords"), user, b"secret")
    for name in ("acl", "passwords"):
        (folder / name).chmod(0o644)
    # Mosquitto does not say which port it was given: a free one of ours is taken over.
    with Broker("listener 0 127.0.0.1") as broker:
        (port,) = broker.ports
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
        f"acl_file {folder}/acl\npassword_file {folder}/passwords\n"
    )
    process = subprocess.Popen(
        [command, "-c", str(folder / "mosquitto.conf")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        for line in process.stderr:
            if b" running" in line:
                break
        yield port
    finally:
        process.kill()
        process.communicate()


def command_of(name, port, client_id, user_name, *arguments):
    command = [program("mosquitto-clients", name), "-h", "127.0.0.1", "-p", str(port)]
    login = ["-u", user_name, "-P", "secret"] if user_name else []
    return [*command, "-i", client_id, *login, *arguments]


def delivered(port, writer, reader):
    """Which of the topics come from one client to another; each is (client id, user name)."""
    filters = [word for topic in (*TOPICS, "end") for word in ("-t", topic)]
    subscribe = command_of("mosquitto_sub", port, *reader, "-d", "-F", "got %t", *filters)
    received = subprocess.Popen(["stdbuf", "-oL", *subscribe], stdout=subprocess.PIPE)
    try:
        for line in received.stdout:
            if line.startswith(b"Subscribed"):
                break
        for topic in TOPICS:
            message = ("-t", topic, "-m", "x", "-q", "1")
            subprocess.run(
                command_of("mosquitto_pub", port, *writer, *message),
                check=True,
                capture_output=True,
                timeout=DEADLINE_S,
            )
        subprocess.run(
            command_of("mosquitto_pub", port, "end", "boss", "-t", "end", "-m", "x"),
            check=True,
            timeout=DEADLINE_S,
        )
        topics = set()
        for line in received.stdout:
            if line == b"got end\n":
                break
            if line.startswith(b"got "):
                topics.add(line[4:-1].decode())
        return topics
    finally:
        received.kill()
        received.communicate()


@pytest.mark.slow
def test_its_lists_mean_the_same_here(tmp_path):
    boss = ("boss", "boss")
    others = (("one", "joe"), ("two", "ann"), ("three", None))
    with mosquitto(tmp_path, ACL) as port:
        source = Source(read_acl(str(tmp_path / "acl")))
        for writer, reader in (*((one, boss) for one in others), *((boss, one) for one in others)):
            writes, reads = AclRights(source, Client(*writer)), AclRights(source, Client(*reader))
            assert delivered(port, writer, reader) == {
                topic for topic in TOPICS if writes.may_publish(topic) and reads.may_receive(topic)
            }, (writer, reader)
