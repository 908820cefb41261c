"""action.yml: its steps, with inputs set as GitHub sets them."""

import json
import os
import re
import sys

import pytest

from tests.ci.steps import SETUP_PYTHON, Machine, expand, load, put_program

pytestmark = pytest.mark.skipif(os.name == "nt", reason="stand-ins are shell scripts")


@pytest.fixture(scope="module")
def action():
    return load("action.yml")


@pytest.fixture(scope="module")
def github(tmp_path_factory, action):
    """A machine on which the steps before the last have been run."""
    machine = Machine(tmp_path_factory.mktemp("github"))
    output = machine.folder / "output"
    step = step_of(action, "install")
    put_program(machine.programs, "setup-python", SETUP_PYTHON.replace("{python}", sys.executable))
    values = {
        "steps.python.outputs.python-path": str(machine.programs / "setup-python"),
        "github.action_path": str(machine.touchstone),
    }
    done = machine.run(
        step["run"],
        **{name: expand(value, values) for name, value in step["env"].items()},
        RUNNER_TEMP=str(machine.folder),
        GITHUB_OUTPUT=str(output),
    )
    assert done.returncode == 0, done.stderr
    machine.outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return machine


def step_of(action, name):
    (step,) = (step for step in action["runs"]["steps"] if step.get("id") == name)
    return step


def run_command(action, github, **inputs):
    """The last step, with the defaults of what is not given."""
    inputs = {name: each.get("default", "") for name, each in action["inputs"].items()} | {
        name.replace("_", "-"): value for name, value in inputs.items()
    }
    shipped = f"{github.touchstone}/client_testing.conf"
    values = {f"inputs.{name}": value for name, value in inputs.items()}
    values["inputs.config || format('{0}/client_testing.conf', github.action_path)"] = (
        inputs["config"] or shipped
    )
    for name, value in github.outputs.items():
        values[f"steps.install.outputs.{name}"] = value
    step = action["runs"]["steps"][-1]
    variables = {name: expand(value, values) for name, value in step["env"].items()}
    return github.run(
        step["run"],
        **variables,
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(github.folder / "page.md"),
    )


def test_the_form_that_github_wants(action):
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert "uses" in step or step["shell"] == "bash"
    assert {name for name, each in action["inputs"].items() if each.get("required")} == {"command"}


def test_no_input_is_put_into_a_script(action):
    # What is put there is run; a variable is not.
    for step in action["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_every_expression_names_an_input_or_a_step(action):
    known = {f"inputs.{name}" for name in action["inputs"]} | {"github.action_path"}
    known |= {"steps.python.outputs.python-path", "steps.install.outputs.touchstone"}
    used = set(re.findall(r"(?:inputs|github|steps)\.[\w.-]+", json.dumps(action["runs"])))
    assert used == known


def test_the_command_finds_the_broker(action, github):
    github.put_tests("keeps_the_rules.py")
    done = run_command(action, github, command="python -m pytest")
    assert done.returncode == 0, done.stderr
    assert "kept the rules\n" in done.stdout


def test_a_violation_fails_the_step(action, github):
    github.put_tests("breaks_a_rule.py")
    done = run_command(action, github, command="python -m pytest", report="a.json\nb.html\n")
    assert done.returncode == 3, done.stderr
    assert "\n::error " in done.stdout
    assert "3.1.0-2" in (github.folder / "page.md").read_text(encoding="utf-8")
    for name in ("a.json", "b.html"):
        assert "3.1.0-2" in (github.clone / name).read_text(encoding="utf-8")


def test_fail_on(action, github):
    github.put_tests("breaks_a_rule.py")
    done = run_command(action, github, command="python -m pytest", fail_on="never")
    assert done.returncode == 0, done.stderr


def test_several_lines_end_with_the_first_that_fails(action, github):
    done = run_command(action, github, command="echo \"a 'b'\"\nfalse | cat\necho c\n")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == ["a 'b'"]


def test_a_configuration_of_its_own(action, github):
    (github.clone / "my own.conf").write_text("listener 0 127.0.0.1\nallow_anonymous true\n")
    done = run_command(action, github, command="echo $MQTT_HOST", config="my own.conf")
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["127.0.0.1"])


def test_the_variables_of_the_step_are_not_the_command_s(action, github):
    done = run_command(action, github, command="echo ${COMMAND-no} ${CONFIG-no} ${REPORT-no}")
    assert done.stdout.splitlines()[1:] == ["no no no"]


def test_a_report_with_lines_that_end_as_on_windows(action, github):
    done = run_command(action, github, command="true", report="w.json\r\n\r\nw.md")
    assert done.returncode == 0, done.stderr
    assert (github.clone / "w.json").exists()
    assert (github.clone / "w.md").exists()
