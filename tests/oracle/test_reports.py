"""What each form of the report says of the same clients."""

import json
import re
from xml.etree import ElementTree

import pytest

from oracle.reports import github, html, json_report, junit, markdown, summary
from oracle.reports.lookup import observable, reference_of
from oracle.reports.standing import FAIL_ON, NEVER, SHOULD, VIOLATION, standing, stands
from oracle.reports.text import visible
from oracle.reports.writing import ENDINGS, write
from oracle.statements import MQTT_3_1_1, MQTT_5_0
from tests.oracle.reports_sample import (
    CONNECT,
    HOSTILE,
    client,
    hostile,
    large,
    mixed,
    references,
    report,
    violation,
)

MIB = 1 << 20


class TestStanding:
    @pytest.mark.parametrize("level", ["MUST", "MUST NOT", "PROTOCOL ERROR", "MALFORMED PACKET"])
    def test_a_breach_stands_unless_none_shall(self, level):
        breach = violation(level=level)
        assert [stands(breach, fail_on) for fail_on in FAIL_ON] == [True, True, False]

    @pytest.mark.parametrize("level", ["SHOULD", "SHOULD NOT", "MAY"])
    def test_advice_stands_if_asked_for(self, level):
        breach = violation(level=level)
        assert [stands(breach, fail_on) for fail_on in FAIL_ON] == [False, True, False]

    def test_what_is_silenced_never_stands(self):
        breach = violation(silenced="known")
        assert [stands(breach, fail_on) for fail_on in FAIL_ON] == [False, False, False]

    def test_those_that_stand_come_with_their_client(self):
        names = [one["client_id"] for one, _violation in standing(mixed(), SHOULD)]
        assert names == ["bad", "advised"]

    def test_another_word_is_an_error(self):
        with pytest.raises(ValueError, match="sometimes"):
            stands(violation(), "sometimes")


class TestJson:
    def test_it_is_the_report(self):
        assert json.loads(json_report.render(mixed())) == mixed()

    def test_keys_keep_their_order(self):
        assert list(json.loads(json_report.render(mixed()))) == list(mixed())

    def test_each_client_has_a_line(self):
        lines = json_report.render(mixed()).splitlines()
        assert sum('"client_id"' in line for line in lines) == len(mixed()["clients"])

    def test_one_line_end_at_the_end(self):
        assert re.search(r"[^\n]\n\Z", json_report.render(mixed()))

    def test_text_is_not_escaped_without_need(self):
        assert "Grüße" in json_report.render(report(client("Grüße")))

    def test_without_clients(self):
        assert json.loads(json_report.render(report())) == report()


def suites(a_report):
    root = ElementTree.fromstring(junit.render(a_report))
    return {suite.get("name"): suite for suite in root}


class TestJunit:
    def test_a_suite_for_each_client(self):
        names = ["good", "bad", "advised", "quiet", "127.0.0.1:40001", "old"]
        assert list(suites(mixed())) == names

    def test_a_case_for_each_statement_of_the_documents_it_is_held_to(self):
        cases = suites(mixed())
        assert len(cases["good"].findall("testcase")) == len(observable(MQTT_5_0))
        assert {c.get("classname") for c in cases["old"].iter("testcase")} == {MQTT_3_1_1}
        both = report(client(protocols=["3.1.1", "5.0"]))
        count = len(observable(MQTT_5_0)) + len(observable(MQTT_3_1_1))
        assert len(suites(both)["xyz"].findall("testcase")) == count

    def test_a_case_is_named_as_the_document_names_it(self):
        name = "MQTT-3.1.0-1 CONNECT – Connection Request"
        (case,) = suites(mixed())["good"].findall(f"testcase[@name='{name}']")
        assert case.get("classname") == MQTT_5_0

    def test_exercised_passes_and_the_rest_is_skipped(self):
        good = suites(mixed())["good"]
        passed = [case for case in good.iter("testcase") if not len(case)]
        assert len(passed) == 19
        messages = {case[0].get("message") for case in good.iter("testcase") if len(case)}
        assert all(message.startswith("not exercised") for message in messages)

    def test_a_breach_fails_and_says_what_was_seen(self):
        breach = violation(count=3, first={"seen": "a second", "expected": "one"})
        (failure,) = suites(report(client("bad", [breach])))["bad"].iter("failure")
        assert failure.get("message") == "second CONNECT (3 times)"
        assert failure.get("type") == "MUST NOT"
        for words in ("seen: a second", "expected: one", CONNECT, "offset: 9", "sequence:"):
            assert words in failure.text
        assert re.search(r"^  \* .* received CONNECT", failure.text, re.MULTILINE)

    def test_two_ways_to_break_a_statement_are_one_case(self):
        breaches = [violation(), violation(summary="third CONNECT")]
        suite = suites(report(client("bad", breaches)))["bad"]
        (failure,) = suite.iter("failure")
        assert "second CONNECT" in failure.text
        assert "third CONNECT" in failure.text

    def test_what_is_silenced_is_skipped_with_its_reason(self):
        quiet = suites(mixed())["quiet"]
        assert quiet.find(".//skipped[@message='silenced: known, see #12']") is not None
        assert quiet.find(".//failure") is None

    def test_a_breach_is_there_whatever_the_client_spoke(self):
        nameless = report(client(None, [violation()], protocols=[]))
        (case,) = suites(nameless)["127.0.0.1:40000"].iter("testcase")
        assert case.find("failure") is not None

    @pytest.mark.parametrize("make", [mixed, hostile, report])
    def test_the_counts_are_those_of_the_cases(self, make):
        root = ElementTree.fromstring(junit.render(make()))
        for element in (root, *root):
            counts = {name: int(element.get(name)) for name in ("tests", "failures", "skipped")}
            assert counts == {
                "tests": sum(1 for _ in element.iter("testcase")),
                "failures": sum(1 for _ in element.iter("failure")),
                "skipped": sum(1 for _ in element.iter("skipped")),
            }

    def test_what_xml_does_not_allow_is_escaped(self):
        assert list(suites(hostile())) == [visible(text) for text in HOSTILE]


