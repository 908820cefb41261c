"""`python -m benchmarks.install`: the other brokers that come from PyPI and npm.

They go to a folder of their own in the user's cache ($XDG_CACHE_HOME or ~/.cache), which may be
removed at any time; nothing is installed into this project or its environment. What comes with the
system is only named: the benchmark uses it where it is there.
"""

import shutil
import subprocess
import sys
import venv

from benchmarks.kinds import BROKERS, CACHE, ROOT

AMQTT = "amqtt==0.12.1"
LOCKED = ("package.json", "package-lock.json")


def install_amqtt() -> None:
    """A virtual environment with nothing else."""
    folder = CACHE / "amqtt"
    venv.create(folder, with_pip=True, clear=True)
    python = next(path for path in folder.glob("*/python*") if path.stem == "python")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", AMQTT], check=True)


def install_aedes() -> None:
    """The packages of the lock file."""
    npm = shutil.which("npm")
    if npm is None:
        print("aedes: left out, there is no npm; apt-get install nodejs npm")
        return
    folder = CACHE / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    for name in LOCKED:
        shutil.copy(ROOT / "benchmarks" / "npm" / name, folder / name)
    subprocess.run([npm, "ci", "--silent", "--omit=dev"], cwd=folder, check=True)


def main() -> int:
    """Install what can be, and say what is there."""
    failed = False
    for install in (install_amqtt, install_aedes):
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{install.__name__}: {error}", file=sys.stderr)
            failed = True
    for kind in BROKERS:
        version = kind.version()
        print(f"{kind.name:12} {version or f'not found; {kind.install}'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
