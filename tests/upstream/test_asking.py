"""Tests of app.upstream.asking; what goes over a socket is tested with those who ask."""

import ssl

import httpx
import pytest

from app.domain.account import Secret
from app.upstream.asking import client_for, own_headers
from app.upstream.auth_server import Route
from app.upstream.identity import Identity
from tests.fakes.accounts import account

TLS = ssl.create_default_context()


def test_the_gateway_asks_under_its_own_name_for_plain_json():
    """Nothing of a call's headers is left, and nothing may be packed."""
    identity = Identity(user_agent="codex2api/1", originator="codex2api")
    headers = own_headers(identity, account())
    named = dict(headers)
    assert len(named) == len(headers)
    assert named["accept"] == "application/json"
    assert named["accept-encoding"] == "identity"
    assert named["user-agent"] == "codex2api/1"
    assert "content-type" not in named


async def test_a_client_follows_nobody_and_reads_no_environment():
    """Its steps are bounded by the route's time."""
    async with client_for(account(), Route(proxy_url=None, tls=TLS, timeout_s=6.0)) as client:
        assert not client.follow_redirects
        assert not client.trust_env
        assert client.timeout == httpx.Timeout(6.0, connect=3.0)


@pytest.mark.parametrize("url", ["http://proxy.test:1", "https://proxy.test:1"])
async def test_the_accounts_own_proxy_goes_before_the_common_one(url):
    """A common one that can't be used does not matter then."""
    way = Route(proxy_url=Secret("nonsense://"), tls=TLS)
    async with client_for(account(proxy_url=Secret(url)), way):
        pass
    with pytest.raises(ValueError, match="nonsense"):
        client_for(account(), way)
