"""Tests of app.upstream.usage: against the simulator, and against servers that misbehave."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from app.domain.account import AccountKind, Credential, Secret
from app.domain.quota import QuotaView, QuotaWindow
from app.ports import UsageUnavailable
from app.upstream.auth_server import Route, trust_store
from app.upstream.identity import Identity
from app.upstream.usage import BODY_BYTES_MAX, WhamUsage
from loadtests.simulator.config import AccountSpec, fast
from loadtests.simulator.server import Simulator
from tests.fakes.accounts import account
from tests.fakes.clock import FakeClock

TLS = trust_store(None)
BODY = b'{"rate_limit":{"primary_window":{"used_percent":7,"limit_window_seconds":18000}}}'
NOBODY = "127.0.0.1:9"


def server(url, *, timeout_s=5.0, clock=None, **route):
    """Return a client of a backend."""
    return WhamUsage(
        base_url=url,
        identity=Identity(user_agent="codex2api/1", originator="codex2api"),
        route=Route(tls=TLS, timeout_s=timeout_s, **route),
        clock=clock or FakeClock(),
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


async def test_the_usage_of_an_account_is_told_without_complaint():
    """The backend notes nothing that a client must not do, and says what a reply's head says."""
    spec = AccountSpec(id="acct-1", used_percent=100.0, plan="plus", resets_in_s=600)
    async with Simulator(fast(account_specs=[spec])) as simulator:
        [one] = simulator.world.accounts.by_id.values()
        token = Secret(simulator.world.accounts.access_token(one))
        mine = account(credential=Credential(token), chatgpt_account_id=one.account_id)
        backend = server(simulator.url + "/backend-api/", clock=simulator.world.clock)
        view = await backend.usage(mine)
        assert (view.plan, view.allowed, view.limit_reached) == ("plus", False, True)
        assert {(w.family, w.minutes): w.used_ratio for w in view.windows} == {
            ("codex", 300): 1.0,
            ("codex", 10080): 0.05,
        }
        assert view.windows[0].reset_at == int(one.primary.reset_at)
        assert not simulator.world.ledger.violations


async def test_the_gateway_asks_under_its_own_name():
    """With the account's credential; a cookie does not come back."""
    async with raw(http(200, BODY, "set-cookie: a=b; path=/")) as (url, heads):
        for _ in range(2):
            view = await server(url).usage(account(chatgpt_account_id="acc", fedramp=True))
    assert view == QuotaView(
        windows=(QuotaWindow("codex", 300, 0.07, None),), active_family="codex"
    )
    lines = heads[1].decode().split("\r\n")
    assert lines[0] == "GET /wham/usage HTTP/1.1"
    headers = [line.lower() for line in lines[1:] if line and not line.startswith("Host")]
    assert sorted(headers) == [
        "accept-encoding: identity",
        "accept: application/json",
        "authorization: bearer at-a-0",
        "chatgpt-account-id: acc",
        "connection: keep-alive",
        "originator: codex2api",
        "user-agent: codex2api/1",
        "x-openai-fedramp: true",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(500, b"{}"), "status 500"),
        (http(307, b"", "location: /elsewhere"), "status 307"),
        (http(200, b"x", "content-encoding: gzip"), "encoded"),
        (http(200, b" " * (BODY_BYTES_MAX + 1)), "too large"),
        (http(200, b"<html>"), "says nothing"),
        (http(200, b'{"detail":"Unauthorized"}'), "says nothing"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{", "RemoteProtocolError"),
        (b"garbage\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
)
async def test_what_tells_of_no_usage_says_why(answer, reason):
    """In one sentence without a secret; no redirect is followed, nothing is asked twice."""
    async with raw(answer) as (url, heads):
        with pytest.raises(UsageUnavailable, match=reason) as caught:
            await server(url).usage(account())
    assert len(heads) == 1
    assert (caught.value.refused, caught.value.retry_after_s) == (False, None)
    assert "at-a-0" not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("status", "headers", "refused", "retry_after_s"),
    [
        (401, [], True, None),
        (403, [], True, None),
        (429, ["Retry-After: 90"], False, 90),
        (503, ["retry-after: -5"], False, None),
    ],
)
async def test_a_refusal_says_what_it_is(status, headers, refused, retry_after_s):
    """Whether it is the credential's, and how long to wait."""
    async with raw(http(status, b"{}", *headers)) as (url, _):
        with pytest.raises(UsageUnavailable) as caught:
            await server(url).usage(account())
    assert (caught.value.refused, caught.value.retry_after_s) == (refused, retry_after_s)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n{"])
async def test_a_server_that_hangs_is_left(answer):
    """Before its answer, or in the midst of it."""
    async with raw(answer, hangs=True) as (url, heads):
        with pytest.raises(UsageUnavailable, match=r"no answer within 0\.2 s"):
            await server(url, timeout_s=0.2).usage(account())
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
        with pytest.raises(UsageUnavailable):
            await backend.usage(asked)
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
    """Its kind has no usage page, or its credential fits in no header."""
    async with raw(http(200, BODY)) as (url, heads):
        with pytest.raises(UsageUnavailable):
            await server(url).usage(account(**odd))
    assert heads == []
