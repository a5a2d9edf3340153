"""Tests of app.edge.continuation."""

import json

import msgspec
import pytest

from app.domain.caller import KeyId
from app.edge.continuation import REFERENCES_MAX, retold
from app.errors import ContextUnavailable, InvalidRequest
from app.wire.peek import peek
from tests.fakes.history import memory_history

ANN, BOB = KeyId("ann"), KeyId("bob")
HI = {"role": "user", "content": "hi"}
ANSWER = {"type": "message", "id": "msg_1", "role": "assistant", "content": "hello"}


async def ask(history, caller_id=ANN, **fields):
    """Return a request with all that it refers to."""
    body = msgspec.json.encode({"model": "m"} | fields)
    return await retold(body, peek(body), caller_id=caller_id, history=history)


async def answered(history, *output, caller_id=ANN, id="resp_1", **fields) -> None:
    """Let a request be answered."""
    said = await ask(history, caller_id, **fields)
    assert said.turn is not None
    said.turn.note("session")(id, [msgspec.json.encode(item) for item in output])


async def test_a_request_that_refers_to_nothing_is_left_alone() -> None:
    """The very same bytes; what it is answered may be gone on from."""
    body = b'{"model":"m","input":"hi"}'
    said = await retold(body, peek(body), caller_id=ANN, history=memory_history())
    assert said.body is body
    assert (said.new, said.past) == (None, None)
    assert said.turn is not None


async def test_a_request_goes_on_from_a_response() -> None:
    """And the next one from its answer; how many items are new is told."""
    history = memory_history()
    await answered(history, ANSWER, input=[HI])
    said = await ask(history, input=[HI, HI], previous_response_id="resp_1")
    assert len(json.loads(said.body)["input"]) == 4
    assert (said.new, said.past.response_id) == (2, "resp_1")
    assert said.turn is not None
    assert said.past is not None
    assert said.past.session == "session"
    said.turn.note("session")("resp_2", [msgspec.json.encode(ANSWER)])
    later = await ask(history, input="more", previous_response_id="resp_2")
    assert len(json.loads(later.body)["input"]) == 6
    assert later.new == 1


async def test_a_response_may_be_gone_on_from_twice() -> None:
    """Neither branch knows of the other."""
    history = memory_history()
    await answered(history, ANSWER, input=[HI])
    for name in ("a", "b"):
        await answered(history, ANSWER, id=name, input=[HI], previous_response_id="resp_1")
    for name in ("a", "b"):
        said = await ask(history, input=[], previous_response_id=name)
        assert len(json.loads(said.body)["input"]) == 4


@pytest.mark.parametrize(("caller_id", "name"), [(BOB, "resp_1"), (ANN, "resp_0"), (ANN, "")])
async def test_a_miss_is_said(caller_id, name) -> None:
    """An answer without what was said before would be a wrong one; a stranger's is a miss."""
    history = memory_history()
    await answered(history, ANSWER, input=[HI])
    with pytest.raises(ContextUnavailable) as caught:
        await ask(history, caller_id, input=[HI], previous_response_id=name)
    assert (caught.value.status, caught.value.param) == (409, "previous_response_id")


async def test_what_is_not_to_be_stored_leaves_no_trace() -> None:
    """Nothing is even collected."""
    said = await ask(memory_history(), input=[HI], store=False)
    assert said.turn is None


async def test_a_memory_of_everything_keeps_it_all_the_same() -> None:
    """A connection's own; that it is not to be stored travels with it."""
    history = memory_history()
    history.everything = True
    kept = []
    history.record = lambda _key, conversation: kept.append(conversation)
    await answered(history, ANSWER, input=[HI], store=False)
    assert [conversation.stored for conversation in kept] == [False]


async def test_what_is_too_long_is_not_collected() -> None:
    """It would not be kept anyway."""
    said = await ask(memory_history(conversation_bytes_max=600), input="x" * 700)
    assert said.turn is None


async def test_an_item_is_referred_to_by_its_id() -> None:
    """With or without the response that it is of."""
    history = memory_history()
    await answered(history, ANSWER, input=[HI])
    said = await ask(history, input=[HI, {"type": "item_reference", "id": "msg_1"}, HI])
    items = json.loads(said.body)["input"]
    assert [item["content"] for item in items] == ["hi", "hello", "hi"]
    assert (said.new, said.past) == (None, None)
    await answered(history, ANSWER, id="resp_2", input=[{"type": "item_reference", "id": "msg_1"}])
    later = await ask(history, input=[], previous_response_id="resp_2")
    assert len(json.loads(later.body)["input"]) == 2


@pytest.mark.parametrize("caller_id", [ANN, BOB])
async def test_a_reference_to_nothing_is_said(caller_id) -> None:
    """Nor is it looked for among others' items."""
    history = memory_history()
    await answered(history, ANSWER, caller_id=BOB if caller_id == ANN else ANN, input=[HI])
    with pytest.raises(ContextUnavailable) as caught:
        await ask(history, caller_id, input=[{"type": "item_reference", "id": "msg_1"}])
    assert (caught.value.status, caught.value.param) == (409, "input")


async def test_references_are_bounded() -> None:
    """Each costs a look-up."""
    many = [{"type": "item_reference", "id": "x"}] * (REFERENCES_MAX + 1)
    with pytest.raises(InvalidRequest) as caught:
        await ask(memory_history(), input=many)
    assert caught.value.param == "input"


@pytest.mark.parametrize(("given", "param"), [
    ({"a": 1}, "input"), (5, "input"), ([HI, {"role": "nobody", "content": ""}], "input[1].role"),
])  # fmt: skip
async def test_what_is_wrong_is_named_where_the_caller_has_it(given, param) -> None:
    """Not where it stands once the past is before it."""
    history = memory_history()
    await answered(history, ANSWER, input=[HI])
    with pytest.raises(InvalidRequest) as caught:
        await ask(history, input=given, previous_response_id="resp_1")
    assert caught.value.param == param


async def test_something_must_be_said() -> None:
    """A response alone is no request."""
    history = memory_history()
    await answered(history, ANSWER, input=[HI])
    with pytest.raises(InvalidRequest) as caught:
        await ask(history, previous_response_id="resp_1")
    assert caught.value.param == "input"
