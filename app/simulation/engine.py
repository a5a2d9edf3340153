"""Plays a plan: the production pool, health and verdict, in virtual time, with a judge beside.

Everything that decides is the product's own code; what is simulated is the world around it: the
callers, the upstream, the clock. There is no event loop and no socket, so a call costs some tens of
microseconds. The same plan gives the same decisions, to the last one; `Ledger.digest` tells.
Only the order of things that the relay leaves to the event loop is decided here.
"""

from collections.abc import Callable
from random import Random
from typing import Final, assert_never

from app.domain.account import AccountId
from app.domain.outcome import Abandoned, Broken, Outcome, RateLimited, Succeeded
from app.errors import CapacityError, ContextUnavailable, UpstreamRefused
from app.limits import Limits
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool, Lease
from app.relay.budget import RetryBudget
from app.relay.diagnosis import Fault, diagnose
from app.relay.verdict import GiveUp, Renew, Strip, TryAgain, TryAnother, judge, last_word
from app.simulation import ledger as decisions
from app.simulation.admission import Admission
from app.simulation.checks import Judge
from app.simulation.ledger import BUCKETS, Ledger
from app.simulation.load import HOUR_S, Arrivals
from app.simulation.operator import Operator, policy
from app.simulation.plan import Plan
from app.simulation.renewals import Renewals
from app.simulation.timeline import Timeline
from app.simulation.trip import Flight, Trip
from app.simulation.upstream import SimulatedUpstream

SAMPLE_MAX: Final = 200
"""Accounts that are looked at for the used quota of a moment."""
SESSIONS_TTL_S: Final = 3_600.0
_LIMITED: Final = "usage_limit_reached"
_GONE: Final = ContextUnavailable.code


