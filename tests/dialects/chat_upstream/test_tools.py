"""What the golden cases of the folder don't show of app.dialects.chat_upstream.tools."""

import pytest

from app.dialects.chat_upstream.tools import Tools, tools_of

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


@pytest.mark.parametrize("choice", [None, 7, "often", {"type": "function", "name": "gone"}])
def test_a_choice_that_means_nothing_is_none(choice):
    """The upstream's own default counts then."""
    assert tools_of([WEATHER], choice, platform=False).choice is None


def test_without_tools_there_is_no_choice():
    """Servers refuse one without the other."""
    assert tools_of([{"type": "web_search"}], "auto", platform=True) == Tools([])
