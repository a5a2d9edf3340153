"""OpenAI's own Python client over WebSocket: Responses, in both of its forms."""

import openai
import pytest
import websockets

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL, Gateway


def options(gateway: Gateway, key: str = API_KEY) -> dict[str, object]:
    """Return what a client of the SDK is made with."""
    return {"api_key": key, "base_url": f"{gateway.url}/v1", "max_retries": 0}


@pytest.mark.filterwarnings(
    # The SDK's own, of a library newer than the SDK.
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)
def test_the_client_goes_on_from_one_turn_to_the_next(gateway, simulator) -> None:
    """It hears typed events, and says only what is new."""
    with openai.OpenAI(**options(gateway)) as client, client.responses.connect() as connection:
        connection.response.create(model=MODEL, input=prompt("echo: one"))
        name = None
        for event in connection:
            assert event.type != "error", event
            if event.type == "response.completed":
                name = event.response.id
                assert event.response.output_text.startswith("one")
                break
        connection.response.create(
            model=MODEL, input=prompt("echo: two"), previous_response_id=name, store=False
        )
        said = []
        for event in connection:
            if event.type == "response.output_text.delta":
                said.append(event.delta)
            if event.type == "response.completed":
                break
        assert "".join(said).startswith("two")
    simulator.wait_for_records(2)


async def test_the_asynchronous_client_hears_the_same(gateway, simulator) -> None:
    """A turn that is refused is an event with the field that is wrong."""
    async with (
        openai.AsyncOpenAI(**options(gateway)) as client,
        client.responses.connect() as connection,
    ):
        await connection.response.create(model=MODEL, input=prompt("echo: hello"))
        async for event in connection:
            if event.type == "response.completed":
                assert event.response.usage.output_tokens > 0
                break
        await connection.response.create(model="no-such-model", input="x")
        event = await connection.recv()
        assert (event.type, event.status, event.error.code) == ("error", 404, "model_not_found")
    simulator.wait_for_records(1)


def test_a_wrong_key_is_refused_before_the_connection(gateway) -> None:
    """With the status of an HTTP answer."""
    with (
        openai.OpenAI(**options(gateway, "sk-wrong")) as client,
        pytest.raises((openai.OpenAIError, websockets.InvalidStatus), match="401"),
        client.responses.connect(),
    ):
        raise AssertionError("it has connected")
