"""Tests of app.domain.admin."""

from app.domain.admin import Session


def test_a_session_s_id_tells_it_apart_and_opens_nothing():
    """It is a part of the digest, of which nobody can make a cookie."""
    session = Session(digest="0123456789abcdef" * 4, created_at=0, seen_at=0, ip="", user_agent="")
    assert session.id == "0123456789abcdef"
