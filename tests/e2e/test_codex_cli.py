"""The Codex CLI itself, at both of the addresses that it may be given: it works a task to its end.

It speaks the Codex dialect more strictly than any test could, and the simulator refuses what the
real backend refuses. The task takes two turns: a command that the model asks for, and what it says
about the command's output.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.asking import prompt
from tests.e2e.node_clients import INSTALL_S, installed
from tests.e2e.programs import API_KEY, MODEL, Gateway, clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S + 120)]
TASK_S = 90
GREETING = "hello-from-codex2api"
LIMITED = {"fault": "429_usage_limit"}
OTHER = "the gateway under test"
OPENAI = "OpenAI"
"""The CLI lets providers of this name compact; for others it asks for a summary itself."""
LITE_MODEL = "gpt-5.6-sol"
CONFIG = """\
model = "{model}"
model_provider = "gateway"
check_for_update_on_startup = false

[model_providers.gateway]
name = "{name}"
base_url = "{base_url}"
wire_api = "responses"
env_key = "GATEWAY_KEY"
request_max_retries = 1
stream_max_retries = 0
supports_websockets = {websockets}

[analytics]
enabled = false
"""


class Codex:
    """`codex exec` with a home and a working folder of its own."""

    def __init__(
        self,
        home: Path,
        gateway: Gateway,
        base: str,
        *,
        name: str = OTHER,
        model: str = MODEL,
        websockets: bool = False,
    ) -> None:
        self._home = home
        config = CONFIG.format(
            model=model,
            base_url=gateway.url + base,
            name=name,
            websockets=str(websockets).lower(),
        )
        (home / "config.toml").write_text(config)
        (home / "work").mkdir()

    def work(self, task: str, *more: str, key: str = API_KEY) -> tuple[int, list[dict]]:
        """Return the exit status and the events of one task; `more` are arguments before it."""
        home = str(self._home)
        done = subprocess.run(
            [
                *(str(installed() / "node_modules" / ".bin" / "codex"), "exec", "--json"),
                *("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
                *(*more, task),
            ],
            cwd=self._home / "work",
            env=clean_environment(HOME=home, CODEX_HOME=home, GATEWAY_KEY=key),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TASK_S,
            check=False,
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert events, done.stderr
        return done.returncode, events


@pytest.fixture(params=["/v1", "/backend-api/codex"])
def base(request) -> str:
    """One of the two addresses."""
    installed()
    return request.param


@pytest.fixture
def codex(base, tmp_path, gateway) -> Codex:
    """The CLI, configured for HTTP."""
    return Codex(tmp_path, gateway, base)


@pytest.fixture
def talking(base, tmp_path, gateway) -> Codex:
    """The CLI, configured for WebSockets."""
    return Codex(tmp_path, gateway, base, websockets=True)


def _items(events: list[dict], kind: str) -> list[dict]:
    done = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


def test_a_task_with_a_command_is_worked_to_its_end(codex, simulator) -> None:
    """The command runs, its output is told, and the session stays with one account."""
    status, events = codex.work(prompt("Please run the greeting."))
    assert (status, events[-1]["type"]) == (0, "turn.completed"), events
    [command] = _items(events, "command_execution")
    assert (command["exit_code"], command["aggregated_output"]) == (0, f"{GREETING}\n")
    [answer] = _items(events, "agent_message")
    assert GREETING in answer["text"]
    assert events[-1]["usage"]["output_tokens"] > 0
    turns = simulator.wait_for_records(2)
    assert [(turn["status"], turn["terminal"]) for turn in turns] == [(200, "completed")] * 2
    assert len({turn["account"] for turn in turns}) == 1
    assert simulator.violations == []


def test_a_limited_account_is_not_noticed(codex, simulator) -> None:
    """The first attempt meets a usage limit; the CLI hears of nothing but the answer."""
    status, events = codex.work(prompt("echo: all is well", attempts=[LIMITED, {}]))
    assert (status, events[-1]["type"]) == (0, "turn.completed"), events
    assert not [event for event in events if event["type"] == "error"]
    assert "all is well" in _items(events, "agent_message")[0]["text"]
    assert [turn["status"] for turn in simulator.wait_for_records(2)] == [429, 200]


def test_a_wrong_key_is_told_to_the_user(codex, simulator) -> None:
    """The task fails with the gateway's words, and the upstream is not asked."""
    status, events = codex.work(prompt("Please run the greeting."), key="sk-wrong")
    assert (status, events[-1]["type"]) == (1, "turn.failed"), events
    assert "Incorrect API key provided" in events[-1]["error"]["message"]
    assert simulator.records == []


