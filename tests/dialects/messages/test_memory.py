"""What was said is known by every name."""

from app.dialects.chat.events import Event
from app.dialects.messages.memory import Said, place_of


def test_a_part_is_known_by_its_index_and_its_id():
    """Either will do; another part of the same item is another one."""
    said = Said()
    said.note("text", Event(output_index=1, item_id="a"), 0)
    assert said.has("text", Event(output_index=1), 0)
    assert said.has("text", Event(item_id="a"), 0)
    assert not said.has("text", Event(output_index=1, item_id="a"), 1)
    assert not said.has("summary", Event(output_index=1), 0)
    assert not said.has("text", Event(output_index=2, item_id="b"), 0)


def test_a_part_without_a_place_is_known_to_all():
    """A relay that names nothing has one item."""
    said = Said()
    said.note("text", Event(), 0)
    assert said.has("text", Event(output_index=0, item_id="a"), 0)


def test_an_item_goes_by_its_index_first():
    """Its id counts where there is no index."""
    assert place_of(Event(output_index=2, item_id="a")) == 2
    assert place_of(Event(item_id="a")) == "a"
