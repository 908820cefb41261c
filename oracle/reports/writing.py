"""Write a report to a file, in the form that the file's ending asks for.

The file appears whole or not at all: a temporary one beside it is written and renamed, so that
whoever reads while the broker runs finds the report before or after, never half of one.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from oracle.reports import html, json_report, junit, markdown
from oracle.reports.standing import VIOLATION, Report

RENDERERS: dict[str, Callable[[Report, str], str]] = {
    ".json": lambda report, _fail_on: json_report.render(report),
    ".xml": lambda report, _fail_on: junit.render(report),
    ".md": markdown.render,
    ".html": html.render,
}
ENDINGS = tuple(RENDERERS)


def renderer(path: Path) -> Callable[[Report, str], str]:
    """What renders for this ending; ValueError if nothing does."""
    found = RENDERERS.get(path.suffix.lower())
    if found is None:
        raise ValueError(f"{path}: a report is a file that ends in {', '.join(ENDINGS)}")
    return found


def write(report: Report, path: str | Path, fail_on: str = VIOLATION) -> None:
    """ValueError for an unknown ending, OSError if the file cannot be written."""
    path = Path(path)
    content = renderer(path)(report, fail_on).encode("utf-8")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # What clients sent is for the owner to read.
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
