"""Checks of the repository itself that no linter option expresses.

The limits are questions, not walls: what has a reason to be an exception stands in one of the
tables below with that reason, and a test takes it off the table once the reason is gone.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.main import NOUNS
from app.settings import VARIABLES

ROOT = Path(__file__).parent.parent
APP = sorted((ROOT / "app").rglob("*.py"))
MODULES = [*APP, *sorted((ROOT / "loadtests").rglob("*.py")), *sorted(ROOT.glob("scripts/*.py"))]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400

ENTRY_POINTS = {
    "app.asgi": "Granian loads it by name",
    "app.__main__": "`python -m app`",
    "app.cli.main": "the command `codex2api`",
    "app.serving": "started by the command line and by `app.__main__`",
}
LOADED_BY_ALEMBIC = "app.store.migrations"

LONG_FUNCTIONS: dict[str, str] = {}
"""`path:function` to the reason why it is over the limit."""

LONG_MODULES: dict[str, str] = {
    "app/ports.py": "what is needed from the world stands in one place, a few lines each",
}
"""`path` to the reason why it is over the limit."""

WITHOUT_TEST_FILE: dict[str, str] = {
    "app/__main__.py": "starts the server; tests/e2e runs it as a program",
    "app/asgi.py": "what Granian loads; tests/e2e runs it in the real server",
    "app/upstream/sockets/connection.py": "Protocols and two exceptions",
    "app/admin/rows.py": "Protocols only; mypy holds the store to them",
    "app/admin/running.py": "Protocols only; mypy holds the gateway to them",
    "app/ports.py": "Protocols only; mypy holds every shell and fake to them",
}
"""`path` to the reason why no test file mirrors it."""

REQUIRED_DEPENDENCIES = {
    "aiosqlite",
    "asyncpg",
    "granian",
    "httpx",
    "litestar",
    "msgspec",
    "orjson",
    "prometheus-client",
    "redis",
    "uvloop",
}
FORBIDDEN_DEPENDENCIES = {"aiohttp"}
FORBIDDEN_FOLDERS = {
    "common", "core", "handlers", "helpers", "lib", "managers", "services", "utils",
}  # fmt: skip
CHECKED_FOLDERS = ("app", "loadtests", "scripts", "tests", "admin-ui/src")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


LOCKS = {"BoundedSemaphore", "Condition", "Lock", "RLock", "Semaphore"}


def relative(path: Path) -> str:
    """Return the path as it stands in the tables above."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> list[FunctionNode]:
    """Return every function of a file, nested ones and methods too."""
    tree = ast.parse(path.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, FunctionNode)]


def body_lines(function: FunctionNode) -> int:
    """Return how many lines a reader has to hold in mind: all but the docstring."""
    spent = 0
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        spent = docstring.end_lineno - docstring.lineno + 1
    return function.end_lineno - function.lineno + 1 - spent


def module_name(path: Path) -> str:
    """Return the name that an import of the file uses."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_names(path: Path) -> Iterator[str]:
    """Yield every module, or name in a module, that the file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def mirror(path: Path) -> Path:
    """Return the test file that belongs to a module of `app`."""
    inside = path.relative_to(ROOT / "app")
    return ROOT / "tests" / inside.parent / f"test_{inside.name}"


def section(document: str, heading: str) -> str:
    """Return what stands below a second-level heading, up to the next one."""
    text = (ROOT / document).read_text("utf-8")
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def first_column(table: str) -> list[str]:
    """Return the words in backticks of each row's first cell."""
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_function_fits_a_screen(path: Path) -> None:
    """A reader sees a whole function at once; its docstring does not count."""
    too_long = {
        f"{relative(path)}:{function.name}"
        for function in functions(path)
        if body_lines(function) > FUNCTION_LINES_MAX
    }
    assert too_long == {name for name in LONG_FUNCTIONS if name.startswith(f"{relative(path)}:")}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_has_one_subject(path: Path) -> None:
    """A module past the limit has two subjects, or data that belongs in a table."""
    too_long = len(path.read_text("utf-8").splitlines()) > MODULE_LINES_MAX
    assert too_long == (relative(path) in LONG_MODULES)


def test_no_module_is_dead() -> None:
    """Every module of `app` is imported by another one, is an entry point, or holds a noun."""
    modules = {module_name(path) for path in APP if path.name != "__init__.py"}
    imported = {name for path in APP for name in imported_names(path)}
    imported |= {f"app.cli.{place.partition(':')[0]}" for place in NOUNS.values()}
    dead = {
        name
        for name in modules - imported - ENTRY_POINTS.keys()
        if not name.startswith(LOADED_BY_ALEMBIC)
    }
    assert not dead