class Simulation:
    """One run of one plan."""

    def __init__(self, plan: Plan) -> None:
        def source(name: str) -> Random:
            return Random(f"{plan.seed}/{name}")  # noqa: S311 - chance that can be repeated

        self.plan = plan
        self.time = Timeline()
        self.ledger = Ledger(length_s=plan.hours * HOUR_S)
        self.upstream = SimulatedUpstream(plan, rng=source("upstream"))
        self.pool = AccountPool(
            rng=source("pool"),
            affinity=AffinityTable(entries_max=Limits().sessions_max, ttl_s=SESSIONS_TTL_S),
            policy=policy(plan),
        )
        self.admission = Admission(
            time=self.time,
            pool=self.pool,
            gateway=plan.gateway,
            granted=self._send,
            refused=self._turn_away,
        )
        self.judge = Judge(
            time=self.time,
            pool=self.pool,
            upstream=self.upstream,
            attempts_max=plan.gateway.attempts_max,
        )
        self.renewals = Renewals(
            time=self.time,
            pool=self.pool,
            upstream=self.upstream,
            faults=plan.faults,
            rng=source("renewals"),
            changed=self.admission.serve_line,
        )
        self.operator = Operator(
            time=self.time,
            pool=self.pool,
            upstream=self.upstream,
            renewals=self.renewals,
            judge=self.judge,
            rng=source("operator"),
            changed=self.admission.serve_line,
        )
        self._arrivals = Arrivals(plan.load, rng=source("load"))
        self._rng = source("relay")
        self._owners: dict[str, AccountId] = {}
        self._budget = RetryBudget()
        self._calls = 0
        self._on_progress: Callable[[], None] | None = None

    def run(self, on_progress: Callable[[], None] | None = None) -> Ledger:
        """Play from the start until the last call has ended.

        `on_progress` hears each bucket; without it nobody looks at how much quota is used.

        Raises:
            Violation: Something happened that must never happen.
        """
        self._on_progress = on_progress
        self.renewals.ends_at = self.ledger.length_s
        self.operator.start(self.plan)
        for bucket in range(BUCKETS if on_progress else 0):
            self.time.plan((bucket + 1) * self.ledger.bucket_s, self._sample, bucket)
        self.time.plan(self.plan.gateway.probe_interval_s, self._probe)
        self._plan_arrival()
        step, look, admission = self.time.step, self.judge.step, self.admission
        while step():
            look(admission)
        self.judge.finish()
        self.ledger.queued = admission.queued
        self.ledger.attempts = self.upstream.attempts
        return self.ledger

    # Calls

    def _plan_arrival(self) -> None:
        wish = self._arrivals.draw()
        if wish.at < self.ledger.length_s:
            self._calls += 1
            self.time.plan(wish.at, self._arrive, Trip(wish, self._calls, wish.call))

    def _arrive(self, trip: Trip) -> None:
        self._plan_arrival()
        self.ledger.arrived += 1
        self.ledger.wished_tokens += trip.wish.tokens
        self.judge.arrived(trip)
        self._budget.count(self.time.at)
        if trip.wish.bound and trip.call.session_key is not None:
            trip.only = self._owners.get(trip.call.session_key)
        self._seek(trip)

    def _seek(self, trip: Trip) -> None:
        """Have the next attempt made, once there is an account."""
        trip.attempt += 1
        self.admission.lease(trip)

    def _send(self, trip: Trip, lease: Lease) -> None:
        account_id = lease.account.id
        self.ledger.note(decisions.LEASED, self.time.at, self.operator.ordinals[account_id])
        answer = self.upstream.send(lease.account, trip.wish, at=self.time.at)
        flight = Flight(trip, lease, answer)
        self.judge.sent(flight)
        act = self._begin if answer.refusal is None else self._fail
        self.time.plan_in(answer.after_s, act, flight)

    def _begin(self, flight: Flight) -> None:
        """The first content is there."""
        self._hear(flight)
        lease = flight.lease
        self.pool.began(lease, first_event_s=flight.answer.after_s, now=self.time.now)
        flight.trip.begun = True
        self.judge.began(flight)
        self.admission.began(lease.account.id)
        self.time.plan_in(flight.answer.stream_s, self._end, flight)

    def _end(self, flight: Flight) -> None:
        """The reply is over, well or not."""
        outcome = flight.answer.end
        self._settle(flight, outcome)
        trip, at = flight.trip, self.time.at
        session = trip.call.session_key
        if self.plan.load.bound_share and session is not None:
            self._owners[session] = flight.lease.account.id
        self._over(trip)
        if isinstance(outcome, Succeeded):
            self.ledger.note(decisions.SERVED, at, trip.number)
            self.ledger.note_served(at, trip.waited_s, outcome.usage)
        else:
            self.ledger.note(decisions.BROKEN, at, trip.number)
            self.ledger.broken += 1

    def _fail(self, flight: Flight) -> None:
        """The attempt failed before any content: settle it, and do what the verdict says."""
        refusal = flight.answer.refusal
        assert refusal is not None  # noqa: S101 - it is what this was called for
        model = flight.trip.call.model
        outcome: Outcome
        if isinstance(refusal, Fault):
            outcome = diagnose(refusal, model=model, now=self.time.now)
        else:
            outcome = refusal
        self._hear(flight)
        self._settle(flight, outcome)
        if isinstance(outcome, Abandoned):
            self._over(flight.trip)
            self.ledger.left += 1
            self.ledger.note(decisions.LEFT, self.time.at, flight.trip.number)
        else:
            self._heed(flight, outcome)

    def _heed(self, flight: Flight, outcome: Outcome) -> None:
        """Do with the call what the relay does."""
        trip, account_id = flight.trip, flight.lease.account.id
        trip.last_word = last_word(outcome)
        verdict = judge(
            outcome,
            attempt=trip.attempt,
            attempts_max=self.plan.gateway.attempts_max,
            rng=self._rng,
            budget=self._budget,
            now=self.time.at,
        )
        match verdict:
            case GiveUp():
                self._refuse(trip, verdict.error.code, limited=isinstance(outcome, RateLimited))
            case TryAnother():
                again = trip.only is not None and isinstance(outcome, Broken)
                if not (again or isinstance(outcome, RateLimited)):
                    trip.excluding |= {account_id}
                self._seek(trip)
            case TryAgain():
                trip.avoiding |= {account_id}
                self.time.plan_in(verdict.after_s, self._seek, trip)
            case Renew():
                self._renew(flight)
            case Strip() if trip.stripped:
                self._refuse(trip, trip.last_word.code, limited=False)
            case Strip():
                trip.stripped = True
                self._seek(trip)
            case _:
                assert_never(verdict)

    def _renew(self, flight: Flight) -> None:
        trip, account = flight.trip, flight.lease.account

        def then(renewed: bool) -> None:  # noqa: FBT001 - an answer to a question
            if renewed and account.id not in trip.renewed:
                trip.renewed |= {account.id}
                trip.preferring = account.id
            else:
                trip.excluding |= {account.id}
            self._seek(trip)

        self.renewals.demand(account.id, account.credential.generation, then)

    def _hear(self, flight: Flight) -> None:
        view = flight.answer.view
        if view is not None:
            account_id = flight.lease.account.id
            self.pool.observe(account_id, view, model=flight.trip.call.model, now=self.time.now)
            self.judge.heard(account_id, view)

    def _settle(self, flight: Flight, outcome: Outcome) -> None:
        self.upstream.finish(flight.lease.account.id, flight.answer, at=self.time.at)
        self.pool.settle(flight.lease, outcome, now=self.time.now)
        self.judge.settled(flight, outcome)
        self.admission.settled(flight.lease.account.id)

    def _turn_away(self, trip: Trip, error: CapacityError) -> None:
        """Refuse with how the attempts failed, if that says more than that nobody is left."""
        last, said = trip.last_word, error.code
        if trip.only is not None and said != "pool_busy":
            said = last.code if isinstance(last, UpstreamRefused) else _GONE
        elif last is not None and said == "pool_empty":
            said = last.code
        self._refuse(trip, said, limited=False)

    def _over(self, trip: Trip) -> None:
        self.judge.ended(trip)
        trip.ended = True

    def _refuse(self, trip: Trip, code: str, *, limited: bool) -> None:
        self._over(trip)
        at = self.time.at
        self.ledger.note(decisions.REFUSED, at, trip.number)
        self.ledger.note_refused(at, code, limited=limited or code == _LIMITED)

    # What goes on besides

    def _probe(self, _: None) -> None:
        """Ask for the usage of the accounts that have no traffic."""
        interval_s = self.plan.gateway.probe_interval_s
        now = self.time.now
        for state in list(self.pool.states):
            if state.heard_at + interval_s <= now:
                account_id = state.account.id
                seen = self.upstream.probe(account_id, at=self.time.at)
                self.pool.observe(account_id, seen, model=None, now=now)
                self.judge.heard(account_id, seen)
        self.admission.serve_line()
        if self.time.at + interval_s < self.ledger.length_s:
            self.time.plan_in(interval_s, self._probe)

    def _sample(self, bucket: int) -> None:
        at = self.time.at
        kept = list(self.upstream.subscriptions.values())
        sample = kept[:: 1 + len(kept) // SAMPLE_MAX]
        self.ledger.used_in[bucket] = sum(s.used_share(at=at) for s in sample) / len(sample)
        if self._on_progress is not None:
            self._on_progress()
