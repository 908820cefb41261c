"""docs/ci: the examples for GitHub, GitLab and AppVeyor, and the lines of its README."""

import os
import re
import socket

import pytest

from tests.ci.processes import ROOT
from tests.ci.steps import Machine, load, put_program

pytestmark = pytest.mark.skipif(os.name == "nt", reason="stand-ins are shell scripts")

CODES = pytest.mark.parametrize(
    ("program", "code"),
    [("keeps_the_rules.py", 0), ("breaks_a_rule.py", 3)],
    ids=["keeps", "breaks"],
)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_every_example_is_named_by_the_page():
    folder = ROOT / "docs" / "ci"
    page = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.yml"):
        load("docs", "ci", path.name)
        assert f"({path.name})" in page


class TestGitHub:
    def job(self, name):
        return load("docs", "ci", "github.yml")["jobs"][name]

    def test_the_action_gets_inputs_that_it_has(self):
        (step,) = (
            step for step in self.job("conformance")["steps"] if step.get("uses") == "./touchstone"
        )
        assert step["with"].keys() <= load("action.yml")["inputs"].keys()
        assert "command" in step["with"]

    @CODES
    def test_the_broker_in_the_background(self, machine, program, code):
        machine.put_tests("keeps_the_rules.py" if not code else program)
        (machine.clone / "touchstone" / "client_testing.conf").write_text(
            "allow_anonymous true\nlistener 0\n", encoding="utf-8"
        )
        page = machine.folder / "page.md"
        steps = [step for step in self.job("in-the-background")["steps"] if "run" in step]
        install, start, test, stop = steps
        assert machine.run(install["run"]).returncode == 0
        assert machine.called() == ["python3 -m pip install cryptography"]
        done = machine.run(start["run"], GITHUB_ACTIONS="true", **start["env"])
        assert done.returncode == 0, done.stdout
        ready = (machine.clone / "ready.json").read_text(encoding="utf-8")
        port = re.search(r'"port": (\d+)', ready)[1]
        where = {
            "MQTT_HOST": "localhost",
            "MQTT_PORT": port,
            "MQTT_URL": f"mqtt://localhost:{port}",
        }
        assert machine.run(test["run"], **where).returncode == 0
        assert stop["if"] == "always()"
        done = machine.run(stop["run"], GITHUB_STEP_SUMMARY=str(page))
        assert done.returncode == code, done.stdout
        assert ("3.1.0-2" in page.read_text(encoding="utf-8")) == bool(code)
        assert ("\n::error " in done.stdout) == bool(code)

    def test_a_broker_that_does_not_start_fails_its_step(self, machine):
        path = machine.clone / "touchstone" / "client_testing.conf"
        path.write_text("receive_maximum 0\n", encoding="utf-8")
        start = self.job("in-the-background")["steps"][2]
        done = machine.run(start["run"], **start["env"])
        assert done.returncode == 1
        assert "receive_maximum" in done.stdout


class TestGitLab:
    def job(self, name):
        return load("docs", "ci", "gitlab-ci.yml")[name]

    def run(self, machine, script, **more):
        return machine.run(
            "".join(f"{line}\n" for line in script), ("bash", "-eo", "pipefail"), **more
        )

    @CODES
    def test_one_command(self, machine, program, code):
        machine.put_tests(program)
        job = self.job("conformance")
        done = self.run(machine, job["script"])
        assert done.returncode == code, done.stderr
        for name in (job["artifacts"]["reports"]["junit"], *job["artifacts"]["paths"]):
            assert (machine.clone / name).exists()

    def test_the_image_is_built_from_what_is_there(self, machine):
        put_program(machine.programs, "docker")
        registry = {"CI_REGISTRY": "r", "CI_REGISTRY_IMAGE": "r/lib", "CI_REGISTRY_USER": "u"}
        done = self.run(
            machine, self.job("touchstone-image")["script"], CI_REGISTRY_PASSWORD="p", **registry
        )
        assert done.returncode == 0, done.stderr
        assert machine.called() == [
            "docker login --username u --password-stdin r",
            "docker build --tag r/lib/touchstone touchstone",
            "docker push r/lib/touchstone",
        ]
        assert (machine.clone / "touchstone" / "Dockerfile").exists()

    def test_the_service_is_that_image_and_its_port(self):
        job = self.job("with-a-service")
        (service,) = job["services"]
        assert service["name"] == "$CI_REGISTRY_IMAGE/touchstone"
        assert job["variables"] == {"MQTT_HOST": service["alias"], "MQTT_PORT": "1883"}


class TestAppVeyor:
    def lines(self, *sections):
        """What runs on Linux: lines for any shell, and those marked `sh`."""
        file = load("docs", "ci", "appveyor.yml")
        for section in sections:
            for line in file.get(section, ()):
                if isinstance(line, str):
                    yield line
                elif "sh" in line:
                    yield line["sh"]

    @CODES
    def test_on_linux(self, machine, program, code):
        put_program(machine.programs, "git")
        put_program(machine.programs, "curl")
        machine.put_tests(program)
        script = "\n".join(self.lines("init", "install", "test_script"))
        done = machine.run(script)
        assert done.returncode == code, done.stderr
        finish = "\n".join(self.lines("on_finish"))
        variables = {"APPVEYOR_URL": "http://localhost:1", "APPVEYOR_JOB_ID": "7"}
        assert machine.run(finish, **variables).returncode == 0
        assert machine.called() == [
            "git submodule update --init",
            "python -m pip install cryptography",
            "curl -sS -F file=@conformance.xml http://localhost:1/api/testresults/junit/7",
        ]
        assert (machine.clone / "conformance.xml").exists()
        assert (machine.clone / "conformance.html").exists()

    def test_no_line_for_every_shell_needs_a_certain_one(self):
        for section in ("install", "test_script", "on_finish"):
            for line in load("docs", "ci", "appveyor.yml")[section]:
                assert not isinstance(line, str) or not re.search(r"[$%;&|<>\\]", line)


class TestReadme:
    """The blocks of docs/ci/README.md and of README.md, "In CI"."""

    def blocks(self, *path):
        text = ROOT.joinpath(*path).read_text(encoding="utf-8")
        return re.findall(r"```sh\n(.*?)```", text, re.S)

    @CODES
    def test_the_line_for_any_other_service(self, machine, program, code):
        machine.put_tests(program)
        (block,) = (b for b in self.blocks("docs", "ci", "README.md") if "cryptography" in b)
        done = machine.run(block)
        assert done.returncode == code, done.stderr
        assert (machine.clone / "conformance.xml").exists()

    @CODES
    def test_in_the_background(self, machine, program, code):
        machine.put_tests(program)
        port = free_port()
        (machine.clone / "touchstone" / "client_testing.conf").write_text(
            f"allow_anonymous true\nlistener {port} 127.0.0.1\n", encoding="utf-8"
        )
        (block,) = (b for b in self.blocks("docs", "ci", "README.md") if "wait $!" in b)
        url = f"mqtt://127.0.0.1:{port}"
        done = machine.run(block, MQTT_HOST="127.0.0.1", MQTT_PORT=str(port), MQTT_URL=url)
        assert done.returncode == code, done.stderr

    def test_the_first_line_of_the_readme(self, machine):
        machine.put_tests("keeps_the_rules.py")
        (block,) = (b for b in self.blocks("README.md") if "-- python3 -m pytest" in b)
        done = machine.run(f"cp pytest.py touchstone; cd touchstone\n{block}")
        assert done.returncode == 0, done.stderr
        assert (machine.touchstone / "conformance.html").exists()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
