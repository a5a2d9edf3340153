"""Events become frames, in order."""

import pytest

from app.dialects.chat.events import event_of
from app.dialects.messages.answer import Answer
from tests.dialects.messages.asking import call, event, frames


class Reply:
    """An answer, fed by keyword."""

    def __init__(self, **fields):
        self.answer = Answer(call(**fields), id="m")

    def feed(self, kind, **fields):
        """Feed one event; return the types of what is said, or what a delta holds."""
        data = event(kind, **fields)
        said = [frames(frame)[0] for frame in self.answer.feed(event_of(data), data)]
        return [one["delta"] if "index" in one and "delta" in one else one["type"] for one in said]

    def text(self, text="x", index=0):
        """Feed a text delta."""
        return self.feed("response.output_text.delta", output_index=index, delta=text)


def test_the_message_begins_with_the_first_event_and_once():
    """With the event that tells of a response, or with the first words."""
    reply = Reply()
    assert reply.feed("response.created", response={}) == ["message_start"]
    assert reply.feed("response.created", response={}) == []
    late = Reply()
    assert late.text() == [
        "message_start", "content_block_start", {"type": "text_delta", "text": "x"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "response", "reason"),
    [
        ("response.completed", {}, "end_turn"),
        ("response.done", {"status": "completed"}, "end_turn"),
        ("response.done", {"status": "incomplete"}, "max_tokens"),
        ("response.incomplete", {}, "max_tokens"),
        (
            "response.incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            "max_tokens",
        ),
        ("response.incomplete", {"incomplete_details": {"reason": "content_filter"}}, "refusal"),
    ],
)
def test_the_end_has_its_reason(kind, response, reason):
    """As Anthropic names it; an empty answer is a whole one."""
    reply = Reply()
    assert reply.feed(kind, response=response) == ["message_start", "message_delta", "message_stop"]
    assert reply.answer.stop_reason == reason
    assert reply.text() == []


def test_a_refusal_and_a_call_are_reasons():
    """A refusal is said as text."""
    reply = Reply()
    assert reply.feed("response.refusal.delta", output_index=0, delta="no")[-1]["text"] == "no"
    reply.feed("response.completed", response={})
    assert reply.answer.stop_reason == "refusal"
    reply = Reply()
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    reply.feed("response.output_item.done", item=item)
    reply.feed("response.completed", response={})
    assert reply.answer.stop_reason == "tool_use"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failure_is_no_end(status):
    """It is kept, and the first one counts."""
    reply = Reply()
    error = {"code": "context_length_exceeded", "message": "too long"}
    assert reply.feed("response.completed", response={"status": status, "error": error}) == []
    assert reply.answer.stop_reason is None
    assert (reply.answer.failure.status, reply.answer.failure.code) == (400, error["code"])
    assert reply.feed("error", error={"code": "other"}) == []
    assert reply.answer.failure.code == error["code"]


def test_after_a_stop_sequence_only_the_end_is_said():
    """A call that comes later was never made."""
    reply = Reply(stop_sequences=("STOP",))
    assert reply.text("a ST")[-1]["text"] == "a "
    assert reply.text("OP b") == []
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    assert reply.feed("response.output_item.done", item=item) == []
    output = [{"type": "message", "content": [{"type": "output_text", "text": "a STOP b"}]}]
    said = reply.feed("response.completed", response={"output": output})
    assert said == ["content_block_stop", "message_delta", "message_stop"]
    assert reply.answer.stop_reason == "stop_sequence"


def test_what_only_the_last_event_has_is_said():
    """Messages, if no text came, and calls."""
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    words = {"type": "message", "content": [{"type": "output_text", "text": "late"}]}
    reply = Reply()
    said = reply.feed("response.completed", response={"output": [words, item]})
    assert {"type": "text_delta", "text": "late"} in said
    assert {"type": "input_json_delta", "partial_json": "{}"} in said
    reply = Reply()
    reply.text("early", index=3)
    assert not [
        one for one in reply.feed("response.completed", response={"output": [words]})
        if isinstance(one, dict) and one.get("type") == "text_delta"
    ]  # fmt: skip
