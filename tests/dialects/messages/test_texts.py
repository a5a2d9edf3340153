"""Text, refusals and citations are said once each."""

from app.dialects.chat.events import Event
from app.dialects.messages.blocks import Blocks
from app.dialects.messages.items import item_of
from app.dialects.messages.memory import Said
from app.dialects.messages.texts import Texts
from tests.dialects.messages.asking import event, frames

CITED = {"type": "url_citation", "url": "https://e.org", "title": "E"}


def made():
    """Return texts that say nothing yet."""
    return Texts(Blocks(), Said(), None)


def deltas(pieces):
    """Return the deltas among what is said."""
    return [one["delta"] for one in frames(b"".join(pieces)) if "delta" in one]


def message(texts, *parts, index=0):
    """Return what a whole message says."""
    told = Event(output_index=index)
    data = event("x", item={"type": "message", "content": list(parts)})
    return list(texts.message(told, item_of(told, data)))


def test_what_deltas_said_is_not_repeated():
    """Neither by the part's end nor by the message's."""
    texts = made()
    assert deltas(texts.delta("text", Event(output_index=0, delta=b'"a"'))) == [
        {"type": "text_delta", "text": "a"}
    ]
    assert list(texts.done("text", Event(output_index=0), event("x", text="a"))) == []
    said = message(texts, {"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"})
    assert deltas(said) == [{"type": "text_delta", "text": "b"}]
    assert texts.any
    assert texts.refused


def test_only_open_text_flows():
    """Another part, another block, or the end of this one: then it has to be looked at."""
    texts = made()
    here = Event(output_index=0, delta=b'"a"')
    assert texts.flowing(here) is None
    list(texts.delta("text", here))
    assert texts.flowing(here) is texts.block
    assert texts.flowing(Event(output_index=1)) is None
    assert texts.flowing(Event(output_index=0, content_index=1)) is None
    message(texts)
    assert texts.flowing(here) is None


def test_a_citation_belongs_to_the_open_text():
    """It is said once; one that comes too late is left out."""
    texts = made()
    list(texts.delta("text", Event(output_index=0, delta=b'"a"')))
    note = event("x", annotation=CITED)
    [said] = deltas(texts.annotation(Event(output_index=0), note))
    assert said["citation"]["url"] == "https://e.org"
    part = {"type": "output_text", "text": "a", "annotations": [CITED]}
    assert deltas(message(texts, part)) == []
    assert list(texts.annotation(Event(output_index=0), note)) == []


def test_a_message_brings_the_citations_that_no_event_brought():
    """Others than those of pages have no form here."""
    part = {
        "type": "output_text",
        "text": "a",
        "annotations": [CITED, {"type": "file", "url": "x"}, 3],
    }
    said = deltas(message(made(), part))
    assert [one["type"] for one in said] == ["text_delta", "citations_delta"]
