"""Secrets do not show themselves."""

from app.domain.account import Credential, Secret


def test_a_secret_shows_stars_only():
    """Neither `repr` nor `str`, nor that of a struct around it, gives the value away."""
    credential = Credential(Secret("canary"))
    assert "canary" not in f"{credential.access_token} {credential!r} {[credential]}"
    assert credential.access_token.reveal() == "canary"


def test_secrets_compare_by_what_they_hide():
    """Equal secrets are equal, and an empty one is false."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a")
    assert not Secret("")
