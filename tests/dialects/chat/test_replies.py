"""The stream of chunks, held against a plain twin that works on dicts."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from app.dialects.chat.replies import ChatFold, ChatStream
from app.dialects.chat.requests import ChatCall
from app.errors import StreamIncomplete

SHORT, LONG = "f_12345678", "f_in_full"
TEXT_DELTA = "response.output_text.delta"


def call(*, include_usage=False, legacy=False, model="m"):
    """Return a call whose reply is to be translated."""
    return ChatCall(
        model=model,
        stream=True,
        include_usage=include_usage,
        prompt_cache_key=None,
        body=b"",
        tool_names={SHORT: LONG},
        legacy_functions=legacy,
    )


def stream(**options):
    """Return a stream that has seen nothing yet."""
    return ChatStream(call=call(**options), id="chatcmpl-1", created_at=17)


def encoded(**event):
    """Return one event's JSON."""
    return json.dumps(event, separators=(",", ":")).encode()


def text_delta(text="x", **fields):
    """Return a text delta's JSON."""
    place = {"output_index": 1, "content_index": 0, "item_id": "m"}
    return encoded(**({"type": TEXT_DELTA, "delta": text} | place | fields))


COMPLETED = encoded(
    type="response.completed",
    response={"usage": {"input_tokens": 1, "output_tokens": 2}, "service_tier": "default"},
)


def chunks(data):
    """Return what the events in `data` hold."""
    events = data.decode().split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event[6:] if event == "data: [DONE]" else json.loads(event[6:]) for event in events]


