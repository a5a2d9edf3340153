"""The simulated upstream: it answers attempts, and judges what was done to it.

It counts the calls in flight itself, knows when its windows really reset and which credential is
spent. It never reads the gateway's state or its clock; `at` is the true time in seconds since the
start. What an error means is left to `app.relay.diagnosis`, as for the real one.
"""

from collections.abc import Callable
from math import inf
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.domain.account import Account, AccountId, Credential, Secret
from app.domain.outcome import Abandoned, Broken, Misread, Outcome, Refused, Succeeded
from app.domain.quota import MAIN_FAMILY, QuotaView
from app.domain.usage import Usage
from app.relay.diagnosis import Fault
from app.simulation.load import HOUR_S, Wish
from app.simulation.plan import Faults, Plan, Window
from app.simulation.subscription import Subscription
from app.simulation.timeline import EPOCH
from app.simulation.violation import Violation

REFUSED_IN_MAX_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 10.0
LIMITED: Final = "usage_limit_reached"
_TOO_LONG: Final = Refused(
    400, code="context_length_exceeded", type="invalid_request_error", message="It is too long."
)
_UNREADABLE: Final = Misread(400, b"")

Mishap = Callable[[Subscription, Account], "Answer"]


class Answer(Struct):
    """What becomes of an attempt: a refusal, or first content and later an end."""

    after_s: float
    """Until the refusal, or until the first content."""
    refusal: Fault | Outcome | None = None
    """None means that the reply begins."""
    view: QuotaView | None = None
    """What its head says about the account's limits."""
    limited_until: float | None = None
    """When the limit that it names is over, in true time."""
    stream_s: float = 0.0
    end: Outcome = Abandoned()
    tokens: int = 0
    family: str = MAIN_FAMILY


