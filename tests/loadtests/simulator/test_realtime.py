"""Realtime sessions of the API-key service, asked by the websockets library."""

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

KEY = {"authorization": "Bearer sk-sim-1"}


def dial(simulator, model: str = "gpt-realtime", headers=KEY):
    """Return a connection to enter."""
    url = f"ws://127.0.0.1:{simulator.port}/v1/realtime?model={model}"
    return connect(url, additional_headers=headers)


async def test_a_session_answers_in_its_own_words(simulator):
    """And says what it used."""
    async with dial(simulator) as socket:
        assert orjson.loads(await socket.recv())["type"] == "session.created"
        item = {"type": "message", "content": [{"type": "input_text", "text": "one two"}]}
        for event in (
            {"type": "session.update", "session": {}},
            {"type": "conversation.item.create", "item": item},
            {"type": "response.create"},
            {"type": "nonsense"},
        ):
            await socket.send(orjson.dumps(event).decode())
        await socket.send("{")
        heard = [orjson.loads(await socket.recv()) for _ in range(8)]
        assert [each["type"] for each in heard] == [
            "session.updated", "conversation.item.created", "response.created",
            "response.output_text.delta", "response.output_text.delta", "response.done",
            "error", "error",
        ]  # fmt: skip
        assert heard[5]["response"]["usage"]["total_tokens"] == 30
        await socket.send(orjson.dumps({"type": "sim.close", "code": 3000}).decode())
        with pytest.raises(ConnectionClosed) as end:
            await socket.recv()
        assert end.value.rcvd.code == 3000


@pytest.mark.parametrize(("model", "headers", "status"), [
    ("gpt-5.5", KEY, 400), ("gpt-realtime", {}, 401),
])  # fmt: skip
async def test_others_have_none(simulator, model, headers, status):
    """Neither other models nor strangers."""
    with pytest.raises(InvalidStatus) as refused:
        await dial(simulator, model, headers)
    assert refused.value.response.status_code == status
