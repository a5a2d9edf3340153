"""Nothing of a reply is lost or said twice on its way to a caller, whatever the upstream's quirks.

The replies are the simulator's: random items, told in each form in which upstreams tell them. What
must arrive (text, refusals, arguments, inputs, usage) is known from the items. No event makes a
translator raise; and what a caller gets at once is what the stream would have told.
"""

import json
from collections.abc import Iterator

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.chat.replies import ChatFold, ChatStream
from app.dialects.chat.requests import decode, to_responses
from app.dialects.responses.replies import ResponsesFold, ResponsesStream
from app.wire.sse import SseDecoder, SseEvent
from loadtests.simulator.config import Knobs
from loadtests.simulator.events import Reply
from loadtests.simulator.item_events import play
from loadtests.simulator.items import CustomToolCall, FunctionCall, Message, Reasoning, WebSearch

TEXT = st.text(alphabet='ab"\\\n\u20ac\U0001f600 \u2028', max_size=40)
ITEMS = st.lists(
    st.builds(Message, text=TEXT, refusal=st.booleans())
    | st.builds(Reasoning, summary=st.tuples(TEXT))
    | st.builds(FunctionCall, name=st.sampled_from(["look", "find"]),
                arguments=st.dictionaries(TEXT, TEXT, max_size=2))
    | st.builds(CustomToolCall, name=st.just("patch"), input=TEXT)
    | st.builds(WebSearch),
    min_size=1,
    max_size=5,
)  # fmt: skip
QUIRKS = st.fixed_dictionaries(
    {},
    optional={
        "delta_chars": st.integers(1, 9),
        "interleave": st.booleans(),
        "empty_completed_output": st.booleans(),
        "skip_output_item_added": st.booleans(),
        "skip_created": st.booleans(),
        "done_without_delta": st.booleans(),
        "snapshot_in_done": st.booleans(),
        "null_usage_details": st.booleans(),
        "unknown_events": st.integers(0, 3),
        "private_events": st.booleans(),
    },
)
CALL = to_responses(
    decode(
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,'
        b'"stream_options":{"include_usage":true}}'
    ),
    upstream_model="gpt-5.5",
    efforts=None,
)
USUAL = settings(deadline=None, max_examples=150)


class Told:
    """One reply: what is in it, and its events."""

    def __init__(self, items: list, quirks: dict) -> None:
        self.items = items
        reply = Reply(
            key="1",
            created_at=1784900000,
            model="gpt-5.5",
            request={},
            knobs=Knobs(items=items, burst=True, ttft_ms=0, **quirks),
            items=items,
            plan="plus",
            resets_at=0.0,
            seal=lambda item_id: f"gAAAA{item_id}",
            private=[{"type": "codex.rate_limits"}] if quirks.get("private_events") else [],
            input_tokens=7,
        )
        self.events: list[bytes] = []
        for event in play(reply):
            if event.name:
                self.events.append(event.payload(len(self.events)))
        self.usage = reply.final_usage() or {}

    @property
    def text(self) -> str:
        """All that is said to the user."""
        return "".join(i.text for i in self.items if isinstance(i, Message) and not i.refusal)

    @property
    def refusal(self) -> str:
        """All that is refused."""
        return "".join(i.text for i in self.items if isinstance(i, Message) and i.refusal)

    @property
    def calls(self) -> list[tuple[str, object]]:
        """What is called with what, in order."""
        return [
            (item.name, item.input if isinstance(item, CustomToolCall) else item.arguments)
            for item in self.items
            if isinstance(item, FunctionCall | CustomToolCall)
        ]


REPLIES = st.builds(Told, ITEMS, QUIRKS)
CALLED = ("function_call", "custom_tool_call")


def begun(reply: Told) -> list[tuple[str, object]]:
    """Return what is called with what, in the order in which the events first tell of it."""
    found: dict[object, tuple[str, object]] = {}
    for event in map(json.loads, reply.events):
        item = event.get("item") or {}
        if item.get("type") not in CALLED:
            continue
        place = event.get("output_index", item.get("id"))
        found.setdefault(place, ("", None))
        if event["type"] == "response.output_item.done":
            said = item["input"] if "input" in item else json.loads(item["arguments"])
            found[place] = (item["name"], said)
    return list(found.values())


def chunks_of(reply: Told) -> list[dict]:
    """Return the chunks of a chat stream, without its last word."""
    stream = ChatStream(call=CALL, id="x", created_at=0)
    data = b"".join(stream.feed(event) for event in reply.events) + stream.finish()
    found = [event.data for event in SseDecoder(event_bytes_max=1 << 20).feed(data)]
    assert found.pop() == b"[DONE]"
    return [json.loads(chunk) for chunk in found]


def joined(chunks: list[dict], field: str) -> str:
    """Return what all deltas say in one field."""
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(field) or "" for delta in deltas)


def called(pieces: Iterator[dict]) -> list[tuple[str, object]]:
    """Return the calls that pieces of calls make."""
    found: dict[int, list[str]] = {}
    kinds: dict[int, str] = {}
    for number, piece in enumerate(pieces):
        index = piece.get("index", number)
        if "type" in piece:
            kinds[index] = piece["type"]
            found[index] = [piece[piece["type"]]["name"], ""]
        said = piece.get("function") or piece.get("custom") or {}
        found[index][1] += said.get("arguments") or said.get("input") or ""
    return [
        (name, said if kinds[index] == "custom" else json.loads(said))
        for index, (name, said) in found.items()
    ]


