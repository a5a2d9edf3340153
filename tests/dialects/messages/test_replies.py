"""Streams of events become streams of events, and whole replies whole messages."""

from itertools import pairwise

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.dialects.chat.events import event_of
from app.dialects.messages.answer import Answer
from app.dialects.messages.replies import MessagesFold, MessagesStream
from app.dialects.messages.seals import sealed
from app.errors import StreamIncomplete
from tests.dialects.messages.asking import call, event, frames
from tests.dialects.messages.replying import replies

EVENT = TypeAdapter(RawMessageStreamEvent)
KINDS = st.sampled_from(
    [
        "error",
        "response.completed",
        "response.created",
        "response.custom_tool_call_input.delta",
        "response.done",
        "response.failed",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.incomplete",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.annotation.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.done",
        "response.refusal.delta",
        "response.unknown",
    ]
)
NAMES = st.sampled_from(
    ["item", "delta", "output_index", "content_index", "item_id", "response", "text", "arguments",
     "annotation", "error", "input"]
)  # fmt: skip
TYPES = st.sampled_from(
    ["message", "reasoning", "function_call", "custom_tool_call", "web_search_call", "x"]
)
ITEM_NAMES = st.sampled_from(
    ["id", "call_id", "name", "arguments", "content", "summary", "encrypted_content", "action"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(ITEM_NAMES, inner, max_size=4).flatmap(
            lambda fields: TYPES.map(lambda kind: {**fields, "type": kind})
        )
    ),
    max_leaves=12,
)
ODD = st.tuples(KINDS, st.dictionaries(NAMES, JSON, max_size=5)).map(
    lambda pair: event(pair[0], **pair[1])
)


def streamed(events, **fields):
    """Return what a stream of these events says."""
    stream = MessagesStream(call=call(**fields), id="msg_1")
    return b"".join(stream.feed(data) for data in events) + stream.finish()


def plainly(events, **fields):
    """Return the same without the shorter way of text; the oracle."""
    answer = Answer(call(**fields), id="msg_1")
    return b"".join(b"".join(answer.feed(event_of(data), data)) for data in events)


def folded(events, **fields):
    """Return the whole message of these events."""
    fold = MessagesFold(call=call(**fields), id="msg_1")
    for data in events:
        fold.feed(data)
    return msgspec.json.decode(fold.to_message())


def gathered(said):
    """Return the content of a stream's blocks, and check that they don't interleave."""
    content, open_index = [], None
    for one in said:
        match one["type"]:
            case "content_block_start":
                assert open_index is None
                assert one["index"] == len(content)
                open_index = one["index"]
                content.append({**one["content_block"], "pieces": []})
            case "content_block_delta":
                assert one["index"] == open_index
                content[-1]["pieces"].append(one["delta"])
            case "content_block_stop":
                assert one["index"] == open_index
                open_index = None
    assert open_index is None
    return content


def joined(block, field):
    """Return one field's pieces, joined."""
    return "".join(piece.get(field, "") for piece in block["pieces"])


@given(reply=replies(), shown=st.sampled_from(["nothing", "seals", "all"]))
def test_nothing_of_a_reply_is_lost_or_said_twice(reply, shown):
    """Text, arguments, thoughts, seals and usage arrive whole, however the upstream mixes them."""
    said = frames(streamed(reply.events, shown=shown))
    content = gathered(said)
    assert [one["type"] for one in said[-2:]] == ["message_delta", "message_stop"]
    assert said[-2]["usage"]["input_tokens"] + 2 == reply.usage["input_tokens"]
    assert said[-2]["usage"]["output_tokens"] == reply.usage["output_tokens"]
    texts = "".join(joined(block, "text") for block in content)
    assert sorted(texts) == sorted(
        "".join(t for i in reply.items if i.kind == "message" for t in i.texts)
    )
    calls = {b["id"]: joined(b, "partial_json") for b in content if b["type"] == "tool_use"}
    assert calls == {
        f"c_{number}": item.texts[0]
        for number, item in enumerate(reply.items)
        if item.kind == "call"
    }
    thought = "".join(joined(block, "thinking") for block in content)
    wanted = "".join(t for i in reply.items if i.kind == "reasoning" for t in i.texts)
    assert (
        sorted(thought.replace("\n\n", "")) == sorted(wanted.replace("\n\n", "")) or shown != "all"
    )
    assert thought == "" or shown == "all"
    seals = [joined(b, "signature") or b.get("data", "") for b in content]
    count = sum(item.kind == "reasoning" for item in reply.items)
    assert seals.count(sealed("gAAAA")) == (count if shown != "nothing" else 0)


