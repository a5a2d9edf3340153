"""Tests of app.upstream.probing."""

import pytest
from msgspec import structs

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.settings import Settings
from app.upstream.probing import Probe, ask_account, reach
from tests.cli import conftest

upstream = conftest.upstream

CODEX = Account(
    id=AccountId("a"),
    name="a",
    kind=AccountKind.CODEX,
    credential=Credential(access_token=Secret("token")),
    chatgpt_account_id="w",
)


async def test_a_codex_account_asks_for_its_usage(upstream) -> None:
    """With its own identity, and truthfully named; that costs no quota."""
    settings = Settings(upstream_base_url=upstream.url)
    assert (await ask_account(settings, CODEX)).status == 200
    ((path, headers),) = upstream.asked
    assert path == "/wham/usage"
    assert headers["authorization"] == "Bearer token"
    assert headers["chatgpt-account-id"] == "w"
    assert headers["user-agent"].startswith("codex2api/")


async def test_an_api_account_asks_for_its_models(upstream) -> None:
    """At its own address."""
    account = structs.replace(CODEX, kind=AccountKind.OPENAI, base_url=f"{upstream.url}/v1/")
    upstream.status = 401
    assert (await ask_account(Settings(), account)).status == 401
    assert upstream.asked[0][0] == "/v1/models"


@pytest.mark.parametrize("proxy_url", ["http://127.0.0.1:9", "ftp://nonsense"])
async def test_a_proxy_that_is_away_is_never_gone_around(upstream, proxy_url) -> None:
    """A direct connection would show whoever is to be hidden."""
    account = structs.replace(CODEX, proxy_url=Secret(proxy_url))
    probe = await ask_account(Settings(upstream_base_url=upstream.url), account)
    assert (probe.status, upstream.asked) == (None, [])
    assert await reach(Settings(proxy_url="http://127.0.0.1:9"), upstream.url) == Probe(
        None, reason="ConnectError"
    )


async def test_the_servers_time_is_read(upstream) -> None:
    """From the Date header, as epoch seconds."""
    probe = await reach(Settings(), upstream.url)
    assert probe.server_time > 1_700_000_000
