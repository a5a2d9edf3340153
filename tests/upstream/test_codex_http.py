"""A call of the Codex backend's, as it arrives there."""

import pytest
from msgspec import structs

from app.domain.account import AccountKind, Secret
from app.ports import UpstreamFailure
from app.upstream.codex_http import CodexHttp
from app.upstream.http import HttpClient
from app.upstream.identity import Identity
from tests.fakes.accounts import account, call
from tests.fakes.peer import Link, Peer

IDENTITY = Identity(user_agent="codex2api/1", originator="codex2api")


async def answer(link: Link) -> None:
    """Answer one request with nothing."""
    await link.request()
    await link.send(b"HTTP/1.1 204 No\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "agent"),
    [
        ((), "codex2api/1"),
        ((("user-agent", "curl/8"),), "codex2api/1"),
        ((("originator", "codex_cli_rs"),), "codex2api/1"),
        ((("user-agent", "codex_cli_rs/0.146.0"),), "codex_cli_rs/0.146.0"),
    ],
    ids=["no name", "another caller", "half a name", "a Codex client"],
)
async def test_a_call_always_has_a_name(headers, agent):
    """Its caller's or the gateway's, and never that of the HTTP library."""
    async with Peer(answer) as peer, HttpClient(proxy_url=None, ca_file=None) as client:
        base_url = f"http://127.0.0.1:{peer.port}/backend-api/"
        upstream = CodexHttp(client=client, identity=IDENTITY, base_url=base_url)
        reply = await upstream.send(account(), call(headers=headers, lite=True))
        assert reply.status == 204
        await reply.abort()
    [request] = peer.requests
    assert request.line == "POST /backend-api/codex/responses HTTP/1.1"
    assert request.values("user-agent") == [agent]
    assert request.values("authorization") == ["Bearer at-a-0"]
    assert request.values("x-openai-internal-codex-responses-lite") == ["true"]
    assert request.body == call().body


async def test_an_account_goes_through_its_own_proxy():
    """Whatever the client's own route is."""

    async def proxy(link: Link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 204 No\r\n\r\n")

    async with Peer(proxy) as between, HttpClient(proxy_url=None, ca_file=None) as client:
        upstream = CodexHttp(client=client, identity=IDENTITY, base_url="http://up.test")
        proxied = account(proxy_url=Secret(f"http://127.0.0.1:{between.port}"))
        await (await upstream.send(proxied, call())).abort()
    assert between.requests[0].line == "POST http://up.test/codex/responses HTTP/1.1"


async def test_an_account_of_another_kind_is_not_served_here():
    """Its key would reach the wrong host; nothing is sent."""
    async with HttpClient(proxy_url=None, ca_file=None) as client:
        upstream = CodexHttp(client=client, identity=IDENTITY, base_url="http://127.0.0.1:1")
        other = structs.replace(account(), kind=AccountKind.OPENAI)
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.send(other, call())
    assert not caught.value.sent
