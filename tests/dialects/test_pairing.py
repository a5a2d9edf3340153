"""Calls and outputs are paired however a caller has torn them apart, and no word is lost.

The backend refuses a call without its output and an output without its call. What a caller sends is
repaired: a call gets an output that says that there is none, an output without its call is said by
the user. The backend's own rules, as the simulator has them, are the judge.
"""

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.responses.continuing import conversation
from app.dialects.responses.items import NO_OUTPUT
from app.dialects.responses.requests import Wanted, to_upstream, to_upstream_with_delta
from app.domain.caller import KeyId
from app.edge.continuation import retold
from app.wire.peek import peek
from loadtests.simulator.validation import check
from tests.dialects.upstream_rules import subject
from tests.fakes.history import memory_history

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
IDS = st.sampled_from(["call_1", "call_2", "call_3"])
TEXT = st.text(alphabet="abc €", min_size=1, max_size=6)


def call(kind: str, call_id: str, said: str) -> dict:
    """Return a call as callers replay it, with an id that the backend would refuse."""
    return {"type": kind, "id": "item_1", "call_id": call_id, "name": "f", CALLS[kind]: said}


def output(kind: str, call_id: str, said: object) -> dict:
    """Return a tool's output."""
    return {"type": f"{kind}_output", "call_id": call_id, "output": said}


def chat_output(call_id: str, said: str) -> dict:
    """Return a tool's output as chat writes it."""
    return {"role": "tool", "tool_call_id": call_id, "content": said}


PARTS = TEXT | TEXT.map(lambda text: [{"type": "input_text", "text": text}])
ITEMS = st.lists(
    st.builds(call, st.sampled_from([*CALLS]), IDS, TEXT)
    | st.builds(output, st.sampled_from([*CALLS]), IDS, PARTS)
    | st.builds(lambda text: {"role": "user", "content": text}, TEXT)
    | st.builds(lambda text: {"role": "system", "content": text}, TEXT)
    | st.builds(
        lambda name, text: {"role": "tool", "tool_call_id": name, "content": text}, IDS, TEXT
    )
    | st.just({"type": "reasoning", "id": "rs_1", "summary": []}),
    max_size=8,
)
WANTED = Wanted(upstream_model="gpt-5.5", efforts=None, codex_client=False, lite=None)
PATIENT = settings(deadline=None, max_examples=200)


def sent(items: Sequence[object]) -> dict:
    """Return what goes upstream."""
    body = json.dumps({"model": "m", "input": items}).encode()
    return json.loads(to_upstream(body, peek(body), WANTED))


def words(items: Sequence[dict]) -> list[str]:
    """Return all that is said in items, in no order: what is repaired may be said elsewhere."""
    found = []
    for item in items:
        for field in ("content", "output", "arguments", "input"):
            said = item.get(field)
            found += [said] if isinstance(said, str) else [part["text"] for part in said or ()]
    return sorted(word for word in found if word != NO_OUTPUT)


@PATIENT
@given(ITEMS)
def test_the_backend_takes_what_was_repaired(items) -> None:
    """Whatever was torn apart, and all words are still there."""
    body = sent(items)
    assert check(subject(body)) is None
    assert words(body["input"]) == words(items)


@PATIENT
@given(ITEMS)
def test_repairing_twice_changes_nothing(items) -> None:
    """What comes out of it is right."""
    once = sent(items)["input"]
    assert sent(once)["input"] == once


@PATIENT
@given(ITEMS, ITEMS)
async def test_a_conversation_that_goes_on_is_paired_across_its_turns(before, after) -> None:
    """And what is new is the end of the whole, so that an upstream may be sent it alone."""
    history, key = memory_history(), KeyId("key")
    said = ",".join(json.dumps(item) for item in before).encode()
    history.record(key, conversation("resp_1", said, [], previous=None))
    body = {"model": "m", "input": after, "previous_response_id": "resp_1"}
    asked = json.dumps(body).encode()
    told = await retold(asked, peek(asked), caller_id=key, history=history)
    made = to_upstream_with_delta(told.body, told.seen, WANTED, new=told.new)
    whole = json.loads(made.body)
    assert whole == sent([*before, *after])
    assert made.delta is not None
    delta = json.loads(made.delta)
    count = len(delta["input"])
    assert delta["input"] == (whole["input"][-count:] if count else [])
    assert {**delta, "input": None} == {**whole, "input": None}
