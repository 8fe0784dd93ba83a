"""Rules about the repository itself, which no linter knows."""

import ast
import importlib.util
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hpo
from hpo import cli
from tests.conftest import ROOT, Require

LONGEST_FILE = 400  # lines; what is longer holds more than one idea
# The lock has a line for each hash, the licence is not ours to cut.
NOT_OURS = {"requirements.lock", "LICENSE"}
HEAVY = {"keras", "tensorflow"}


@pytest.fixture(scope="module")
def files(require: Require) -> list[Path]:
    """Every text file that is, or would be, part of the repository."""
    require(shutil.which("git") and (ROOT / ".git").exists(), "needs git and a checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def relative(path: Path) -> str:
    """The path as people write it."""
    return path.relative_to(ROOT).as_posix()


def modules(*folders: str) -> list[Path]:
    """All Python files in these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def lines_with(pattern: str, paths: list[Path]) -> list[str]:
    """Where the pattern occurs, as ``file:line: text``."""
    expression = re.compile(pattern)
    return [
        f"{relative(path)}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if expression.search(line)
    ]


def pins() -> dict[str, str]:
    """The lock's packages and versions, those for other systems and newer Pythons included."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    # of a package with two versions, the first is the one for Python 3.11
    return {canonicalize_name(name): pin for name, pin in reversed(found)}


def test_lock_names_no_index() -> None:
    """The lock works with whatever package index a machine has: it names no address and no option of pip."""
    assert lines_with(r"://|^\s*-[a-z]|--[a-z-]*(index|links|host)", [ROOT / "requirements.lock"]) == []


def test_lock_has_hashes() -> None:
    """Every package in the lock is pinned to an exact version and to hashes."""
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    assert [
        e for e in entries if not re.match(r"[A-Za-z0-9._-]+==\S+( ; .*)? \\\n +--hash=sha256:[0-9a-f]{64}", e)
    ] == []


def test_lock_is_up_to_date() -> None:
    """The lock holds every dependency of the project and its extras, gpu excepted, in a version that is asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: asked for name, asked in project["optional-dependencies"].items() if name != "gpu"}
    locked = pins()
    wrong = []
    for line in [*project["dependencies"], *(line for asked in extras.values() for line in asked)]:
        asked = Requirement(line)
        pin = locked.get(canonicalize_name(asked.name))
        if pin is None or pin not in asked.specifier:
            wrong.append(f"{line}: locked is {pin}")
    assert wrong == [], "run `make lock`"
    makefile = (ROOT / "Makefile").read_text()
    listed = re.search(r"^EXTRAS := (.*)$", makefile, re.MULTILINE)
    assert listed is not None
    assert set(listed[1].split()) == set(extras)


def test_installed_is_locked() -> None:
    """The libraries that these tests run with are the locked ones."""
    locked = pins()
    assert {name: version(name) for name in ("keras", "numpy", "optuna", "tensorflow")} == {
        name: locked[name] for name in ("keras", "numpy", "optuna", "tensorflow")
    }


def test_no_file_names_a_machine(files: list[Path]) -> None:
    """No file holds somebody's home folder, this checkout's place, or the address of a package index."""
    places = [r"(?<![\w.])/" + name + "/" for name in ("home", "root", "Users", "work")]
    hosts = r"https?://[^\s/]*(pypi|pythonhosted|npmjs|debian|conda)"
    here = re.escape(str(ROOT)) if len(ROOT.parts) > 2 else "$^"
    assert lines_with("|".join([*places, hosts, here]), files) == []


def test_files_are_short(files: list[Path]) -> None:
    """A file is one idea: none has 400 lines or more."""
    sizes = {relative(path): len(path.read_text("utf-8").splitlines()) for path in files if path.name not in NOT_OURS}
    assert {name: size for name, size in sizes.items() if size >= LONGEST_FILE} == {}


def test_modules_say_what_they_are_for() -> None:
    """Every Python file opens with a docstring, and so does every test."""
    silent = []
    for path in modules("hpo", "tests", "benchmarks"):
        tree = ast.parse(path.read_text("utf-8"))
        tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        if not ast.get_docstring(tree):
            silent.append(relative(path))
        silent += [f"{relative(path)}: {test.name}" for test in tests if not ast.get_docstring(test)]
    assert silent == []


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """The libraries that are imported whenever the module is: not those in functions or for type checkers alone."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(name)):
                yield name.partition(".")[0]
        todo += ast.iter_child_nodes(node)


def test_keras_is_imported_late() -> None:
    """At its top, Keras is imported by modules of the trial's process alone: a family does so inside `build`.

    Import-linter allows it to whole modules and to the folder of families; it cannot tell where in a file it happens.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(c for c in settings["contracts"] if set(c.get("protected_modules", [])) == HEAVY)
    allowed = {f"{name.replace('.', '/')}.py" for name in contract["allowed_importers"]}
    allowed |= {"hpo/models/_blocks.py", "hpo/augment/_batch.py"}
    early = [
        f"{relative(path)}: {name}"
        for path in modules("hpo")
        for name in top_level_imports(ast.parse(path.read_text("utf-8")))
        if name in HEAVY and relative(path) not in allowed
    ]
    assert early == []


def test_skips_go_through_require() -> None:
    """A test is skipped by the fixture `require` alone, which CI turns into a failure; none is expected to fail."""
    others = [path for path in modules("tests") if path.name not in ("conftest.py", "test_project.py")]
    assert lines_with(r"pytest\.(skip|xfail|importorskip)|mark\.(skip|xfail)|unittest\.skip", others) == []


def test_exceptions_have_reasons() -> None:
    """Whoever silences a linter or the type checker says why on the same line."""
    python = modules("hpo", "tests", "benchmarks")
    assert lines_with(r"#\s*(noqa|type:\s*ignore|pragma)(?!.*( - |#\s*)\w)", python) == []


def test_studies_open_with_a_comment() -> None:
    """Every study file opens with a comment that says what it is for."""
    studies = sorted((ROOT / "studies").glob("*.toml"))
    assert studies
    assert [relative(path) for path in studies if not re.match(r"# \w", path.read_text("utf-8"))] == []


def test_no_benchmark_hides_a_library() -> None:
    """A script's folder comes first among those that Python imports from: `coverage.py` there stops numba's import."""
    wanted = {"coverage"}  # libraries use it if it is there
    scripts = [path.stem for path in (ROOT / "benchmarks").glob("*.py")]
    assert scripts
    assert [name for name in scripts if name in wanted or importlib.util.find_spec(name) is not None] == []


def test_quickstart_is_there() -> None:
    """The study that `make quickstart` launches exists."""
    named = re.search(r"hpo launch (\S+)", (ROOT / "Makefile").read_text())
    assert named is not None
    assert (ROOT / named[1]).is_file()


def test_version_stands_in_one_place() -> None:
    """The version is written in hpo/__init__.py alone; what is installed has it, and the changelog has its heading."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert version("hpo") == hpo.__version__
    assert lines_with(r"^__version__ = ", modules("hpo")) == [f'hpo/__init__.py:3: __version__ = "{hpo.__version__}"']
    assert f"## {hpo.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_package_is_typed() -> None:
    """Type checkers of other projects read our annotations."""
    assert (ROOT / "hpo" / "py.typed").is_file()


def test_docs_know_every_command() -> None:
    """README.md or a page in docs/ shows every command of the program."""
    pages = "\n".join(path.read_text("utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert [name for name in cli.main.commands if not re.search(rf"\bhpo {name}\b", pages)] == []