class SimulatedUpstream:
    """All subscriptions, and the weather."""

    def __init__(self, plan: Plan, *, rng: Random) -> None:
        self._rng = rng
        self._faults = plan.faults
        self.families = {model.name: model.family for model in plan.load.models}
        """Model to the limit that it is metered under."""
        self._silence_s = plan.gateway.first_event_timeout_s
        self._mishaps = self._likely(plan.faults)
        self._ends_at = plan.hours * HOUR_S
        self.subscriptions: dict[AccountId, Subscription] = {}
        self.capacity_tokens: float = 0.0
        """The most that all windows let through until the end; infinite if some let all through."""
        self.attempts = 0

    def admit(self, account: Account, windows: tuple[Window, ...], *, at: float) -> Account:
        """Open an account, and return it with its first credential."""
        kept = Subscription(windows, at=at, rng=self._rng)
        self.subscriptions[account.id] = kept
        most = kept.capacity(self._ends_at)
        self.capacity_tokens += inf if most is None else most
        return replace(account, credential=self._issue(account.id, kept, at=at))

    def send(self, account: Account, wish: Wish, *, at: float) -> Answer:
        """Take an attempt; call `finish` exactly once when it is over."""
        self.attempts += 1
        kept = self.subscriptions[account.id]
        kept.in_flight += 1
        kept.in_flight_max = max(kept.in_flight_max, kept.in_flight)
        family = self.families.get(wish.call.model, MAIN_FAMILY)
        answer = self._refusal(kept, account, family, wish, at) or self._mishap(kept, account)
        if answer is None:
            usage = Usage(input=wish.tokens)
            answer = Answer(wish.first_event_s, stream_s=wish.stream_s, tokens=wish.tokens)
            answer.end = Succeeded(wish.first_event_s, usage)
            kept.admit(family=family, at=at)
            if self._faults.cut_share and self._rng.random() < self._faults.cut_share:
                answer.end = Broken("stream_incomplete", sent=True)
                answer.stream_s *= self._rng.random()
        answer.family = family
        limited = answer.limited_until is not None
        if (answer.refusal is None or limited) and self._speaks():
            answer.view = kept.view(family, at=at)
            if isinstance(answer.refusal, Fault):
                answer.refusal = replace(answer.refusal, limits=answer.view)
        return answer

    def _speaks(self) -> bool:
        share = self._faults.unsaid_quota_share
        return not share or self._rng.random() >= share

    def finish(self, account_id: AccountId, answer: Answer, *, at: float) -> None:
        """Take note that the attempt is over; its tokens are counted now."""
        kept = self.subscriptions[account_id]
        kept.in_flight -= 1
        if answer.tokens:
            kept.spend(answer.tokens, family=answer.family, at=at)

    def probe(self, account_id: AccountId, *, at: float) -> QuotaView:
        """Return what the usage endpoint says."""
        return self.subscriptions[account_id].view(MAIN_FAMILY, at=at)

    def exchange(self, account: Account, *, at: float) -> Credential | None:
        """Exchange the refresh token of the account's credential; None if the account is lost.

        Raises:
            Violation: The token was spent already.
        """
        kept = self.subscriptions[account.id]
        kept.exchanges += 1
        if account.credential.generation != kept.generation:
            raise Violation("I5", f"{account.id} presented a refresh token that is spent")
        if kept.revoked or self._rng.random() < self._faults.revoked_share:
            kept.revoked = True
            return None
        kept.generation += 1
        return self._issue(account.id, kept, at=at)

    def _issue(self, account_id: AccountId, kept: Subscription, *, at: float) -> Credential:
        life = self._faults.token_lifetime_minutes
        ends_at = None if life is None else at + life * 60.0
        kept.expires_at[kept.generation] = ends_at
        kept.expires_at.pop(kept.generation - 8, None)
        return Credential(
            Secret(f"{account_id}/{kept.generation}"),
            generation=kept.generation,
            expires_at=None if ends_at is None else EPOCH + ends_at,
            renewable=life is not None,
        )

    def _refusal(
        self, kept: Subscription, account: Account, family: str, wish: Wish, at: float
    ) -> Answer | None:
        """Return the refusal of an attempt for which there is a reason, in the upstream's order."""
        if self._faults.outages and self._out(kept, at):
            return Answer(CONNECT_TIMEOUT_S, Broken("connection timed out", sent=False))
        if not kept.opens(account.credential.generation, at=at):
            return Answer(self._soon(), Fault(401, code="token_expired"))
        resets = kept.limited_until(family, at=at)
        if resets:
            # Of two limits it names one or the other, and not always the later one.
            until = max(resets) if self._rng.random() < 0.7 else min(resets)
            answer = self._limited(until, at)
            if self._rng.random() < 0.5:  # it says so inside the stream, where content would begin
                answer.after_s = wish.first_event_s
            return answer
        burst_concurrency = self._faults.burst_concurrency
        if burst_concurrency is not None and kept.in_flight > burst_concurrency:
            return self._burst()
        if self._faults.storms and self._stormy(at):
            return self._overloaded()
        return None

    def _out(self, kept: Subscription, at: float) -> bool:
        return any(
            0 <= at - outage.at_hour * HOUR_S < outage.minutes * 60.0
            and kept.luck < outage.accounts_share
            for outage in self._faults.outages
        )

    def _stormy(self, at: float) -> bool:
        return any(
            0 <= at - storm.at_hour * HOUR_S < storm.minutes * 60.0
            and self._rng.random() < storm.share
            for storm in self._faults.storms
        )

    def _limited(self, until: float, at: float) -> Answer:
        if self._rng.random() < self._faults.unnamed_resets_share:
            return Answer(self._soon(), Fault(429, code=LIMITED))
        fault = Fault(429, code=LIMITED, resets_at=EPOCH + until, resets_in_s=until - at)
        return Answer(self._soon(), fault, limited_until=until)

    def _likely(self, faults: Faults) -> list[tuple[float, Mishap]]:
        """Return what goes wrong by chance, each with its share."""
        mishaps: list[tuple[float, Mishap]] = [
            (faults.burst_share, lambda *_: self._burst()),
            (faults.overload_share, lambda *_: self._overloaded()),
            (faults.broken_share, lambda *_: Answer(1.0, Fault(502))),
            (faults.silent_share, lambda *_: self._silent()),
            (faults.left_share, lambda *_: Answer(self._rng.random() * 5.0, Abandoned())),
            (faults.refused_share, lambda *_: Answer(self._soon(), _TOO_LONG)),
            (faults.unreadable_share, lambda *_: Answer(self._soon(), _UNREADABLE)),
            (faults.token_refused_share, self._taken_back),
        ]
        return [(share, make) for share, make in mishaps if share]

    def _mishap(self, kept: Subscription, account: Account) -> Answer | None:
        if not self._mishaps:
            return None
        drawn = self._rng.random()
        for share, make in self._mishaps:
            drawn -= share
            if drawn < 0:
                return make(kept, account)
        return None

    def _burst(self) -> Answer:
        """Refuse for a few seconds, and name them about every other time."""
        if self._rng.random() < 0.5:
            return Answer(self._soon(), Fault(429, code="rate_limit_exceeded"))
        wait_s = round(1.0 + 10.0 * self._rng.random(), 3)
        return Answer(self._soon(), Fault(429, code="rate_limit_exceeded", resets_in_s=wait_s))

    def _silent(self) -> Answer:
        outcome = Broken("silent before any content", sent=True, silent=True)
        return Answer(self._silence_s, outcome)

    def _overloaded(self) -> Answer:
        return Answer(self._soon(), Fault(503, code="server_is_overloaded"))

    def _taken_back(self, kept: Subscription, account: Account) -> Answer:
        kept.refused_up_to = account.credential.generation
        return Answer(self._soon(), Fault(401, code="token_invalidated"))

    def _soon(self) -> float:
        """Return how long a refusal takes: mostly little, now and then seconds."""
        return 0.05 + REFUSED_IN_MAX_S * self._rng.random() ** 3
