"""Learns which models accounts with an API key have, where their operator did not say.

    an account is there, changed, or it is long since ──▶ ask ──▶ learnt ──▶ tell
                                                           └──▶ no answer ──▶ ask again, ever later

What was learnt stays until something else is: an upstream that is away still has its models.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from app.domain.account import Account, AccountId, AccountKind
from app.ports import Clock, ModelSource, ModelsUnavailable

REFRESH_S: Final = 900.0
RETRY_FIRST_S: Final = 5.0
POLL_S: Final = 1.0
FLIGHTS_MAX: Final = 8
"""Upstreams that are asked at a time."""

_log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]
_Asked = tuple[str | None, int]


class _Kept(Struct):
    """What is known of one account."""

    asked: _Asked
    """The address and the credential's generation that it was asked with."""
    due_at: float = 0.0
    failures: int = 0
    models: tuple[str, ...] = ()


class Listings:
    """One worker's; all of it is memory."""

    def __init__(
        self,
        *,
        source: ModelSource,
        accounts: Callable[[], Iterable[Account]],
        learnt: Callable[[], None],
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        """Take what returns the accounts as they are now, and what is told that more is known."""
        self._source = source
        self._accounts = accounts
        self._learnt = learnt
        self._clock = clock
        self._sleep = sleep
        self._kept: dict[AccountId, _Kept] = {}

    @property
    def models(self) -> Mapping[AccountId, tuple[str, ...]]:
        """What was learnt, by account."""
        return {account_id: kept.models for account_id, kept in self._kept.items() if kept.models}

    async def run(self) -> None:
        """Ask whoever is due, until cancelled."""
        while True:
            due = self._due()
            for start in range(0, len(due), FLIGHTS_MAX):
                async with asyncio.TaskGroup() as group:
                    for account in due[start : start + FLIGHTS_MAX]:
                        group.create_task(self._ask(account), name="models of an account")
            await self._sleep(POLL_S)

    def _due(self) -> list[Account]:
        """Return the accounts that are to be asked now, and forget those that are gone."""
        now = self._clock.monotonic()
        there = {account.id: account for account in self._accounts() if _asks(account)}
        for gone in self._kept.keys() - there.keys():
            del self._kept[gone]
        for account in there.values():
            asked = (account.base_url, account.credential.generation)
            kept = self._kept.get(account.id)
            if kept is None or kept.asked != asked:
                self._kept[account.id] = _Kept(asked, models=kept.models if kept else ())
        return [account for account in there.values() if self._kept[account.id].due_at <= now]

    async def _ask(self, account: Account) -> None:
        kept = self._kept[account.id]
        try:
            models = await self._source.models(account)
        except ModelsUnavailable as error:
            if not kept.failures:
                _log.warning("models_unavailable account=%s reason=%s", account.id, error)
            kept.failures += 1
            wait_s = min(REFRESH_S, RETRY_FIRST_S * 2.0 ** min(kept.failures - 1, 16))
            kept.due_at = self._clock.monotonic() + wait_s
            return
        kept.failures = 0
        kept.due_at = self._clock.monotonic() + REFRESH_S
        if models != kept.models:
            kept.models = models
            self._learnt()


def _asks(account: Account) -> bool:
    """Tell whether the account's models are to be learnt."""
    return account.kind is not AccountKind.CODEX and account.enabled and not account.models
