"""A whole answer is the fold of the streamed one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from app.dialects.chat.fold import ChatFold
from app.dialects.chat.replies import ChatStream
from app.dialects.chat.requests import ChatCall
from app.errors import GatewayError, StreamIncomplete

CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
COMPLETED = {
    "type": "response.completed",
    "response": {"usage": {"input_tokens": 1, "output_tokens": 2}, "service_tier": "default"},
}


def call(*, legacy=False):
    """Return a call whose reply is to be folded."""
    return ChatCall(
        model="m",
        stream=False,
        include_usage=False,
        prompt_cache_key=None,
        body=b"",
        tool_names={},
        legacy_functions=legacy,
    )


def fold(*events, legacy=False):
    """Return the answer that `events` fold to."""
    folded = ChatFold(call=call(legacy=legacy), id="chatcmpl-1", created_at=17)
    for event in events:
        folded.feed(json.dumps(event).encode())
    assert folded.finished
    completion = json.loads(folded.to_completion())
    ChatCompletion.model_validate(completion)
    return completion


def message(*events, legacy=False):
    """Return the message that `events` and an end fold to."""
    return fold(*events, COMPLETED, legacy=legacy)["choices"][0]["message"]


def text(delta, **fields):
    """Return a text delta."""
    return {"type": "response.output_text.delta", "output_index": 1, "delta": delta} | fields


def added(index, kind="function_call"):
    """Return the announcement of a call."""
    item = {"type": kind, "id": f"i{index}", "call_id": f"c{index}", "name": "f"}
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def arguments(index, delta, kind="function_call_arguments"):
    """Return a piece of a call."""
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": delta}


def test_a_whole_answer_has_every_field():
    """With the caller's name of the model, and the usage always."""
    assert fold(text("Hel"), text("lo"), COMPLETED) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 17,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
    }


def test_an_answer_that_says_nothing_is_empty():
    """Not null: there is nothing instead of it. A tier that isn't known isn't said."""
    completion = fold({"type": "response.completed", "response": {}})
    assert completion["choices"][0]["message"]["content"] == ""
    assert "service_tier" not in completion


def test_calls_are_put_together_from_their_pieces():
    """And then there is no content."""
    folded = message(
        added(0),
        added(1, "custom_tool_call"),
        arguments(1, "***", "custom_tool_call_input"),
        arguments(0, '{"a"'),
        arguments(0, ":1}"),
    )
    assert folded["content"] is None
    assert folded["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c1", "type": "custom", "custom": {"name": "f", "input": "***"}},
    ]


def test_a_call_of_old_is_put_together():
    """In the old form."""
    folded = message(added(0), arguments(0, "{"), arguments(0, "}"), legacy=True)
    assert folded["function_call"] == {"name": "f", "arguments": "{}"}
    assert folded["content"] is None
    assert "tool_calls" not in folded


def test_everything_else_is_kept():
    """Reasoning, a refusal, citations and images."""
    folded = message(
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "Hm."},
        {"type": "response.refusal.delta", "output_index": 1, "delta": "No."},
        {"type": "response.output_text.annotation.added", "annotation": CITATION},
        {
            "type": "response.output_item.done",
            "output_index": 2,
            "item": {"type": "image_generation_call", "result": "AA=="},
        },
    )
    assert folded["reasoning_content"] == "Hm."
    assert (folded["refusal"], folded["content"]) == ("No.", None)
    assert folded["annotations"][0]["url_citation"]["url"] == "u"
    assert folded["images"][0]["image_url"]["url"] == "data:image/png;base64,AA=="


def test_a_reply_that_failed_is_raised():
    """In the upstream's words."""
    folded = ChatFold(call=call(), id="i", created_at=1)
    folded.feed(b'{"type":"error","code":"server_error","message":"Broken."}')
    assert folded.failure.code == "server_error"
    with pytest.raises(GatewayError, match=r"Broken\."):
        folded.to_completion()


def test_a_reply_that_just_stops_is_raised():
    """Half an answer is none."""
    folded = ChatFold(call=call(), id="i", created_at=1)
    folded.feed(json.dumps(text("x")).encode())
    with pytest.raises(StreamIncomplete):
        folded.to_completion()


EVENTS = st.one_of(
    st.builds(text, st.text(max_size=5)),
    st.builds(added, st.integers(0, 2), st.sampled_from(["function_call", "custom_tool_call"])),
    st.builds(arguments, st.integers(0, 2), st.text(max_size=5)),
    st.builds(
        lambda delta, index: {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": index,
            "delta": delta,
        },
        st.text(max_size=5),
        st.integers(0, 2),
    ),
)


@given(events=st.lists(EVENTS, max_size=20))
def test_the_fold_is_what_the_stream_says(events):
    """Put together by a caller as the public API's documentation tells it to."""
    reply = ChatStream(call=call(), id="i", created_at=1)
    data = b"".join(reply.feed(json.dumps(event).encode()) for event in [*events, COMPLETED])
    content, reasoning, calls = "", "", {}
    for event in data.decode().split("\n\n")[:-1]:
        delta = json.loads(event.removeprefix("data: "))["choices"][0]["delta"]
        content += delta.get("content", "")
        reasoning += delta.get("reasoning_content", "")
        for piece in delta.get("tool_calls", ()):
            known = calls.setdefault(piece["index"], [piece.get("id"), ""])
            body = piece.get("function") or piece.get("custom")
            known[1] += body.get("arguments", "") + body.get("input", "")
    folded = message(*events)
    assert (folded["content"] or "") == content
    assert folded.get("reasoning_content", "") == reasoning
    whole = [
        [call["id"], (call.get("function") or call["custom"]).get(field)]
        for call in folded.get("tool_calls", ())
        for field in ("arguments" if call["type"] == "function" else "input",)
    ]
    assert whole == [calls[index] for index in sorted(calls)]
