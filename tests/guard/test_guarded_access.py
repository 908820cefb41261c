"""Whom a listener with a password file lets in, of those who have shown who they are otherwise."""

import pytest

from broker.access import BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORIZED, PENDING, SUCCESS, Client
from broker.config import Configuration
from broker.guard.guard import Guard
from broker.guard.hashes import make_hash


@pytest.fixture
def access(files):
    """`access(PASSWORD_LINE, OPTION…)` is that of a broker with such a file."""

    def make(line="joe:secret", *options):
        path = files.write("passwords", line + "\n")
        lines = ["listener 0 127.0.0.1", f"password_file {path}", "allow_plaintext_passwords true"]
        configuration = Configuration.parse("\n".join([*lines, *options]))
        return Guard(configuration).access(configuration.listeners[0])

    return make


def test_a_name_from_a_certificate_needs_no_password(access):
    assert access().connect(Client("c", "joe", tls_identity="joe")) == SUCCESS


def test_nor_does_a_user_that_enhanced_authentication_has_named(access):
    client = Client("c", "joe", authenticated_by="SCRAM-SHA-256", proven=True)
    assert access().connect(client) == SUCCESS


def test_a_user_name_that_it_has_not_named_does(access):
    client = Client("c", "joe", authenticated_by="CHALLENGE")
    assert access().connect(client) == BAD_USER_NAME_OR_PASSWORD
    client.password = b"secret"
    assert access().connect(client) == SUCCESS


def test_without_one_it_is_enough(access):
    assert access().connect(Client("c", authenticated_by="CHALLENGE")) == SUCCESS
    assert access().connect(Client("c")) == NOT_AUTHORIZED
    assert access("joe:secret", "allow_anonymous true").connect(Client("c")) == SUCCESS


def test_a_slow_hash_is_left_to_a_thread_for_users_and_others_alike(access):
    slow = access(f"joe:{make_hash(b'secret')}")
    assert slow.connect(Client("c", "joe", b"secret")) == PENDING
    assert slow.connect(Client("c", "ann", b"secret")) == PENDING
    assert slow.connect(Client("c")) == NOT_AUTHORIZED


def test_listeners_of_the_same_files_share_them(files):
    acl = files.write("acl", "topic a\n")
    configuration = Configuration.parse(f"listener 0 127.0.0.1\nlistener 0 ::1\nacl_file {acl}")
    guard = Guard(configuration)
    one, other = (guard.access(listener) for listener in configuration.listeners)
    assert one.rights(Client("c")).same_as(other.rights(Client("c")))
