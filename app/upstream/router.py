"""One `Upstream` for all kinds of accounts: each call goes by the way of its account's kind."""

from collections.abc import Mapping

from app.domain.account import Account, AccountKind
from app.domain.call import Call
from app.ports import Upstream, UpstreamReply


class Router:
    """Satisfies `app.ports.Upstream` by those that are given for the kinds."""

    def __init__(self, ways: Mapping[AccountKind, Upstream]) -> None:
        assert ways.keys() == set(AccountKind)  # noqa: S101 - a kind without a way is a defect
        self._ways = ways

    async def send(self, account: Account, call: Call) -> UpstreamReply:
        """Return as soon as the reply's head is there."""
        return await self._ways[account.kind].send(account, call)
