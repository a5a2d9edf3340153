"""Items are read as far as they can be."""

from app.dialects.chat.events import Event
from app.dialects.messages.items import item_of
from tests.dialects.messages.asking import event


def test_an_event_goes_by_its_items_id():
    """Unless it has one of its own."""
    told = Event()
    item = item_of(told, event("x", item={"type": "message", "id": "a"}))
    assert (item.type, told.item_id) == ("message", "a")
    told = Event(item_id="own")
    item_of(told, event("x", item={"id": "a"}))
    assert told.item_id == "own"


def test_what_is_no_item_is_an_empty_one():
    """Nothing raises."""
    for data in (b"", b"[]", b'{"item":3}', b'{"item":{"type":1}}'):
        assert item_of(Event(), data).type == ""