def test_a_stream_is_role_text_reason_and_done():
    """In chunks that are the same but for what they say."""
    reply = stream()
    data = reply.feed(text_delta("Hel")) + reply.feed(text_delta("lo")) + reply.feed(COMPLETED)
    said = chunks(data + reply.finish())
    assert said.pop() == "[DONE]"
    assert said[-1].pop("service_tier") == "default"
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 17, "model": "m"}
    choices = [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {"content": "Hel"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "lo"}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    assert said == [envelope | {"choices": [choice]} for choice in choices]
    assert reply.finished
    assert reply.failure is None


def test_usage_comes_last_and_only_if_asked_for():
    """The other chunks then say that theirs is null."""
    reply = stream(include_usage=True)
    data = reply.feed(text_delta()) + reply.feed(text_delta()) + reply.feed(COMPLETED)
    said = chunks(data + reply.finish())
    assert said.pop() == "[DONE]"
    last = said.pop()
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 3
    assert [chunk["usage"] for chunk in said] == [None] * 4


def test_a_reply_that_failed_ends_with_its_error_and_no_done():
    """In the upstream's words."""
    reply = stream()
    reply.feed(text_delta())
    assert reply.feed(encoded(type="error", code="server_error", message="Broken.")) == b""
    assert not reply.finished
    assert reply.failure.code == "server_error"
    (error,) = chunks(reply.finish())
    assert error["error"]["message"] == "Broken."
    assert reply.feed(text_delta()) == b""


def test_a_reply_that_just_stops_is_a_failure():
    """A stream never just ends."""
    reply = stream()
    reply.feed(text_delta())
    (error,) = chunks(reply.finish())
    assert error["error"]["code"] == "stream_incomplete"
    assert isinstance(reply.failure, StreamIncomplete)


def test_the_callers_words_can_not_break_the_stream():
    """A model's name is a string like any other."""
    reply = stream(model='m"\n\n')
    assert [chunk["model"] for chunk in chunks(reply.feed(text_delta()))] == ['m"\n\n'] * 2


@pytest.mark.parametrize("delta", ["", None, 5, {"a": 1}, ["x"], True])
def test_what_is_no_text_is_not_put_into_the_stream(delta):
    """On the short way as on the long one."""
    reply = stream()
    assert reply.feed(text_delta(delta)) == b""
    reply.feed(text_delta("x"))
    assert reply.feed(text_delta(delta)) == b""
    assert reply.feed(encoded(type=TEXT_DELTA, output_index=1, content_index=0)) == b""


class PlainStream:
    """The same translation, written plainly: every event a dict, every chunk a dict."""

    def __init__(self, call):
        self.call = call
        self.begun = self.over = self.answered = False
        self.said, self.calls, self.places, self.part = set(), {}, {}, None

    def feed(self, data):
        """Return the chunks of one event."""
        try:
            event = json.loads(data)
        except ValueError:
            return []
        if self.over or not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return []
        deltas, last = self.deltas(event, event["type"].removeprefix("response."))
        if not self.begun and (deltas or last):
            deltas.insert(0, {"role": "assistant", "content": ""})
            self.begun = True
        said = [self.chunk(delta, None) for delta in deltas]
        return said + ([self.chunk({}, last)] if last else [])

    def chunk(self, delta, reason):
        """Return one chunk."""
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 17,
            "model": self.call.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }

    def deltas(self, event, kind):
        """Return the deltas of one event, and the finish reason if it is the last one."""
        place = [whole(event.get("output_index"), -1), words(event.get("item_id")) or ""]
        content = whole(event.get("content_index"), 0)
        summary = whole(event.get("summary_index"), 0)
        spoken = {
            "output_text": ("text", "content", content),
            "refusal": ("refusal", "refusal", content),
            "reasoning_summary_text": ("summary", "reasoning_content", summary),
            "reasoning_text": ("thought", "reasoning_content", content),
        }
        subject, _, verb = kind.partition(".")
        item = event.get("item")
        if kind in {"output_item.added", "output_item.done"} and well_formed(item):
            place[1] = place[1] or item.get("id") or ""
            return self.item(item, place, verb), None
        if subject in spoken and verb == "delta":
            return self.say(*spoken[subject], place, words(event.get("delta"))), None
        if subject in spoken and verb == "done":
            text = event.get("refusal" if subject == "refusal" else "text")
            return self.say(*spoken[subject], place, words(text), once=True), None
        if subject in {"function_call_arguments", "custom_tool_call_input"}:
            return self.call_event(event, verb, place), None
        return self.rest(kind)

    def rest(self, kind):
        """Return what an event without words gives rise to."""
        self.over = kind in {"failed", "error", "completed"}
        if kind == "created" and not self.begun:
            self.begun = True
            return [{"role": "assistant", "content": ""}], None
        called = "function_call" if self.call.legacy_functions else "tool_calls"
        reason = called if self.calls else "stop"
        return [], reason if kind == "completed" else None

    def say(self, kind, field, index, place, text, *, once=False):
        """Return the deltas that say `text`."""
        known = any((kind, name, index) in self.said for name in (*place, ""))
        if not text or (once and known):
            return []
        if place[0] >= 0:
            self.said.add((kind, place[0], index))
        if place[1] or place[0] < 0:
            self.said.add((kind, place[1], index))
        deltas = [{field: text}]
        if field == "reasoning_content":
            part = (kind, place[0] if place[0] >= 0 else place[1], index)
            if self.part is not None and self.part != part:
                deltas.insert(0, {field: "\n\n"})
            self.part = part
        return deltas

    def item(self, item, place, verb):
        """Return the deltas of an item that is added or done."""
        if item.get("type") == "message" and verb == "done":
            deltas = []
            parts = item.get("content")
            for index, part in enumerate(parts if isinstance(parts, list) else []):
                text = words(part.get("text"))
                deltas += self.say("text", "content", index, place, text, once=True)
            return deltas
        if item.get("type") not in {"function_call", "custom_tool_call"}:
            return []
        call_id, name = item.get("call_id"), item.get("name")
        known = self.calls.get(call_id) if call_id else self.find(place)
        if known:
            self.place(known, item, place)
        arguments = (words(item.get("arguments")) or words(item.get("input"))) or ""
        if verb == "added":
            arguments = ""
        if known or not (call_id and name):
            return self.more(known, arguments) if known and not known["full"] else []
        custom = item["type"] == "custom_tool_call"
        known = self.calls[call_id] = {
            "index": len(self.calls),
            "type": "custom" if custom else "function",
            "field": "input" if custom else "arguments",
            "full": bool(arguments),
        }
        self.place(known, item, place)
        body = {"name": LONG if name == SHORT else name, known["field"]: arguments}
        if self.call.legacy_functions:
            return [] if known["index"] else [{"function_call": body}]
        head = {"index": known["index"], "id": call_id, "type": known["type"]}
        return [{"tool_calls": [head | {known["type"]: body}]}]

    def call_event(self, event, verb, place):
        """Return the deltas of an event about a call's arguments."""
        known = self.find(place)
        if known and verb == "delta":
            return self.more(known, words(event.get("delta")))
        if known and verb == "done" and not known["full"]:
            return self.more(known, words(event.get("arguments")) or words(event.get("input")))
        return []

    def place(self, known, item, place):
        """Let a call go by the names that it has now."""
        if place[0] >= 0:
            self.places[place[0]] = known
        if item.get("id"):
            self.places[item["id"]] = known

    def find(self, place):
        """Return the call at `place`."""
        return self.places.get(place[0]) or self.places.get(place[1])

    def more(self, known, text):
        """Return the delta that says more of a call."""
        legacy = self.call.legacy_functions
        if not text or (legacy and known["index"]):
            return []
        known["full"] = True
        body = {known["field"]: text}
        if legacy:
            return [{"function_call": body}]
        return [{"tool_calls": [{"index": known["index"], known["type"]: body}]}]


