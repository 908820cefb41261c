"""Tags and marks are found wherever they may stand, and what is missing is named."""

import pytest

from oracle.accounting import Accounting, account, missing, read_marks, read_tags, shortened
from oracle.statements import by_key


def tags(source):
    return [key for _, key in read_tags(source)]


def marks(source):
    return [(key, test) for _, key, test in read_marks(source, "tests/test_x.py")]


class TestTags:
    def test_stand_in_comments(self):
        source = (
            "a = 1  # [MQTT5-3.1.2-22] [MQTT3-3.1.2-24] why\n# [U5-3.1.2.3-1]\n# [U311-4.8-1]\n"
        )
        assert tags(source) == ["MQTT5-3.1.2-22", "MQTT3-3.1.2-24", "U5-3.1.2.3-1", "U311-4.8-1"]

    @pytest.mark.parametrize("head", ["", "def f():\n    ", "class C:\n    "])
    def test_stand_in_docstrings(self, head):
        assert tags(f'{head}"""Forgets it [MQTT5-3.3.2-7]."""') == ["MQTT5-3.3.2-7"]

    def test_do_not_stand_in_other_strings(self):
        assert tags('a = "[MQTT5-3.3.2-7]"\n') == []

    def test_have_their_lines(self):
        assert list(read_tags("a = 1\nb = 2  # [MQTT5-3.3.2-7]\n")) == [(2, "MQTT5-3.3.2-7")]


class TestMarks:
    def test_on_a_function(self):
        source = '@pytest.mark.statement("A", "B")\ndef test_it(): ...'
        assert marks(source) == [
            ("A", "tests/test_x.py::test_it"),
            ("B", "tests/test_x.py::test_it"),
        ]

    def test_on_a_class_and_its_functions(self):
        source = """
@pytest.mark.statement("A")
class TestC:
    pytestmark = pytest.mark.statement("B")

    @pytest.mark.statement("C")
    async def test_it(self): ...
"""
        assert marks(source) == [
            ("A", "tests/test_x.py::TestC"),
            ("B", "tests/test_x.py::TestC"),
            ("C", "tests/test_x.py::TestC::test_it"),
        ]

    def test_on_a_module(self):
        source = 'pytestmark = [pytest.mark.slow, pytest.mark.statement("A")]'
        assert marks(source) == [("A", "tests/test_x.py")]

    def test_on_a_parameter(self):
        source = """
@pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.statement("A")), 2])
def test_it(a): ...
"""
        assert marks(source) == [("A", "tests/test_x.py::test_it")]

    def test_on_a_parameter_of_a_table(self):
        source = 'CASES = [pytest.param(1, marks=[pytest.mark.statement("A")])]'
        assert marks(source) == [("A", "tests/test_x.py")]

    def test_through_names_of_the_module(self):
        source = """
statement = pytest.mark.statement
BOTH = ("A", "B")

@statement(*BOTH)
def test_it(): ...
"""
        assert [key for key, _ in marks(source)] == ["A", "B"]

    def test_that_are_computed_have_no_key(self):
        source = "@pytest.mark.statement(*wire.statements)\ndef test_it(): ..."
        assert marks(source) == [("", "tests/test_x.py::test_it")]

    @pytest.mark.parametrize("mark", ["skip", "skip(reason='no')", "xfail(reason='no')"])
    def test_on_a_test_that_never_passes_do_not_count(self, mark):
        source = f'@pytest.mark.{mark}\n@pytest.mark.statement("A")\ndef test_it(): ...'
        assert marks(source) == []


class TestAccounting:
    @pytest.fixture
    def checkout(self, tmp_path):
        for folder in ("broker", "tests"):
            (tmp_path / folder).mkdir()
        return tmp_path

    def test_of_a_checkout(self, checkout):
        (checkout / "broker" / "a.py").write_text("a = 1  # [MQTT5-3.12.4-1]\n")
        (checkout / "tests" / "test_a.py").write_text(
            '@pytest.mark.statement("MQTT5-3.12.4-1")\ndef test_a(): ...\n'
        )
        accounting = account(checkout)
        assert accounting.tags == {"MQTT5-3.12.4-1": ["broker/a.py"]}
        assert accounting.marks == {"MQTT5-3.12.4-1": ["tests/test_a.py::test_a"]}
        assert accounting.errors == []

    def test_names_tags_and_marks_of_no_statement(self, checkout):
        (checkout / "broker" / "a.py").write_text("a = 1  # [MQTT5-9.9.9-9] [MQTT-3.1.2-24]\n")
        (checkout / "tests" / "test_a.py").write_text(
            "@pytest.mark.statement('U5-9-9', ids())\ndef test_a(): ...\n"
        )
        assert account(checkout).errors == [
            "broker/a.py:1: there is no statement MQTT5-9.9.9-9",
            "broker/a.py:1: there is no statement MQTT-3.1.2-24",
            "tests/test_a.py:1: there is no statement U5-9-9",
            "tests/test_a.py:1: the ids of this mark are not written out",
        ]

    @pytest.mark.parametrize(
        ("key", "tagged", "tested", "lacks"),
        [
            ("MQTT5-3.12.4-1", False, False, "a tag and a test"),
            ("MQTT5-3.12.4-1", True, False, "a test"),
            ("MQTT5-3.12.4-1", False, True, "a tag"),
            ("MQTT5-3.12.4-1", True, True, ""),
            ("U5-3.1.4-2", False, False, "a tag, a test or a reason"),  # SHOULD
            ("U5-3.1.4-2", False, True, ""),
            ("U5-3.1.4-1", False, False, ""),  # MAY, with a reason
            ("MQTT5-3.1.0-1", False, False, ""),  # binds the Client
        ],
    )
    def test_what_a_statement_lacks(self, key, tagged, tested, lacks):
        accounting = Accounting(
            {key: ["broker/a.py"]} if tagged else {}, {key: ["test_a"]} if tested else {}
        )
        assert accounting.lacks(by_key()[key]) == lacks

    def test_the_work_list_is_readable(self):
        lines = missing(Accounting())
        assert lines[0].startswith("MQTT 5.0: ")
        start = "  MQTT5-3.12.4-1       needs a tag and a test: The Server MUST send a PINGRESP"
        assert any(line.startswith(start) for line in lines)


def test_text_is_shortened_at_a_word():
    assert shortened("one  two\nthree", 20) == "one two three"
    assert shortened("one two three", 10) == "one two …"
