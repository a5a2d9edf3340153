"""What a pool tells the pools of other processes, and what it takes over from them. Pure.

Told is what the others would otherwise have to find out at a cost: that an account rests because
the upstream refused it, what the upstream said of its limits, which session or encrypted item went
to which account. A pool alone has nobody to tell (`tell` is left out) and its accounts whole.

What comes from others is judged as if it were our own, with two differences: it is never told on,
and it never makes a rest shorter. How many calls at a time this process may have with an account
(`limit`) is decided in `app.shared.shares`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from app.domain.account import AccountId
from app.domain.outcome import Outcome, RateLimited, Unsuited
from app.domain.quota import QuotaView
from app.domain.shared import AccountRested, Binding, QuotaHeard, SharedEvent
from app.pool import health
from app.pool.affinity import AffinityTable
from app.pool.pausing import Families, lift, pause
from app.pool.shelves import Shelves
from app.pool.state import UNSHARED, AccountState

BINDINGS_MAX: Final = 2_000
"""Bindings that wait to be told; more than that in a tenth of a second are worth no trouble."""
TOLD_MAX: Final = 10_000
"""Rests and quotas that are remembered as told."""

Tell = Callable[[SharedEvent], None]
_Seen = tuple[tuple[str, int, int, int], ...]


class Company:
    """One pool's ties to the others. `tell` must not wait."""

    def __init__(
        self,
        shelves: Shelves,
        families: Families,
        *,
        sessions: AffinityTable,
        owners: AffinityTable,
    ) -> None:
        self._shelves = shelves
        self._families = families
        self._sessions = sessions
        self._owners = owners
        self._tell: Tell | None = None
        self._bindings: deque[Binding] = deque(maxlen=BINDINGS_MAX)
        self._told: dict[tuple[AccountId, str | None], float] = {}
        """The ends of rests that were told, by account and model."""
        self._quotas: dict[AccountId, _Seen] = {}
        """What was told of quotas, in whole percents and minutes."""
        self.share = UNSHARED
        """How many calls at a time a new account may have until `limit` is called for it."""

    def join(self, tell: Tell) -> None:
        """Have others: tell them, and use no account before `limit` allows it."""
        self._tell = tell
        self.share = 0

    def failed(self, state: AccountState, outcome: Outcome, *, now: float) -> None:
        """Tell of the rest that this outcome has begun, if it has, and if it is the upstream's.

        Broken connections may be this process's own trouble: the others will see for themselves.
        """
        if self._tell is None or not isinstance(outcome, RateLimited | Unsuited):
            return
        model, account_id = outcome.model, state.account.id
        until = state.ready_at if model is None else state.model_ready_at.get(model, 0.0)
        told = self._told
        if until <= now or told.get((account_id, model)) == until:
            return
        if len(told) >= TOLD_MAX:
            told.clear()
        told[account_id, model] = until
        reason = state.reason if model is None else "model limit"
        self._tell(AccountRested(account_id, until, reason, model))

    def observed(self, account_id: AccountId, view: QuotaView, model: str | None) -> None:
        """Tell what a reply said of the limits, if it is anything new.

        The usage endpoint can be asked by anybody, and is; and of one reply's headers only whole
        percents are news.
        """
        if self._tell is None or model is None or view.empty:
            return
        seen = tuple(
            (window.family, window.minutes, int(100 * window.used_ratio), _minute(window.reset_at))
            for window in view.windows
        )
        if self._quotas.get(account_id) == seen:
            return
        if len(self._quotas) >= TOLD_MAX:
            self._quotas.clear()
        self._quotas[account_id] = seen
        self._tell(QuotaHeard(account_id, view, model))

    def bound(self, key: str, account_id: AccountId, *, now: float, owned: bool) -> None:
        """Note for the others what belongs to the account from now on."""
        if self._tell is not None:
            self._bindings.append(Binding(key, account_id, now, owned))

    def bindings(self, count: int) -> list[Binding]:
        """Take out the oldest bindings that the others were not told of, `count` at most."""
        waiting = self._bindings
        return [waiting.popleft() for _ in range(min(count, len(waiting)))]

    def bind(self, bindings: Iterable[Binding]) -> None:
        """Take over what others have bound; of two that disagree the later one counts."""
        for each in bindings:
            table = self._owners if each.owned else self._sessions
            table.hear(each.key, each.account_id, at=each.at)

    def limit(self, account_id: AccountId, share: int, *, now: float) -> None:
        """Let an account have this many calls under way from now on; those that are go on."""
        place = self._shelves.places.get(account_id)
        if place is not None and place.state.share != share:
            place.state.share = share
            self._shelves.file(place, now=now)

    def rest(self, news: AccountRested, *, now: float) -> None:
        """Rest an account that another process was refused by; a longer rest stays."""
        place = self._shelves.places.get(news.account_id)
        if place is None:
            return
        paused = bool(place.pauses)
        lift(place, now=now)
        health.told(place.state, news.until, news.reason, model=news.model, now=now)
        if paused:
            pause(place, self._families, now=now)
        self._shelves.file(place, now=now)


def _minute(at: float | None) -> int:
    return -1 if at is None else round(at / 60)
