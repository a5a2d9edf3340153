"""Splits what an account takes at a time among the processes that want it. Pure.

Each process holds *credits* of an account and never has more calls under way with it than credits,
so that all processes together never exceed the account's cap. Where the credits are recorded, they
are never handed out twice: whoever asks is given at most what nobody holds (`granted`), and that in
one indivisible step. Hence the three rules that keep the promise whatever gets lost on the way:

1. Less is put into force here first and reported then.
2. More is put into force only once it has been granted.
3. What is reported is absolute: how many this process may have under way until it hears the answer.
   A report that was lost is made again, and one that came through twice changes nothing.

Who should hold how much follows from what all have under way and want (`fair`): the most even split
that leaves nothing unused. Nobody gets more than it needs while another gets less than it needs;
what nobody needs is held in equal parts, so that a quiet account can be used at once by any. Views
differ by some hundred milliseconds, so that two may want the same credit for a moment; by rule 2
only one gets it.

How fast: whoever is short says so with its next report; the holder of an idle credit hears of it
and gives it back within one interval, and it is taken up within the next. As the first report of a
shortage rings for the others, it is usually less than one interval in all. A holder that uses what
another is due gives it back as its calls end.

How exact: while the server is there, never more than the cap. While it is away, everybody goes on
with what it holds. Beyond the cap comes only (a) what a process holds that the server has not heard
of for longer than `GONE_S` while others have, because it was frozen or cut off, for as long as that
lasts; (b) what a server has forgotten of grants, for one round of all accounts, if it comes back
with older data; (c) the guess of a process that starts while the server is away (`guess`).

Accounts are looked at when something happened to them and otherwise in turn, some each round, which
also restores whatever record may have been lost.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final
from zlib import crc32

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.shared import Claim
from app.ports import SharedView

GONE_S: Final = 2.0
"""A process that has not been heard of for this long holds nothing any more."""
LOST_S: Final = 5.0
"""After this long it does not even go on with what it alone was to do."""
GAP_S: Final = 1.0
"""If nobody at all was heard of for this long, the server was away, or has only just begun."""
GRACE_S: Final = 2.0
"""Then nothing is granted for this long: so long may it take until all who hold something have said
so."""
CLAIMS_MAX: Final = 500
"""Claims in one question: a script in Redis that takes some milliseconds."""
SHIFT_S: Final = 5.0
"""How long one of several keeps a credit that does not suffice for all."""
TURN: Final = 64
"""Accounts that are looked at each round though nothing happened to them."""


class Standing(Struct, frozen=True):
    """How busy this process is with one account."""

    cap: int
    """How many calls all processes may have under way with it."""
    in_flight: int
    reach: int
    """How many this process would begin if its share were no matter; 0 while it rests."""


StandingOf = Callable[[AccountId], Standing | None]
"""Tells how busy this process is with an account, None if it does not have it."""


def fair(cap: int, needs: Sequence[int], rank: int, *, turn: int, shift: int = 0) -> int:
    """Return how many of `cap` credits the process of this rank should hold.

    `turn` decides who gets what can't be split evenly; take another one for each account. `shift`
    does so among those that need more than there is; take another one from time to time, or one of
    them might wait for ever.
    """
    processes = len(needs)
    idle = cap - sum(needs)
    if idle >= 0:
        place = (rank + turn) % processes
        return needs[rank] + idle // processes + (place < idle % processes)
    level = _level(cap, needs)
    if needs[rank] <= level:
        return needs[rank]
    left = cap - sum(min(need, level) for need in needs)
    greedy = [other for other, need in enumerate(needs) if need > level]
    place = (greedy.index(rank) + turn + shift) % len(greedy)
    return level + (place < left)


def _level(cap: int, needs: Sequence[int]) -> int:
    """Return the largest whole number to which all needs can be met, which `cap` falls short of."""
    left, met = cap, 0
    ordered = sorted(needs)
    while ordered[met] <= left // (len(ordered) - met):
        left -= ordered[met]
        met += 1
    return left // (len(ordered) - met)


def granted(claim: Claim, *, others: int) -> int:
    """Return how many credits a claim gets while others hold `others`."""
    return max(claim.keep, min(claim.target, claim.cap - others))


def guess(cap: int, processes: int) -> int:
    """Return the share of a process that could never ask."""
    return max(1, cap // max(1, processes))


class Shares:
    """The credits of one process. `limit` is told of every share that changes."""

    def __init__(self, *, limit: Callable[[AccountId, int], None]) -> None:
        self._limit = limit
        self._shares: dict[AccountId, int] = {}
        """How many calls may be under way: what this process keeps to."""
        self._guessed: set[AccountId] = set()
        """Accounts whose share was never granted: it is a guess."""
        self._held: dict[AccountId, int] = {}
        """How many credits the record has for this process."""
        self._ring: dict[AccountId, None] = {}
        """All accounts, in the order in which it is their turn."""
        self._queue: dict[AccountId, bool] = {}
        """Accounts that are to be looked at in this round, and whether to claim them anyway."""
        self._unclaimed: dict[AccountId, None] = {}
        """Accounts that are to be claimed whatever they stand at."""
        self._unmet: dict[AccountId, None] = {}
        """Accounts of which less was granted than wanted; asked for again each round."""
        self._rising: set[AccountId] = set()
        """Accounts of which more is needed in this round than there is."""
        self.pressed = False
        """Calls wait for a claim that others have to give way to: ask again soon."""
        self.owing = False
        """Others are short of what this process may use: they gain from a short round."""
        self.settled = False
        """True once every account has been claimed for the first time."""

    @property
    def any(self) -> bool:
        """Tell whether there is any account that this process may use."""
        return any(self._shares.values())

    def share(self, account_id: AccountId) -> int:
        """Return how many calls this process may have under way with an account."""
        return self._shares.get(account_id, 0)

    def roster(self, accounts: Iterable[AccountId]) -> None:
        """Take over which accounts there are; all of them are claimed anew."""
        self._ring = dict.fromkeys(accounts)
        for gone in [known for known in self._shares if known not in self._ring]:
            # Its credits go with the record of this process: nobody asks for them any more.
            del self._shares[gone]
            self._held.pop(gone, None)
            self._guessed.discard(gone)
        self._unmet.clear()
        self.claim_anew()

    def claim_anew(self) -> None:
        """Claim all accounts: the record is gone, or there are other processes than before."""
        self._unclaimed = dict(self._ring)

    def guess(self, standing: StandingOf, processes: int) -> None:
        """Help accounts that were never claimed to a share, since there is nobody to ask.

        A guess is made anew each time: how many processes there are becomes known bit by bit.
        """
        for account_id in self._unclaimed:
            if account_id in self._shares and account_id not in self._guessed:
                continue
            now = standing(account_id)
            if now is not None:
                self._guessed.add(account_id)
                self._put(account_id, guess(now.cap, processes))

    def wanted(self, account_id: AccountId, now: Standing, *, waiting: int) -> int:
        """Return how many more calls this process would begin if it had the credits.

        `waiting` calls stand in line. Without a line nothing is wanted: what may begin at once is
        this process's part of what nobody needs.
        """
        if now.in_flight < self.share(account_id) or now.reach <= now.in_flight:
            return 0
        return min(waiting, now.reach - now.in_flight)

    def turn(self) -> list[AccountId]:
        """Return the accounts whose turn it is, which are claimed in this round."""
        found = list(islice(self._ring, TURN))
        for account_id in found:
            del self._ring[account_id]
            self._ring[account_id] = None
            self._queue[account_id] = True
        return found

    def consider(self, touched: Iterable[AccountId], view: SharedView) -> None:
        """Begin a round: look at these accounts and at all of which others are short."""
        self.pressed = False
        self._rising.clear()
        owed = [each for each in view.short if self._shares.get(each)]
        self.owing = bool(owed)
        for account_id in (*touched, *owed):
            self._queue.setdefault(account_id, False)
        self._queue.update(dict.fromkeys(self._unmet, True))
        self._unmet.clear()

    def claims(
        self, standing: StandingOf, view: SharedView, *, waiting: int, now: float
    ) -> list[Claim]:
        """Return the next claims of this round, at most `CLAIMS_MAX`; none once it is over.

        `waiting` calls stand in line; `now` is in epoch seconds. Shares that shrink do so before
        this returns. Tell `answered` or `unanswered` what became of them before you ask for more.
        """
        found: list[Claim] = []
        while len(found) < CLAIMS_MAX:
            if self._queue:
                account_id, forced = self._queue.popitem()
            elif self._unclaimed:
                account_id, forced = self._unclaimed.popitem()[0], True
            else:
                break
            busy = standing(account_id)
            if busy is not None:
                need = busy.in_flight + self.wanted(account_id, busy, waiting=waiting)
                goal = fair(
                    busy.cap,
                    view.needs(account_id, need),
                    view.rank,
                    turn=crc32(account_id.encode()),
                    shift=int(now / SHIFT_S),
                )
                short = account_id in view.short
                found += self._claim(account_id, busy, goal, forced=forced, short=short)
                if need > self.share(account_id):
                    self._rising.add(account_id)
        return found

    def answered(self, claims: Sequence[Claim], held: Sequence[int]) -> None:
        """Take over what was granted."""
        for claim, credits_ in zip(claims, held, strict=True):
            self._held[claim.account_id] = credits_
            self._guessed.discard(claim.account_id)
            if claim.target > claim.keep:
                self._put(claim.account_id, credits_)
                if credits_ < claim.target:
                    self._unmet[claim.account_id] = None
                    self.pressed |= claim.account_id in self._rising
        self.settled |= not self._unclaimed

    def unanswered(self, claims: Sequence[Claim]) -> None:
        """Note that claims may or may not have been heard."""
        self._unclaimed.update((claim.account_id, None) for claim in claims)

    def _claim(
        self, account_id: AccountId, busy: Standing, goal: int, *, forced: bool, short: bool
    ) -> list[Claim]:
        share = self.share(account_id)
        used = max(share, busy.in_flight)
        moves = forced or (goal < share and short) or (goal > share and share <= busy.in_flight)
        if not moves:
            # The record may still have what was in use when the share shrank.
            spare = self._held.get(account_id, 0) > used
            return [Claim(account_id, busy.cap, used, used)] if spare else []
        if goal < share:
            self._put(account_id, goal)
        keep = max(min(share, goal), busy.in_flight)
        return [Claim(account_id, busy.cap, keep, max(goal, keep))]

    def _put(self, account_id: AccountId, share: int) -> None:
        if self._shares.get(account_id) != share:
            self._shares[account_id] = share
            self._limit(account_id, share)
