"""A reply as the sequence of its events: the prelude, the items, the terminal, and the quirks.

`play` is lazy: each event is built when it is due, so a time stamp inside a delta is the time of
its write. An event holds its JSON in two halves between which the sequence number goes, so that
nothing is encoded twice and a delta costs one concatenation. How events become bytes of SSE or
WebSocket frames, and when, is decided elsewhere.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import orjson

from loadtests.simulator import errors
from loadtests.simulator.config import Knobs
from loadtests.simulator.items import Item

CHARS_PER_TOKEN = 4


class Event(NamedTuple):
    """One event; `tail` is None when it carries no sequence number."""

    name: bytes
    head: bytes
    tail: bytes | None = None
    after_s: float = 0.0
    terminal: str | None = None

    def payload(self, number: int) -> bytes:
        """The JSON text, with this sequence number if it carries one."""
        if self.tail is None:
            return self.head
        return self.head + b"%d" % number + self.tail


class Reply(msgspec.Struct):
    """One answer being given; the fields below the line grow while it is played."""

    key: str
    created_at: int
    model: str
    request: dict[str, Any]
    knobs: Knobs
    items: list[Item]
    plan: str
    resets_at: float
    seal: Callable[[str], str]
    private: list[dict[str, Any]]
    seed: int = 1
    input_tokens: int = 1
    cached_tokens: int = 0
    full_output: bool = False

    output: list[dict[str, Any]] = []
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usage: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """The response's id."""
        return f"resp_{self.key}"

    @property
    def gap_s(self) -> float:
        """Seconds between two deltas."""
        knobs = self.knobs
        if knobs.burst:
            return 0.0
        if knobs.events_per_s is not None:
            return knobs.time_scale / knobs.events_per_s if knobs.events_per_s else 0.0
        if not knobs.tokens_per_s:
            return 0.0
        return knobs.time_scale * knobs.delta_chars / CHARS_PER_TOKEN / knobs.tokens_per_s

    def ttft_s(self) -> float:
        """Seconds before the first content, drawn from the knobs' distribution."""
        knobs = self.knobs
        median_s = knobs.time_scale * knobs.ttft_ms / 1000
        if not knobs.ttft_sigma:
            return median_s
        chance = random.Random(f"{self.seed}:{self.key}")
        return median_s * chance.lognormvariate(0, knobs.ttft_sigma)

    def final_usage(self) -> dict[str, Any] | None:
        """The usage object of the terminal event."""
        knobs = self.knobs
        if knobs.no_usage:
            return None
        cached = {"cached_tokens": self.cached_tokens, "cache_write_tokens": 0}
        reasoning = {"reasoning_tokens": self.reasoning_tokens}
        output = self.output_tokens + self.reasoning_tokens
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": None if knobs.null_usage_details else cached,
            "output_tokens": output,
            "output_tokens_details": None if knobs.null_usage_details else reasoning,
            "total_tokens": self.input_tokens + output,
            **(knobs.usage or {}),
        }


def numbered(
    kind: str, fields: dict[str, Any], after_s: float = 0.0, terminal: str | None = None
) -> Event:
    """An event that gets a sequence number."""
    name = kind.encode()
    return Event(name, head_of(name), tail_of(fields), after_s, terminal)


def head_of(name: bytes) -> bytes:
    """The JSON up to the sequence number."""
    return b'{"type":"%b","sequence_number":' % name


def tail_of(fields: dict[str, Any]) -> bytes:
    """The JSON after the sequence number."""
    return b"," + orjson.dumps(fields)[1:] if fields else b"}"


def pause(seconds: float) -> Event:
    """No event, only a wait."""
    return Event(b"", b"", None, seconds)


def prelude(reply: Reply) -> Iterator[Event]:
    """What comes before the first content."""
    knobs = reply.knobs
    if knobs.private_events:
        for fields in reply.private:
            yield Event(str(fields["type"]).encode(), orjson.dumps(fields))
    if not knobs.skip_created:
        yield numbered("response.created", {"response": _opening(reply)})
        brief = {
            "id": reply.id,
            "object": "response",
            "created_at": reply.created_at,
            "status": "in_progress",
            "model": reply.model,
            "output": [],
            "usage": None,
        }
        yield numbered("response.in_progress", {"response": brief})
    for number in range(knobs.unknown_events):
        yield numbered("response.sim_unknown.delta", {"note": f"unknown {number}"})
    yield pause(reply.ttft_s())


