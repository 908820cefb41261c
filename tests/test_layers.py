"""Who may import whom, and what a source file looks like.

The files are read, not imported. An import counts wherever it stands: at the top, under
TYPE_CHECKING, inside a function.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the bottom up: each imports only what stands before it.
LAYERS = ("formats", "oracle", "persistence", "broker", "startbroker")

# Within broker/, from the bottom up: each module imports only modules of the lines before it.
# `folder.*` is all modules of a folder, among which only a cycle is forbidden.
BROKER = (
    "broker.clock",
    "broker.statistics",
    "broker.version",
    "broker.whole_files",
    "broker.timers",
    "broker.option_types",
    "broker.options",
    "broker.ignored_options",
    "broker.psk_file",
    "broker.config_lines",
    "broker.config_sections",
    "broker.config",
    "broker.logging_setup",
    "broker.message",
    "broker.access",
    "broker.settings",
    "broker.limits",
    "broker.overruns",
    "broker.session.states",
    "broker.session.outgoing",
    "broker.session.link",
    "broker.journal",
    "broker.worker",
    "broker.topics.filters",
    "broker.topics.aliases",
    "broker.guard.*",
    "broker.authentication.*",
    "broker.session.waiting",
    "broker.session.session",
    "broker.session.registry",
    "broker.topics.shared",
    "broker.topics.tree",
    "broker.topics.retained",
    "broker.behaviours",
    "broker.router",
    "broker.keeping",
    "broker.lifetime",
    "broker.context",
    "broker.layers.*",
    "broker.durable_output",
    "broker.output",
    "broker.conduct",
    "broker.timed",
    "broker.connection",
    "broker.entrance",
    "broker.handlers.*",
    "broker.tracing",
    "broker.listeners.*",
    "broker.sys_topics",
    "broker.housekeeping",
    "broker.pki",
    "broker.tls_listeners",
    "broker.restore",
    "broker.store",
    "broker.late",
    "broker.broker",
    "broker.reporting",
    "broker.running",
    "broker.arguments",
    "broker.command_line",
    "broker.testing.*",
    "broker.pytest_plugin",
)

# What may be imported where: a module or package, and the files or folders that may. A file is
# named with its suffix, a folder without.
ONLY_IN = {
    "socket": ("broker/listeners",),
    "selectors": ("broker/listeners",),
    "ssl": ("broker/layers/tls.py", "broker/layers/tls_context.py", "broker/layers/psk.py"),
    "sslpsk3": ("broker/layers/psk.py",),
    "time": ("broker/clock.py",),
    "ZODB": ("persistence",),
    "BTrees": ("persistence",),
    "persistent": ("persistence",),
    "transaction": ("persistence",),
    "cryptography": ("broker/pki.py",),
    "argon2": ("broker/guard/hashes.py",),
}
NOT_IN_FORMATS = ("threading", "logging", "time", "socket", "selectors", "ssl", "asyncio")
# A bare clone has none of these; what needs them imports them in a function, when it is needed.
OPTIONAL = (
    "ZODB",
    "BTrees",
    "persistent",
    "transaction",
    "zodburi",
    "relstorage",
    "cryptography",
    "argon2",
    "sslpsk3",
)

# Every run of pytest in an environment that has the package imports the one, and every start of a
# broker the other: all else is imported when it is needed.
LATE = ("broker/pytest_plugin.py", "broker/late.py")

LINES = 400  # of a file at most
FREE_OF_THE_LIMIT = ("tests", "docs", "benchmarks")


@dataclass(slots=True)
class Import:
    """One import of one module."""

    importer: str  # the file, from the root
    line: int
    target: str  # the module, dotted
    inside_function: bool

    def __str__(self):
        return f"{self.importer}:{self.line} imports {self.target}"


@cache
def sources():
    """The files that are installed, from the root."""
    files = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]
    return sorted([*files, ROOT / "startbroker.py"])


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules():
    return {module_of(path): path for path in sources()}


@cache
def imports():
    return [found for path in sources() for found in imports_of(path)]


def imports_of(path):
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    in_functions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        inside = id(node) in in_functions
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, node.lineno, alias.name, inside)
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            for alias in node.names:  # `from broker.topics import tree` imports a module
                inner = f"{package}.{alias.name}"
                yield Import(name, node.lineno, inner if is_module(inner) else package, inside)


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def fail_with(found):
    if found := list(found):
        pytest.fail("\n" + "\n".join(found), pytrace=False)


def test_no_layer_imports_a_layer_above_it():
    rank = {layer: place for place, layer in enumerate(LAYERS)}
    fail_with(
        f"{i}: {order}"
        for i in imports()
        if (order := out_of_order(rank, i.importer.split("/")[0].removesuffix(".py"), i.target))
    )


def out_of_order(rank, importer, target):
    target = target.split(".")[0]
    if rank.get(target, -1) > rank[importer]:
        return f"{target} stands above {importer}"
    return ""


def test_nothing_installed_imports_tests_benchmarks_or_docs():
    outside = ("tests", "benchmarks", "docs")
    fail_with(str(i) for i in imports() if i.target.split(".")[0] in outside)


def test_imports_are_absolute():
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno} imports from `{'.' * node.level}`"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    fail_with(found)


def line_of(module):
    """The place of a module in BROKER, or None."""
    folder = module.rpartition(".")[0] + ".*"
    for place, name in enumerate(BROKER):
        if name in (module, folder):
            return place
    return None


def test_each_module_of_the_broker_has_its_place():
    packages = {module_of(path) for path in sources() if path.name == "__init__.py"}
    fail_with(
        f"{module} has no line in BROKER of {Path(__file__).name}"
        for module in modules()
        if module.startswith("broker.") and module not in packages and line_of(module) is None
    )


def test_each_place_in_the_broker_has_its_module():
    packages = {module_of(path) for path in sources() if path.name == "__init__.py"}
    taken = {line_of(module) for module in modules() if module not in packages}
    fail_with(f"{name} names no module" for n, name in enumerate(BROKER) if n not in taken)


def test_the_broker_imports_downwards_only():
    found = []
    for i in imports():
        importer = module_of(ROOT / i.importer)
        if not (importer.startswith("broker.") and i.target.startswith("broker.")):
            continue
        above, below = line_of(importer), line_of(i.target)
        if above is None or below is None or above > below:
            continue
        if above == below and BROKER[above].endswith("*") and importer != i.target:
            continue  # the same folder: the cycle test holds it
        found.append(f"{i}: {BROKER[below]} does not stand before {BROKER[above]}")
    fail_with(found)


def test_there_is_no_cycle():
    graph = {name: set() for name in modules()}
    for i in imports():
        if i.target in graph:
            graph[module_of(ROOT / i.importer)].add(i.target)
    cycle = first_cycle(graph)
    fail_with([" -> ".join(cycle)] if cycle else [])


def first_cycle(graph):
    done = set()

    def visit(node, path):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph[node]):
            if cycle := visit(target, [*path, node]):
                return cycle
        done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := visit(node, []))), [])


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_imported_in_its_place_only(package):
    places = ONLY_IN[package]
    fail_with(
        f"{i}: only {', '.join(places)} may"
        for i in imports()
        if i.target.split(".")[0] == package
        and not any(i.importer == place or i.importer.startswith(place + "/") for place in places)
    )


def test_formats_know_no_sockets_threads_clocks_or_logging():
    fail_with(
        str(i)
        for i in imports()
        if i.importer.startswith("formats/") and i.target.split(".")[0] in NOT_IN_FORMATS
    )


def test_what_a_bare_clone_lacks_is_imported_when_needed():
    fail_with(
        f"{i} at module level"
        for i in imports()
        if i.target.split(".")[0] in OPTIONAL
        and not i.inside_function
        and not i.importer.startswith("persistence/")
    )


def test_only_what_is_optional_is_imported_inside_a_function():
    fail_with(
        f"{i} inside a function"
        for i in imports()
        if i.inside_function
        and i.target.split(".")[0] not in (*OPTIONAL, "persistence")
        and i.importer not in LATE
    )


def test_no_file_is_longer_than_the_limit():
    found = []
    for path in sources():
        if path.relative_to(ROOT).parts[0] in FREE_OF_THE_LIMIT:
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES:
            found.append(f"{path.relative_to(ROOT).as_posix()} has {lines} lines of {LINES}")
    fail_with(found)


def test_each_module_says_what_it_is_for():
    fail_with(
        f"{path.relative_to(ROOT).as_posix()} has no docstring"
        for path in sources()
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    )


def test_packages_have_empty_init_files():
    fail_with(
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if path.name == "__init__.py" and path.read_text(encoding="utf-8").strip()
    )


class TestOfTheTests:
    """The rules above can fail."""

    def test_a_cycle_is_found(self):
        graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
        assert first_cycle(graph) == ["b", "c", "b"]

    def test_a_graph_without_a_cycle_has_none(self):
        assert first_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []

    def test_a_layer_above_is_out_of_order(self):
        rank = {"formats": 0, "broker": 1}
        assert out_of_order(rank, "formats", "broker.clock") == "broker stands above formats"
        assert out_of_order(rank, "broker", "formats.mqtt") == ""

    def test_all_kinds_of_imports_are_seen(self, tmp_path, monkeypatch):
        monkeypatch.setitem(globals(), "ROOT", tmp_path)
        path = tmp_path / "x.py"
        path.write_text(
            "import time, os.path\nfrom a.b import c\nif TYPE_CHECKING:\n    import d\n"
            "def f():\n    import e\n"
        )
        found = {(i.target, i.inside_function) for i in imports_of(path)}
        assert found == {
            ("time", False),
            ("os.path", False),
            ("a.b", False),
            ("d", False),
            ("e", True),
        }
