"""Words are said once."""

import msgspec
import pytest

from app.dialects.chat.events import ItemEvent, event_of
from app.dialects.chat.texts import Texts


def said(deltas):
    """Return what encoded deltas hold."""
    return [msgspec.json.decode(delta) for delta in deltas]


def event(**fields):
    """Return an event and the bytes it was read from."""
    data = msgspec.json.encode(fields)
    return event_of(data), data


class Speaker:
    """Texts, fed by keyword."""

    def __init__(self):
        self.texts = Texts()

    def delta(self, kind, text, **fields):
        """Feed a delta."""
        return said(self.texts.delta(kind, event(delta=text, **fields)[0]))

    def done(self, kind, text, **fields):
        """Feed a part's end."""
        return said(self.texts.done(kind, *event(text=text, refusal=text, **fields)))

    def item(self, kind, output_index, **fields):
        """Feed an item's end."""
        read, data = event(output_index=output_index, item=fields)
        item = msgspec.json.decode(data, type=ItemEvent).item
        read.item_id = item.id or ""
        return said(getattr(self.texts, kind)(read, item))

    def annotation(self, **fields):
        """Feed a citation."""
        return said(self.texts.annotation(*event(**fields)))


PLACES = [
    ({"output_index": 1, "item_id": "m"}, {"output_index": 1, "item_id": "m"}),
    ({"output_index": 1}, {"item_id": "m", "output_index": 1}),
    ({"item_id": "m"}, {"item_id": "m", "output_index": 1}),
    ({"item_id": "m", "output_index": 1}, {"item_id": "m"}),
    ({}, {"item_id": "m", "output_index": 1}),
    ({"output_index": 1, "item_id": "other"}, {"output_index": 1, "item_id": "m"}),
]


@pytest.mark.parametrize("kind", ["text", "refusal", "summary", "thought"])
@pytest.mark.parametrize(("first", "later"), PLACES)
def test_what_a_delta_said_is_not_said_again(kind, first, later):
    """Whatever name the part goes by in either event."""
    speaker = Speaker()
    assert len(speaker.delta(kind, "Hel", **first)) == 1
    assert speaker.done(kind, "Hello", **later) == []


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("text", "content"),
        ("refusal", "refusal"),
        ("summary", "reasoning_content"),
        ("thought", "reasoning_content"),
    ],
)
def test_what_no_delta_said_is_said_at_the_end_once(kind, field):
    """Some upstreams leave the deltas out."""
    speaker = Speaker()
    assert speaker.done(kind, "Hello", output_index=1) == [{field: "Hello"}]
    assert speaker.done(kind, "Hello", output_index=1) == []


def test_an_empty_delta_says_nothing():
    """So the end may still say it all."""
    speaker = Speaker()
    assert speaker.delta("text", "", output_index=1) == []
    assert speaker.delta("text", None, output_index=1) == []
    assert speaker.done("text", "Hello", output_index=1) == [{"content": "Hello"}]


def test_an_end_without_text_says_nothing():
    """Nor does one that is garbage."""
    assert Speaker().done("text", None, output_index=1) == []
    assert said(Texts().done("text", event()[0], b"garbage")) == []


def test_only_placed_text_is_open():
    """Reasoning has to look for breaks, and text without a place for its names."""
    speaker = Speaker()
    speaker.delta("text", "x", item_id="m")
    speaker.delta("summary", "x", output_index=0)
    assert speaker.texts.open_text is None
    speaker.delta("text", "x", output_index=2, content_index=1)
    assert speaker.texts.open_text == (2, 1)


def test_parts_of_reasoning_are_kept_apart():
    """By an empty line between them, not before the first nor after the last."""
    speaker = Speaker()
    assert speaker.delta("summary", "a", output_index=0, summary_index=0) == [
        {"reasoning_content": "a"}
    ]
    assert speaker.delta("summary", "b", output_index=0, summary_index=0) == [
        {"reasoning_content": "b"}
    ]
    assert speaker.delta("summary", "c", output_index=0, summary_index=1) == [
        {"reasoning_content": "\n\n"},
        {"reasoning_content": "c"},
    ]
    assert speaker.delta("thought", "d", item_id="r") == [
        {"reasoning_content": "\n\n"},
        {"reasoning_content": "d"},
    ]
    assert not speaker.texts.any_answer


def test_a_message_says_what_is_missing():
    """Part by part."""
    speaker = Speaker()
    speaker.delta("text", "a", output_index=1, content_index=0)
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2}
    content = [
        {"type": "output_text", "text": "a", "annotations": []},
        {"type": "output_text", "text": "b", "annotations": [note, {"type": "file_path"}, 5]},
        {"type": "refusal", "refusal": "no"},
    ]
    missing = [
        {"content": "b"},
        {
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {
                        "start_index": 1,
                        "end_index": 2,
                        "url": "u",
                        "title": "t",
                    },
                }
            ]
        },
        {"refusal": "no"},
    ]
    assert speaker.item("message", 1, id="m", content=content) == missing
    assert speaker.texts.any_answer


@pytest.mark.parametrize("content", [None, 5, [5], "x"])
def test_a_message_of_a_strange_form_says_nothing(content):
    """It was streamed, or it is lost."""
    assert Speaker().item("message", 1, content=content) == []


def test_reasoning_says_what_is_missing():
    """Summaries, then thoughts."""
    speaker = Speaker()
    speaker.delta("summary", "a", output_index=0)
    fields = {
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "content": [{"type": "reasoning_text", "text": "c"}],
    }
    texts = [delta["reasoning_content"] for delta in speaker.item("reasoning", 0, **fields)]
    assert "".join(texts) == "\n\nb\n\nc"
    assert Speaker().item("reasoning", 0, summary=None, content=None) == []


def test_a_citation_is_said_once():
    """When it is added, and not again with the whole message."""
    speaker = Speaker()
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2}
    (delta,) = speaker.annotation(output_index=1, annotation=note)
    assert delta["annotations"][0]["url_citation"]["url"] == "u"
    speaker.delta("text", "a", output_index=1)
    content = [{"type": "output_text", "text": "a", "annotations": [note]}]
    assert speaker.item("message", 1, content=content) == []


@pytest.mark.parametrize(
    "note", [None, {"type": "url_citation"}, {"type": "file_citation", "url": "u"}]
)
def test_a_citation_of_another_kind_says_nothing(note):
    """Chat has words for pages only."""
    assert Speaker().annotation(output_index=1, annotation=note) == []
