"""Vercel's AI SDK streams with tools, in both dialects of its OpenAI provider, on every kind."""

import pytest

from tests.e2e.asking import prompt
from tests.e2e.node_clients import INSTALL_S
from tests.e2e.programs import MODEL
from tests.e2e.test_mixed_pool import mix
from tests.e2e.test_openai_node import _run, scenarios

__all__ = ["scenarios"]

pytestmark = pytest.mark.timeout(INSTALL_S + 120)


@pytest.fixture(scope="module")
def mixed(starter):
    """Codex accounts, a key and a chat-only server."""
    for pair in starter.pair(accounts=2, limits={"retries_min": 1_000_000}):
        mix(pair)
        yield pair.gateway


@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize("model", [MODEL, "qwen3"], ids=["a Codex account", "a chat-only server"])
def test_the_sdk_streams_its_steps_with_tools(mixed, scenarios, dialect, model) -> None:
    """A call, its result, and an answer that is made of it; usage is told for both steps."""
    text = prompt("What is the weather?")
    told = _run(scenarios, mixed, "vercelTools", dialect=dialect, text=text, model=model)
    assert told["executed"] == [{"city": "Oslo"}]
    assert told["steps"] == 2
    assert [reason == "tool-calls" for reason in told["reasons"]] == [True, False]
    assert {"tool-call", "tool-result", "text-delta"} <= set(told["types"])
    assert "7 degrees" in told["text"]
    assert told["usage"]["outputTokens"] > 0
