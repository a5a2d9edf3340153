"""Tests of app.edge.admin.account_bodies."""

import msgspec
from msgspec import UNSET

from app.domain.account import Secret
from app.domain.enrolment import AccountChanges
from app.edge.admin.account_bodies import AccountEdit


def edit(body: bytes) -> AccountEdit:
    """Return what was sent."""
    return msgspec.json.decode(body, type=AccountEdit)


def test_what_is_left_out_stays_and_null_takes_away():
    """The version is no change."""
    sent = edit(b'{"version": 3, "priority": 1, "pause_at": null, "proxy_url": null}')
    changes = AccountChanges(priority=1, pause_at=None, proxy_url=None)
    assert sent.changes() == changes
    assert edit(b"{}").changes() == AccountChanges()
    assert edit(b"{}").changes().name is UNSET


def test_what_is_written_down_has_no_secret():
    """A proxy's address may hold a password."""
    sent = edit(b'{"proxy_url": "http://user:hidden@proxy", "tags": ["a"]}')
    assert sent.changes().proxy_url == Secret("http://user:hidden@proxy")
    assert sent.told() == {"version": None, "proxy_url": "***", "tags": ("a",)}
