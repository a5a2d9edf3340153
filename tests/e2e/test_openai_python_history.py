"""The official Python client goes on from a response by its id, as on the API.

The simulator refuses `previous_response_id`, an output without its call and another account's
reasoning, so what it answers was said to it whole.
"""

import json
from collections.abc import Iterator

import openai
import pytest

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, MODEL, OTHER_API_KEY, Gateway

TOOL = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"where": {"type": "string"}}},
}
REASONED = [
    {"type": "reasoning", "summary": ["I wonder."]},
    {"type": "message", "text": "wondered"},
]


def _client(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{gateway.url}/v1", max_retries=0)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The client as its users make it, but for the address."""
    with _client(gateway, API_KEY) as client:
        yield client


def _ask(client: openai.OpenAI, text: str, *, stream: bool, **fields):
    """Return a whole response, however it was delivered."""
    if not stream:
        return client.responses.create(model=MODEL, input=text, **fields)
    with client.responses.stream(model=MODEL, input=text, **fields) as events:
        return events.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_on_from_its_last_response(client, simulator, stream) -> None:
    """Turn by turn, on one account, which sees all that was said and nothing twice."""
    first = _ask(client, prompt("echo: one"), stream=stream)
    second = _ask(client, prompt("echo: two"), stream=stream, previous_response_id=first.id)
    third = _ask(client, prompt("echo: three"), stream=stream, previous_response_id=second.id)
    assert [answer.output_text.split()[0] for answer in (first, second, third)] == [
        "one",
        "two",
        "three",
    ]
    turns = simulator.wait_for_records(3)
    assert len({turn["account"] for turn in turns}) == 1
    sizes = [answer.usage.input_tokens for answer in (first, second, third)]
    assert sizes == sorted(set(sizes))


def test_a_tools_output_goes_on_from_its_call(client) -> None:
    """The call is not said again by the caller, and is there all the same."""
    asked = client.responses.create(model=MODEL, input=prompt("Use the tool."), tools=[TOOL])
    [call] = [item for item in asked.output if item.type == "function_call"]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    answer = client.responses.create(
        model=MODEL, input=[output], tools=[TOOL], previous_response_id=asked.id
    )
    assert answer.output_text == "The tool answered: rain"


def test_reasoning_goes_back_to_who_reasoned(client, simulator) -> None:
    """What only one account can read travels with the conversation, to that account."""
    first = _ask(client, prompt(items=REASONED), stream=True)
    _ask(client, prompt("echo: on"), stream=True, previous_response_id=first.id)
    turns = simulator.wait_for_records(2)
    assert len({turn["account"] for turn in turns}) == 1


def test_an_items_id_stands_for_the_item(client) -> None:
    """As some SDKs send what was answered before."""
    first = client.responses.create(model=MODEL, input=prompt("echo: one"))
    reference = {"type": "item_reference", "id": first.output[-1].id}
    more = {"role": "user", "content": "echo: two"}
    answer = client.responses.create(model=MODEL, input=[reference, more])
    assert answer.output_text == "two"


def test_a_response_that_was_not_stored_can_not_be_gone_on_from(client, simulator) -> None:
    """The caller is told so, and nothing is asked upstream."""
    first = client.responses.create(model=MODEL, input=prompt("echo: x"), store=False)
    simulator.wait_for_records(1)
    with pytest.raises(openai.ConflictError) as caught:
        client.responses.create(model=MODEL, input="on", previous_response_id=first.id)
    assert caught.value.code == "response_context_unavailable"
    assert caught.value.param == "previous_response_id"
    assert len(simulator.records) == 1


def test_another_keys_response_can_not_be_gone_on_from(client, gateway) -> None:
    """It is as unknown as one that never was."""
    first = client.responses.create(model=MODEL, input=prompt("echo: mine"))
    with _client(gateway, OTHER_API_KEY) as other:
        for name in (first.id, "resp_0"):
            with pytest.raises(openai.ConflictError) as caught:
                other.responses.create(model=MODEL, input="on", previous_response_id=name)
            assert caught.value.code == "response_context_unavailable"


def test_a_response_can_not_be_fetched(client) -> None:
    """Only gone on from; the answer says why."""
    first = client.responses.create(model=MODEL, input=prompt("echo: x"))
    for method in (client.responses.retrieve, client.responses.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            method(first.id)
        assert "fetch" in json.dumps(caught.value.body)


def test_a_conversation_is_compacted_and_goes_on(client, simulator) -> None:
    """By the unary call, from an earlier response or from items; what comes back is sent again."""
    first = client.responses.create(model=MODEL, input=prompt("echo: one"))
    short = client.responses.compact(model=MODEL, previous_response_id=first.id)
    assert (short.object, short.output[-1].type) == ("response.compaction", "compaction")
    assert short.usage.total_tokens > 0
    kept = [item.to_dict(warnings=False) for item in short.output]
    assert [item["type"] for item in kept] == ["message", "compaction"]
    again = client.responses.compact(model=MODEL, input=[*kept, {"role": "user", "content": "x"}])
    kept = [item.to_dict(warnings=False) for item in again.output]
    assert [item["type"] for item in kept if "type" in item][-1] == "compaction"
    more = {"role": "user", "content": "echo: two"}
    answer = client.responses.create(model=MODEL, input=[*kept, more])
    assert answer.output_text == "two"
    assert len({turn["account"] for turn in simulator.wait_for_records(4)}) == 1


def test_a_compaction_that_nobody_can_read_is_refused(client, simulator) -> None:
    """In the caller's words, not as a defect."""
    sealed = {"type": "compaction", "encrypted_content": "gAAAAAB-of-somebody-else"}
    with pytest.raises(openai.APIStatusError) as caught:
        client.responses.compact(model=MODEL, input=[sealed])
    assert caught.value.status_code == 409
    assert caught.value.code == "response_context_unavailable"
    simulator.quiet()
    assert [what["kind"] for what in simulator.violations] == ["foreign_encrypted_content"]
    simulator.mark()


@pytest.mark.parametrize(("fields", "param"), [
    ({}, "input"), ({"input": [], "extra_body": {"stream": True}}, "stream"),
    ({"input": [{"role": "nobody", "content": ""}]}, "input[0].role"),
])  # fmt: skip
def test_what_can_not_be_compacted_is_named(client, simulator, fields, param) -> None:
    """Before an account is asked."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.compact(model=MODEL, **fields)
    assert caught.value.param == param
    assert simulator.records == []


def test_what_a_request_has_to_be_read_for_is_counted(client, simulator) -> None:
    """With all that it goes on from; no account is asked."""
    first = client.responses.create(model=MODEL, input=prompt("echo: one"))
    simulator.wait_for_records(1)
    alone = client.responses.input_tokens.count(model=MODEL, input="Hello there.")
    assert (alone.object, alone.input_tokens > 0) == ("response.input_tokens", True)
    more = client.responses.input_tokens.count(
        model=MODEL, input="Hello there.", previous_response_id=first.id
    )
    assert more.input_tokens > alone.input_tokens
    assert client.responses.input_tokens.count(input="Hello there.") == alone
    assert len(simulator.records) == 1