def ending(reply: Reply, *, complete: bool) -> Iterator[Event]:
    """The terminal event or events that the knobs ask for, and what comes too late."""
    knobs = reply.knobs
    kind, _, code = knobs.terminal.partition(":")
    for _ in range(knobs.terminals):
        if complete and kind in {"completed", "done"}:
            yield _completed(reply, kind)
        elif kind == "incomplete":
            yield _incomplete(reply, code or "max_output_tokens")
        else:
            yield from _failed(reply, kind, code or "server_error")
    for number in range(knobs.events_after_terminal):
        late = {"item_id": "msg_late", "output_index": 9, "content_index": 0, "delta": "late"}
        yield numbered("response.output_text.delta", {**late, "n": number})


def _opening(reply: Reply) -> dict[str, Any]:
    asked = reply.request
    return {
        "id": reply.id,
        "object": "response",
        "created_at": reply.created_at,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions", ""),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": reply.model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "prompt_cache_key": asked.get("prompt_cache_key"),
        "prompt_cache_retention": None,
        "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": bool(asked.get("store", False)),
        "temperature": 1.0,
        "text": asked.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools") or [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": asked.get("metadata") or {},
    }


def response_object(reply: Reply, status: str, *, with_output: bool) -> dict[str, Any]:
    """The response as its terminal event (or a JSON reply) shows it."""
    reply.usage = reply.final_usage() if status != "failed" else None
    tier = "priority" if reply.request.get("service_tier") == "priority" else "default"
    return {
        "id": reply.id,
        "object": "response",
        "created_at": reply.created_at,
        "completed_at": reply.created_at + 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": reply.model,
        "output": reply.output if with_output else [],
        "parallel_tool_calls": reply.request.get("parallel_tool_calls", True),
        "tool_choice": reply.request.get("tool_choice", "auto"),
        "tools": reply.request.get("tools") or [],
        "service_tier": tier,
        "end_turn": True,
        "metadata": reply.request.get("metadata") or {},
        "usage": reply.usage,
    }


def _completed(reply: Reply, kind: str) -> Event:
    with_output = reply.full_output or not reply.knobs.empty_completed_output
    response = response_object(reply, "completed", with_output=with_output)
    return numbered(f"response.{kind}", {"response": response}, terminal="completed")


def _incomplete(reply: Reply, reason: str) -> Event:
    with_output = reply.full_output or not reply.knobs.empty_completed_output
    response = response_object(reply, "incomplete", with_output=with_output)
    response["incomplete_details"] = {"reason": reason}
    return numbered("response.incomplete", {"response": response}, terminal=f"incomplete:{reason}")


def _failed(reply: Reply, kind: str, code: str) -> Iterator[Event]:
    message = reply.knobs.terminal_message or message_of(code, reply.model)
    if kind == "error":
        flat = {"code": code, "message": message, "param": None}
        yield numbered("error", flat, terminal=f"error:{code}")
    if kind in {"error_nested", "error_failed"}:
        nested = {"type": _error_type(code), "code": code, "message": message, "param": None}
        yield numbered("error", {"error": nested}, terminal=f"error:{code}")
    if kind in {"failed", "error_failed"}:
        error: dict[str, Any] = {"code": code, "message": message}
        if code == "usage_limit_reached":
            error |= {"plan_type": reply.plan, "resets_at": int(reply.resets_at)}
        response = response_object(reply, "failed", with_output=False)
        response["error"] = error
        yield numbered("response.failed", {"response": response}, terminal=f"failed:{code}")


def message_of(code: str, model: str) -> str:
    """The sentence that goes with an error code."""
    return _MESSAGES.get(code, "The server had an error processing your request.").format(
        model=model
    )


_MESSAGES = {
    "server_is_overloaded": errors.OVERLOADED,
    "slow_down": errors.OVERLOADED,
    "rate_limit_exceeded": errors.rate_limit_text("{model}", "11.054s"),
    "usage_limit_reached": errors.LIMIT_REACHED,
    "model_at_capacity": errors.CAPACITY,
    "context_length_exceeded": "Your input exceeds the context window of this model. "
    "Please adjust your input and try again.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing "
    "details.",
    "usage_not_included": "To use Codex with your ChatGPT plan, upgrade to Plus.",
    "invalid_prompt": "Invalid prompt: your prompt was flagged as potentially violating our "
    "usage policy.",
    "cyber_policy": "This request was flagged by the cyber policy.",
    "invalid_image": "The image data you provided does not represent a valid image.",
}


def _error_type(code: str) -> str:
    if code in {"server_is_overloaded", "slow_down"}:
        return "service_unavailable_error"
    return "rate_limit_error" if "limit" in code else "server_error"
