"""A reply passes through in its own bytes, or is folded into one answer.

Each folder of `tests/golden/responses/reply_*` holds `upstream.sse`, what a public caller gets
(`public.sse`, or a file `same`), and the folded `answer.json`.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.responses import replies
from app.dialects.responses.replies import ResponsesFold, ResponsesStream
from app.errors import StreamIncomplete, UpstreamError, UpstreamProtocolError
from app.wire.sse import SseDecoder, SseEvent

GOLDEN = Path(__file__).parents[2] / "golden" / "responses"
CASES = sorted(path.name for path in GOLDEN.glob("reply_*"))


def event(data: bytes | dict[str, object]) -> SseEvent:
    """Return an event with this data and no name."""
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return SseEvent("", data, b"data: " + data + b"\n\n")


def streamed(lane: ResponsesStream, chunks: list[bytes]) -> bytes:
    """Return what a caller gets of an upstream's chunks."""
    decoder = SseDecoder()
    sent = b""
    for chunk in chunks:
        events = decoder.feed(chunk)
        sent += lane.feed(decoder.taken, events)
    return sent


@pytest.mark.parametrize("case", CASES)
def test_a_public_caller_gets_the_golden_stream(case):
    """Private events are gone and the output is there; all else is the upstream's bytes."""
    folder = GOLDEN / case
    stream = (folder / "upstream.sse").read_bytes()
    public = folder / "public.sse"
    expected = public.read_bytes() if public.exists() else stream
    assert streamed(ResponsesStream(codex_route=False), [stream]) == expected


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_cuts_do_not_matter(data):
    """However the upstream's stream is cut, the caller gets the same."""
    folder = GOLDEN / data.draw(st.sampled_from(CASES))
    stream = (folder / "upstream.sse").read_bytes()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = streamed(ResponsesStream(codex_route=False), [stream])
    assert streamed(ResponsesStream(codex_route=False), chunks) == whole
    assert streamed(ResponsesStream(codex_route=True), chunks) == stream


@pytest.mark.parametrize("case", CASES)
def test_a_codex_client_gets_the_very_same_bytes(case):
    """Every chunk is the object that came."""
    stream = (GOLDEN / case / "upstream.sse").read_bytes()
    assert ResponsesStream(codex_route=True).feed(stream, SseDecoder().feed(stream)) is stream


@pytest.mark.parametrize("case", [case for case in CASES if (GOLDEN / case / "same").exists()])
def test_a_stream_that_is_right_is_the_very_same_bytes(case):
    """Nothing is copied where nothing differs."""
    stream = (GOLDEN / case / "upstream.sse").read_bytes()
    assert ResponsesStream(codex_route=False).feed(stream, SseDecoder().feed(stream)) is stream


@pytest.mark.parametrize("case", CASES)
def test_the_fold_is_the_golden_answer(case):
    """The terminal response, its output and its usage complete."""
    folder = GOLDEN / case
    fold = ResponsesFold()
    fold.feed(SseDecoder().feed((folder / "upstream.sse").read_bytes()))
    assert json.loads(fold.body()) == json.loads((folder / "answer.json").read_text())


ITEM = {"type": "response.output_item.done", "item": {"type": "message"}}
COMPLETED = {"type": "response.completed", "response": {"id": "r", "output": []}}


def test_items_without_an_index_come_in_their_order():
    """An item that can't be read is none."""
    fold = ResponsesFold()
    broken = {"type": "response.output_item.done", "output_index": 0}
    items = [{**ITEM, "item": {"n": n}} for n in range(3)]
    fold.feed([event(data) for data in (broken, *items, COMPLETED)])
    assert json.loads(fold.body())["output"] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_an_item_that_comes_twice_counts_once():
    """The last one is the final one."""
    fold = ResponsesFold()
    twice = [{**ITEM, "output_index": 0, "item": {"n": n}} for n in range(2)]
    fold.feed([event(data) for data in (*twice, COMPLETED)])
    assert json.loads(fold.body())["output"] == [{"n": 1}]


def test_a_stream_with_too_many_items_is_passed_as_it_is(monkeypatch):
    """Rather no output at the end than memory without end."""
    monkeypatch.setattr(replies, "STREAM_ITEMS_BYTES_MAX", 50)
    lane = ResponsesStream(codex_route=False)
    for index in range(5):
        done = event({**ITEM, "output_index": index})
        assert lane.feed(done.raw, [done]) is done.raw
    end = event(COMPLETED)
    assert lane.feed(end.raw, [end]) is end.raw


def test_a_fold_with_too_many_items_is_an_error(monkeypatch):
    """An answer that lacks something is no answer."""
    monkeypatch.setattr(replies, "FOLD_ITEMS_BYTES_MAX", 50)
    fold = ResponsesFold()
    with pytest.raises(UpstreamProtocolError, match="ask for it as a stream"):
        fold.feed([event({**ITEM, "output_index": index}) for index in range(5)])


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"response.completed"}',
        b'{"type":"response.completed","response":null}',
        b'{"type":"response.completed","response":"text"}',
        b'{"type":"response.completed","\xff":1}',
        b'{"type":"response.created","response":{}}',
        b"[DONE]",
    ],
)
def test_a_stream_without_its_end_is_no_answer(data):
    """As a stream it passes, as an answer it is an error."""
    end = event(data)
    lane = ResponsesStream(codex_route=False)
    item = event(ITEM)
    lane.feed(item.raw, [item])
    assert lane.feed(end.raw, [end]) is end.raw
    fold = ResponsesFold()
    fold.feed([item, end])
    with pytest.raises(StreamIncomplete):
        fold.body()


def test_a_failed_reply_keeps_the_upstreams_words():
    """And it passes as a stream as it is."""
    failed = event({"type": "response.failed", "response": {"error": {"message": "Too long."}}})
    assert ResponsesStream(codex_route=False).feed(failed.raw, [failed]) is failed.raw
    fold = ResponsesFold()
    fold.feed([event({"type": "error"}), failed])
    with pytest.raises(UpstreamError, match="Too long"):
        fold.body()
    silent = ResponsesFold()
    silent.feed([event({"type": "error"})])
    with pytest.raises(UpstreamError, match="broke off"):
        silent.body()


def test_a_chunk_without_events_is_itself():
    """Half an event is held by the decoder."""
    empty = b""
    assert ResponsesStream(codex_route=False).feed(empty, []) is empty


def test_usage_that_is_told_is_kept():
    """Zeros stand only where nothing was said."""
    usage = {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": None},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 11,
        "new": 1,
    }
    fold = ResponsesFold()
    fold.feed([event({"type": "response.completed", "response": {"usage": usage}})])
    usage["input_tokens_details"]["cache_write_tokens"] = 0
    assert json.loads(fold.body())["usage"] == usage


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("codex_route", [False, True])
def test_messages_say_what_the_stream_says(case, codex_route):
    """A WebSocket has the same events as the stream, without its framing."""
    stream = (GOLDEN / case / "upstream.sse").read_bytes()
    said = streamed(ResponsesStream(codex_route=codex_route), [stream])
    messages = ResponsesStream(codex_route=codex_route).messages(SseDecoder().feed(stream))
    decoder = SseDecoder()
    last = [*decoder.feed(said), decoder.finish()]
    assert messages == [each.data for each in last if each is not None]


def test_a_message_that_needs_no_change_is_the_very_same_bytes():
    """Handed on as received."""
    events = [event({"type": "response.output_text.delta", "delta": "x"})]
    for codex_route in (False, True):
        [message] = ResponsesStream(codex_route=codex_route, note=print).messages(events)
        assert message is events[0].data
