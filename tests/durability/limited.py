"""Runs a Python file with a limit to the size of the files it writes: `limited.py BYTES FILE ...`.

Only the soft limit is set, so that `resource.prlimit` can raise it while the process runs.
"""

import resource
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), hard))
    sys.argv = sys.argv[2:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
