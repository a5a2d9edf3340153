"""A view of an account's limits knows whether it says anything."""

from app.domain.quota import Credits, QuotaView, QuotaWindow


def test_a_view_is_empty_until_something_is_said():
    """A window or a plan is something."""
    assert QuotaView().empty
    assert not QuotaView(plan="plus").empty
    assert not QuotaView(windows=(QuotaWindow("codex", 300, 0.5, None),)).empty
    assert not QuotaView(credits=Credits(available=False)).empty
