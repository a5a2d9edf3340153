"""LangChain's OpenAI provider streams with tools, in both of its dialects, on every kind."""

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL
from tests.e2e.test_mixed_pool import EMBEDDING, mix

DIALECTS = pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
MODELS = pytest.mark.parametrize(
    "model", [MODEL, "qwen3"], ids=["a Codex account", "a chat-only server"]
)


@tool
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"7 degrees in {city}"


@pytest.fixture(scope="module")
def mixed(starter):
    """Codex accounts, a key and a chat-only server."""
    for pair in starter.pair(accounts=2, limits={"retries_min": 1_000_000}):
        mix(pair)
        yield pair.gateway


def chat_model(gateway, model: str, *, responses: bool) -> ChatOpenAI:
    """Return the provider as its users make it, but for the address."""
    return ChatOpenAI(
        model=model,
        base_url=f"{gateway.url}/v1",
        api_key=API_KEY,
        max_retries=0,
        use_responses_api=responses,
        stream_usage=True,
    )


@DIALECTS
@MODELS
def test_a_chain_streams_with_tools(mixed, model, responses) -> None:
    """The pieces add up to a call; its result is answered in a second turn."""
    bound = chat_model(mixed, model, responses=responses).bind_tools([get_weather])
    asked = [HumanMessage(prompt("What is the weather?"))]
    pieces = list(bound.stream(asked))
    assert len(pieces) > 1
    whole = sum(pieces[1:], pieces[0])
    [call] = whole.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo"})
    assert whole.usage_metadata["output_tokens"] > 0
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    answer = "".join(piece.text for piece in bound.stream([*asked, whole, result]))
    assert "7 degrees in Oslo" in answer


@DIALECTS
@MODELS
def test_structured_output_is_what_was_asked_for(mixed, model, responses) -> None:
    """By the schema that the provider sends."""
    schema = {
        "title": "trip",
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    wanted = chat_model(mixed, model, responses=responses).with_structured_output(
        schema, method="json_schema", strict=True
    )
    assert isinstance(wanted.invoke(prompt("A trip, please."))["city"], str)


def test_embeddings_are_had_by_the_provider(mixed) -> None:
    """It sends tokens, which the upstream judges."""
    embeddings = OpenAIEmbeddings(
        model=EMBEDDING, base_url=f"{mixed.url}/v1", api_key=API_KEY,
        check_embedding_ctx_length=False,
    )  # fmt: skip
    one, two = embeddings.embed_documents(["one", "two"])
    assert len(one) == len(two) > 0
    assert one != two