@USUAL
@given(REPLIES)
def test_a_chat_stream_says_all_of_it_once(reply) -> None:
    """Text, refusals, calls and usage."""
    chunks = chunks_of(reply)
    assert joined(chunks, "content") == reply.text
    assert joined(chunks, "refusal") == reply.refusal
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    said = called(p for d in deltas for p in d.get("tool_calls", ()))
    assert said == begun(reply)
    assert sorted(said, key=repr) == sorted(reply.calls, key=repr)
    usage = chunks[-1]["usage"]
    assert usage["prompt_tokens"] == reply.usage["input_tokens"]
    assert usage["completion_tokens"] == reply.usage["output_tokens"]


@USUAL
@given(REPLIES)
def test_a_chat_completion_says_what_the_stream_says(reply) -> None:
    """To the last call."""
    fold, chunks = ChatFold(call=CALL, id="x", created_at=0), chunks_of(reply)
    for event in reply.events:
        fold.feed(event)
    answer = json.loads(fold.to_completion())
    message = answer["choices"][0]["message"]
    assert (message["content"] or "") == joined(chunks, "content")
    assert (message["refusal"] or "") == reply.refusal
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    said = called(message.get("tool_calls", []))
    assert said == called(p for d in deltas for p in d.get("tool_calls", ()))
    assert sorted(said, key=repr) == sorted(reply.calls, key=repr)
    assert answer["usage"] == chunks[-1]["usage"]


def passed(reply: Told, *, codex_route: bool, note=None) -> tuple[bytes, bytes]:
    """Return what came and what a Responses caller is sent for it."""
    stream = ResponsesStream(codex_route=codex_route, note=note)
    events = [SseEvent("", data, b"data: %b\n\n" % data) for data in reply.events]
    raw = b"".join(event.raw for event in events)
    return raw, b"".join(stream.feed(event.raw, [event]) for event in events)


def said_in(items: list[dict]) -> tuple[str, str, list[tuple[str, object]]]:
    """Return the text, the refusals and the calls of output items."""
    parts = [p for item in items if item["type"] == "message" for p in item["content"]]
    calls = [
        (item["name"], item["input"] if "input" in item else json.loads(item["arguments"]))
        for item in items
        if item["type"] in ("function_call", "custom_tool_call")
    ]
    text = "".join(part.get("text", "") for part in parts)
    # Calls that are told side by side are done in any order.
    return text, "".join(part.get("refusal", "") for part in parts), sorted(calls, key=repr)


@USUAL
@given(REPLIES)
def test_a_codex_client_gets_the_very_bytes(reply) -> None:
    """And so does anybody else, but for private events and an end without its output."""
    raw, said = passed(reply, codex_route=True)
    assert said == raw
    _, said = passed(reply, codex_route=False)
    public = [data for data in reply.events if b'"codex.' not in data[:20]]
    got = [event.data for event in SseDecoder(event_bytes_max=1 << 20).feed(said)]
    assert got[:-1] == public[:-1]
    output = json.loads(got[-1])["response"]["output"]
    assert said_in(output) == (reply.text, reply.refusal, sorted(reply.calls, key=repr))


@USUAL
@given(REPLIES, st.booleans())
def test_a_whole_response_has_all_of_it(reply, codex_route) -> None:
    """And what can be gone on from is the same, however it was delivered."""
    noted: list[list[bytes]] = []
    fold = ResponsesFold(note=lambda _id, items: noted.append(items))
    fold.feed([SseEvent("", data, b"") for data in reply.events])
    answer = json.loads(fold.body())
    assert said_in(answer["output"]) == (reply.text, reply.refusal, sorted(reply.calls, key=repr))
    assert answer["usage"]["output_tokens"] == reply.usage["output_tokens"]
    passed(reply, codex_route=codex_route, note=lambda _id, items: noted.append(items))
    assert noted[0] == noted[1] or [json.loads(i) for i in noted[0]] == [
        json.loads(i) for i in noted[1]
    ]
    assert [json.loads(item) for item in noted[0]] == answer["output"]


@USUAL
@given(REPLIES, st.data())
def test_no_order_of_events_breaks_a_translator(reply, data) -> None:
    """Events that come twice, too late or not at all are taken as they are."""
    drawn = data.draw(st.lists(st.sampled_from(reply.events), max_size=20))
    stream, fold = (
        ChatStream(call=CALL, id="x", created_at=0),
        ChatFold(call=CALL, id="x", created_at=0),
    )
    responses, whole = ResponsesStream(codex_route=False), ResponsesFold()
    for event in drawn:
        stream.feed(event)
        fold.feed(event)
        spelled = SseEvent("", event, b"data: %b\n\n" % event)
        responses.feed(spelled.raw, [spelled])
        whole.feed([spelled])
    for line in stream.finish().split(b"\n\n"):
        assert not line or line == b"data: [DONE]" or msgspec.json.decode(line[6:])
