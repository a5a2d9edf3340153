"""What every limited key has taken of its allowance, in this process and as heard from others.

    enter ──▶ reserve ──▶ settle        for each call, whatever becomes of it
         └────────────────▶ settle

A call enters before its body is read (calls a minute, calls at a time), reserves once it is known
what it may take (tokens a minute, money), and is settled exactly once. Nothing is looked up and
nothing waits. A key without limits costs one comparison. What other processes take arrives through
`hear` and is as old as their last word; what was spent before anybody here counted arrives through
`stored`, from the database (`app.allowance.elsewhere` has how both make one figure). Calls that
several processes let in within the age of that word are the overshoot. Whoever brings it asks
`strangers` whose spending is missing.
"""

from collections.abc import Iterable
from math import ceil, inf
from typing import Final

from msgspec import Struct

from app.allowance.bucket import Bucket
from app.allowance.budget import Period, Purse, began_at
from app.allowance.elsewhere import Elsewhere
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.shared import KeySpent
from app.errors import TooManyRequests

HeaderPairs = list[tuple[bytes, bytes]]


class _Page(Struct):
    """One key's page."""

    requests: Bucket
    tokens: Bucket
    day: Purse
    month: Purse
    in_flight: int = 0
    entered: int = 0
    """Calls that were let in since the page began."""
    taken: int = 0
    """Tokens that were taken or reserved since then."""


class Ticket(Struct):
    """One call's place in the book. Settle it exactly once; a second time changes nothing."""

    key_id: KeyId
    allowance: Allowance
    reserved_tokens: int = 0
    reserved_nusd: int = 0
    settled: bool = False


_FREE: Final = Allowance()
_REQUESTS: Final = tuple(
    b"x-ratelimit-%s-requests" % what for what in (b"limit", b"remaining", b"reset")
)
_TOKENS: Final = tuple(
    b"x-ratelimit-%s-tokens" % what for what in (b"limit", b"remaining", b"reset")
)
_NOBODY: Final = KeySpent(KeyId(""))


