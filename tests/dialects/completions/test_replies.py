"""Tests of app.dialects.completions.replies."""

from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from app.dialects.completions import replies
from app.dialects.completions.replies import CompletionFold, CompletionStream
from app.dialects.completions.requests import CompletionCall
from app.errors import StreamIncomplete, UpstreamError, UpstreamProtocolError
from tests.relay.scene import event

CALL = CompletionCall("m", "Once", stream=True, include_usage=False, echo=False, max_tokens=None,
                      body=b"", tuning=b"")  # fmt: skip
USAGE = {"input_tokens": 3, "output_tokens": 4}


def data(type_, **fields):
    """Return the data of an event."""
    return event(type_, **fields).split(b"data: ")[1].strip()


CREATED = data("response.created", response={})
ONE = data("response.output_text.delta", delta="up\n", output_index=0)
TWO = data("response.output_text.delta", delta=' "a"', output_index=0)
THOUGHT = data("response.reasoning_summary_text.delta", delta="hm", output_index=0)
REFUSAL = data("response.refusal.delta", delta="no", output_index=0)
DONE = data("response.completed", response={"usage": USAGE})
CUT = data("response.incomplete", response={"incomplete_details": {"reason": "max_output_tokens"}})
FAILED = data("response.failed", response={"error": {"code": "server_error", "message": "boom"}})


def streamed(*events, **changes):
    """Return the decoded chunks of a stream, and what ends it."""
    stream = CompletionStream(call=msgspec.structs.replace(CALL, **changes), id="c", created_at=1)
    raw = b"".join(stream.feed(each) for each in events) + stream.finish()
    payloads = [part.removeprefix(b"data: ") for part in raw.split(b"\n\n") if part]
    return [msgspec.json.decode(part) if part != b"[DONE]" else "[DONE]" for part in payloads]


def whole(*events, **changes):
    """Return the answer of a call that does not stream."""
    fold = CompletionFold(call=msgspec.structs.replace(CALL, **changes), id="c", created_at=1)
    for each in events:
        fold.feed(each)
    return msgspec.json.decode(fold.body())


def text_of(chunks):
    """Return the text of a stream."""
    return "".join(chunk["choices"][0]["text"] for chunk in chunks if chunk.get("choices"))


@pytest.mark.parametrize(
    ("last", "reason"), [(DONE, "stop"), (CUT, "length")], ids=["whole", "cut by length"]
)
def test_words_are_said_and_nothing_else(last, reason):
    """Streamed and whole alike; the library's own types know both."""
    events = (CREATED, THOUGHT, ONE, TWO, last)
    *chunks, end = streamed(*events)
    assert (end, text_of(chunks)) == ("[DONE]", 'up\n "a"')
    assert chunks[-1]["choices"][0]["finish_reason"] == reason
    answer = whole(*events)
    assert (answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]) == (
        'up\n "a"',
        reason,
    )
    for each in (chunks[-1], answer):
        Completion.model_validate(each)


def test_a_refusal_is_said_in_its_words():
    """There is no other place for it."""
    assert text_of(streamed(REFUSAL, DONE)[:-1]) == "no"


def test_usage_comes_in_a_chunk_of_its_own_if_asked_for():
    """Others then say that they have none."""
    chunks = streamed(ONE, DONE, include_usage=True)
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"]["completion_tokens"] == 4
    assert chunks[0]["usage"] is None
    assert "usage" not in streamed(ONE, DONE)[0]
    assert whole(ONE, DONE)["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("events", [(ONE, DONE), (DONE,)])
def test_the_prompt_is_echoed_first(events):
    """Even before an answer that is empty."""
    *chunks, _ = streamed(*events, echo=True)
    assert text_of(chunks).startswith("Once")
    assert whole(*events, echo=True)["choices"][0]["text"] == text_of(chunks)


def test_a_broken_stream_ends_with_its_error_and_no_mark():
    """Nobody takes it for a whole answer."""
    assert "error" in streamed(ONE)[-1]
    assert streamed(ONE, FAILED, TWO)[-1]["error"]["message"] == "boom"
    with pytest.raises(StreamIncomplete):
        whole(ONE)
    with pytest.raises(UpstreamError, match="boom"):
        whole(ONE, FAILED)


def test_an_answer_is_bounded():
    """What is folded is kept."""
    with patch.object(replies, "ANSWER_BYTES_MAX", 3), pytest.raises(UpstreamProtocolError):
        whole(ONE, TWO)


@given(st.lists(st.sampled_from([CREATED, ONE, TWO, THOUGHT, REFUSAL, DONE, CUT, FAILED])
                | st.binary(max_size=20), max_size=12))  # fmt: skip
def test_no_sequence_of_events_makes_it_raise(datas):
    """Text and reason are those of the whole answer, up to the first event that ends it."""
    chunks = streamed(*datas)
    ends = [each for each in datas if each in (DONE, CUT, FAILED)]
    if not ends or ends[0] == FAILED:
        assert "error" in chunks[-1]
        return
    assert chunks[-1] == "[DONE]"
    assert text_of(chunks[:-1]) == whole(*datas)["choices"][0]["text"]
