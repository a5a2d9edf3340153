"""Upstreams that are opened by an API key, over HTTP: OpenAI's platform and compatible servers.

Where a call goes is the account's address and nobody else's word; of the caller's headers none go
along. A caller that speaks Chat Completions is answered in it by the platform too, because it has
words there (`stop`, `seed`, penalties) that Responses has not, and because models that do not
reason refuse what a translated request asks for. Whatever an upstream speaks, its stream comes out
as Responses events.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import Final

from app.dialects.chat_upstream.replies import Retold, Teller
from app.dialects.chat_upstream.requests import to_chat
from app.dialects.responses.platform import to_platform, with_model
from app.domain.account import Account, AccountKind
from app.domain.call import Call, Dialect
from app.domain.operation import Operation
from app.ports import UpstreamFailure, UpstreamReply
from app.upstream.addresses import Addresses
from app.upstream.http import HttpClient
from app.upstream.retelling import RetoldReply

PLATFORM_URL: Final = "https://api.openai.com/v1"
CHAT_SPEAKERS: Final = frozenset({Dialect.CHAT, Dialect.COMPLETIONS})

_PATHS: Final = {
    Operation.COMPACT: "/responses/compact",
    Operation.EMBEDDINGS: "/embeddings",
    Operation.IMAGES_GENERATIONS: "/images/generations",
    Operation.IMAGES_EDITS: "/images/edits",
}
_HOSTED: Final = b'"web_search'
"""A tool that the platform runs for Responses only."""

Headers = list[tuple[str, str]]


class KeyedHttp:
    """Sends calls with an account's key; see `app.ports.Upstream`."""

    def __init__(
        self,
        *,
        client: HttpClient,
        addresses: Addresses,
        user_agent: str,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._addresses = addresses
        self._user_agent = user_agent
        self._now = now

    async def send(self, account: Account, call: Call) -> UpstreamReply:
        """Return as soon as the reply's head is there."""
        model = account.name_of(call.model)
        path = _PATHS.get(call.operation)
        if path is not None:
            return await self._post(account, path, with_model(call.body, model), "application/json")
        if speaks_chat(account, call):
            return await self._chat(account, call, model)
        body = to_platform(call.body, call.tuning, model=model)
        return await self._post(account, "/responses", body, "text/event-stream")

    async def _chat(self, account: Account, call: Call, model: str) -> UpstreamReply:
        platform = account.kind is AccountKind.OPENAI
        asked = to_chat(call.body, call.tuning, model=model, platform=platform)
        reply = await self._post(account, "/chat/completions", asked.body, "text/event-stream")
        if reply.status != 200:
            return reply
        name = token_hex(12)
        return RetoldReply(
            reply, Retold(Teller(name, int(self._now()), call.model, asked.free_form))
        )

    async def _post(self, account: Account, path: str, body: bytes, accept: str) -> UpstreamReply:
        base_url = account.base_url
        if base_url is None:
            if account.kind is not AccountKind.OPENAI:
                raise UpstreamFailure("the account has no base URL", sent=False)
            base_url = PLATFORM_URL
        pin = await self._addresses.pin(account)
        try:
            return await self._client.post(
                base_url + path,
                headers=[*key_headers(account, user_agent=self._user_agent), ("accept", accept),
                         ("content-type", "application/json")],
                body=body,
                proxy_url=account.proxy_url,
                pin=pin,
            )  # fmt: skip
        except UpstreamFailure as failure:
            if pin is not None and failure.route:
                self._addresses.failed(account, pin)
            raise


def speaks_chat(account: Account, call: Call) -> bool:
    """Tell whether the account is asked in Chat Completions."""
    if account.kind is AccountKind.COMPATIBLE:
        return True
    return call.dialect in CHAT_SPEAKERS and _HOSTED not in call.body


def key_headers(account: Account, *, user_agent: str) -> Headers:
    """Return what every request with the account's key has: who asks, and for whom."""
    headers = [("user-agent", user_agent)]
    key = account.credential.access_token.reveal()
    if key:
        headers.append(("authorization", f"Bearer {key}"))
    if account.organization:
        headers.append(("openai-organization", account.organization))
    if account.project:
        headers.append(("openai-project", account.project))
    return headers
