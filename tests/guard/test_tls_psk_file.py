"""`psk_file`: what it may hold, and how it says what is wrong without saying a key."""

import pytest

from broker.psk_file import PskError, read_psk_file

SECRET = "5ec2e7" * 5


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "psk.txt"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    return write


def test_identities_and_keys(file):
    path = file("\ufeff# a comment\n\na:00ff\r\n  \nb b:c:ABcd \né:01")
    assert read_psk_file(path) == {"a": b"\x00\xff", "b b:c": b"\xab\xcd", "é": b"\x01"}


def test_an_empty_file_knows_nobody(file):
    assert read_psk_file(file("")) == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (SECRET, "is not IDENTITY:KEY"),
        (f":{SECRET}", "the identity is empty"),
        ("a:", "the key of 'a' is not an even number of hexadecimal digits"),
        (f"a:{SECRET}0", "the key of 'a' is not an even number of hexadecimal digits"),
        (f"a:{SECRET}xy", "the key of 'a' is not an even number of hexadecimal digits"),
        (f"a: {SECRET}", "the key of 'a' is not an even number of hexadecimal digits"),
        ("a:" + "0" * 514, "the key of 'a' has more than 256 bytes"),
        ("a" * 129 + f":{SECRET}", "the identity has more than 128 bytes, or a zero"),
        (f"a\0:{SECRET}", "the identity has more than 128 bytes, or a zero"),
        (f"first:{SECRET}", "there was a key for 'first' already"),
        (b"\xff:" + SECRET.encode(), "is not UTF-8"),
    ],
)
def test_what_is_wrong_names_file_and_line_and_no_key(file, line, words):
    line = line if isinstance(line, bytes) else line.encode()
    path = file(b"# two lines are good\nfirst:00\n" + line + b"\nlast:00\n")
    with pytest.raises(PskError) as caught:
        read_psk_file(path)
    assert str(caught.value) == f"{path}:3: {words}"
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PskError, match="No such file"):
        read_psk_file(str(tmp_path / "psk.txt"))
