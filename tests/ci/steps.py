"""The steps of CI files, run as far as a machine without those services can.

A `Machine` has what they would: a clone of a client library with Touchstone in it, and stand-ins
for the programs that would reach a network.
"""

import os
import re
import shutil
import stat
import subprocess
import sys

import yaml

from tests.ci.processes import ROOT, SOON, environment

CHECKOUT = (
    ".dockerignore",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "action.yml",
    "broker",
    "client_testing.conf",
    "docs",
    "formats",
    "oracle",
    "persistence",
    "pyproject.toml",
    "setup.py",
    "startbroker.py",
)
# A stand-in notes how it was called, one line a call.
# It reads what it is piped, as the real one would: its writer must not meet a closed pipe.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in *--password-stdin*) cat >/dev/null ;; esac
"""
# The Python of the tests, but for what would need a network: installing packages by name.
PYTHON = """#!/bin/sh
case "$*" in
*"-m pip install"*) echo "$(basename "$0") $*" >>"$CALLS" ;;
*) exec {python} "$@" ;;
esac
"""
# A Python whose environments have a pip that installs nothing: the `touchstone` that it is to
# install is that of the folder which it is given.
SETUP_PYTHON = r"""#!/bin/sh
echo "python $*" >>"$CALLS"
[ "$1 $2" = "-m venv" ] || exit 9
mkdir -p "$3/bin"
cat >"$3/bin/python" <<'PIP'
#!/bin/sh
echo "venv/python $*" >>"$CALLS"
for source; do :; done
[ "$1 $2 $3" = "-m pip install" ] && [ -e "$source/pyproject.toml" ] || exit 9
printf '#!/bin/sh\nexec {python} %s/startbroker.py "$@"\n' "$source" >"$(dirname "$0")/touchstone"
chmod +x "$(dirname "$0")/touchstone"
PIP
chmod +x "$3/bin/python"
"""


def load(*path):
    return yaml.safe_load(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def check_out(folder):
    """A copy of what a clone has, without what only tests need."""
    folder.mkdir(parents=True)
    for name in CHECKOUT:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def put_program(folder, name, text=STAND_IN):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Machine:
    """A machine of a CI service: a folder with a clone, and programs of our own before PATH.

    Its Touchstone listens on ports that are free, not on those of the shipped configuration, which
    another test may have at the same time.
    """

    def __init__(self, folder):
        self.folder = folder
        self.clone = folder / "clone"
        self.touchstone = check_out(self.clone / "touchstone")
        self.programs = folder / "programs"
        self.calls = folder / "calls"
        self.calls.touch()
        for name in ("python", "python3"):
            put_program(self.programs, name, PYTHON.format(python=sys.executable))
        path = self.touchstone / "client_testing.conf"
        text = re.sub(r"(?m)^listener \d+", "listener 0", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

    def put_tests(self, program):
        """Make `python -m pytest` in the clone run one of `programs/`."""
        shutil.copy(ROOT / "tests" / "ci" / "programs" / program, self.clone / "pytest.py")

    def environment(self, **more):
        path = os.pathsep.join([str(self.programs), os.environ["PATH"]])
        return environment(PATH=path, CALLS=str(self.calls), **more)

    def run(self, script, shell=("bash", "--noprofile", "--norc", "-eo", "pipefail"), **more):
        """Run a step's lines, as GitHub does when it is told `bash`."""
        step = self.folder / "step.sh"
        step.write_text(script, encoding="utf-8")
        return subprocess.run(
            [*shell, str(step)],
            cwd=self.clone,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            start_new_session=True,
            timeout=SOON,
        )

    def called(self):
        return self.calls.read_text(encoding="utf-8").splitlines()


def expand(text, values):
    """What stands for the `${{ … }}` of a workflow, by a table of its expressions."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: values[match[1]], str(text))
