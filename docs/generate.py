"""Write the pages of docs/ that are made from tables: `python docs/generate.py [--check]`.

With `--check` nothing is written, and the exit code is 1 if a page is not what it would be.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from docs.configuration_page import configuration_page  # noqa: E402
from docs.conformance_page import conformance_page  # noqa: E402
from docs.readme_tables import readme  # noqa: E402
from docs.reference_pages import behaviours_page, states_page, sys_topics_page  # noqa: E402

# Page, relative to docs/ -> what makes its text.
PAGES: dict[str, Callable[[], str]] = {
    "../README.md": readme,
    "behaviours.md": behaviours_page,
    "configuration.md": configuration_page,
    "conformance.md": conformance_page,
    "states.md": states_page,
    "sys-topics.md": sys_topics_page,
}


def is_current(name: str) -> bool:
    page = FOLDER / name
    return page.exists() and page.read_text(encoding="utf-8") == PAGES[name]()


def main(argv: Sequence[str]) -> int:
    stale = [name for name in PAGES if not is_current(name)]
    if "--check" in argv:
        for name in stale:
            sys.stderr.write(f"docs/{name} is stale: run python docs/generate.py\n")
        return 1 if stale else 0
    for name in stale:
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