class TestMarkdown:
    def test_the_verdict_comes_first(self):
        text = markdown.render(mixed())
        assert text.startswith("## ❌ 6 clients: 1 violation stands; 1 violation of advice")
        assert markdown.render(mixed(), NEVER).startswith("## ✅ 6 clients: no violation stands")

    def test_what_it_says(self):
        text = markdown.render(mixed())
        assert "| ❌ | MQTT5-3.1.0-2 | MUST NOT | 3 | second CONNECT | bad | `10 10 00" in text
        assert "| ✅ | good | 5.0 | tcp | 1 | 19 | 0 |" in text
        assert f"| MQTT 5.0 | 21 of {len(observable(MQTT_5_0))} | 2 |" in text

    def test_the_same_breach_by_many_is_one_line(self):
        text = markdown.render(report(*(client(f"c{n}", [violation()]) for n in range(5))))
        assert text.count("second CONNECT") == 1
        assert "| 5 | second CONNECT | c0 and 4 others |" in text

    @pytest.mark.parametrize("text", HOSTILE)
    def test_what_comes_from_the_network_means_nothing(self, text):
        page = markdown.escaped(text)
        assert not set("|`<>\n\r\\*[]!#@:") & set(re.sub(r"&#\d+;", "", page))

    def test_each_row_of_a_table_has_all_cells(self):
        for a_report in (mixed(), hostile()):
            lines = markdown.render(a_report).splitlines()
            rows = [line for line in lines if line.startswith("|")]
            assert {line.count("|") for line in rows} == {4, 8}

    def test_it_is_short_and_says_what_it_leaves_out(self):
        text = markdown.render(large(300, 10))
        assert len(text.encode()) < MIB / 4
        assert "… and 200 more" in text
        assert "… and 2,900 more" in text

    def test_it_is_short_even_if_every_name_is_long(self):
        clients = (client("<" * 60_000, [violation(summary="|" * 9999)] * 3) for _ in range(200))
        assert len(markdown.render(report(*clients)).encode()) < MIB / 4

    def test_those_whose_violations_stand_are_not_left_out(self):
        clients = [client(f"good-{number}") for number in range(500)]
        text = markdown.render(report(*clients, client("bad", [violation()])))
        assert "| ❌ | bad |" in text


class TestSummary:
    def test_what_it_says(self):
        lines = summary.render(mixed()).splitlines()
        assert lines[0].startswith("touchstone 0.1.0, 6 clients: 1 violation stands")
        total = len(observable(MQTT_5_0))
        assert f"  MQTT 5.0: 21 of {total} observable statements exercised, 2 violated" in lines
        assert "  violation MQTT5-3.1.0-2 MUST NOT: second CONNECT (3 times), by bad" in lines
        assert "  warning U5-3.1.2.3-1 SHOULD: advice ignored, by advised" in lines
        silenced = "  silenced MQTT5-3.1.0-2 MUST NOT: second CONNECT, by quiet, because known"
        assert f"{silenced}, see #12" in lines

    def test_advice_is_a_violation_if_asked_for(self):
        assert "  violation U5-3.1.2.3-1 SHOULD" in summary.render(mixed(), SHOULD)

    def test_it_says_what_is_not_known(self):
        text = summary.render(hostile())
        assert "still running" in text
        assert "3 clients beyond the number that is kept" in text

    def test_nothing_moves_the_cursor_or_commands_a_runner(self):
        text = summary.render(report(client("\x1b]0;x\x07\n::error::x\r##[error]y")))
        assert text.replace("\n", "").isprintable()
        assert not re.search(r"^\s*::", text, re.MULTILINE)
        assert "##[" not in text

    def test_it_is_bounded(self):
        lines = summary.render(large(300, 2)).splitlines()
        assert "  and 250 more clients" in lines
        assert lines[-1] == "  and 400 more violations"
        assert max(map(len, lines)) <= summary.LINE


