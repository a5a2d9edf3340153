"""The events of each kind of output item, in the order of the wire, and of a whole reply.

Text is handled as JSON-escaped bytes from the moment it is cut into deltas: the `.done` events
are built from the very pieces that were sent, so they agree with the deltas even when those carry
time stamps. Each item leaves its final form in `reply.output`.
"""

import base64
import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import orjson

from loadtests.simulator.events import (
    CHARS_PER_TOKEN,
    Event,
    Reply,
    ending,
    head_of,
    numbered,
    pause,
    prelude,
)
from loadtests.simulator.items import (
    Compaction,
    CustomToolCall,
    FunctionCall,
    Image,
    Item,
    LocalShellCall,
    Message,
    Reasoning,
    WebSearch,
)

_CORPUS = (
    "the gateway reads each event once and hands it on before the next one has arrived, so that "
    "a caller sees the text grow at the pace of the model and never in lumps "
)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
_ADDED = "response.output_item.added"
_DONE = "response.output_item.done"


def play(reply: Reply) -> Iterator[Event]:
    """All events of the reply, spoiled as the knobs want."""
    knobs = reply.knobs
    if knobs.malformed_json_event is None and knobs.invalid_utf8_event is None:
        yield from _story(reply)
        return
    for number, event in enumerate(_story(reply)):
        if number == knobs.malformed_json_event:
            yield Event(b"response.output_text.delta", b'{"type":"response.output_text.delta",')
        if number == knobs.invalid_utf8_event:
            yield Event(b"response.sim_bytes", b'{"type":"response.sim_bytes","x":"\xff\xfe"}')
        yield event