@pytest.mark.parametrize(
    "path", [path for path in APP if not module_name(path).startswith(LOADED_BY_ALEMBIC)],
    ids=relative,
)  # fmt: skip
def test_a_module_has_its_test_file(path: Path) -> None:
    """A module with behaviour has the test file that mirrors it, or a reason not to."""
    has_behaviour = bool(functions(path))
    excused = relative(path) in WITHOUT_TEST_FILE
    assert mirror(path).exists() or excused or not has_behaviour, f"{mirror(path)} is missing"


def test_an_exception_is_taken_off_the_table_when_its_reason_is_gone() -> None:
    """The tables name no file that is away, and none that has got its test file since."""
    long_functions = {name.split(":")[0] for name in LONG_FUNCTIONS}
    known = {relative(path) for path in MODULES}
    assert not long_functions - known
    assert not LONG_MODULES.keys() - known
    assert not {name for name in WITHOUT_TEST_FILE if mirror(ROOT / name).exists()}


@pytest.mark.parametrize("folder", CHECKED_FOLDERS)
def test_a_folder_is_named_after_its_subject(folder: str) -> None:
    """A folder called `utils` would be a place for things that nobody named."""
    named = {
        path.name
        for path in (ROOT / folder).rglob("*")
        if path.is_dir() and "node_modules" not in path.parts
    }
    assert not named & FORBIDDEN_FOLDERS


def test_readme_has_every_setting_and_no_other() -> None:
    """The table of environment variables is complete, and true."""
    documented = first_column(section("README.md", "Environment"))
    assert sorted(documented) == sorted({v.name for v in VARIABLES} | {"CODEX_ENV_FILE"})


@pytest.mark.parametrize("path", DECISIONS, ids=relative)
def test_a_decision_has_nygards_form(path: Path) -> None:
    """A decision has a number, a status and three sections, the bad consequences included."""
    text = path.read_text("utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.search(
        r"^Status: (proposed|accepted|superseded by \d{4}), \d{4}-\d\d-\d\d$", text, re.MULTILINE
    )
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Context"
    assert "Decision" in headings
    assert headings[-1] == "Consequences"


def test_decisions_are_numbered_without_gaps() -> None:
    """A number stands for one decision for ever."""
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.lock")), ids=relative)
def test_a_lock_file_has_hashes_and_no_address(path: Path) -> None:
    """A lock says what is installed, never from where."""
    text = path.read_text("utf-8")
    pins = re.findall(r"^[a-z0-9][^\n]*", text, re.MULTILINE)
    assert pins
    assert all(re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==", pin) for pin in pins)
    assert all(pin.endswith("\\") for pin in pins)
    assert "://" not in text
    assert "index-url" not in text


def test_the_lock_file_of_the_admin_ui_has_no_address() -> None:
    """`.npmrc` keeps download addresses out of package-lock.json."""
    npmrc = (ROOT / "admin-ui" / ".npmrc").read_text("utf-8")
    assert "omit-lockfile-registry-resolved=true" in npmrc.splitlines()
    lock = ROOT / "admin-ui" / "package-lock.json"
    assert not lock.exists() or '"resolved"' not in lock.read_text("utf-8")


def test_the_product_stands_on_its_ten_libraries() -> None:
    """The libraries that the product is built on are direct dependencies, and locked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    direct = {re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0] for line in project["dependencies"]}
    assert direct >= REQUIRED_DEPENDENCIES
    assert not direct & FORBIDDEN_DEPENDENCIES
    locked = set(
        re.findall(r"^([a-z0-9.-]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert not direct - locked


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_a_document_mentions_no_missing_file(path: Path) -> None:
    """Every path in backticks and every relative link leads somewhere."""
    text = path.read_text("utf-8")
    folders = "app|tests|loadtests|docs|k8s|scripts|admin-ui|changelog.d"
    quoted = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    linked = re.findall(r"\]\(((?!https?:|#)[^)#]+)", text)
    missing = {name for name in quoted if not (ROOT / name).exists()}
    missing |= {name for name in linked if not (path.parent / name).exists()}
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_a_document_mentions_no_missing_word_of_the_makefile(path: Path) -> None:
    """What a document tells to type exists."""
    words = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    said = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", path.read_text("utf-8"), re.MULTILINE))
    assert not said - words


@pytest.mark.parametrize(
    "path", [p for p in APP if relative(p).startswith(("app/pool/", "app/relay/"))], ids=relative
)
def test_the_path_of_a_call_has_no_lock(path):
    """Nothing awaits between reading the pool's state and writing it, so nothing is locked.

    The pool itself never awaits at all.
    """
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    names |= {alias.name.split(".")[-1] for node in imports for alias in node.names}
    assert not names & LOCKS
    if relative(path).startswith("app/pool/"):
        assert not [node for node in nodes if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
