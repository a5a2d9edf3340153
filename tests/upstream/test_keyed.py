"""Calls with an API key, as they arrive at their upstreams."""

import msgspec
import pytest

from app.domain.account import AccountKind, Credential, Secret
from app.domain.call import Dialect
from app.domain.operation import Operation
from app.ports import UpstreamFailure
from app.upstream.addresses import KNOWN_S, Addresses
from app.upstream.http import HttpClient
from app.upstream.keyed import KeyedHttp, speaks_chat
from tests.fakes.accounts import account, call
from tests.fakes.peer import Link, Peer

BODY = b'{"model":"m1","input":[{"role":"user","content":"hi"}],"instructions":""}'


async def answer(link: Link) -> None:
    """Answer one request with the end of an empty chat."""
    await link.request()
    body = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n"
    await link.send(head % len(body) + body)


def keyed(client: HttpClient, addresses: Addresses | None = None) -> KeyedHttp:
    """Return what is tested."""
    return KeyedHttp(
        client=client,
        addresses=addresses or Addresses(),
        user_agent="codex2api/1",
        now=lambda: 1.0,
    )


async def sent(kind, *, status=b"", base_url="http://127.0.0.1:%d/v1", key="sk-1", **changes):
    """Send one call; return the request that arrived, and the whole reply."""

    async def refuse(link: Link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

    fields = {name: changes.pop(name) for name in ("organization", "project", "model_map")
              if name in changes}  # fmt: skip
    async with (
        Peer(refuse if status else answer) as peer,
        HttpClient(proxy_url=None, ca_file=None) as client,
    ):
        upstream = keyed(client)
        mine = account(
            kind=kind, credential=Credential(Secret(key)), base_url=base_url % peer.port, **fields
        )
        reply = await upstream.send(mine, call(body=BODY, **changes))
        pieces = []
        while (piece := await reply.read()) is not None:
            pieces.append(reply.retold.feed(piece.strip()[6:]) if reply.retold else piece)
        await reply.finish()
    [request] = peer.requests
    return request, reply.status, b"".join(pieces)


@pytest.mark.parametrize(
    ("kind", "changes", "path"),
    [
        (AccountKind.OPENAI, {"dialect": Dialect.RESPONSES}, "/v1/responses"),
        (AccountKind.OPENAI, {"dialect": Dialect.CHAT}, "/v1/chat/completions"),
        (AccountKind.OPENAI, {"dialect": Dialect.COMPLETIONS}, "/v1/chat/completions"),
        (AccountKind.COMPATIBLE, {"dialect": Dialect.RESPONSES}, "/v1/chat/completions"),
        (AccountKind.OPENAI, {"operation": Operation.EMBEDDINGS}, "/v1/embeddings"),
        (AccountKind.COMPATIBLE, {"operation": Operation.EMBEDDINGS}, "/v1/embeddings"),
        (AccountKind.OPENAI, {"operation": Operation.COMPACT}, "/v1/responses/compact"),
        (
            AccountKind.OPENAI,
            {"operation": Operation.IMAGES_GENERATIONS},
            "/v1/images/generations",
        ),
        (AccountKind.OPENAI, {"operation": Operation.IMAGES_EDITS}, "/v1/images/edits"),
    ],
)
async def test_a_call_goes_where_its_operation_and_its_dialect_want(kind, changes, path):
    """With the key, under the gateway's own name, and without any header of its caller's."""
    mine = (("originator", "codex_cli_rs"), ("session-id", "s"), ("user-agent", "codex_cli_rs/1"))
    request, status, _ = await sent(kind, headers=mine, **changes)
    assert request.line == f"POST {path} HTTP/1.1"
    assert status == 200
    assert request.values("authorization") == ["Bearer sk-1"]
    assert request.values("user-agent") == ["codex2api/1"]
    assert request.values("originator") == request.values("session-id") == []
    assert request.values("openai-organization") == request.values("openai-project") == []


async def test_the_organization_and_the_project_are_the_accounts_own():
    """The platform charges them."""
    request, _, _ = await sent(AccountKind.OPENAI, organization="org-1", project="proj_2")
    assert request.values("openai-organization") == ["org-1"]
    assert request.values("openai-project") == ["proj_2"]


@pytest.mark.parametrize("operation", [Operation.RESPONSE, Operation.EMBEDDINGS])
@pytest.mark.parametrize("dialect", [Dialect.RESPONSES, Dialect.CHAT])
async def test_the_model_has_the_accounts_own_name_there(operation, dialect):
    """In every form."""
    request, _, _ = await sent(
        AccountKind.OPENAI, operation=operation, dialect=dialect, model_map={"m1": "own"}
    )
    assert msgspec.json.decode(request.body)["model"] == "own"


async def test_a_server_that_asks_for_no_key_is_sent_none():
    """Not even an empty one."""
    request, _, _ = await sent(AccountKind.COMPATIBLE, key="")
    assert request.values("authorization") == []


async def test_a_chat_stream_comes_out_as_responses_events_under_the_pools_name():
    """Whatever the upstream calls the model."""
    _, _, reply = await sent(AccountKind.COMPATIBLE, model_map={"m1": "own"})
    assert b"event: response.completed" in reply
    assert b'"model":"m1"' in reply


async def test_a_refusal_is_not_retold():
    """It is for the relay to judge."""
    _, status, reply = await sent(AccountKind.COMPATIBLE, status=b"429 No")
    assert (status, reply) == (429, b"")


async def test_an_account_without_an_address_is_never_sent_to_another():
    """Only the platform has one that is known."""
    async with HttpClient(proxy_url=None, ca_file=None) as client:
        upstream = keyed(client)
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.send(account(kind=AccountKind.COMPATIBLE), call(body=BODY))
    assert caught.value.sent is False


def test_a_hosted_search_is_asked_for_where_it_can_be_had():
    """The platform runs it for Responses only."""
    key = account(kind=AccountKind.OPENAI)
    assert speaks_chat(key, call(dialect=Dialect.CHAT, body=b"{}"))
    assert not speaks_chat(
        key, call(dialect=Dialect.CHAT, body=b'{"tools":[{"type":"web_search"}]}')
    )
    assert not speaks_chat(key, call(dialect=Dialect.RESPONSES))


async def steadily(link: Link) -> None:
    """Answer all requests of a connection."""
    while True:
        await answer(link)


class Names:
    """A name server that gives its answers one after the other, and then the last one again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, _port: int) -> list[str]:
        """Answer."""
        assert host == "llm.example.internal"
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def named(peer: Peer):
    """Return an account there whose URL has a name that nobody knows but the test."""
    base_url = f"http://llm.example.internal:{peer.port}/v1"
    return account(kind=AccountKind.COMPATIBLE, base_url=base_url)


async def test_what_was_judged_is_what_is_connected_to():
    """The library asks no name server of its own, and the server is called by its name."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with Peer(steadily) as peer, HttpClient(proxy_url=None, ca_file=None) as client:
        upstream = keyed(client, Addresses(look_up=names))
        for _ in range(2):
            await (await upstream.send(named(peer), call(body=BODY))).finish()
    hosts = [request.values("host") for request in peer.requests]
    assert hosts == [[f"llm.example.internal:{peer.port}"]] * 2
    assert names.asked == 1


async def test_a_name_that_leads_elsewhere_later_is_refused_before_anything_is_sent():
    """As soon as its look-up has aged; no connection was made and no key was shown."""
    now = [0.0]
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with Peer(answer) as peer, HttpClient(proxy_url=None, ca_file=None) as client:
        upstream = keyed(client, Addresses(look_up=names, monotonic=lambda: now[0]))
        await (await upstream.send(named(peer), call(body=BODY))).abort()
        now[0] = KNOWN_S
        with pytest.raises(UpstreamFailure, match="no upstream can have") as caught:
            await upstream.send(named(peer), call(body=BODY))
    assert (caught.value.sent, len(peer.requests)) == (False, 1)


async def test_the_next_address_is_tried_where_nobody_answers_at_the_first():
    """By the next attempt; the first one has said that nothing was sent."""
    async with Peer(answer) as peer, HttpClient(proxy_url=None, ca_file=None) as client:
        upstream = keyed(client, Addresses(look_up=Names(["127.0.0.9", "127.0.0.1"])))
        with pytest.raises(UpstreamFailure) as caught:
            await upstream.send(named(peer), call(body=BODY))
        assert caught.value.sent is False
        await (await upstream.send(named(peer), call(body=BODY))).abort()
