"""What holds for every stream of chunks, however it comes."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.chat.replies import ChatFold
from app.dialects.chat.requests import decode, to_responses
from app.dialects.chat_upstream.chunks import Counted
from app.dialects.chat_upstream.replies import DONE, Retold, Teller
from app.dialects.messages import requests as messages
from app.dialects.messages.fold import MessagesFold
from app.dialects.responses.events import Kind, classify, receipt_of
from app.wire.sse import SseDecoder

TEXTS = st.text(max_size=12)
WORDS = st.lists(
    st.one_of(
        st.tuples(st.just("content"), TEXTS),
        st.tuples(st.just("refusal"), TEXTS),
        st.tuples(st.just("reasoning_content"), TEXTS),
        st.tuples(st.integers(0, 3), TEXTS),
    ),
    max_size=30,
)
COUNTS = st.integers(0, 10**6)
USAGE = st.fixed_dictionaries({"prompt_tokens": COUNTS, "completion_tokens": COUNTS})
FINISH = st.sampled_from(["stop", "tool_calls", "length", "content_filter"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ODD = st.dictionaries(
    st.sampled_from(["choices", "usage", "error", "object", "service_tier"]),
    JSON
    | st.lists(
        st.dictionaries(
            st.sampled_from(["index", "delta", "message", "finish_reason"]),
            JSON
            | st.dictionaries(
                st.sampled_from(["content", "tool_calls", "function_call", "reasoning"]), JSON
            ),
        ),
        max_size=3,
    ),
)


def retold(*datas: bytes, free_form: frozenset[str] = frozenset()) -> list[bytes]:
    """Return the data of the events that a stream is retold as."""
    reply = Retold(Teller("x", 1, "m", free_form))
    told = b"".join(reply.feed(data) for data in datas) + reply.finish()
    return [event.data for event in SseDecoder().feed(told)]


def chunk(delta: object, finish: str | None = None, **fields: object) -> bytes:
    """Return a chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return msgspec.json.encode({"choices": [choice], **fields})


def delta_of(kind: str | int, text: str, opened: set[int]) -> object:
    """Return a delta; a call is opened with its name."""
    if isinstance(kind, str):
        return {kind: text}
    piece: dict[str, object] = {"index": kind, "function": {"arguments": text}}
    if kind not in opened:
        opened.add(kind)
        piece |= {"id": f"call_{kind}", "function": {"name": f"f{kind}", "arguments": text}}
    return {"tool_calls": [piece]}


