"""The users of a password file, and what is said of a bad one."""

import pytest

from broker.config import ConfigError
from broker.guard.password_file import Passwords, read_passwords
from tests.guard.test_hashes import PBKDF2, SHA512


class Counted:
    """A hash that counts how often it was worked out."""

    slow = True

    def __init__(self):
        self.count = 0

    def verify(self, password):
        self.count += 1
        return password == b"secret"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "passwords"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def test_users_comments_and_line_ends(written):
    path = written(f"\ufeff# users\r\n\r\njoe:{PBKDF2}\r\nänn:{SHA512}\n")
    passwords = read_passwords(path, allow_plaintext=False)
    assert len(passwords) == 2
    assert passwords.verify("joe", b"secret")
    assert passwords.verify("änn", b"secret")
    assert not passwords.verify("joe", b"other")
    assert not passwords.verify("bob", b"secret")
    assert not passwords.verify("joe", None)
    assert passwords.is_slow("joe")
    assert not passwords.is_slow("änn")


def test_a_password_may_have_colons(written):
    assert read_passwords(written("joe:a:b"), True).verify("joe", b"a:b")


def test_nobody_is_in_an_empty_file(written):
    passwords = read_passwords(written("# nobody\n"), False)
    assert not passwords.verify("joe", b"")
    assert not passwords.is_slow("joe")


def test_who_is_not_there_costs_one_hash_as_everybody_and_never_fits():
    joe, ann = Counted(), Counted()
    passwords = Passwords({"joe": joe, "ann": ann})
    for tried in range(1, 11):
        assert not passwords.verify("nobody", b"secret")
        assert joe.count + ann.count == tried
        assert joe.count in (0, tried)  # the same each time, as it would be for a user
    assert passwords.is_slow("nobody")
    assert passwords.verify("joe", b"secret")


def test_a_user_without_a_password_costs_the_same():
    joe = Counted()
    assert not Passwords({"joe": joe}).verify("joe", None)
    assert joe.count == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"joe:{SHA512}\njoe", ":2: there is no colon"),
        (":secret", ":1: there is no user name"),
        (f"joe:{SHA512}\n\n#\njoe:{SHA512}", ":4: user 'joe' has a line already"),
        ("joe:secret", ":1: user 'joe': a password that is not hashed"),
        ("joe:$5$x$y", ":1: user 'joe': a kind of hash that is not known"),
        (b"#\n#\nj\xffe:x", ":3: 0xFF is not UTF-8"),
    ],
)
def test_a_bad_line_is_an_error_that_names_file_and_line(written, text, says):
    path = written(text)
    with pytest.raises(ConfigError) as caught:
        read_passwords(path, False)
    assert str(caught.value).startswith(path + says)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="passwords: No such file"):
        read_passwords(str(tmp_path / "passwords"), False)
