"""Legal but unusual spellings of a stream: the events stay the same."""

import zlib

import pytest
import zstandard

from tests.loadtests.simulator.peer import sim, sse

TEXT = "echo: plain täxt — with “quotes”"
SAID = "plain täxt — with “quotes”"
FORMS = [
    {"chunking": "byte"},
    {"chunking": "random"},
    {"chunking": "utf8"},
    {"chunking": "crlf", "eol": "CRLF"},
    {"chunking": "field"},
    {"chunking": "line"},
    {"coalesce_events": 7},
    {"burst": True},
    {"eol": "CRLF"},
    {"eol": "CR"},
    {"event_line": False},
    {"multi_line_data": True},
    {"id_retry_fields": True},
    {"byte_order_mark": True},
    {"delta_chars": 1},
    {"delta_chars": 1000},
    {"events_per_s": 2000},
    {"private_events": False, "unknown_events": 3},
    {"empty_completed_output": False},
    {"skip_output_item_added": True},
    {"post_terminal_linger_ms": 20},
    {"terminals": 2, "events_after_terminal": 0},
]


@pytest.mark.parametrize("knobs", FORMS, ids=str)
async def test_the_text_survives_every_form(simulator, peer, knobs):
    """However it is cut or spelled, the deltas add up to the text."""
    answer = await peer.ask(sim(TEXT, **knobs))
    assert answer.complete
    assert answer.text == SAID
    assert simulator.world.ledger.records[0].body_bytes == len(answer.body)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_encoded_streams(simulator, peer, encoding):
    """The hash of the ledger is that of the stream inside the encoding."""
    answer = await peer.ask(sim(TEXT, encoding=encoding))
    assert answer.header("content-encoding") == encoding
    if encoding == "zstd":
        body = zstandard.ZstdDecompressor().decompressobj().decompress(answer.body)
    else:
        body = zlib.decompress(answer.body, 47)
    answer.body = body
    assert answer.text == SAID
    assert simulator.world.ledger.records[0].body_bytes == len(body)


async def test_the_last_blank_line_can_be_missing(peer):
    """The terminal event is then never dispatched by a reader of the standard."""
    answer = await peer.ask(sim(TEXT, final_blank_line=False))
    assert answer.text == SAID
    assert answer.body.endswith(b"}\n")
    assert not answer.body.endswith(b"\n\n")
    assert answer.kinds[-1] == "response.output_item.done"


async def test_comments_fill_a_long_wait(peer):
    """Keep-alives come while the model is silent."""
    answer = await peer.ask(sim(TEXT, ttft_ms=120, comments_every_ms=20))
    assert answer.body.count(b": keep-alive") >= 3
    assert answer.text == SAID


async def test_silence_while_reasoning_is_scaled(peer):
    """300 s of silence pass in 30 ms at a scale of 1:10,000."""
    knobs = {"reasoning": "on", "reasoning_silence_s": 300, "time_scale": 0.0001}
    answer = await peer.ask(sim(TEXT, **knobs))
    assert "response.reasoning_summary_text.delta" in answer.kinds
    assert answer.text == SAID


@pytest.mark.parametrize(
    ("knobs", "needle"),
    [
        ({"u2028_in_text": True}, "one\u2028two\u2029three\u0085four"),
        ({"nul_in_text": True}, "nul\0nul"),
    ],
)
async def test_traps_inside_the_text(peer, knobs, needle):
    """Line separators of Unicode are no line ends of SSE."""
    answer = await peer.ask(sim(TEXT, **knobs))
    assert answer.text == SAID + needle


async def test_a_lone_surrogate_is_sent_as_an_escape(peer):
    """Legal JSON text that no UTF-8 string can hold."""
    answer = await peer.ask(sim(TEXT, lone_surrogate=True))
    assert answer.body.count(b"half\\ud83dhalf") == 4


async def test_spoiled_events(peer):
    """Broken JSON and broken UTF-8 at the places that were asked for."""
    answer = await peer.ask(sim(TEXT, malformed_json_event=3, invalid_utf8_event=5))
    data = [text for _, text in sse(answer.body)]
    assert data[3] == '{"type":"response.output_text.delta",'
    assert b"\xff\xfe" in answer.body


async def test_a_huge_event(peer):
    """One delta of a MiB."""
    answer = await peer.ask(sim(TEXT, huge_event_bytes=1 << 20))
    assert len(answer.text) == len(SAID) + (1 << 20)


async def test_usage_variants(peer):
    """Null details, no usage, made-up numbers."""
    null = await peer.ask(sim(null_usage_details=True))
    assert null.events[-1]["response"]["usage"]["input_tokens_details"] is None
    none = await peer.ask(sim(no_usage=True))
    assert none.events[-1]["response"]["usage"] is None
    made = await peer.ask(sim(usage={"input_tokens": 5, "total_tokens": 9}))
    assert made.events[-1]["response"]["usage"]["total_tokens"] == 9


async def test_time_stamps_and_nonces_are_in_every_delta(peer):
    """For latency and for cross-talk; the `.done` events agree with the deltas."""
    answer = await peer.ask(sim(timestamps=True, nonce="canary", deltas=5))
    deltas = [e["delta"] for e in answer.events if e["type"] == "response.output_text.delta"]
    assert len(deltas) == 5
    stamps = [int(delta.split()[0].removeprefix("t=")) for delta in deltas]
    assert stamps == sorted(stamps)
    assert all("n=canary" in delta for delta in deltas)
    done = next(e for e in answer.events if e["type"] == "response.output_text.done")
    assert done["text"] == answer.text


async def test_quirks_of_tool_events(peer):
    """Only `.done`, or a `.done` that repeats the snapshot."""
    call = {"type": "function_call", "name": "f", "arguments": {"a": 1}}
    bare = await peer.ask(sim(items=[call], done_without_delta=True, skip_output_item_added=True))
    assert bare.kinds[-2:] == ["response.output_item.done", "response.completed"]
    assert not any("arguments.delta" in kind for kind in bare.kinds)
    full = await peer.ask(sim(items=[call], snapshot_in_done=True))
    done = next(e for e in full.events if e["type"].endswith("arguments.done"))
    assert done["delta"] == done["arguments"] == '{"a":1}'


async def test_every_item_can_be_scripted(peer):
    """All kinds of item in one reply, calls interleaved."""
    items = [
        {"type": "reasoning", "raw": "raw thoughts"},
        {"type": "message", "text": "cited", "annotations": [{"type": "url_citation"}]},
        {"type": "message", "text": "no", "refusal": True},
        {"type": "function_call", "name": "a", "arguments": {"x": "1234567"}},
        {"type": "function_call", "name": "b", "arguments": "not json"},
        {"type": "custom_tool_call", "name": "c", "input": "text"},
        {"type": "local_shell_call", "command": ["ls"]},
        {"type": "web_search"},
        {"type": "image", "size_bytes": 3000},
        {"type": "compaction"},
    ]
    answer = await peer.ask(sim(items=items, empty_completed_output=False))
    done = [e for e in answer.events if e["type"] == "response.output_item.done"]
    assert [e["output_index"] for e in done if e["output_index"] not in {3, 4, 5}] == [
        0, 1, 2, 6, 7, 8, 9,
    ]  # fmt: skip
    argued = [e["output_index"] for e in answer.events if e["type"].endswith("arguments.delta")]
    assert argued != sorted(argued)
    assert len(answer.events[-1]["response"]["output"]) == len(items)
    assert "response.refusal.delta" in answer.kinds
    assert "response.reasoning_text.delta" in answer.kinds
