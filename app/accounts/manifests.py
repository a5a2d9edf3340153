"""Keeps the live manifests of models, one for each version of client, and learns from them.

A manifest is fetched with a ready account when a caller asks for it, and for the gateway itself
soon after the start and every few hours, so that the models of today are known before the first
client of today comes. It is never on the path of a call.

Rule 1: a version has one flight at a time; whoever else wants it shares that one.
Rule 2: what is old is given out as it is, while a new one is fetched or can't be had.
Rule 3: of two cards for one model that of the newer client version counts: old clients are told
less. No card is forgotten; whether a model still exists, the upstream says when it is called.

`run` must be running for anything to be fetched. The built-in manifest is for those to serve who
get None from here.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Final

from msgspec import Struct, structs

from app.accounts.lane import Sleep
from app.dialects import live_manifest
from app.dialects.live_manifest import ManifestUnreadable
from app.dialects.manifest import Card
from app.domain.account import Account, AccountId
from app.ports import Clock, Manifest, ManifestSource, ManifestUnavailable

CODEX_PROTOCOL_VERSION: Final = "0.146.0"
"""The version of the Codex protocol that this gateway was written against.

The upstream tells a client only of models that its version can use, so some version has to be
stated. The gateway states this one for itself, or a caller's if that is newer: then it is that
caller's client which has to understand the answer.
"""

VERSIONS_MAX: Final = 16
FLIGHTS_MAX: Final = 4
CARDS_MAX: Final = 1024
SHUNNED_MAX: Final = 64

TTL_S: Final = 300.0
RETRY_S: Final = 30.0
"""How long a version is not asked for again after a flight that brought nothing."""
FIRST_WAIT_S: Final = 5.0
REFRESH_S: Final = 6 * 3600.0
ACCOUNT_POLL_S: Final = 2.0
BACKOFF_FIRST_S: Final = 5.0
BACKOFF_MAX_S: Final = 300.0

_VERSION: Final = re.compile(
    r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})(?:[-+][0-9A-Za-z.+-]{1,32})?", re.ASCII
)

_log = logging.getLogger(__name__)

ChooseAccount = Callable[[Collection[AccountId]], Account | None]
Order = tuple[int, ...]


class News(Struct, frozen=True):
    """Whom to ask and whom to tell; neither may wait."""

    choose: ChooseAccount
    """Returns an account that is ready and none of these, the best one to ask."""
    learnt: Callable[[Sequence[Card]], None]
    """Takes all cards that were learnt so far, after every fetch that brought any."""


class _Kept(Struct):
    """What is kept for one version."""

    manifest: Manifest | None = None
    due_at: float = 0.0
    """The moment (monotonic) from which on a question for it has it fetched."""
    flight: asyncio.Task[bool] | None = None
    """Returns whether it brought something."""


class Manifests:
    """The manifests of one worker."""

    def __init__(
        self, *, source: ManifestSource, news: News, clock: Clock, sleep: Sleep, rng: Random
    ) -> None:
        self._source = source
        self._news = news
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._group: asyncio.TaskGroup | None = None
        self._kept: dict[str, _Kept] = {}
        """By version, the one asked for last at the end."""
        self._own_version = CODEX_PROTOCOL_VERSION
        self._shunned: set[AccountId] = set()
        """Accounts whose last fetch failed; they are asked again when no other is left."""
        self._cards: dict[str, tuple[Order, Card]] = {}

    async def manifest(self, client_version: str) -> Manifest | None:
        """Return the manifest for a client of this version; None if there is none to be had now.

        Only the first fetch for a version is waited for, and no longer than `FIRST_WAIT_S`. What
        is no version is answered as the gateway would be itself.
        """
        understood = _VERSION.fullmatch(client_version)
        kept = self._keep(client_version if understood else self._own_version)
        if kept.manifest is None and kept.flight is not None:
            await asyncio.wait([kept.flight], timeout=FIRST_WAIT_S)
        return kept.manifest

    async def run(self) -> None:
        """Fetch for callers and for the gateway itself, until cancelled. May be run again."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await self._refresh()
            finally:
                self._group = None

    async def _refresh(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while True:
            kept = self._keep(self._own_version, urgent=True)
            if kept.flight is None:
                # Nothing was dialled: no account is ready, or others have all flights.
                wait_s = ACCOUNT_POLL_S
            elif await kept.flight:
                backoff_s = BACKOFF_FIRST_S
                wait_s = REFRESH_S
            else:
                wait_s = backoff_s * (0.5 + self._rng.random())
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
            await self._sleep(wait_s)

    def _keep(self, version: str, *, urgent: bool = False) -> _Kept:
        """Return what is kept for the version, with a flight under way if one is due."""
        kept = self._kept.pop(version, None)
        if kept is None:
            if len(self._kept) >= VERSIONS_MAX:
                del self._kept[next(name for name, one in self._kept.items() if not one.flight)]
            kept = _Kept()
        self._kept[version] = kept
        if kept.flight is None and (urgent or self._clock.monotonic() >= kept.due_at):
            self._fly(version, kept)
        return kept

    def _fly(self, version: str, kept: _Kept) -> None:
        flights = sum(one.flight is not None for one in self._kept.values())
        if self._group is None or flights >= FLIGHTS_MAX:
            return
        account = self._account()
        if account is not None:
            flight = self._flight(version, kept, account)
            kept.flight = self._group.create_task(flight, name=f"manifest {version}")

    def _account(self) -> Account | None:
        account = self._news.choose(self._shunned)
        if account is None and self._shunned:
            self._shunned.clear()
            account = self._news.choose(self._shunned)
        return account

    async def _flight(self, version: str, kept: _Kept, account: Account) -> bool:
        etag = kept.manifest.etag if kept.manifest else None
        try:
            found = await self._source.fetch(account, version, etag)
            if found is not None:
                kept.manifest = self._read(version, found)
        except (ManifestUnavailable, ManifestUnreadable) as error:
            kept.due_at = self._clock.monotonic() + RETRY_S
            if len(self._shunned) >= SHUNNED_MAX:
                self._shunned.clear()
            self._shunned.add(account.id)
            _log.warning(
                "manifest_unavailable account=%s version=%s reason=%s", account.id, version, error
            )
            return False
        else:
            kept.due_at = self._clock.monotonic() + TTL_S
            # Only now, so that no caller makes the gateway ask for what is never answered.
            self._own_version = max(self._own_version, version, key=_order)
            return True
        finally:
            kept.flight = None

    def _read(self, version: str, found: Manifest) -> Manifest:
        """Return the manifest as callers get it, and learn what it says.

        Raises:
            ManifestUnreadable: It can't be passed on.
        """
        body = live_manifest.relayed(found.body)
        order = _order(version)
        for card in live_manifest.cards(body):
            known = self._cards.get(card.slug)
            if known is None and len(self._cards) >= CARDS_MAX:
                continue
            if known is None or known[0] <= order:
                self._cards[card.slug] = (order, card)
        self._news.learnt([card for _, card in self._cards.values()])
        return structs.replace(found, body=body, etag=found.etag or live_manifest.etag_of(body))


def _order(version: str) -> Order:
    """Return what versions are compared by; what stands behind the numbers does not count."""
    found = _VERSION.fullmatch(version)
    return tuple(int(number) for number in found.groups()) if found else ()
