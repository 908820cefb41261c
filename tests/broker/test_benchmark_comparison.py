"""`python -m benchmarks.compare`: what it calls worse, and its exit code."""

import json

import pytest

from benchmarks.compare import main, report


def results(**figures):
    """A results file with one cell for each workload: its rounds as columns."""
    return {
        "machine": {"processor": "one"},
        "results": [
            {"workload": workload, "broker": "touchstone", "rounds": columns}
            for workload, columns in figures.items()
        ],
    }


def test_what_grew_by_more_than_the_limit_is_named():
    old = results(small={"cpu_us": [10.0]}, large={"cpu_us": [100.0]})
    new = results(small={"cpu_us": [11.4]}, large={"cpu_us": [116.0]})
    lines, code = report(old, new)
    assert code == 1
    assert lines[0] == "WORSE  large: CPU us per message 100.00 -> 116.00 (+16%)"
    assert lines[-1] == "2 figures compared: 1 worse and 0 better by more than 15%"


def test_within_the_limit_nothing_is_worse():
    lines, code = report(results(a={"cpu_us": [10.0]}), results(a={"cpu_us": [11.5]}))
    assert (lines, code) == (["1 figures compared: 0 worse and 0 better by more than 15%"], 0)


def test_the_median_of_the_rounds_counts():
    old = results(a={"cpu_us": [10.0, 10.0, 10.0]})
    assert report(old, results(a={"cpu_us": [10.0, 90.0, 10.0]}))[1] == 0
    assert report(old, results(a={"cpu_us": [10.0, 12.0, 12.0]}))[1] == 1


def test_instructions_are_compared_where_both_have_them():
    old = results(a={"cpu_us": [10.0], "instructions": [50_000]}, b={"cpu_us": [10.0]})
    new = results(
        a={"cpu_us": [10.0], "instructions": [60_000]},
        b={"cpu_us": [10.0], "instructions": [1]},
    )
    lines, code = report(old, new)
    assert code == 1
    assert "only in one file: b, instructions per message" in lines
    assert "WORSE  a: instructions per message 50,000.00 -> 60,000.00 (+20%)" in lines


def test_older_files_have_a_row_for_each_round():
    old = {"results": [{"workload": "a", "broker": "touchstone", "rounds": [{"cpu_us": 10.0}]}]}
    lines, code = report(old, results(a={"cpu_us": [20.0]}))
    assert code == 1
    assert "different processors" in lines[0]


def test_other_brokers_are_left_out():
    new = results(a={"cpu_us": [10.0]})
    new["results"].append({"workload": "a", "broker": "another", "rounds": {"cpu_us": [99.0]}})
    assert report(results(a={"cpu_us": [10.0]}), new)[1] == 0


@pytest.mark.parametrize(("limit", "code"), [("0.15", 1), ("0.5", 0)])
def test_the_command_line(tmp_path, capsys, limit, code):
    for name, value in (("old.json", 10.0), ("new.json", 14.0)):
        (tmp_path / name).write_text(json.dumps(results(a={"cpu_us": [value]})))
    files = [str(tmp_path / "old.json"), str(tmp_path / "new.json")]
    assert main([*files, "--limit", limit]) == code
    assert "1 figures compared" in capsys.readouterr().out


def test_files_with_nothing_in_common_are_an_error():
    assert report(results(a={"cpu_us": [1.0]}), results(b={"cpu_us": [1.0]}))[1] == 2
