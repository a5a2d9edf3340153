"""Events become deltas, in order."""

import msgspec
import pytest

from app.dialects.chat.deltas import Deltas
from app.dialects.chat.events import event_of
from app.dialects.chat.requests import ChatCall
from app.errors import UpstreamError

CALL = ChatCall(
    model="m",
    stream=True,
    include_usage=False,
    prompt_cache_key=None,
    body=b"",
    tool_names={},
    legacy_functions=False,
)
ROLE = {"role": "assistant", "content": ""}
FUNCTION = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}


class Reply:
    """Deltas, fed by keyword; `type` without its prefix."""

    def __init__(self):
        self.deltas = Deltas(CALL)

    def feed(self, kind, **fields):
        """Feed one event and return what the deltas hold."""
        data = msgspec.json.encode({"type": kind} | fields)
        return [msgspec.json.decode(delta) for delta in self.deltas.feed(event_of(data), data)]

    def text(self, text="x"):
        """Feed a text delta."""
        return self.feed("response.output_text.delta", output_index=1, delta=text)


def test_the_role_comes_first_and_once():
    """With the first event, or with the first words."""
    reply = Reply()
    assert reply.feed("response.created", response={}) == [ROLE]
    assert reply.feed("response.created", response={}) == []
    assert reply.text() == [{"content": "x"}]
    late = Reply()
    assert late.text() == [ROLE, {"content": "x"}]
    assert late.text() == [{"content": "x"}]
    assert late.feed("response.created", response={}) == []


def test_an_empty_reply_has_a_role():
    """Callers expect it in the first chunk."""
    reply = Reply()
    assert reply.feed("response.completed", response={}) == [ROLE]
    assert reply.deltas.finish_reason == "stop"


@pytest.mark.parametrize(
    "kind",
    [
        "codex.rate_limits",
        "response.in_progress",
        "response.content_part.added",
        "response.metadata",
        "response.something_new",
        "",
    ],
)
def test_what_is_private_or_unknown_says_nothing(kind):
    """Not even the role."""
    assert Reply().feed(kind, delta="x") == []


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("output_text.delta", {"delta": "x"}, {"content": "x"}),
        ("output_text.done", {"text": "x"}, {"content": "x"}),
        ("refusal.delta", {"delta": "x"}, {"refusal": "x"}),
        ("refusal.done", {"refusal": "x"}, {"refusal": "x"}),
        ("reasoning_summary_text.delta", {"delta": "x"}, {"reasoning_content": "x"}),
        ("reasoning_summary_text.done", {"text": "x"}, {"reasoning_content": "x"}),
        ("reasoning_text.delta", {"delta": "x"}, {"reasoning_content": "x"}),
        ("reasoning_text.done", {"text": "x"}, {"reasoning_content": "x"}),
    ],
)
def test_every_kind_of_words_has_its_field(name, fields, said):
    """Deltas and ends alike."""
    assert Reply().feed(f"response.{name}", output_index=0, **fields) == [ROLE, said]


@pytest.mark.parametrize(
    ("added", "delta", "done"),
    [
        ("function_call", "function_call_arguments.delta", "function_call_arguments.done"),
        ("custom_tool_call", "custom_tool_call_input.delta", "custom_tool_call_input.done"),
    ],
)
def test_every_kind_of_call_has_its_events(added, delta, done):
    """Announced, said, not said again."""
    reply = Reply()
    item = {"type": added, "id": "i", "call_id": "c", "name": "f"}
    assert len(reply.feed("response.output_item.added", output_index=0, item=item)) == 2
    assert len(reply.feed(f"response.{delta}", output_index=0, delta="x")) == 1
    assert reply.feed(f"response.{done}", output_index=0, arguments="x", input="x") == []


def test_other_items_are_not_announced():
    """They speak for themselves."""
    item = {"type": "message", "content": []}
    assert Reply().feed("response.output_item.added", output_index=0, item=item) == []


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (
            {"type": "message", "content": [{"type": "output_text", "text": "x"}]},
            {"content": "x"},
        ),
        (
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]},
            {"reasoning_content": "x"},
        ),
        (
            {"type": "image_generation_call", "result": "AA==", "output_format": "webp"},
            {
                "images": [
                    {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AA=="}}
                ]
            },
        ),
        (
            {"type": "image_generation_call", "result": "AA=="},
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        ),
    ],
)
def test_a_whole_item_is_said_if_nothing_was(item, said):
    """Some upstreams send nothing else."""
    assert Reply().feed("response.output_item.done", output_index=0, item=item) == [ROLE, said]