@given(reply=replies(mixed=False))
def test_in_order_the_text_is_the_very_same(reply):
    """Where the upstream mixes nothing, each message is one text, piece after piece."""
    content = folded(reply.events)["content"]
    texts = [block["text"] for block in content if block["type"] == "text"]
    assert texts == [text for item in reply.items if item.kind == "message" for text in item.texts]


@given(reply=replies(), shown=st.sampled_from(["nothing", "all"]))
def test_the_whole_answer_is_the_fold_of_the_stream(reply, shown):
    """The same blocks, the same end; and the official library reads both."""
    said = frames(streamed(reply.events, shown=shown))
    whole = folded(reply.events, shown=shown)
    Message.model_validate(whole)
    for one in said:
        EVENT.validate_python(one)
    content = gathered(said)
    assert [block["type"] for block in whole["content"]] == [block["type"] for block in content]
    assert [b.get("text") for b in whole["content"] if b["type"] == "text"] == [
        joined(b, "text") for b in content if b["type"] == "text"
    ]
    assert whole["usage"] == said[-2]["usage"]


@given(reply=replies())
def test_the_shorter_way_says_the_same(reply):
    """Text deltas are put together without the memory, and read as if they had not been."""
    assert streamed(reply.events, shown="all") == plainly(reply.events, shown="all")


@given(events=st.lists(ODD, max_size=25), stops=st.sampled_from([(), ("a",), ("ab", "€")]))
def test_no_sequence_of_events_makes_the_translator_raise(events, stops):
    """Events of any form: the stream still is one of whole blocks, in both ways the same."""
    stream = MessagesStream(call=call(shown="all", stop_sequences=stops), id="m")
    said = b"".join(stream.feed(data) for data in events)
    assert said == plainly(events, shown="all", stop_sequences=stops).replace(b'"msg_1"', b'"m"')
    last = frames(stream.finish())
    assert bool(last) != stream.finished
    if stream.finished:
        gathered(frames(said))
        folded(events, shown="all", stop_sequences=stops)


@given(data=st.binary(max_size=40))
def test_no_bytes_make_the_translator_raise(data):
    """What is no event gives rise to nothing."""
    assert MessagesStream(call=call(), id="m").feed(data) == b""


@given(text=st.text(alphabet="ab", max_size=20), cuts=st.lists(st.integers(0, 20), max_size=4))
def test_a_stop_sequence_ends_the_text_wherever_it_is_cut(text, cuts):
    """As if the whole text had been looked at."""
    ends = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(ends)]
    place = {"output_index": 0, "content_index": 0}
    events = [event("response.output_text.delta", delta=piece, **place) for piece in pieces]
    events.append(event("response.completed", response={}))
    whole = folded(events, stop_sequences=("aba", "bb"))
    found = [(at, stop) for stop in ("aba", "bb") if (at := text.find(stop)) >= 0]
    wanted, reason = text, ("end_turn", None)
    # Of two sequences, the one counts that is complete first in the pieces as they came.
    said = "".join(block["text"] for block in whole["content"])
    if found:
        assert whole["stop_reason"] == "stop_sequence"
        assert said in {text[:at] for at, _ in found}
    else:
        assert (said, (whole["stop_reason"], whole["stop_sequence"])) == (wanted, reason)


def test_a_stream_that_just_stops_ends_with_an_error():
    """And a whole answer is none."""
    events = [event("response.created", response={})]
    [_, last] = frames(streamed(events))
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    with pytest.raises(StreamIncomplete):
        folded(events)


def test_nothing_is_said_after_a_failure():
    """The first end counts."""
    stream = MessagesStream(call=call(), id="m", request_id="req_1")
    place = {"output_index": 0, "content_index": 0}
    assert stream.feed(event("response.output_text.delta", delta="x", **place))
    assert (
        stream.feed(event("error", error={"code": "server_is_overloaded", "message": "no"})) == b""
    )
    assert stream.feed(event("response.output_text.delta", delta="y", **place)) == b""
    assert stream.failure is not None
    [last] = frames(stream.finish())
    assert last["error"] == {"type": "overloaded_error", "message": "no"}
    assert last["request_id"] == "req_1"
