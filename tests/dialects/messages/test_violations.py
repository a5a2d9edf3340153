"""Fields are named as Anthropic's API names them."""

from app.dialects.messages.violations import UNSUPPORTED, dotted, unsupported, wrong


def test_a_path_has_dots():
    """Numbers included."""
    assert dotted("messages[0].content[12].source") == "messages.0.content.12.source"
    assert dotted("tools") == "tools"


def test_an_error_has_the_path_twice():
    """For programs as the gateway writes it, for people as Anthropic does."""
    error = wrong("a[0]", "No.")
    assert (error.param, error.message) == ("a[0]", "a.0: No.")
    assert unsupported("a[0]", "No.").code == UNSUPPORTED
