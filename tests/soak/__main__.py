"""`python -m tests.soak --minutes 30`: the soak by hand; exit code 1 when something was wrong."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.soak.running import soak


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of what the clients do")
    parser.add_argument("--persistence", action="store_true", help="with a database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            counts = soak(
                Path(folder),
                options.minutes * 60,
                options.clients,
                options.seed,
                lambda line: print(line, flush=True),
                options.persistence,
            )
        except AssertionError as error:
            print(f"seed {options.seed}: {error}", file=sys.stderr)
            return 1
    print(json.dumps(counts, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
