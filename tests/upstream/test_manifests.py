"""Tests of app.upstream.manifests: against the simulator, and against servers that misbehave."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from app.domain.account import AccountKind, Credential, Secret
from app.ports import ManifestUnavailable
from app.upstream.auth_server import Route, trust_store
from app.upstream.identity import Identity
from app.upstream.manifests import BODY_BYTES_MAX, ManifestServer
from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from tests.fakes.accounts import account

TLS = trust_store(None)
BODY = b'{"models":[{"slug":"m"}]}'
NOBODY = "127.0.0.1:9"


def server(url, *, timeout_s=5.0, **route):
    """Return a client of a backend."""
    return ManifestServer(
        base_url=url,
        identity=Identity(user_agent="codex2api/1", originator="codex2api"),
        route=Route(tls=TLS, timeout_s=timeout_s, **route),
    )


@asynccontextmanager
async def raw(answer, *, hangs=False):
    """Serve one fixed answer to everybody; yields the base URL and the heads that came."""
    heads, serving = [], []

    async def serve(reader, writer):
        serving.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer or b"")
            await writer.drain()
            if hangs:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", heads
        await asyncio.gather(*serving)


def http(status, body=b"", *headers):
    """Return the bytes of a reply."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_manifest_comes_once_and_then_only_if_it_has_changed():
    """The backend notes nothing that a client must not do."""
    async with Simulator(fast()) as simulator:
        one = next(iter(simulator.world.accounts.by_id.values()))
        token = Secret(simulator.world.accounts.access_token(one))
        mine = account(credential=Credential(token), chatgpt_account_id=one.account_id)
        backend = server(simulator.url + "/backend-api/")
        manifest = await backend.fetch(mine, "0.146.0", None)
        assert b"gpt-5.6-sol" in manifest.body
        assert manifest.etag.startswith('"')
        assert await backend.fetch(mine, "0.146.0", manifest.etag) is None
        assert await backend.fetch(mine, "0.146.0", '"another"') == manifest
        assert not simulator.world.ledger.violations


async def test_the_gateway_asks_under_its_own_name():
    """With the account's credential, and the version as it was given."""
    async with raw(http(200, BODY, 'etag: W/"1"', "set-cookie: a=b; path=/")) as (url, heads):
        backend = server(url)
        for _ in range(2):
            manifest = await backend.fetch(
                account(chatgpt_account_id="acc", fedramp=True), "0.1.0-a+b", '"0"'
            )
    assert (manifest.body, manifest.etag) == (BODY, 'W/"1"')
    lines = heads[1].decode().split("\r\n")
    assert lines[0] == "GET /codex/models?client_version=0.1.0-a%2Bb HTTP/1.1"
    headers = [line.lower() for line in lines[1:] if line and not line.startswith("Host")]
    assert sorted(headers) == [
        "accept-encoding: identity",
        "accept: application/json",
        "authorization: bearer at-a-0",
        "chatgpt-account-id: acc",
        "connection: keep-alive",
        'if-none-match: "0"',
        "originator: codex2api",
        "user-agent: codex2api/1",
        "x-openai-fedramp: true",
    ]


@pytest.mark.parametrize("etag", ["", "etag: ", "etag: a b", "etag: " + "x" * 300])
async def test_a_tag_that_can_not_be_passed_on_is_none(etag):
    """The manifest is good all the same."""
    async with raw(http(200, BODY, *filter(None, [etag]))) as (url, _):
        assert (await server(url).fetch(account(), "0.1.0", None)).etag == ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(304), "status 304"),
        (http(401, b"{}"), "status 401"),
        (http(307, b"", "location: /elsewhere"), "status 307"),
        (http(200, b"x", "content-encoding: gzip"), "encoded"),
        (http(200, b" " * (BODY_BYTES_MAX + 1)), "too large"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{", "RemoteProtocolError"),
        (b"garbage\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
)
async def test_what_is_no_manifest_says_why(answer, reason):
    """In one sentence without a secret; no redirect is followed, nothing is asked twice."""
    async with raw(answer) as (url, heads):
        with pytest.raises(ManifestUnavailable, match=reason) as caught:
            await server(url).fetch(account(), "0.1.0", None)
    assert len(heads) == 1
    assert "at-a-0" not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n{"])
async def test_a_server_that_hangs_is_left(answer):
    """Before its answer, or in the midst of it."""
    async with raw(answer, hangs=True) as (url, heads):
        with pytest.raises(ManifestUnavailable, match=r"no answer within 0\.2 s"):
            await server(url, timeout_s=0.2).fetch(account(), "0.1.0", None)
    assert len(heads) == 1


@pytest.mark.parametrize(
    "proxy", [f"http://{NOBODY}", f"https://{NOBODY}", f"socks5://{NOBODY}", "ftp://x", "http://[x"]
)
@pytest.mark.parametrize("own", [True, False])
async def test_a_proxy_is_used_or_nothing(proxy, own):
    """Neither the account's own nor the general one is passed by."""
    async with raw(http(200, BODY)) as (url, heads):
        backend = server(url) if own else server(url, proxy_url=Secret(proxy))
        asked = account(proxy_url=Secret(proxy)) if own else account()
        with pytest.raises(ManifestUnavailable):
            await backend.fetch(asked, "0.1.0", None)
    assert heads == []


@pytest.mark.parametrize(
    "odd",
    [
        {"kind": AccountKind.OPENAI},
        {"credential": Credential(Secret("at-\u00e9"))},
        {"credential": Credential(Secret("at-\n"))},
    ],
)
async def test_an_account_that_can_not_ask_does_not(odd):
    """Its kind has no manifest, or its credential fits in no header."""
    async with raw(http(200, BODY)) as (url, heads):
        with pytest.raises(ManifestUnavailable):
            await server(url).fetch(account(**odd), "0.1.0", None)
    assert heads == []
