"""The documentation, held to the code: what it names is there, and what is there is explained."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app import errors
from app.cli.main import main
from app.domain.runtime import RuntimeSettings
from app.settings import VARIABLES

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if "decisions" not in path.relative_to(ROOT).parts
)
TROUBLESHOOTING = ROOT / "docs" / "operate" / "troubleshooting.md"
CONTRACT = """
invalid_request model_not_found unknown_route method_not_allowed request_timeout payload_too_large
invalid_api_key key_expired model_not_allowed no_api_keys not_supported_by_upstream overloaded
store_unavailable rate_limit_exceeded insufficient_quota pool_empty pool_busy usage_limit_reached
upstream_error upstream_timeout stream_incomplete response_context_unavailable server_draining
"""
OTHERS = {"POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "CODEX2API_KEY", "CODEX_ENV_FILE"}
CLIENTS = {"OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"}


def relative(path: Path) -> str:
    """Return the path as a test id."""
    return path.relative_to(ROOT).as_posix()


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of ours that a page shows, as far as they may be names."""
    for found in re.finditer(r"(?:`|^\s*)codex2api((?: [a-z][a-z-]+)+)", text, re.MULTILINE):
        yield found[1].split()


def every_code() -> set[str]:
    """Return the codes of all errors that the gateway makes."""
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    return {each.code for each in kinds if issubclass(each, errors.GatewayError)}


def test_every_code_of_an_error_is_explained() -> None:
    """Who meets one finds what it means and what to do."""
    first_cells = [
        line.split("|")[1]
        for line in TROUBLESHOOTING.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    explained = {code for cell in first_cells for code in re.findall(r"`(\w+)`", cell)}
    assert explained == every_code() | set(CONTRACT.split())


def below(group: click.Group, word: str) -> click.Command | None:
    """Return the command of that name in the group, if there is one."""
    return group.get_command(click.Context(group), word)


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md"], ids=relative)
def test_a_command_that_is_shown_is_there(path: Path) -> None:
    """As far as its words are names of commands; what follows may be a word of the sentence."""
    for words in commands(path.read_text("utf-8")):
        group: click.Command = main
        for word in words:
            if not isinstance(group, click.Group):
                break
            found = below(group, word)
            assert found, f"{relative(path)}: codex2api {' '.join(words)}"
            group = found


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md"], ids=relative)
def test_an_option_that_is_shown_is_one_of_its_command(path: Path) -> None:
    """Of whole commands in blocks, and of those that stand in a sentence."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    for line in re.findall(r"(?:`|^\s*)(codex2api [^`\n|#]+)", text, re.MULTILINE):
        group: click.Command = main
        words = line.split()[1:]
        while words and isinstance(group, click.Group) and (found := below(group, words[0])):
            group = found
            words.pop(0)
        known = {name for each in group.params for name in (*each.opts, *each.secondary_opts)}
        shown = {
            word.strip("[]").partition("=")[0] for word in words if word.strip("[").startswith("--")
        }
        assert shown <= known | {"--help"}, f"{relative(path)}: {line}"


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_a_variable_that_is_shown_is_read(path: Path) -> None:
    """By the gateway, by the stack around it, or by a client."""
    named = set(
        re.findall(
            r"\b(?:CODEX|DATABASE|REDIS|CACHE|UPSTREAM|OPENAI|ANTHROPIC|LOG|TRUSTED)"
            r"2?(?:API)?_[A-Z_]+\b",
            path.read_text("utf-8"),
        )
    )
    known = {variable.name for variable in VARIABLES} | OTHERS | CLIENTS
    assert {name.removesuffix("_FILE") for name in named if name not in known} <= known


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_a_page_has_its_place_in_the_site(path: Path) -> None:
    """A page that nothing leads to is not read."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    assert f'"{path.relative_to(ROOT / "docs").as_posix()}"' in repr(
        site["project"]["nav"]
    ).replace("'", '"')


def test_the_settings_that_pages_name_are_there() -> None:
    """Those in backticks that end as settings do."""
    names = set(RuntimeSettings.__struct_fields__)
    shown = set()
    for path in PAGES:
        shown |= set(
            re.findall(
                r"`((?:[a-z]+_)+(?:timeout_s|days|models|aliases|interval_s))`",
                path.read_text("utf-8"),
            )
        )
    assert shown <= names


def test_the_tests_that_the_threat_model_names_are_there() -> None:
    """A threat whose proof was renamed or taken away would be held off by words."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/security.md").read_text())
    assert len(named) > 30
    gone = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or f"def {test}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert gone == []


def anchors(path: Path) -> set[str]:
    """Return what a link may lead to within a page."""
    heads = re.findall(r"^#+ +(.+?) *$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))], ids=relative
)
def test_a_link_leads_somewhere(path: Path) -> None:
    """Pages, images and their headings; what is outside of this repository is not asked."""
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        page, _, anchor = target.partition("#")
        goal = (path.parent / page).resolve() if page else path
        assert goal.exists(), f"{relative(path)}: {target}"
        if path.is_relative_to(ROOT / "docs"):
            assert goal.is_relative_to(ROOT / "docs"), f"{target} is not part of the site"
        assert not anchor or anchor in anchors(goal), f"{relative(path)}: {target}"
