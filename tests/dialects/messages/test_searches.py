"""A search is said with what it has found."""

import pytest

from app.dialects.chat.events import Event
from app.dialects.messages.blocks import Blocks
from app.dialects.messages.items import item_of
from app.dialects.messages.memory import Said
from app.dialects.messages.searches import Searches
from tests.dialects.messages.asking import event, frames


@pytest.mark.parametrize(
    ("action", "query", "urls"),
    [
        (
            {"query": "q", "sources": [{"url": "https://a.org", "title": "A"}, 3]},
            "q",
            ["https://a.org"],
        ),
        ({"queries": ["a", "b"]}, "a; b", []),
        ({"type": "open_page", "url": "https://b.org"}, "https://b.org", []),
        (None, "", []),
    ],
)
def test_the_call_and_its_result(action, query, urls):
    """They name each other, whatever the upstream's id looks like."""
    searches = Searches(Blocks(), Said())
    told = Event(output_index=0)
    item = item_of(
        told, event("x", item={"type": "web_search_call", "id": "ws-1", "action": action})
    )
    said = frames(b"".join(searches.done(told, item)))
    call, result = (one["content_block"] for one in said if "content_block" in one)
    assert (call["name"], call["id"]) == ("web_search", "srvtoolu_ws1")
    assert result["tool_use_id"] == call["id"]
    assert [page["url"] for page in result["content"]] == urls
    [asked] = [one["delta"]["partial_json"] for one in said if "delta" in one]
    assert query in asked
    assert list(searches.done(told, item)) == []
    assert searches.count == 1