def test_a_whole_call_is_said_if_it_was_not_announced():
    """With everything it has."""
    role, call = Reply().feed("response.output_item.done", output_index=0, item=FUNCTION)
    assert role == ROLE
    assert call["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        {},
        {"type": "web_search_call"},
        {"type": "image_generation_call"},
        {"type": "message", "id": 5},
    ],
)
def test_an_item_without_words_says_nothing(item):
    """Nor does one of a strange form."""
    assert Reply().feed("response.output_item.done", output_index=0, item=item) == []


def test_a_citation_is_said():
    """When it is added."""
    note = {"type": "url_citation", "url": "u"}
    fields = {"output_index": 0, "annotation": note}
    role, delta = Reply().feed("response.output_text.annotation.added", **fields)
    assert role == ROLE
    assert delta["annotations"][0]["url_citation"]["url"] == "u"


@pytest.mark.parametrize(
    ("kind", "response", "reason"),
    [
        ("completed", {}, "stop"),
        ("completed", {"status": "completed"}, "stop"),
        ("completed", None, "stop"),
        ("done", {"status": "completed"}, "stop"),
        ("done", {"status": "incomplete"}, "length"),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ("incomplete", {"incomplete_details": None}, "length"),
    ],
)
def test_the_last_event_says_why_it_is_over(kind, response, reason):
    """`response.done` is another name for it."""
    reply = Reply()
    reply.text()
    assert reply.feed(f"response.{kind}", response=response) == []
    assert reply.deltas.finish_reason == reason
    assert reply.deltas.ended
    assert reply.deltas.texts.open_text is None


def test_a_reply_with_calls_is_over_because_of_them():
    """Unless it was cut."""
    reply = Reply()
    reply.feed("response.output_item.done", output_index=0, item=FUNCTION)
    reply.feed("response.completed", response={})
    assert reply.deltas.finish_reason == "tool_calls"


def test_usage_and_tier_are_kept():
    """As the last event has them."""
    reply = Reply()
    reply.feed("response.completed", response={"usage": {"a": 1}, "service_tier": "default"})
    assert bytes(reply.deltas.usage) == b'{"a":1}'
    assert reply.deltas.service_tier == "default"


def test_what_only_the_last_event_has_is_said():
    """A call by its id; messages if there was no text at all."""
    message = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    output = [{"type": "reasoning"}, message, FUNCTION, 5]
    reply = Reply()
    said = reply.feed("response.completed", response={"output": output})
    assert said[:2] == [ROLE, {"content": "x"}]
    assert said[2]["tool_calls"][0]["id"] == "c"
    assert reply.deltas.finish_reason == "tool_calls"


def test_what_was_said_is_not_said_again_at_the_end():
    """Even if the places do not agree."""
    message = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    reply = Reply()
    reply.feed("response.output_text.delta", item_id="m", output_index=7, delta="x")
    reply.feed("response.output_item.done", output_index=9, item=FUNCTION)
    assert reply.feed("response.completed", response={"output": [message, FUNCTION]}) == []


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("error", {"code": "c", "message": "w"}),
        ("error", {"error": {"code": "c", "message": "w"}}),
        ("response.failed", {"response": {"error": {"code": "c", "message": "w"}}}),
        (
            "response.done",
            {"response": {"status": "failed", "error": {"code": "c", "message": "w"}}},
        ),
        (
            "response.completed",
            {"response": {"status": "cancelled", "error": {"code": "c", "message": "w"}}},
        ),
    ],
)
def test_a_failure_ends_the_reply(kind, fields):
    """In the upstream's words; what follows is ignored."""
    reply = Reply()
    reply.text()
    assert reply.feed(kind, **fields) == []
    assert (reply.deltas.failure.code, reply.deltas.failure.message) == ("c", "w")
    assert reply.deltas.finish_reason is None
    assert reply.text() == []
    reply.feed("response.failed", response={"error": {"code": "later"}})
    assert reply.deltas.failure.code == "c"


def test_the_first_failure_stays():
    """A later reason is the consequence of it."""
    reply = Reply()
    reply.feed("error", code="first")
    assert reply.deltas.fail(UpstreamError("Later.")).code == "first"


def test_nothing_follows_the_end():
    """Whatever comes."""
    reply = Reply()
    reply.feed("response.completed", response={})
    assert reply.text() == []
    reply.feed("error", code="c")
    assert reply.deltas.failure is None
