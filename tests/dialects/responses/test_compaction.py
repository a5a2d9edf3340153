"""Tests of app.dialects.responses.compaction.

Each folder of `tests/golden/responses/compact_*` holds `request.json` as callers of the unary form
send it, the `trigger.json` and the `unary.json` that come of it, and, where they matter, the
upstream's events with the document that the caller gets.
"""

import json
from pathlib import Path

import pytest
from openai.types.responses import CompactedResponse

from app.dialects.responses.compaction import (
    CompactionFold,
    completed_unary,
    fields_of,
    to_unary,
    unary_usage,
    user_messages,
    with_trigger,
)
from app.dialects.responses.encrypted import of_document
from app.errors import InvalidRequest, StreamIncomplete, UpstreamError
from app.wire.peek import peek
from app.wire.sse import SseDecoder, SseEvent

GOLDEN = Path(__file__).parents[2] / "golden" / "responses"
CASES = sorted(path.name for path in GOLDEN.glob("compact_*"))
ANSWERED = [case for case in CASES if (GOLDEN / case / "upstream.sse").exists()]


def read(case: str, name: str) -> object:
    """Return a golden document."""
    return json.loads((GOLDEN / case / name).read_text())


def events_of(case: str) -> list[SseEvent]:
    """Return the upstream's events."""
    return SseDecoder(event_bytes_max=1 << 20).feed((GOLDEN / case / "upstream.sse").read_bytes())


def event(data: bytes) -> SseEvent:
    """Return one event."""
    return SseEvent("", data, b"data: %b\n\n" % data)


@pytest.mark.parametrize("case", CASES)
def test_the_request_becomes_one_that_ends_with_a_trigger(case):
    """And, where the endpoint is asked that is there for it, one that has none."""
    body = with_trigger(peek((GOLDEN / case / "request.json").read_bytes()))
    assert json.loads(body) == read(case, "trigger.json")
    assert json.loads(to_unary(body)) == read(case, "unary.json")
    assert with_trigger(peek(body)) == body


@pytest.mark.parametrize("case", ANSWERED)
def test_the_stream_becomes_a_document(case):
    """What the user said, then the compaction; the official library reads it."""
    said = with_trigger(peek((GOLDEN / case / "request.json").read_bytes()))
    fold = CompactionFold(kept=user_messages(fields_of(said)["input"]))
    fold.feed(events_of(case))
    document = json.loads(fold.body())
    assert document == read(case, "document.json")
    CompactedResponse.model_validate(
        {**document, "output": [i for i in document["output"] if i.get("type") == "compaction"]}
    )


@pytest.mark.parametrize(("body", "param"), [
    (b'{"model":"m"}', "input"), (b'{"model":"m","input":null}', "input"),
    (b'{"model":"m","input":[],"stream":true}', "stream"),
])  # fmt: skip
def test_what_can_not_be_compacted_is_named(body, param):
    """Before anybody is asked."""
    with pytest.raises(InvalidRequest) as caught:
        with_trigger(peek(body))
    assert caught.value.param == param


def test_a_wrong_input_is_left_to_be_judged():
    """By who judges any request."""
    body = b'{"model":"m","input":5}'
    assert json.loads(with_trigger(peek(body))) == {"model": "m", "input": 5}


def test_an_earlier_response_alone_can_be_compacted():
    """All that was said before it."""
    body = b'{"model":"m","previous_response_id":"resp_1"}'
    assert json.loads(with_trigger(peek(body)))["input"] == [{"type": "compaction_trigger"}]


def test_an_answer_without_compaction_is_a_failure():
    """Nothing is made up."""
    fold = CompactionFold(kept=[])
    fold.feed([event(b'{"type":"response.output_item.done","item":{"type":"message"}}')])
    with pytest.raises(StreamIncomplete):
        fold.body()
    fold.feed([event(b'{"type":"response.completed","response":{}}')])
    with pytest.raises(UpstreamError):
        fold.body()


@pytest.mark.parametrize("data", [b'{"type":"response.output_item.done"}', b"no",
                                  b'{"type":"response.output_item.done","item":5}'])  # fmt: skip
def test_strange_events_do_no_harm(data):
    """They bring no compaction."""
    fold = CompactionFold(kept=[])
    fold.feed([event(data), event(b'{"type":"response.completed","response":"x"}')])
    with pytest.raises(UpstreamError):
        fold.body()


def test_the_document_of_the_endpoint_is_completed():
    """A bare list of items is all that some upstreams say; what they say more is kept."""
    bare = json.loads(completed_unary(b'{"output":[{"type":"compaction"}],"x":1}'))
    assert bare["object"] == "response.compaction"
    assert (bare["output"], bare["x"]) == ([{"type": "compaction"}], 1)
    assert bare["usage"]["total_tokens"] == 0
    told = b'{"id":"r","output":[],"usage":{"input_tokens":5,"output_tokens":2}}'
    assert json.loads(completed_unary(told))["usage"]["input_tokens"] == 5
    usage = unary_usage(told)
    assert usage is not None
    assert (usage.input, usage.output) == (5, 2)
    assert unary_usage(b"no JSON") is None
    with pytest.raises(UpstreamError):
        completed_unary(b"[]")


def test_the_compaction_of_a_document_is_known_by_name():
    """So that it finds its way back to the account that made it."""
    assert of_document(b'{"output":[]}') == ()
    assert of_document(b'{"output":"encrypted_content"}') == ()
    assert of_document(b'["encrypted_content"]') == ()
    (name,) = of_document(b'{"output":[{"type":"compaction","encrypted_content":"gAAA"}]}')
    assert name