class AllowanceBook:
    """The pages of all limited keys of this process."""

    def __init__(self) -> None:
        self._pages: dict[KeyId, _Page] = {}
        self._elsewhere: dict[KeyId, Elsewhere] = {}
        """What was spent but not on a page of this book."""
        self._limits: dict[KeyId, Allowance] = {}
        self._touched: dict[KeyId, None] = {}
        """Pages that have changed since `take_spent`."""
        self.alone = False
        """Nothing was heard of the others for long: their calls under way are over by now."""

    def admit(self, caller: Caller, *, now: float, monotonic: float) -> None:
        """Let the caller in, if one more call of it could begin now; nothing is taken.

        Raises:
            TooManyRequests: Its key has no call left in this minute, or none at a time.
        """
        allowance = caller.allowance
        if allowance != _FREE:
            self._page_with_room(caller, now=now, monotonic=monotonic)

    def enter(self, caller: Caller, *, now: float, monotonic: float) -> Ticket:
        """Let one more call of the caller begin.

        Raises:
            TooManyRequests: Its key has no call left in this minute, or none at a time.
        """
        allowance = caller.allowance
        if allowance == _FREE:
            return Ticket(caller.id, allowance)
        page = self._page_with_room(caller, now=now, monotonic=monotonic)
        if allowance.requests_per_minute is not None:
            page.requests.take(1.0)
        page.in_flight += 1
        page.entered += 1
        self._touched[caller.id] = None
        return Ticket(caller.id, allowance)

    def reserve(
        self, ticket: Ticket, *, tokens: int, cost_nusd: int, now: float, monotonic: float
    ) -> None:
        """Set aside what the call may take; once for each ticket.

        Raises:
            TooManyRequests: The key's tokens of this minute or its money do not reach that far.
        """
        allowance = ticket.allowance
        if allowance == _FREE:
            return
        page = self._page(ticket.key_id, now=now, monotonic=monotonic)
        day, month = page.day, page.month
        if allowance.day_nusd is not None:
            self._check_money(ticket.key_id, day, allowance.day_nusd, cost_nusd, now=now)
        if allowance.month_nusd is not None:
            self._check_money(ticket.key_id, month, allowance.month_nusd, cost_nusd, now=now)
        limit = allowance.tokens_per_minute
        if limit is not None:
            wait_s = page.tokens.wait_s(tokens, limit, now=monotonic)
            if wait_s > 0:
                raise TooManyRequests(
                    f"This API key may use {limit} tokens a minute, and this request may take "
                    f"{tokens}.",
                    type="tokens",
                    retry_after_s=wait_s,
                )
            page.tokens.take(tokens)
        page.taken += tokens
        # Also where there is no budget: one may be set before the period is over.
        day.reserved += cost_nusd
        month.reserved += cost_nusd
        ticket.reserved_tokens, ticket.reserved_nusd = tokens, cost_nusd

    def settle(self, ticket: Ticket, *, tokens: int, cost_nusd: int, now: float) -> None:
        """Replace what was set aside by what was taken; the call is over."""
        if ticket.settled:
            return
        ticket.settled = True
        page = self._pages.get(ticket.key_id)
        if ticket.allowance == _FREE or page is None:
            return
        page.in_flight -= 1
        page.taken += tokens - ticket.reserved_tokens
        self._touched[ticket.key_id] = None
        if ticket.allowance.tokens_per_minute is not None:
            page.tokens.take(tokens - ticket.reserved_tokens)
        for purse in (page.day, page.month):
            purse.turn(now=now)
            purse.reserved -= ticket.reserved_nusd
            purse.spent += cost_nusd

    def stored(self, key_id: KeyId, period: Period, nusd: int, *, now: float) -> None:
        """Take over what all processes together have spent in this period, as the database has it.

        It may lag behind, so it never makes less of what is known.
        """
        began = began_at(period, now=now)
        found = self._elsewhere.setdefault(key_id, Elsewhere(key_id))
        found.base(period, nusd - self.spent(key_id, period, now=now), began_at=began)

    def introduce(self, spent: KeySpent) -> None:
        """Begin to listen for a key of which the others have said this much already."""
        self._elsewhere.setdefault(spent.id, Elsewhere(spent.id)).heard = spent

    def hear(self, spent: KeySpent, *, now: float, monotonic: float) -> None:
        """Take over what the others have taken for a key, all together and up to now."""
        allowance = self._limits.get(spent.id)
        if allowance is None:
            return
        found = self._elsewhere.setdefault(spent.id, Elsewhere(spent.id))
        requests = spent.requests - found.heard.requests
        tokens = spent.tokens - found.heard.tokens
        found.heard = spent
        page = self._page(spent.id, now=now, monotonic=monotonic)
        if allowance.requests_per_minute is not None:
            page.requests.lose(requests, allowance.requests_per_minute, now=monotonic)
        if allowance.tokens_per_minute is not None:
            page.tokens.lose(tokens, allowance.tokens_per_minute, now=monotonic)

    def take_spent(self, *, now: float) -> list[KeySpent]:
        """Return the pages that have changed since this was asked the last time."""
        touched, self._touched = self._touched, {}
        found = []
        for key_id in touched:
            page = self._pages.get(key_id)
            if page is not None:
                day, month = page.day, page.month
                day.turn(now=now)
                month.turn(now=now)
                found.append(
                    KeySpent(
                        key_id, day.began_at, day.spent, month.began_at, month.spent,
                        day.reserved, page.in_flight, page.entered, page.taken,
                    )
                )  # fmt: skip
        return found

    @property
    def budgeted(self) -> list[KeyId]:
        """The keys that have a budget of money."""
        return [
            key_id
            for key_id, allowance in self._limits.items()
            if allowance.day_nusd is not None or allowance.month_nusd is not None
        ]

    @property
    def limited(self) -> Iterable[KeyId]:
        """The keys that have any limit."""
        return self._limits.keys()

    def strangers(self, callers: Iterable[Caller]) -> list[KeyId]:
        """Return the limited keys of which it is not known what was spent before.

        Tell of each of them what it has spent, even if that is nothing.
        """
        return [
            caller.id
            for caller in callers
            if caller.allowance != _FREE
            and not (caller.id in self._elsewhere and self._elsewhere[caller.id].based)
        ]

    def spent(self, key_id: KeyId, period: Period, *, now: float) -> int:
        """Return what the key has spent here in this period, in nano-dollars."""
        page = self._pages.get(key_id)
        if page is None:
            return 0
        purse = page.day if period is Period.DAY else page.month
        purse.turn(now=now)
        return purse.spent

    def headers(self, caller: Caller, *, monotonic: float) -> HeaderPairs:
        """Return the `x-ratelimit-*` headers of an answer to this caller."""
        allowance = caller.allowance
        page = None if allowance == _FREE else self._pages.get(caller.id)
        if page is None:
            return []
        found: HeaderPairs = []
        for names, limit, bucket in (
            (_REQUESTS, allowance.requests_per_minute, page.requests),
            (_TOKENS, allowance.tokens_per_minute, page.tokens),
        ):
            if limit is not None:
                bucket.fill(limit, now=monotonic)
                left, reset_s = max(0, int(bucket.level)), ceil(bucket.full_in_s(limit))
                found += zip(names, (b"%d" % limit, b"%d" % left, b"%ds" % reset_s), strict=True)
        return found

    def keep(self, callers: dict[KeyId, Caller]) -> None:
        """Forget keys that are gone or have no limits any more, and have no call under way."""
        limited = {
            key_id: caller.allowance
            for key_id, caller in callers.items()
            if caller.allowance != _FREE
        }
        self._limits = limited
        for key_id in [known for known in self._pages if known not in limited]:
            if not self._pages[key_id].in_flight:
                del self._pages[key_id]
        for known in [each for each in self._elsewhere if each not in limited]:
            del self._elsewhere[known]

    def _others(self, key_id: KeyId) -> KeySpent:
        """Return what the others have under way for a key, as far as that can still be so."""
        found = self._elsewhere.get(key_id)
        return _NOBODY if found is None or self.alone else found.heard

    def _page_with_room(self, caller: Caller, *, now: float, monotonic: float) -> _Page:
        """Return the caller's page, where there is room for one more call."""
        allowance = caller.allowance
        page = self._page(caller.id, now=now, monotonic=monotonic)
        most = allowance.concurrency_max
        if most is not None and page.in_flight + self._others(caller.id).in_flight >= most:
            raise TooManyRequests(
                f"This API key may have {most} calls under way at a time.",
                retry_after_s=1.0,
            )
        limit = allowance.requests_per_minute
        if limit is not None:
            wait_s = page.requests.wait_s(1.0, limit, now=monotonic)
            if wait_s > 0:
                raise TooManyRequests(
                    f"This API key may make {limit} requests a minute.", retry_after_s=wait_s
                )
        return page

    def _page(self, key_id: KeyId, *, now: float, monotonic: float) -> _Page:
        page = self._pages.get(key_id)
        if page is None:
            page = self._pages[key_id] = _Page(
                # Full, whatever the limit is or will be.
                requests=Bucket(inf, monotonic),
                tokens=Bucket(inf, monotonic),
                day=Purse.new(Period.DAY, now=now),
                month=Purse.new(Period.MONTH, now=now),
            )
        return page

    def _check_money(
        self, key_id: KeyId, purse: Purse, budget: int, cost_nusd: int, *, now: float
    ) -> None:
        purse.turn(now=now)
        elsewhere = self._elsewhere.get(key_id)
        others = self._others(key_id).reserved_nusd
        if elsewhere is not None:
            others += elsewhere.spent(purse.period, began_at=purse.began_at)
        if not purse.affords(cost_nusd + others, budget):
            raise TooManyRequests(
                f"This API key's budget for this {purse.period.value} is used up, or does not reach"
                " for this request.",
                code="insufficient_quota",
                type="insufficient_quota",
                retry_after_s=purse.ends_at - now,
                resets_at=float(purse.ends_at),
            )
