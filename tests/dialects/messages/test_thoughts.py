"""Reasoning is said as thinking, if it is wanted, and sealed."""

import pytest

from app.dialects.chat.events import Event
from app.dialects.messages.blocks import Blocks
from app.dialects.messages.items import item_of
from app.dialects.messages.memory import Said
from app.dialects.messages.thoughts import Thoughts
from tests.dialects.messages.asking import event, frames


def made(shown):
    """Return thoughts that say nothing yet."""
    return Thoughts(Blocks(), Said(), shown)


def done(thoughts, *texts, encrypted="g", **item):
    """Return what a whole item says."""
    summary = [{"type": "summary_text", "text": text} for text in texts]
    fields = {"type": "reasoning", "summary": summary, "encrypted_content": encrypted, **item}
    told = Event(output_index=0)
    said = thoughts.item(told, item_of(told, event("x", item=fields)))
    return frames(b"".join(said))


def test_parts_are_one_block_with_lines_between_and_a_seal():
    """Whole or in deltas."""
    thoughts = made("all")
    first = Event(output_index=0, delta=b'"a"')
    said = frames(b"".join(thoughts.delta("summary", first)))
    assert said[0]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    list(thoughts.done("summary", Event(output_index=0), event("x", text="a")))
    rest = done(thoughts, "a", "b")
    assert [one.get("delta", {}).get("thinking") for one in rest] == ["\n\n", "b", None, None]
    assert rest[-2]["delta"] == {"type": "signature_delta", "signature": "c2a1.g"}
    assert rest[-1]["type"] == "content_block_stop"
    assert done(thoughts, "a", "b") == []


def test_raw_thoughts_are_thoughts():
    """Some upstreams have no summary."""
    said = done(made("all"), content=[{"type": "reasoning_text", "text": "raw"}])
    assert said[1]["delta"]["thinking"] == "raw"


@pytest.mark.parametrize(
    ("shown", "blocks"),
    [
        ("nothing", []),
        ("seals", [{"type": "thinking", "thinking": "", "signature": ""}]),
        ("all", [{"type": "redacted_thinking", "data": "c2a1.g"}]),
    ],
)
def test_what_can_not_be_read_is_sealed_alone(shown, blocks):
    """For who wants thinking it is redacted, for who wants seals it is one."""
    said = done(made(shown))
    assert [one["content_block"] for one in said if "content_block" in one] == blocks


def test_seals_come_without_words():
    """Though the upstream says some."""
    thoughts = made("seals")
    assert list(thoughts.delta("summary", Event(output_index=0, delta=b'"a"'))) == []
    said = done(thoughts, "a")
    assert [one.get("delta") for one in said if "delta" in one] == [
        {"type": "signature_delta", "signature": "c2a1.g"}
    ]


def test_an_item_without_a_seal_is_ended_without_one():
    """It can't be brought back."""
    said = done(made("all"), "a", encrypted=None)
    assert [one["type"] for one in said][-1] == "content_block_stop"
    assert not [one for one in said if one.get("delta", {}).get("type") == "signature_delta"]
