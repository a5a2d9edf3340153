"""Tests of app.edge.admin.bodies."""

import pytest
from msgspec import UNSET

from app.domain.account import Secret
from app.edge.admin.bodies import proxy, shown_name
from app.errors import InvalidRequest


def test_a_proxy_s_address_is_a_secret():
    """It may hold a password."""
    assert proxy("socks5://user:password@proxy:1080") == Secret("socks5://user:password@proxy:1080")
    assert proxy(None) is None
    assert proxy(UNSET) is UNSET


@pytest.mark.parametrize("text", ["ftp://proxy", "proxy:1080", "http://"])
def test_another_proxy_is_refused_beside_its_field(text):
    """And what was sent is not said again."""
    with pytest.raises(InvalidRequest) as caught:
        proxy(text)
    assert caught.value.param == "proxy_url"


def test_a_name_can_be_shown():
    """It is trimmed; a blank one is none."""
    assert shown_name(" one ") == "one"
    assert shown_name(UNSET) is UNSET
    for text in ("  ", "a\x00b"):
        with pytest.raises(InvalidRequest):
            shown_name(text)