def _story(reply: Reply) -> Iterator[Event]:
    knobs = reply.knobs
    yield from prelude(reply)
    if knobs.terminal_at == "prelude":
        yield from ending(reply, complete=True)
        return
    if knobs.terminal_at == "content":
        events = list(content(reply))
        yield from events[: max(1, len(events) // 2)]
    else:
        yield from content(reply)
    yield from ending(reply, complete=True)


def content(reply: Reply) -> Iterator[Event]:
    """The events of all items; neighbouring tool calls are interleaved."""
    index = 0
    calls = (FunctionCall, CustomToolCall)
    for together, group in itertools.groupby(reply.items, lambda item: isinstance(item, calls)):
        members = list(group)
        tracks = [item_events(reply, item, index + n) for n, item in enumerate(members)]
        index += len(members)
        if together and reply.knobs.interleave:
            yield from _interleaved(tracks)
        else:
            for track in tracks:
                yield from track


def _interleaved(tracks: list[Iterator[Event]]) -> Iterator[Event]:
    while tracks:
        for track in tuple(tracks):
            event = next(track, None)
            if event is None:
                tracks.remove(track)
            else:
                yield event


def item_events(  # noqa: PLR0911  (one return for each kind of item)
    reply: Reply, item: Item, index: int
) -> Iterator[Event]:
    """The events of one item at its place in the output."""
    match item:
        case Reasoning():
            return _reasoning(reply, item, index)
        case Message():
            return _message(reply, item, index)
        case FunctionCall():
            return _function_call(reply, item, index)
        case CustomToolCall():
            return _custom_call(reply, item, index)
        case LocalShellCall():
            return _shell_call(reply, item, index)
        case WebSearch():
            return _web_search(reply, item, index)
        case Image():
            return _image(reply, item, index)
        case Compaction():
            return _compaction(reply, item, index)


def _added(reply: Reply, index: int, item: dict[str, Any]) -> Iterator[Event]:
    if not reply.knobs.skip_output_item_added:
        yield numbered(_ADDED, {"output_index": index, "item": item})


def _done(reply: Reply, index: int, item: dict[str, Any]) -> Event:
    reply.output.append(item)
    return numbered(_DONE, {"output_index": index, "item": item})


def _deltas(
    reply: Reply, kind: str, fields: dict[str, Any], pieces: Iterable[bytes], sent: list[bytes]
) -> Iterator[Event]:
    """One event per piece, at the reply's pace; `sent` collects what was really sent."""
    knobs = reply.knobs
    name = kind.encode()
    head = head_of(name)
    prefix = b"," + orjson.dumps(fields)[1:-1] + b',"delta":"'
    suffix = b'","logprobs":[]}' if kind == "response.output_text.delta" else b'"}'
    mark = b"n=" + escaped(knobs.nonce) + b" " if knobs.nonce is not None else b""
    gap_s = reply.gap_s
    stamped = knobs.timestamps
    silent = knobs.done_without_delta
    for piece in pieces:
        text = mark + piece
        if stamped:
            text = b"t=%d " % time.monotonic_ns() + text
        sent.append(text)
        if not silent:
            yield Event(name, head, prefix + text + suffix, gap_s)


def text_pieces(reply: Reply, text: str) -> Iterator[bytes]:
    """The text in JSON-escaped deltas, with the traps that the knobs set in it."""
    knobs = reply.knobs
    size = knobs.delta_chars
    if knobs.deltas is not None:
        yield from itertools.islice(itertools.cycle(_corpus(size)), knobs.deltas)
        return
    for at in range(0, len(text), size):
        yield escaped(text[at : at + size])
    if knobs.u2028_in_text:
        yield "one\u2028two\u2029three\u0085four".encode()
    if knobs.nul_in_text:
        yield b"nul\\u0000nul"
    if knobs.lone_surrogate:
        yield b"half\\ud83dhalf"
    if knobs.huge_event_bytes:
        yield b"x" * knobs.huge_event_bytes


@functools.lru_cache(maxsize=64)
def _corpus(size: int) -> list[bytes]:
    return [escaped(_CORPUS[at : at + size]) for at in range(0, len(_CORPUS), size)]


def escaped(text: str) -> bytes:
    """The text as the inside of a JSON string."""
    return orjson.dumps(text)[1:-1]


def _tokens(pieces: list[bytes], reply: Reply) -> int:
    """Tokens of what was sent: one per delta of usual size, more for larger ones."""
    usual = max(1, reply.knobs.delta_chars // CHARS_PER_TOKEN)
    return sum(max(usual, len(piece) // CHARS_PER_TOKEN) if len(piece) > 256 else usual
               for piece in pieces)  # fmt: skip


def _whole(pieces: list[bytes]) -> orjson.Fragment:
    return orjson.Fragment(b'"' + b"".join(pieces) + b'"')


def _snapshot(reply: Reply, text: Any) -> dict[str, Any]:
    return {"delta": text} if reply.knobs.snapshot_in_done else {}


def _reasoning(reply: Reply, item: Reasoning, index: int) -> Iterator[Event]:
    item_id = f"rs_{reply.key}_{index}"
    sealed = {"encrypted_content": reply.seal(item_id)} if item.encrypted else {}
    yield from _added(reply, index, {"id": item_id, "type": "reasoning", **sealed, "summary": []})
    if reply.knobs.reasoning_silence_s:
        yield pause(reply.knobs.reasoning_silence_s * reply.knobs.time_scale)
    parts: list[dict[str, Any]] = []
    for number, summary in enumerate(item.summary):
        at = {"item_id": item_id, "output_index": index, "summary_index": number}
        empty = {"type": "summary_text", "text": ""}
        yield numbered("response.reasoning_summary_part.added", {**at, "part": empty})
        sent: list[bytes] = []
        pieces = map(escaped, _slices(summary, reply.knobs.delta_chars))
        yield from _deltas(reply, "response.reasoning_summary_text.delta", at, pieces, sent)
        reply.reasoning_tokens += _tokens(sent, reply)
        part = {"type": "summary_text", "text": _whole(sent)}
        yield numbered("response.reasoning_summary_text.done", {**at, "text": part["text"]})
        yield numbered("response.reasoning_summary_part.done", {**at, "part": part})
        parts.append(part)
    final = {"id": item_id, "type": "reasoning", **sealed, "summary": parts}
    if item.raw is not None:
        at = {"item_id": item_id, "output_index": index, "content_index": 0}
        sent = []
        pieces = map(escaped, _slices(item.raw, reply.knobs.delta_chars))
        yield from _deltas(reply, "response.reasoning_text.delta", at, pieces, sent)
        reply.reasoning_tokens += _tokens(sent, reply)
        yield numbered("response.reasoning_text.done", {**at, "text": _whole(sent)})
        final["content"] = [{"type": "reasoning_text", "text": _whole(sent)}]
    yield _done(reply, index, final)


def _message(reply: Reply, item: Message, index: int) -> Iterator[Event]:
    item_id = f"msg_{reply.key}_{index}"
    base = {"id": item_id, "type": "message", "role": "assistant"}
    phase = {"phase": item.phase} if item.phase else {}
    started = {**base, "status": "in_progress", **phase, "content": []}
    yield from _added(reply, index, started)
    at = {"item_id": item_id, "output_index": index, "content_index": 0}
    key = "refusal" if item.refusal else "text"
    part: dict[str, Any] = {"type": "refusal" if item.refusal else "output_text"}
    part |= {} if item.refusal else {"annotations": [], "logprobs": []}
    kind = "response.refusal" if item.refusal else "response.output_text"
    yield numbered("response.content_part.added", {**at, "part": {**part, key: ""}})
    sent: list[bytes] = []
    yield from _deltas(reply, f"{kind}.delta", at, text_pieces(reply, item.text), sent)
    reply.output_tokens += _tokens(sent, reply)
    for number, annotation in enumerate(item.annotations):
        fields = {**at, "annotation_index": number, "annotation": annotation}
        yield numbered("response.output_text.annotation.added", fields)
    part[key] = _whole(sent)
    if not item.refusal:
        part["annotations"] = item.annotations
    extra: dict[str, Any] = {} if item.refusal else {"logprobs": []}
    done = {**at, key: part[key], **extra, **_snapshot(reply, part[key])}
    yield numbered(f"{kind}.done", done)
    yield numbered("response.content_part.done", {**at, "part": part})
    yield _done(reply, index, {**base, "status": "completed", **phase, "content": [part]})


def _function_call(reply: Reply, item: FunctionCall, index: int) -> Iterator[Event]:
    item_id = f"fc_{reply.key}_{index}"
    call_id = item.call_id or f"call_{reply.key}_{index}"
    raw = item.arguments
    arguments = raw if isinstance(raw, str) else orjson.dumps(raw).decode()
    base = {"id": item_id, "type": "function_call", "call_id": call_id, "name": item.name}
    yield from _added(reply, index, {**base, "status": "in_progress", "arguments": ""})
    at = {"item_id": item_id, "output_index": index}
    sent: list[bytes] = []
    pieces = map(escaped, _slices(arguments, reply.knobs.delta_chars))
    yield from _deltas(_unmarked(reply), "response.function_call_arguments.delta", at, pieces, sent)
    reply.output_tokens += _tokens(sent, reply)
    if not reply.knobs.done_without_delta:
        done = {**at, "name": item.name, "arguments": arguments, **_snapshot(reply, arguments)}
        yield numbered("response.function_call_arguments.done", done)
    yield _done(reply, index, {**base, "status": "completed", "arguments": arguments})


def _custom_call(reply: Reply, item: CustomToolCall, index: int) -> Iterator[Event]:
    item_id = f"ctc_{reply.key}_{index}"
    call_id = item.call_id or f"call_{reply.key}_{index}"
    base = {"id": item_id, "type": "custom_tool_call", "call_id": call_id, "name": item.name}
    yield from _added(reply, index, {**base, "status": "in_progress", "input": ""})
    at = {"item_id": item_id, "output_index": index}
    sent: list[bytes] = []
    pieces = map(escaped, _slices(item.input, reply.knobs.delta_chars))
    yield from _deltas(_unmarked(reply), "response.custom_tool_call_input.delta", at, pieces, sent)
    reply.output_tokens += _tokens(sent, reply)
    if not reply.knobs.done_without_delta:
        done = {**at, "input": item.input, **_snapshot(reply, item.input)}
        yield numbered("response.custom_tool_call_input.done", done)
    yield _done(reply, index, {**base, "status": "completed", "input": item.input})


def _unmarked(reply: Reply) -> Reply:
    """The same reply without stamps and nonces, which would break arguments."""
    if not reply.knobs.timestamps and reply.knobs.nonce is None:
        return reply
    plain = msgspec.structs.replace(reply.knobs, timestamps=False, nonce=None)
    return msgspec.structs.replace(reply, knobs=plain)


def _shell_call(reply: Reply, item: LocalShellCall, index: int) -> Iterator[Event]:
    base = {
        "id": f"lsh_{reply.key}_{index}",
        "type": "local_shell_call",
        "call_id": item.call_id or f"call_{reply.key}_{index}",
        "action": {"type": "exec", "command": item.command, "env": {}, "timeout_ms": 10_000},
    }
    reply.output_tokens += len(item.command)
    yield from _added(reply, index, {**base, "status": "in_progress"})
    yield _done(reply, index, {**base, "status": "completed"})


def _web_search(reply: Reply, item: WebSearch, index: int) -> Iterator[Event]:
    item_id = f"ws_{reply.key}_{index}"
    base = {"id": item_id, "type": "web_search_call"}
    action: dict[str, Any] = {"type": item.action}
    action |= {"query": item.query} if item.action == "search" else {"url": item.url}
    started = {**base, "status": "in_progress", "action": action}
    yield from _added(reply, index, started)
    at = {"output_index": index, "item_id": item_id}
    for stage in ("in_progress", "searching", "completed"):
        yield numbered(f"response.web_search_call.{stage}", at, reply.gap_s)
    if item.action == "search":
        sources = [{"type": "url", "url": item.url}]
        action = {**action, "queries": [item.query], "sources": sources}
    reply.output_tokens += 1
    yield _done(reply, index, {**base, "status": "completed", "action": action})


def _image(reply: Reply, item: Image, index: int) -> Iterator[Event]:
    item_id = f"ig_{reply.key}_{index}"
    base = {"id": item_id, "type": "image_generation_call"}
    yield from _added(reply, index, {**base, "status": "in_progress"})
    at = {"output_index": index, "item_id": item_id}
    for stage in ("in_progress", "generating"):
        yield numbered(f"response.image_generation_call.{stage}", at, reply.gap_s)
    picture = base64.b64encode(PNG.ljust(item.size_bytes, b"\0")).decode()
    form = {"output_format": "png", "size": "1024x1024", "quality": "auto", "background": "auto"}
    for number in range(item.partials):
        partial = {**at, "partial_image_index": number, "partial_image_b64": picture, **form}
        yield numbered("response.image_generation_call.partial_image", partial, reply.gap_s)
    yield numbered("response.image_generation_call.completed", at)
    reply.output_tokens += 1
    final = {**base, "status": "completed", "result": picture, "revised_prompt": item.prompt}
    yield _done(reply, index, {**final, **form})


def _compaction(reply: Reply, item: Compaction, index: int) -> Iterator[Event]:
    item_id = f"cmp_{reply.key}_{index}"
    reply.output_tokens += max(1, len(item.note) // CHARS_PER_TOKEN)
    sealed = reply.seal(item_id)
    yield _done(reply, index, {"type": "compaction", "id": item_id, "encrypted_content": sealed})


def _slices(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))
