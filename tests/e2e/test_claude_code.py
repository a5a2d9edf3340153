"""Claude Code itself, headless: it works a task to its end with its own tools.

The simulator plays the model: what it says in each turn stands in the task. Nothing but loopback
can be reached, as every other address goes to a proxy that is not there.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.asking import prompt
from tests.e2e.node_clients import INSTALL_S, installed
from tests.e2e.programs import API_KEY, Gateway, clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S + 120)]
TASK_S = 90
NOWHERE = "http://127.0.0.1:9"
QUIET = {
    "CLAUDE_CODE_MAX_RETRIES": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "NO_PROXY": "127.0.0.1",
}
TOOLS = ("Bash", "Read", "Write")


class ClaudeCode:
    """`claude -p` with a home and a working folder of its own."""

    def __init__(self, home: Path, gateway: Gateway) -> None:
        self._home = home
        self._url = gateway.url
        self.work = home / "work"
        self.work.mkdir()

    def do(self, task: str, *, key: str = API_KEY) -> tuple[int, list[dict]]:
        """Return the exit status and the messages of one task."""
        environment = clean_environment(
            HOME=str(self._home), ANTHROPIC_BASE_URL=self._url, ANTHROPIC_API_KEY=key, **QUIET
        )
        done = subprocess.run(
            [
                *(_program(), "-p", task, "--output-format", "stream-json", "--verbose"),
                *("--allowedTools", *TOOLS),
            ],
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TASK_S,
            check=False,
        )
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert messages, done.stderr
        return done.returncode, messages


def _program() -> str:
    """Return the program of this platform; the package's own script would only link to it."""
    packages = installed("claude_code") / "node_modules" / "@anthropic-ai"
    found = [path for path in packages.glob("claude-code-*/claude") if os.access(path, os.X_OK)]
    if not found:
        pytest.skip("Claude Code has no program for this platform")
    return str(found[0])


@pytest.fixture
def claude(tmp_path, gateway) -> ClaudeCode:
    """Claude Code, configured for the gateway."""
    _program()
    return ClaudeCode(tmp_path, gateway)


def _calls(*calls: tuple[str, dict]) -> dict:
    """Return a turn in which the model calls tools."""
    items = [{"type": "function_call", "name": name, "arguments": given} for name, given in calls]
    return {"items": items, "interleave": True}


def _blocks(messages: list[dict], kind: str) -> list[dict]:
    told = [one["message"]["content"] for one in messages if one["type"] in ("assistant", "user")]
    return [block for content in told for block in content if block["type"] == kind]


def test_a_session_with_several_tools_is_worked_to_its_end(claude, simulator) -> None:
    """It writes, then reads and runs at once, then tells; the session stays with one account."""
    made, notes = claude.work / "made.txt", claude.work / "notes.txt"
    notes.write_text("the word is fjord\n")
    task = prompt(
        "Please do as you are told.",
        attempts=[
            _calls(("Write", {"file_path": str(made), "content": "made by a tool\n"})),
            _calls(
                ("Read", {"file_path": str(notes)}),
                ("Bash", {"command": "cat made.txt", "description": "Shows what was made"}),
            ),
            {},
        ],
    )
    status, messages = claude.do(task)
    result = messages[-1]
    assert (status, result["type"], result["subtype"]) == (0, "result", "success"), messages
    assert result["result"] == "The tool answered: made by a tool"
    assert made.read_text() == "made by a tool\n"
    assert [block["name"] for block in _blocks(messages, "tool_use")] == ["Write", "Read", "Bash"]
    results = [str(block["content"]) for block in _blocks(messages, "tool_result")]
    assert "fjord" in results[1]
    assert not any(block.get("is_error") for block in _blocks(messages, "tool_result"))
    turns = simulator.wait_for_records(3)
    assert [(turn["status"], turn["terminal"]) for turn in turns] == [(200, "completed")] * 3
    assert len({turn["account"] for turn in turns}) == 1
    assert simulator.violations == []
    usage = result["usage"]
    assert usage["cache_read_input_tokens"] > usage["input_tokens"] > 0


def test_a_limited_account_is_not_noticed(claude, simulator) -> None:
    """The first attempt meets a usage limit; the user hears of nothing but the answer."""
    limited = {"fault": "429_usage_limit"}
    status, messages = claude.do(prompt("echo: all is well", attempts=[limited, {}]))
    assert (status, messages[-1]["subtype"]) == (0, "success")
    assert "all is well" in messages[-1]["result"]
    assert [turn["status"] for turn in simulator.wait_for_records(2)] == [429, 200]


def test_a_wrong_key_is_told_to_the_user(claude, simulator) -> None:
    """The task fails at once, and the upstream is not asked."""
    status, messages = claude.do(prompt("Say something."), key="sk-wrong")
    assert (status, messages[-1]["is_error"]) == (1, True)
    assert messages[-1]["api_error_status"] == 401
    assert simulator.records == []
