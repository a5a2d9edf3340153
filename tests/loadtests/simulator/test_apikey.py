"""The API-key service, asked by the official SDK."""

import openai
import pytest

from loadtests.simulator.apikey import COMPATIBLE_MODELS
from tests.loadtests.simulator.peer import Peer, sim

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
async def client(simulator):
    """The SDK with the first key, without retries."""
    async with openai.AsyncOpenAI(
        base_url=f"{simulator.url}/v1", api_key="sk-sim-1", max_retries=0
    ) as sdk:
        yield sdk


def say(text: str) -> list[dict]:
    """Return the messages of a chat."""
    return [{"role": "user", "content": text}]


async def test_responses_with_and_without_a_stream(client, simulator):
    """The same text either way, with the full output at the end."""
    plain = await client.responses.create(model="gpt-5.5", input="echo: same text")
    assert plain.output_text == "same text"
    async with client.responses.stream(model="gpt-5.5", input="echo: same text") as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    assert final.output_text == "same text"
    records = list(simulator.world.ledger.records)
    assert [record.account for record in records] == ["sk-sim-1"] * 2
    assert records[0].tokens["output_tokens"] == plain.usage.output_tokens


async def test_a_conversation_is_compacted(client):
    """By an item that only the key's owner can read; what the endpoint has no word for is named."""
    short = await client.responses.compact(model="gpt-5.5", input="a long story")
    assert (short.object, short.output[-1].type) == ("response.compaction", "compaction")
    assert short.usage.input_tokens > 0
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.compact(model="gpt-5.5", input="x", extra_body={"store": False})
    assert caught.value.param == "store"


async def test_chat_with_and_without_a_stream(client):
    """Deltas add up, usage comes when it is asked for, `[DONE]` ends the stream."""
    plain = await client.chat.completions.create(model="gpt-5.5", messages=say("echo: hey you"))
    assert plain.choices[0].message.content == "hey you"
    stream = await client.chat.completions.create(
        model="gpt-5.5",
        messages=say("echo: hey you"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "hey you"
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_chat_calls_tools(client, stream):
    """Arguments that fit the schema, in deltas or at once."""
    reply = await client.chat.completions.create(
        model="gpt-5.5", messages=say("weather?"), tools=[TOOL], stream=stream
    )
    if stream:
        chunks = [chunk async for chunk in reply]
        calls = [call for c in chunks for call in c.choices[0].delta.tool_calls or ()]
        arguments = "".join(call.function.arguments for call in calls)
        finish = chunks[-1].choices[0].finish_reason
    else:
        arguments = reply.choices[0].message.tool_calls[0].function.arguments
        finish = reply.choices[0].finish_reason
    assert (arguments, finish) == ('{"city":"Oslo"}', "tool_calls")


async def test_a_failing_chat_stream_has_no_done(client, simulator):
    """The SDK raises at the error."""
    stream = await client.chat.completions.create(
        model="gpt-5.5", messages=say(sim(terminal="failed:server_error")), stream=True
    )
    with pytest.raises(openai.APIError):
        _ = [chunk async for chunk in stream]
    assert simulator.world.ledger.records[0].terminal == "error:server_error"


async def test_refusals(client, simulator):
    """Wrong key, unknown model, exhausted quota, bad body."""
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="gpt-0", input="x")
    with pytest.raises(openai.RateLimitError) as limited:
        await client.responses.create(model="gpt-5.5", input=sim(fault="429_insufficient_quota"))
    assert limited.value.code == "insufficient_quota"
    assert limited.value.response.headers["x-ratelimit-limit-requests"] == "10000"
    peer = Peer(simulator)
    assert (await peer.post("/v1/responses", {})).status == 401
    peer.headers = {"authorization": "Bearer sk-sim-2"}
    assert (await peer.post("/v1/responses", b"{")).status == 400
    assert (await peer.post("/v1/responses", {"model": "gpt-5.5"})).status == 400
    assert (await peer.post("/v1/chat/completions", {"model": "gpt-5.5"})).status == 400


async def test_models_and_embeddings(client):
    """The list, and vectors of the size that was asked for."""
    models = await client.models.list()
    assert "gpt-5.5" in {model.id for model in models.data}
    reply = await client.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"], dimensions=8
    )
    assert [len(row.embedding) for row in reply.data] == [8, 8]


async def test_a_compatible_server_asks_no_key_and_has_its_own_models(simulator):
    """It speaks chat and embeddings, and no Responses."""
    async with openai.AsyncOpenAI(
        base_url=f"{simulator.url}/compatible/v1", api_key="none", max_retries=0
    ) as sdk:
        assert [model.id for model in (await sdk.models.list()).data] == list(COMPATIBLE_MODELS)
        reply = await sdk.chat.completions.create(model="qwen3", messages=say("echo: hey"))
        assert reply.choices[0].message.content == "hey"
        await sdk.embeddings.create(model="nomic-embedding", input="a")
        with pytest.raises(openai.NotFoundError, match="not found"):
            await sdk.chat.completions.create(model="gpt-5.5", messages=say("echo: hey"))
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.create(model="qwen3", input="x")
    asked = {record.account for record in simulator.world.ledger.records}
    assert asked == {"compatible", None}, "what is not there is nobody's"


async def test_images(client):
    """As many as are asked for, with their tokens; of words or of other images."""
    made = await client.images.generate(model="gpt-image-1", prompt="a fjord", n=2)
    assert len(made.data) == 2
    assert made.usage.output_tokens == 2 * 1_056
