"""The Codex backend over HTTP: where a call goes and what goes with it."""

from app.domain.account import Account, AccountKind
from app.domain.call import Call
from app.ports import UpstreamFailure, UpstreamReply
from app.upstream.http import HttpClient
from app.upstream.identity import Identity


class CodexHttp:
    """Sends calls to the Codex backend; see `app.ports.Upstream`."""

    def __init__(self, *, client: HttpClient, identity: Identity, base_url: str) -> None:
        self._client = client
        self._identity = identity
        self._url = base_url.rstrip("/") + "/codex/responses"

    async def send(self, account: Account, call: Call) -> UpstreamReply:
        """Return as soon as the reply's head is there."""
        if account.kind is not AccountKind.CODEX:
            raise UpstreamFailure("not a Codex account", sent=False)
        return await self._client.post(
            self._url,
            headers=self._identity.headers(account, call.headers, lite=call.lite),
            body=call.body,
            proxy_url=account.proxy_url,
        )