def whole(value, default):
    """Return `value` if it is a whole number."""
    return value if type(value) is int else default


def words(value):
    """Return `value` if it is a string."""
    return value if isinstance(value, str) else None


def well_formed(item):
    """Tell whether an item's fields are strings or null."""
    names = ("id", "call_id", "name", "result", "output_format")
    return (
        isinstance(item, dict)
        and isinstance(item.get("type"), str)
        and all(isinstance(item.get(name), str | None) for name in names)
    )


DELTAS = st.sampled_from(["x", "é\n", '"', "\u2028", "", None, 5, {}])
ARGUMENTS = st.sampled_from(["{}", "é", "", None])
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["function_call", "custom_tool_call", "message", "other", 5])},
    optional={
        "id": st.sampled_from(["a", "b", None, 5]),
        "call_id": st.sampled_from(["c1", "c2", "", None]),
        "name": st.sampled_from(["f", SHORT, None]),
        "arguments": ARGUMENTS,
        "input": ARGUMENTS,
        "content": st.none() | st.lists(st.fixed_dictionaries({"text": DELTAS}), max_size=2),
    },
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                TEXT_DELTA,
                TEXT_DELTA,
                "response.output_text.done",
                "response.refusal.delta",
                "response.refusal.done",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.done",
                "response.reasoning_text.delta",
                "response.output_item.added",
                "response.output_item.done",
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
                "response.created",
                "response.in_progress",
                "codex.rate_limits",
            ]
        )
    },
    optional={
        "output_index": st.sampled_from([0, 1, -1, None, "0"]),
        "content_index": st.sampled_from([0, 1, None]),
        "summary_index": st.sampled_from([0, 1]),
        "item_id": st.sampled_from(["a", "b", "", None, 5]),
        "delta": DELTAS,
        "text": DELTAS,
        "refusal": DELTAS,
        "arguments": ARGUMENTS,
        "input": ARGUMENTS,
        "item": ITEMS,
    },
)
ENDS = st.sampled_from(
    [
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
        {"type": "response.failed", "response": {"error": {"code": "c"}}},
        {"type": "error", "message": "m"},
    ]
)


@settings(max_examples=150)
@given(events=st.lists(EVENTS | ENDS, max_size=25), legacy=st.booleans())
def test_the_stream_agrees_with_its_plain_twin(events, legacy):
    """Chunk by chunk, on any events."""
    reply, twin = stream(legacy=legacy), PlainStream(call(legacy=legacy))
    for event in events:
        data = encoded(**event)
        assert chunks(reply.feed(data)) == twin.feed(data)


@given(texts=st.lists(st.text(min_size=1).filter(str.isprintable)))
def test_the_text_of_the_chunks_is_the_text_of_the_deltas(texts):
    """Character by character."""
    reply = stream()
    said = [chunk for text in texts for chunk in chunks(reply.feed(text_delta(text)))]
    contents = [chunk["choices"][0]["delta"]["content"] for chunk in said]
    assert "".join(contents) == "".join(texts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["item", "type", "content", "response", "output", "usage", "error"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
KINDS = st.sampled_from(
    ["error", "response.completed", "response.failed", "response.output_item.done", TEXT_DELTA]
)


@given(events=st.lists(st.tuples(KINDS, st.dictionaries(st.text(max_size=8), JSON), JSON, JSON)))
def test_no_event_raises(events):
    """Whatever its form; and there always is an end."""
    for kind in (ChatStream, ChatFold):
        reply = kind(call=call(), id="i", created_at=1)
        for name, fields, item, response in events:
            strange = {"item": item, "response": response, "type": name, "error": item}
            reply.feed(json.dumps(fields | strange).encode())
    assert stream().finish().endswith(b"\n\n")


@given(data=st.binary() | st.binary().map(lambda tail: b'{"type":"error"' + tail))
def test_no_bytes_raise(data):
    """They are no event, and say nothing."""
    assert stream().feed(data) == b""


@settings(max_examples=50)
@given(events=st.lists(EVENTS, max_size=15))
def test_the_official_library_reads_every_chunk(events):
    """Its types are stricter than most callers; it has none for pieces of custom calls yet."""
    reply = stream()
    data = b"".join(reply.feed(encoded(**event)) for event in events)
    for chunk in chunks(data + reply.feed(COMPLETED)):
        calls = chunk["choices"][0]["delta"].get("tool_calls", ())
        if not any("custom" in call for call in calls):
            ChatCompletionChunk.model_validate(chunk)