class TestGithub:
    def test_errors_for_what_stands_and_warnings_for_the_rest(self):
        lines = github.render(mixed()).splitlines()
        assert [line.partition("::MUST")[0].partition("::SHOULD")[0] for line in lines] == [
            "::error title=MQTT5-3.1.0-2",
            "::warning title=U5-3.1.2.3-1",
        ]
        assert [line.split(" ")[0] for line in github.render(mixed(), SHOULD).splitlines()] == [
            "::error",
            "::error",
        ]

    def test_line_ends_and_percent_signs_are_escaped(self):
        assert github.command("error", "a:b,c%", "d:e,f%\r\ng") == (
            "::error title=a%3Ab%2Cc%25::d:e,f%25%0D%0Ag"
        )

    def test_hostile_strings_add_no_line(self):
        lines = github.render(hostile()).splitlines()
        assert len(lines) == 3
        assert all(line.startswith("::error title=MQTT5-3.1.0-2::MUST NOT: ") for line in lines)

    def test_no_more_than_github_shows(self):
        lines = github.render(large(30, 10)).splitlines()
        assert sum(line.startswith("::error ") for line in lines) == github.SHOWN
        assert sum(line.startswith("::warning ") for line in lines) == github.SHOWN
        assert "and 231 more kinds of violation" in lines[github.SHOWN - 1]

    def test_nothing_is_said_where_nothing_is_wrong(self):
        assert github.render(report(client("good"))) == ""


class TestHtml:
    def test_nothing_from_the_network_ends_the_script(self):
        page = html.render(hostile())
        assert page.count("</script>") == 2  # the data's and the script's
        assert "<img" not in page
        assert "\u2028" not in page
        assert "<!--" not in page

    def test_violations_repeat_no_text(self):
        without, many = html.render(report()), html.render(large(20, 10))
        for statement in observable(MQTT_5_0):
            text = html.embedded(statement.text)[1:-1]
            assert many.count(text) == without.count(text) > 0

    def test_nothing_is_fetched(self):
        page = html.render(mixed())
        assert "default-src 'none'" in page
        assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://""", page)

    def test_a_dollar_in_the_data_is_a_dollar(self):
        assert "$script $style $$" in html.render(report(client("$script $style $$")))


class TestVisible:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a b", "a b"),
            ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
            ("\x00\x1b\r\n", r"\x00\x1b\r\n"),
            ("\u2028\u202e\ufffe", r"\u2028\u202e\ufffe"),
            ("\ud800\udfff", r"\ud800\udfff"),
            ("\U000e0001", r"\U000e0001"),
        ],
    )
    def test_what_is_not_printable_is_escaped(self, text, shown):
        assert visible(text) == shown


class TestWriting:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_by_ending(self, tmp_path, ending):
        path = tmp_path / f"report{ending.upper()}"
        write(mixed(), path)
        start = {".json": "{", ".xml": "<?xml", ".md": "## ", ".html": "<!doctype html>"}[ending]
        assert path.read_text(encoding="utf-8").startswith(start)
        assert [one.name for one in tmp_path.iterdir()] == [path.name]

    def test_an_unknown_ending_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"report\.txt: .*\.json, \.xml, \.md, \.html"):
            write(mixed(), tmp_path / "report.txt")

    def test_what_stood_there_is_replaced(self, tmp_path):
        path = tmp_path / "report.md"
        path.write_text("older")
        write(mixed(), path)
        assert "older" not in path.read_text(encoding="utf-8")

    def test_what_fails_leaves_the_older_one_and_nothing_else(self, tmp_path, monkeypatch):
        path = tmp_path / "report.md"
        path.write_text("older")
        monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            write(mixed(), path)
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        assert path.read_text() == "older"

    def test_what_stands_is_said_as_asked(self, tmp_path):
        path = tmp_path / "report.md"
        write(mixed(), path, NEVER)
        assert "no violation stands" in path.read_text(encoding="utf-8")
        write(mixed(), path, VIOLATION)
        assert "1 violation stands" in path.read_text(encoding="utf-8")


def test_a_statement_that_the_catalogue_lacks_is_shown_by_its_name():
    unknown = report(client("new", [violation() | {"statement": "MQTT-9.9.9-9"}]))
    assert "mqtt-5.0:MQTT-9.9.9-9" in summary.render(unknown)
    assert "MQTT-9.9.9-9" in junit.render(unknown)
    assert "MQTT-9.9.9-9" in html.render(unknown)


def test_references_are_those_of_the_contract():
    assert "mqtt-5.0:MQTT-3.1.0-2" in references(MQTT_5_0)
    assert reference_of(MQTT_5_0, "MQTT-3.1.0-2") == "mqtt-5.0:MQTT-3.1.0-2"
