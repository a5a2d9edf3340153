"""The list of models has pages."""

import msgspec
import pytest
from anthropic.types import ModelInfo

from app.dialects.messages.models import Page, list_body, model_body, page_of
from app.errors import InvalidRequest

NAMES = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("page", "ids", "more"),
    [
        (Page(), "abcd", False),
        (Page(limit=2), "ab", True),
        (Page(limit=2, after_id="b"), "cd", False),
        (Page(limit=1, after_id="b"), "c", True),
        (Page(after_id="d"), "", False),
        (Page(limit=2, before_id="d"), "bc", True),
        (Page(limit=9, before_id="c"), "ab", False),
        (Page(after_id="gone"), "abcd", False),
    ],
)
def test_a_page(page, ids, more):
    """What comes before and after it is told."""
    listed = msgspec.json.decode(list_body(NAMES, page))
    assert ("".join(model["id"] for model in listed["data"]), listed["has_more"]) == (ids, more)
    assert listed["first_id"] == (ids[0] if ids else None)
    assert listed["last_id"] == (ids[-1] if ids else None)


def test_a_model_is_one_that_the_official_library_reads():
    """When it was made is not known."""
    model = ModelInfo.model_validate_json(model_body("a"))
    assert (model.id, model.display_name, model.type) == ("a", "a", "model")


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "", "9" * 50, "²"])
def test_a_page_has_a_limit(limit):
    """The field is named."""
    with pytest.raises(InvalidRequest) as caught:
        page_of({"limit": [limit]})
    assert caught.value.param == "limit"


def test_a_query_asks_for_a_page():
    """What it does not name is as usual."""
    assert page_of({}) == Page()
    assert page_of({"limit": ["5"], "after_id": ["a"], "x": ["y"]}) == Page(5, "a", None)
