"""What shows each statement of the catalogue: tags in the source, marks on the tests, reasons.

A tag is a key in square brackets, in a comment on the line that obeys or in its docstring.
A mark is `@pytest.mark.statement("MQTT5-3.1.2-22")` on a test function, a test class or a
`pytest.param`, or a module's `pytestmark`. Both are read from the files' syntax trees: nothing is
imported and no test is run. `python -m oracle.accounting --missing` prints what is left to do.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from oracle.statements import DOCUMENTS, TITLES, Statement, by_key, load

ROOT = Path(__file__).parent.parent
SOURCES = ("formats", "oracle", "persistence", "broker")
TESTS = "tests"

TAG = re.compile(r"\[((?:MQTT|U)\d*-\d[\d.]*-\d+)\]")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Accounting:
    """Where the statements are obeyed and shown. All paths are relative to the checkout."""

    tags: dict[str, list[str]] = field(default_factory=dict)  # key -> source files
    marks: dict[str, list[str]] = field(default_factory=dict)  # key -> tests, as pytest names them
    errors: list[str] = field(default_factory=list)  # `FILE:LINE: what is wrong`

    def lacks(self, statement: Statement) -> str:
        """What a statement still needs: "" if nothing, else `a tag`, `a test`, ... in words."""
        if not statement.binds_server or statement.reason:
            return ""
        tagged = statement.key in self.tags
        tested = statement.key in self.marks
        if statement.numbered and statement.mandatory:
            wanted = [*([] if tagged else ["a tag"]), *([] if tested else ["a test"])]
            return " and ".join(wanted)
        return "" if tagged or tested else "a tag, a test or a reason"


def account(root: Path = ROOT) -> Accounting:
    """Read all tags and marks of a checkout."""
    accounting = Accounting()
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            for line, key in read_tags(path.read_text(encoding="utf-8")):
                _note(accounting.tags, accounting.errors, key, name, f"{name}:{line}")
    for path in sorted((root / TESTS).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for line, key, test in read_marks(path.read_text(encoding="utf-8"), name):
            _note(accounting.marks, accounting.errors, key, test, f"{name}:{line}")
    return accounting


def _note(seen: dict[str, list[str]], errors: list[str], key: str, at: str, place: str) -> None:
    if key not in by_key():
        what = f"there is no statement {key}" if key else "the ids of this mark are not written out"
        errors.append(f"{place}: {what}")
    elif at not in seen.setdefault(key, []):
        seen[key].append(at)


def read_tags(source: str) -> Iterator[tuple[int, str]]:
    """The tags in comments and docstrings, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            for match in TAG.finditer(token.string):
                yield token.start[0], match[1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Definition | ast.Module) and (text := ast.get_docstring(node)):
            line = node.body[0].lineno
            for match in TAG.finditer(text):
                yield line, match[1]


def read_marks(source: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Line, key and test of each mark; the key is "" where an id is not a literal."""
    module = ast.parse(source)
    constants = _constants(module)
    yield from _marks_of_body(module.body, name, constants)


def _marks_of_body(
    body: list[ast.stmt], name: str, constants: dict[str, ast.expr]
) -> Iterator[tuple[int, str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            test = f"{name}::{node.name}"
            yield from _marks_in(node.decorator_list, test, constants)
            yield from _marks_of_body(node.body, test, constants)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not _never_passes(node):
                yield from _marks_in(node.decorator_list, f"{name}::{node.name}", constants)
            yield from _marks_in(node.body, name, constants)
        else:
            # pytestmark, and tables of pytest.param that a test below takes its cases from
            yield from _marks_in([node], name, constants)


def _marks_in(
    nodes: Iterable[ast.AST], test: str, constants: dict[str, ast.expr]
) -> Iterator[tuple[int, str, str]]:
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if not isinstance(node, ast.Call) or not _is_mark(node.func, "statement", constants):
            continue
        for argument in node.args:
            for value in _written_out(argument, constants):
                known = isinstance(value, ast.Constant) and isinstance(value.value, str)
                yield node.lineno, value.value if known else "", test  # type: ignore[attr-defined]


def _written_out(argument: ast.expr, constants: dict[str, ast.expr]) -> list[ast.expr]:
    """The ids of an argument, through `*` and the names of the module's constants."""
    if isinstance(argument, ast.Starred):
        return _written_out(argument.value, constants)
    if isinstance(argument, ast.Name) and argument.id in constants:
        return _written_out(constants[argument.id], constants)
    if isinstance(argument, ast.Tuple | ast.List):
        return [value for item in argument.elts for value in _written_out(item, constants)]
    return [argument]


def _constants(module: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_mark(function: ast.expr, mark: str, constants: dict[str, ast.expr]) -> bool:
    """Whether it is `pytest.mark.NAME`, or a module's own short name for that."""
    if isinstance(function, ast.Name) and function.id in constants:
        return _is_mark(constants[function.id], mark, {})
    return ast.unparse(function) == f"pytest.mark.{mark}"


def _never_passes(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is skipped or expected to fail, so that it shows nothing."""
    calls = [node.func if isinstance(node, ast.Call) else node for node in test.decorator_list]
    return any(_is_mark(call, mark, {}) for call in calls for mark in ("skip", "xfail"))


def missing(accounting: Accounting) -> list[str]:
    """The work list: a line for each statement that is not accounted for, by document."""
    lines: list[str] = []
    for document in DOCUMENTS:
        wanting = [(s, lacks) for s in load(document) if (lacks := accounting.lacks(s))]
        if not wanting:
            continue
        lines.append(f"{TITLES[document]}: {len(wanting)} not accounted for")
        lines += [f"  {s.key:<20} needs {lacks}: {shortened(s.text, 90)}" for s, lacks in wanting]
    return lines


def shortened(text: str, length: int) -> str:
    """The text on one line, cut at a word."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rsplit(" ", 1)[0] + " …"


def main() -> int:
    parser = argparse.ArgumentParser(description="What shows each normative statement.")
    parser.add_argument("--missing", action="store_true", help="list what is not accounted for")
    arguments = parser.parse_args()
    accounting = account()
    todo = missing(accounting)
    counts = [f"{TITLES[d]}: {len(load(d))} statements" for d in DOCUMENTS]
    lines = [*accounting.errors, *todo] if arguments.missing else counts
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if accounting.errors or todo else 0


if __name__ == "__main__":
    sys.exit(main())
