"""The Codex backend by either way: which one a call takes, and the other one if that fails.

Sockets carry what they are asked to carry and can; everything else goes by HTTP, which always can.
A call that found no socket goes by HTTP on the same account and in the same attempt: that a way is
closed says nothing about whoever wanted to take it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from app.domain.account import Account, AccountKind
from app.domain.call import Call
from app.domain.operation import Operation
from app.domain.runtime import UpstreamTransport
from app.ports import UpstreamReply
from app.upstream.codex_http import CodexHttp
from app.upstream.identity import Headers, Identity
from app.upstream.sockets.pool import NoSocket, SocketPool

_SESSION: Final = frozenset({"session-id", "session_id"})


class CodexUpstream:
    """Sends calls to the Codex backend; see `app.ports.Upstream`."""

    def __init__(
        self,
        *,
        http: CodexHttp,
        sockets: SocketPool,
        identity: Identity,
        reaches: Callable[[Account], bool],
    ) -> None:
        """Take both ways; `reaches` tells whether sockets get through an account's proxy."""
        self._http = http
        self.sockets = sockets
        self._identity = identity
        self._reaches = reaches
        self.transport = UpstreamTransport.HTTP
        """The operator's choice; replaced whenever it changes."""
        self.fallbacks: Counter[str] = Counter()
        """Calls that sockets should have carried and HTTP did, by the reason."""

    async def send(self, account: Account, call: Call) -> UpstreamReply:
        """Return as soon as the reply's head, or its first event, is there."""
        asked = wanted(self.transport, call) and call.operation is Operation.RESPONSE
        if not asked or account.kind is not AccountKind.CODEX:
            return await self._http.send(account, call)
        headers = self._identity.headers(account, call.headers, lite=call.lite)
        reason = "proxy"
        if self._reaches(account):
            try:
                return await self.sockets.send(account, call, headers)
            except NoSocket as none:
                reason = none.reason
        self.fallbacks[reason] += 1
        return await self._http.send(account, call)


def wanted(transport: UpstreamTransport, call: Call) -> bool:
    """Tell whether sockets should carry a call."""
    match transport:
        case UpstreamTransport.WEBSOCKET:
            return True
        case UpstreamTransport.AUTO:
            return call.live or has_session(call.headers)
        case UpstreamTransport.HTTP:
            return call.live


def has_session(headers: Headers) -> bool:
    """Tell whether a caller has said that more turns will follow this one."""
    return any(name in _SESSION for name, _ in headers)
