"""Passwords as password files have them; the long ones were written by mosquitto_passwd 2.0.11."""

import builtins

import pytest

from broker.guard.hashes import HashError, make_hash, parse_hash

PBKDF2 = (
    "$7$101$p2wTm7jJBfpaqq9c$ndkgYHX1tGvYJRDJQcoTUwflgvWED/LefVLYg46/ep5IYC6GDtTSSCFGVEHK69EudCg9"
    "ifB6jx7wpjcvPCtb3g=="
)
SHA512 = (
    "$6$9TAvw82FTjtnQp0N$wbySkzvLZzGCOngpzN5Kd3wGU0+ImfmTPxO7a8PzI/Ia+xHcEv/3MmFaAz/YmA7S0BNmx3ZZxx"
    "m4kVR3b3DxsA=="
)


@pytest.mark.parametrize("text", [PBKDF2, SHA512], ids=["$7$", "$6$"])
def test_a_hash_of_mosquitto_passwd_fits_its_password_only(text):
    hashed = parse_hash(text, allow_plaintext=False)
    assert hashed.verify(b"secret")
    for other in (b"", b"Secret", b"secret ", b"secre", b"\xff"):
        assert not hashed.verify(other)


def test_what_takes_long_is_known():
    assert parse_hash(PBKDF2, False).slow
    assert not parse_hash(SHA512, False).slow
    assert not parse_hash("secret", True).slow


@pytest.mark.parametrize("password", [b"x", "päß wörd:$".encode(), b"\0\xff"])
def test_a_new_hash_fits_its_password_and_has_a_salt_of_its_own(password):
    one, another = make_hash(password), make_hash(password)
    assert one != another
    assert parse_hash(one, False).verify(password)
    assert not parse_hash(one, False).verify(password + b"x")


def test_plain_text_counts_only_where_it_is_allowed():
    assert parse_hash("secret", allow_plaintext=True).verify(b"secret")
    assert not parse_hash("secret", allow_plaintext=True).verify(b"secret2")
    with pytest.raises(HashError, match="allow_plaintext_passwords is false"):
        parse_hash("secret", allow_plaintext=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no password"),
        ("$2b$12$abcdefghijklmnopqrstuu", "not known"),
        ("$", "not known"),
        ("$7$101$c2FsdA==", "2 parts"),
        ("$7$x$c2FsdA==$aGFzaA==", "not a whole number"),
        ("$7$0$c2FsdA==$aGFzaA==", "0 iterations"),
        ("$7$9999999999$c2FsdA==$aGFzaA==", "iterations"),
        ("$7$101$c2Fs dA==$aGFzaA==", "a salt that is not Base64"),
        ("$7$101$c2FsdA==$aGFzaA==", "a hash of 4 bytes"),
        ("$6$c2FsdA==$ä", "a hash that is not Base64"),
        ("$6$c2FsdA==", "1 parts"),
    ],
)
def test_a_broken_hash_is_named_but_not_shown(text, says):
    with pytest.raises(HashError) as caught:
        parse_hash(text, allow_plaintext=True)
    assert says in str(caught.value)
    assert "aGFzaA" not in str(caught.value)


class TestArgon2id:
    def test_a_hash_fits_its_password_only(self):
        argon2 = pytest.importorskip("argon2")
        hashed = parse_hash(argon2.PasswordHasher(1, 8, 1).hash("secret"), False)
        assert hashed.slow
        assert hashed.verify(b"secret")
        assert not hashed.verify(b"Secret")

    def test_a_broken_hash_is_an_error(self):
        pytest.importorskip("argon2")
        with pytest.raises(HashError, match="not a hash of Argon2id"):
            parse_hash("$argon2id$v=19$m=8", False)

    def test_without_the_package_a_line_says_what_to_install(self, monkeypatch):
        real = builtins.__import__

        def without(name, *rest):
            if name.partition(".")[0] == "argon2":
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(HashError, match="pip install argon2-cffi"):
            parse_hash("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA", False)