@given(WORDS, USAGE, FINISH)
def test_texts_arguments_and_usage_are_conserved(words, usage, finish):
    """In the deltas, in the items that end, and in the last event."""
    opened: set[int] = set()
    deltas = [delta_of(kind, text, opened) for kind, text in words]
    stream = [chunk(delta) for delta in deltas]
    events = retold(*stream, chunk({}, finish), chunk({}, usage=usage), DONE)
    told: dict[str | int, str] = {}
    for kind, text in words:
        told[kind] = told.get(kind, "") + text
    shown = dict.fromkeys(told, "")
    names = {"output_text": "content", "refusal": "refusal", "summary_text": "reasoning_content"}
    last = msgspec.json.decode(events[-1])
    for item in last["response"]["output"]:
        if item["type"] == "function_call":
            place = int(item["call_id"].removeprefix("call_"))
            shown[place] = "" if told[place] == "" else item["arguments"]
        for part in [*item.get("content", ()), *item.get("summary", ())]:
            shown[names[part["type"]]] += part.get("text", part.get("refusal"))
    assert shown == told
    ended = [msgspec.json.decode(e)["item"] for e in events if classify(e) is Kind.ITEM_DONE]
    assert (
        sorted(ended, key=lambda item: int(item["id"].rpartition("_")[2]))
        == (last["response"]["output"])
    )
    counted, _ = receipt_of(events[-1])
    assert counted is not None
    assert counted.input == usage["prompt_tokens"]
    assert counted.output == usage["completion_tokens"]
    numbers = [msgspec.json.decode(event)["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))


@given(st.lists(ODD.map(msgspec.json.encode) | st.binary(max_size=20) | st.just(DONE), max_size=12))
def test_no_sequence_of_events_makes_it_raise(datas):
    """Whatever comes, what is told is a numbered Responses stream with one end at most."""
    events = retold(*datas)
    kinds = [classify(event) for event in events]
    assert Kind.UNREADABLE not in kinds
    assert [kind.terminal for kind in kinds[:-1]].count(True) == 0


@given(WORDS, USAGE)
def test_a_chat_caller_reads_what_a_chat_upstream_said(words, usage):
    """There and back again: nothing of an answer is lost on the way through Responses."""
    opened: set[int] = set()
    deltas = [delta_of(kind, text, opened) for kind, text in words]
    events = retold(*map(chunk, deltas), chunk({}, "stop"), chunk({}, usage=usage), DONE)
    asked = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    call = to_responses(decode(asked), upstream_model="m", efforts=None)
    fold = ChatFold(call=call, id="c", created_at=1)
    for event in events:
        fold.feed(event)
    answer = msgspec.json.decode(fold.to_completion())
    said = "".join(text for kind, text in words if kind == "content")
    assert (answer["choices"][0]["message"]["content"] or "") == said
    assert msgspec.convert(answer["usage"], Counted).completion_tokens == usage["completion_tokens"]
    calls = answer["choices"][0]["message"].get("tool_calls") or []
    assert [call["function"]["name"] for call in calls] == [
        f"f{place}" for place in dict.fromkeys(k for k, _ in words if isinstance(k, int))
    ]


@given(WORDS, USAGE, FINISH)
def test_a_messages_caller_reads_what_a_chat_upstream_said(words, usage, finish):
    """Text, thoughts, calls with their inputs, and usage; none of it twice."""
    opened: set[int] = set()
    deltas = []
    for kind, text in words:
        first = isinstance(kind, int) and kind not in opened
        whole = msgspec.json.encode({"x": kind}).decode() if first else ""
        deltas.append(delta_of(kind, whole if isinstance(kind, int) else text, opened))
    asked = (
        b'{"model":"m","max_tokens":5000,"messages":[{"role":"user","content":"x"}],'
        b'"thinking":{"type":"enabled","budget_tokens":2048}}'
    )
    call = messages.to_responses(messages.decode(asked), upstream_model="m", efforts=None)
    fold = MessagesFold(call=call, id="msg_1")
    for event in retold(*map(chunk, deltas), chunk({}, finish), chunk({}, usage=usage), DONE):
        fold.feed(event)
    answer = msgspec.json.decode(fold.to_message())
    shown: dict[str, str] = {"text": "", "thinking": ""}
    for block in answer["content"]:
        if block["type"] in shown:
            shown[block["type"]] += block[block["type"]]
    said = {"text": ("content", "refusal"), "thinking": ("reasoning_content",)}
    for kind, names in said.items():
        assert sorted(shown[kind]) == sorted("".join(t for k, t in words if k in names))
    inputs = {b["id"]: b["input"] for b in answer["content"] if b["type"] == "tool_use"}
    assert inputs == {f"call_{place}": {"x": place} for place in opened}
    assert answer["usage"]["output_tokens"] == usage["completion_tokens"]
    assert answer["usage"]["input_tokens"] == usage["prompt_tokens"]


def test_the_prelude_holds_no_content():
    """An upstream that fails right after its first words can be left for another."""
    events = retold(chunk({"role": "assistant", "content": ""}))
    assert [classify(event) for event in events] == [Kind.LIFECYCLE] * 2


def test_nothing_follows_the_end():
    """Not even what the upstream still says."""
    events = retold(
        chunk({"content": "a"}, "stop", usage={"prompt_tokens": 1}), chunk({"content": "b"})
    )
    assert classify(events[-1]) is Kind.COMPLETED


def test_a_mark_alone_is_no_answer():
    """A stream without any chunk has not begun."""
    assert retold(DONE) == []