@pytest.mark.parametrize("base", ["/v1", "/backend-api/codex"])
@pytest.mark.parametrize(("name", "model"), [(OPENAI, MODEL), (OPENAI, LITE_MODEL), (OTHER, MODEL)])
def test_a_session_goes_on_after_its_compaction(
    tmp_path, gateway, simulator, base, name, model
) -> None:
    """A turn with a command, one that is compacted before it, and one after that.

    What was compacted can be read by one account only, so all of it stays there.
    """
    installed()
    codex = Codex(tmp_path, gateway, base, name=name, model=model)
    status, events = codex.work(prompt("Please run the greeting."))
    assert (status, events[-1]["type"]) == (0, "turn.completed"), events
    thread = events[0]["thread_id"]
    told = []
    for number, limit in enumerate((2_000, 200_000), start=2):
        compact = ("-c", f"model_auto_compact_token_limit={limit}")
        task = prompt(f"echo: turn {number}")
        status, events = codex.work(task, *compact, "resume", thread)
        assert (status, events[-1]["type"]) == (0, "turn.completed"), events
        told += [item["text"].split(" (")[0] for item in _items(events, "agent_message")]
    assert told == ["turn 2", "turn 3"]
    turns = simulator.wait_for_records(5)
    assert [(turn["status"], turn["terminal"]) for turn in turns] == [(200, "completed")] * 5
    assert len({turn["account"] for turn in turns}) == 1
    assert simulator.violations == []
    rollout = "".join(file.read_text() for file in tmp_path.rglob("rollout-*.jsonl"))
    assert "compacted" in rollout
    assert ('"type":"compaction"' in rollout) == (name == OPENAI)


def _count(gateway: Gateway, name: str) -> float:
    return gateway.metrics()[f"codex2api_websocket{name}"]


def test_a_session_over_websockets_is_worked_to_its_end(talking, gateway, simulator) -> None:
    """One connection, a warm-up, and two turns with a command between them."""
    opened = _count(gateway, '_connects_total{result="opened"}')
    asked = _count(gateway, '_messages_total{direction="in"}')
    status, events = talking.work(prompt("Please run the greeting."))
    assert (status, events[-1]["type"]) == (0, "turn.completed"), events
    assert not [event for event in events if event["type"] == "error"], events
    [command] = _items(events, "command_execution")
    assert (command["exit_code"], command["aggregated_output"]) == (0, f"{GREETING}\n")
    [answer] = _items(events, "agent_message")
    assert GREETING in answer["text"]
    turns = simulator.wait_for_records(2)
    assert [(turn["status"], turn["terminal"]) for turn in turns] == [(200, "completed")] * 2
    assert len({turn["account"] for turn in turns}) == 1
    assert _count(gateway, '_connects_total{result="opened"}') == opened + 1
    # The warm-up is answered here, so the upstream has heard two of the three.
    assert _count(gateway, '_messages_total{direction="in"}') == asked + 3
    assert simulator.violations == []


def test_a_limited_account_is_not_noticed_over_websockets(talking, simulator) -> None:
    """The CLI hears of nothing but the answer."""
    status, events = talking.work(prompt("echo: all is well", attempts=[LIMITED, {}]))
    assert (status, events[-1]["type"]) == (0, "turn.completed"), events
    assert not [event for event in events if event["type"] == "error"]
    assert "all is well" in _items(events, "agent_message")[0]["text"]
    assert [turn["status"] for turn in simulator.wait_for_records(2)] == [429, 200]


def test_a_wrong_key_is_told_over_websockets_too(talking, simulator) -> None:
    """Before the upgrade."""
    status, events = talking.work(prompt("Please run the greeting."), key="sk-wrong")
    assert (status, events[-1]["type"]) == (1, "turn.failed"), events
    assert "Incorrect API key provided" in events[-1]["error"]["message"]
    assert simulator.records == []
