"""Realtime sessions: tied to an account that has them, refused before the upgrade elsewhere."""

import asyncio
import json
from typing import Any

import openai
import pytest
import websockets

from tests.e2e.programs import API_KEY, Gateway, Pair, until
from tests.e2e.talking import PATIENCE_S, REALTIME, closed, connect

KEY = "sk-sim-1"
MODEL = "gpt-realtime"
OTHER = "gpt-5.5"
"""The upstream itself knows that this one has no such sessions."""
PATH = f"{REALTIME}?model={MODEL}"


@pytest.fixture
def keyed(start) -> Pair:
    """One Codex account, and one key of the platform."""
    pair: Pair = start(accounts=1)
    address = pair.simulator.addresses["api_base_url"]
    pair.gateway.command(
        "accounts", "add", "--kind", "openai", "--api-key", KEY, "--base-url", address,
        "--model", MODEL, "--model", OTHER,
    )  # fmt: skip
    ready = 'codex2api_accounts{health="ready"}'
    until(lambda: pair.gateway.metrics()[ready] == 2, "the key is in the pool")
    return pair


async def say(socket: Any, kind: str, **fields: Any) -> None:
    """Send an event."""
    await socket.send(json.dumps({"type": kind, **fields}))


async def hear(socket: Any, last: str) -> list[dict[str, Any]]:
    """Return the events up to one of this type."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != last:
        events.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S)))
    return events


def item(text: str) -> dict[str, Any]:
    """Return what a user says."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def leases(gateway: Gateway) -> float:
    """Return how many attempts are under way."""
    return gateway.metrics()["codex2api_leases"]


async def test_a_session_goes_through_and_its_usage_is_counted(keyed) -> None:
    """It holds one account for as long as it lasts."""
    gateway = keyed.gateway
    async with connect(gateway, PATH) as socket:
        await hear(socket, "session.created")
        assert leases(gateway) == 1
        for _ in range(2):
            await say(socket, "conversation.item.create", item=item("hello there"))
            await say(socket, "response.create")
            events = await hear(socket, "response.done")
            deltas = [each["delta"] for each in events if each["type"].endswith("text.delta")]
            assert deltas == ["hello", "there"]
    until(lambda: leases(gateway) == 0, "the account is let go of")
    tokens = {k: v for k, v in gateway.metrics().items() if k.startswith("codex2api_tokens_total")}
    assert sum(v for k, v in tokens.items() if 'kind="input"' in k) == 40
    assert sum(v for k, v in tokens.items() if 'kind="output"' in k) == 20


async def test_openais_own_client_has_a_session(keyed) -> None:
    """Typed events, both ways."""
    async with (
        openai.AsyncOpenAI(api_key=API_KEY, base_url=f"{keyed.gateway.url}/v1") as client,
        client.realtime.connect(model=MODEL) as connection,
    ):
        await connection.session.update(session={"type": "realtime"})
        await connection.conversation.item.create(item=item("one two"))
        await connection.response.create()
        said = []
        async for event in connection:
            if event.type == "response.output_text.delta":
                said.append(event.delta)
            if event.type == "response.done":
                assert event.response.usage.total_tokens == 30
                break
        assert said == ["one", "two"]


async def test_the_upstreams_end_is_the_callers(keyed) -> None:
    """Its own codes mean something; a failure is a failure."""
    for code, expected in ((1000, 1000), (3001, 3001), (1011, 1011), (1008, 1011)):
        async with connect(keyed.gateway, PATH) as socket:
            await say(socket, "sim.close", code=code)
            assert (await closed(socket))[0] == expected
    until(lambda: leases(keyed.gateway) == 0, "the account is let go of")


async def test_what_is_no_text_ends_it(keyed) -> None:
    """With the code for it."""
    async with connect(keyed.gateway, PATH) as socket:
        await socket.send(b"{}")
        code, events = await closed(socket)
        assert (code, events[-1]["error"]["code"]) == (1003, "invalid_request")
    async with connect(keyed.gateway, PATH) as socket:
        await socket.send([" " * (9 << 20), " " * (9 << 20)])
        code, events = await closed(socket)
        assert (code, events[-1]["error"]["code"]) == (1009, "payload_too_large")


async def refusal(gateway: Gateway, path: str, **options: Any) -> tuple[int, str]:
    """Return the status and the code of a refused handshake."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(gateway, path, **options)
    answer = refused.value.response
    return answer.status_code, json.loads(answer.body)["error"]["code"]


async def test_who_may_not_have_one_is_told_over_http(keyed) -> None:
    """The key, the model, and what the upstream itself says."""
    gateway = keyed.gateway
    assert await refusal(gateway, PATH, key="sk-wrong") == (401, "invalid_api_key")
    assert await refusal(gateway, REALTIME) == (400, "invalid_request")
    status, code = await refusal(gateway, f"{REALTIME}?model={OTHER}")
    assert (status, code) == (400, "invalid_model")
    until(lambda: leases(gateway) == 0, "the account is let go of")
    assert gateway.client.get(REALTIME).status_code == 426


async def test_a_pool_without_such_accounts_says_so(gateway) -> None:
    """Before the upgrade: Codex accounts have no realtime sessions."""
    assert await refusal(gateway, PATH) == (501, "not_supported_by_upstream")
