"""A reply in the form of Chat Completions: chunks for a stream, or one completion.

The items are the same as for Responses; what chat has no words for (encrypted reasoning, searches,
compaction) is left out. `[DONE]` ends a stream, unless the terminal knob makes it fail.
"""

import time
from collections.abc import Iterator
from typing import Any

import orjson

from loadtests.simulator.events import Event, Reply, message_of, pause
from loadtests.simulator.item_events import escaped, text_pieces
from loadtests.simulator.items import FunctionCall, Message, Reasoning


def play(reply: Reply) -> Iterator[Event]:
    """All chunks of the reply."""
    knobs = reply.knobs
    yield pause(reply.ttft_s())
    yield _chunk(reply, {"role": "assistant", "content": "", "refusal": None})
    calls = 0
    for item in reply.items if knobs.terminal_at != "prelude" else ():
        match item:
            case Message():
                yield from _text(reply, item.text, "refusal" if item.refusal else "content")
            case Reasoning():
                yield from _text(reply, "\n".join(item.summary), "reasoning_content")
            case FunctionCall():
                yield from _call(reply, item, calls)
                calls += 1
    yield from _ending(reply, calls=calls)


def completion(reply: Reply) -> dict[str, Any]:
    """The unstreamed answer."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls: list[dict[str, Any]] = []
    for item in reply.items:
        match item:
            case Message():
                message["refusal" if item.refusal else "content"] = item.text
                reply.output_tokens += _tokens(reply, item.text)
            case Reasoning():
                message["reasoning_content"] = "\n".join(item.summary)
                reply.reasoning_tokens += _tokens(reply, message["reasoning_content"])
            case FunctionCall():
                arguments = _arguments(item)
                reply.output_tokens += _tokens(reply, arguments)
                function = {"name": item.name, "arguments": arguments}
                call_id = item.call_id or f"call_{reply.key}_{len(calls)}"
                calls.append({"id": call_id, "type": "function", "function": function})
    if calls:
        message["tool_calls"] = calls
    reply.usage = reply.final_usage()
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "tool_calls" if calls else "stop",
    }
    return {**_frame(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply)}


def _frame(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply.key}",
        "object": kind,
        "created": reply.created_at,
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": "fp_sim",
    }


def _chunk(reply: Reply, delta: dict[str, Any], finish: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    frame = _frame(reply, "chat.completion.chunk")
    after_s = 0.0 if finish else reply.gap_s
    return Event(b"", orjson.dumps({**frame, "choices": [choice]}), None, after_s)


def _text(reply: Reply, text: str, key: str) -> Iterator[Event]:
    """Deltas of text from one template, as JSON is too slow for each."""
    empty = _chunk(reply, {key: ""})
    marker = f'"{key}":"'.encode()
    at = empty.head.index(marker) + len(marker)
    before, after = empty.head[:at], empty.head[at:]
    knobs = reply.knobs
    mark = b"n=" + escaped(knobs.nonce) + b" " if knobs.nonce is not None else b""
    for piece in text_pieces(reply, text):
        stamp = b"t=%d " % time.monotonic_ns() if knobs.timestamps else b""
        yield Event(b"", before + stamp + mark + piece + after, None, empty.after_s)
    if key == "reasoning_content":
        reply.reasoning_tokens += _tokens(reply, text)
    else:
        reply.output_tokens += _tokens(reply, text)


def _call(reply: Reply, item: FunctionCall, index: int) -> Iterator[Event]:
    call_id = item.call_id or f"call_{reply.key}_{index}"
    function = {"name": item.name, "arguments": ""}
    opening = {"index": index, "id": call_id, "type": "function", "function": function}
    yield _chunk(reply, {"tool_calls": [opening]})
    arguments = _arguments(item)
    size = reply.knobs.delta_chars
    for begin in range(0, len(arguments), size):
        part = {"index": index, "function": {"arguments": arguments[begin : begin + size]}}
        yield _chunk(reply, {"tool_calls": [part]})
    reply.output_tokens += _tokens(reply, arguments)


def _ending(reply: Reply, *, calls: int) -> Iterator[Event]:
    kind, _, code = reply.knobs.terminal.partition(":")
    if kind == "none":
        return
    if kind in {"failed", "error", "error_failed", "error_nested"}:
        code = code or "server_error"
        message = reply.knobs.terminal_message or message_of(code, reply.model)
        error = {"message": message, "type": "server_error", "code": code, "param": None}
        yield Event(b"", orjson.dumps({"error": error}), None, 0.0, f"error:{code}")
        return
    finish = "tool_calls" if calls else "stop"
    if kind == "incomplete":
        finish = "content_filter" if code == "content_filter" else "length"
    yield _chunk(reply, {}, finish)
    reply.usage = reply.final_usage()
    options = reply.request.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        frame = _frame(reply, "chat.completion.chunk")
        yield Event(b"", orjson.dumps({**frame, "choices": [], "usage": _usage(reply)}))
    yield Event(b"", b"[DONE]", None, 0.0, "completed" if kind != "incomplete" else kind)


def _usage(reply: Reply) -> dict[str, Any] | None:
    usage = reply.usage
    if usage is None:
        return None
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": usage["input_tokens_details"],
        "completion_tokens_details": usage["output_tokens_details"],
    }


def _arguments(item: FunctionCall) -> str:
    raw = item.arguments
    return raw if isinstance(raw, str) else orjson.dumps(raw).decode()


def _tokens(reply: Reply, text: str) -> int:
    size = reply.knobs.delta_chars
    return -(-len(text) // size) * max(1, size // 4)
