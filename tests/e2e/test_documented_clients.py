"""What `docs/clients.md` and README tell each client, told to the real one.

Nothing of a snippet is changed but the address and the key.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.node_clients import INSTALL_S, installed
from tests.e2e.programs import API_KEY, ROOT, Gateway, clean_environment
from tests.e2e.test_claude_code import QUIET, _program

ADDRESS = "http://127.0.0.1:8080"
KEY = "sk-c2a-..."
PROGRAM_S = 90
PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("docs/clients.md", "README.md")}
patient = pytest.mark.timeout(INSTALL_S + 120)
"""The packages of Node may have to be installed first."""


def snippets(page: str, language: str) -> list[str]:
    """Return the blocks of a language, without what indents them."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", PAGES[page], re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def named(language: str) -> list:
    """Return each block of a language on both pages, to be tested by itself."""
    return [
        pytest.param(text, id=f"{page} {number}")
        for page in PAGES
        for number, text in enumerate(snippets(page, language))
    ]


def ours(snippet: str, gateway: Gateway) -> str:
    """Return a snippet with the address and the key of the gateway under test."""
    return snippet.replace(ADDRESS, gateway.url).replace(KEY, API_KEY)


def run(*words: str, folder: Path, **environment: str) -> str:
    """Return what a program prints."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asked(simulator) -> int:
    """Return how many calls of models have reached the upstream, all of them answered."""
    simulator.quiet()
    assert {record["status"] for record in simulator.records} <= {101, 200}
    return len(simulator.records)


@pytest.mark.parametrize("snippet", named("python"))
def test_a_snippet_of_python_asks_and_is_answered(snippet, gateway, simulator, tmp_path) -> None:
    """It runs as it stands, and the upstream has heard it once."""
    run(sys.executable, "-c", ours(snippet, gateway), folder=tmp_path)
    assert asked(simulator) == 1


@pytest.mark.slow
@patient
@pytest.mark.parametrize("snippet", snippets("docs/clients.md", "ts"), ids=["OpenAI", "Vercel"])
def test_a_snippet_of_typescript_prints_an_answer(snippet, gateway, simulator, tmp_path) -> None:
    """It is also JavaScript, so that Node runs it as it stands."""
    (tmp_path / "node_modules").symlink_to(installed() / "node_modules")
    (tmp_path / "snippet.mjs").write_text(ours(snippet, gateway))
    assert run("node", "snippet.mjs", folder=tmp_path)
    assert asked(simulator) == 1


@pytest.mark.parametrize("snippet", snippets("docs/clients.md", "sh")[-1:], ids=["curl"])
def test_curl_prints_a_stream(snippet, gateway, simulator, tmp_path) -> None:
    """To its end."""
    printed = run("sh", "-c", ours(snippet, gateway), folder=tmp_path, CODEX2API_KEY=API_KEY)
    assert printed.rstrip().endswith("data: [DONE]")
    assert asked(simulator) == 1


@pytest.mark.slow
@patient
@pytest.mark.parametrize("config", named("toml"))
def test_the_codex_cli_takes_its_configuration(config, gateway, simulator, tmp_path) -> None:
    """It answers a question, over the WebSocket that the configuration allows."""
    program = installed() / "node_modules" / ".bin" / "codex"
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex" / "config.toml").write_text(ours(config, gateway))
    told = ("exec", "--skip-git-repo-check", "echo: I am told")
    told_by = {"HOME": str(tmp_path), "CODEX2API_KEY": API_KEY}
    assert "I am told" in run(str(program), *told, folder=tmp_path, **told_by)
    assert asked(simulator) >= 1


@pytest.mark.slow
@patient
@pytest.mark.parametrize(
    "snippet", [each for page in PAGES for each in snippets(page, "sh") if "ANTHROPIC" in each],
    ids=PAGES.keys(),
)  # fmt: skip
def test_claude_code_takes_its_environment(snippet, gateway, simulator, tmp_path) -> None:
    """What is exported is enough for it to answer a question."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(_program())
    asking = ours(snippet, gateway).replace("\nclaude\n", "\nclaude -p 'echo: I am told'\n")
    assert asking.endswith("told'\n")
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    printed = run("sh", "-ec", asking, folder=tmp_path, HOME=str(tmp_path), **QUIET, PATH=path)
    assert "I am told" in printed
    assert asked(simulator) >= 1
