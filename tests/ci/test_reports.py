"""`--report`, `--fail-on` and the summary, on a broker that is stopped by a signal."""

import json
import os
import signal
import time

import pytest

from tests.ci.processes import SOON, lines_after_ready, program, python, stopped

posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


@posix
class TestStoppedBySignal:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
    def test_every_report_is_there_and_complete(self, serving, tmp_path, number):
        names = ["r.json", "r.xml", "r.md", "r.html"]
        reports = [word for name in names for word in ("--report", name)]
        process, visit = serving(*reports)
        visit("breaks_a_rule.py")
        code, out, _ = stopped(process, number)
        assert (code, out) == (0, "")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
        report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
        assert report["broker"]["complete"] is True
        assert [len(client["violations"]) for client in report["clients"]] == [1]
        for name in names:
            assert "3.1.0-2" in (tmp_path / name).read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("fail_on", "code"), [("violation", 3), ("should", 3), ("never", 0)], ids=str
    )
    def test_the_exit_code_is_of_clients_only_when_asked(self, serving, fail_on, code):
        process, visit = serving("--fail-on", fail_on)
        visit("breaks_a_rule.py")
        assert stopped(process)[0] == code

    def test_no_violation_stands(self, serving):
        process, _ = serving("--fail-on", "violation")
        assert stopped(process)[0] == 0

    def test_a_summary_at_the_end(self, serving):
        process, visit = serving()
        visit("breaks_a_rule.py")
        _, _, err = stopped(process)
        assert "violation" in err.splitlines()[-1]
        assert "3.1.0-2" in err.splitlines()[-1]

    def test_quiet(self, serving):
        process, visit = serving("-q", "--fail-on", "violation")
        visit("breaks_a_rule.py")
        assert stopped(process) == (3, "", "")

    def test_reports_on_request(self, serving, tmp_path):
        process, visit = serving("--report", "r.json")
        visit("breaks_a_rule.py")
        path = tmp_path / "r.json"
        process.send_signal(signal.SIGUSR1)
        report = wait_for(path, lambda report: report["clients"])
        assert report["broker"]["complete"] is False
        assert stopped(process)[0] == 0
        assert json.loads(path.read_text(encoding="utf-8"))["broker"]["complete"] is True

    def test_a_request_without_reports_does_no_harm(self, serving):
        process, visit = serving()
        process.send_signal(signal.SIGUSR1)
        visit("breaks_a_rule.py")
        assert stopped(process)[0] == 0

    def test_a_job_that_is_killed_has_a_report(self, serving, tmp_path):
        process, visit = serving("--report", "r.json")
        visit("breaks_a_rule.py")
        wait_for(tmp_path / "r.json", lambda report: report["clients"])
        process.kill()
        process.communicate(timeout=SOON)
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_report_that_cannot_be_written_at_the_end(self, serving, tmp_path):
        (tmp_path / "reports").mkdir()
        process, visit = serving("-q", "--report", "reports/r.json", "--fail-on", "violation")
        visit("breaks_a_rule.py")
        wait_for(tmp_path / "reports" / "r.json", lambda report: True)
        (tmp_path / "reports").rename(tmp_path / "elsewhere")
        code, _, err = stopped(process)
        assert (code, err) == (1, "--report reports/r.json: No such file or directory\n")


def wait_for(path, wanted):
    """The JSON report once it is as wanted."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if report is not None and wanted(report):
            return report
        time.sleep(0.01)
    raise AssertionError(f"{path.name} is {report}")


class TestWrongAtTheStart:
    @pytest.mark.parametrize("name", ["r.pdf", "r", "gone/r.json"])
    def test_a_path_is_one_line_and_nothing_is_opened(self, run_broker, name):
        done = run_broker("-p", 0, "--report", name, "--", *python("open('ran', 'w')"))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"--report {name}: ")
        assert done.stderr.count("\n") == 1

    def test_an_unknown_level(self, run_broker):
        done = run_broker("--fail-on", "sometimes")
        assert (done.returncode, done.stdout) == (2, "")
        assert "invalid choice: 'sometimes'" in done.stderr


class TestOnGitHub:
    def test_lines_and_the_page_of_the_job(self, run_broker, tmp_path):
        page = tmp_path / "page.md"
        page.write_text("of the step before\n")
        github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
        done = run_broker("-p", 0, "--", *program("breaks_a_rule.py"), **github)
        said, *lines = lines_after_ready(done.stdout).splitlines()
        assert (done.returncode, said) == (3, "passed")
        assert [line.partition(" ")[0] for line in lines] == ["::error"]
        before, _, ours = page.read_text(encoding="utf-8").partition("\n")
        assert before == "of the step before"
        assert ours.startswith("## ")
        assert "3.1.0-2" in ours

    def test_what_does_not_stand_is_a_warning(self, run_broker):
        arguments = ("-p", 0, "--fail-on", "never", "--", *program("breaks_a_rule.py"))
        done = run_broker(*arguments, GITHUB_ACTIONS="true")
        assert lines_after_ready(done.stdout).splitlines()[1].startswith("::warning ")

    def test_a_client_that_keeps_the_rules_has_no_line(self, run_broker):
        arguments = ("-p", 0, "--", *program("keeps_the_rules.py"))
        done = run_broker(*arguments, GITHUB_ACTIONS="true")
        assert (done.returncode, lines_after_ready(done.stdout)) == (0, "kept the rules\n")

    def test_a_page_that_cannot_be_written_changes_no_exit_code(self, run_broker, tmp_path):
        github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "gone" / "p")}
        done = run_broker("-q", "-p", 0, "--", *program("keeps_the_rules.py"), **github)
        assert done.returncode == 0
        assert done.stderr.startswith("GITHUB_STEP_SUMMARY: ")
