"""The judge finds each kind of wrong by itself, and lets pass what is right."""

from random import Random

import pytest
from msgspec.structs import replace

from app.domain.outcome import Abandoned, RateLimited
from app.domain.quota import QuotaView, QuotaWindow
from app.pool.policy import Policy
from app.pool.pool import Lease
from app.pool.state import AccountState, Health
from app.simulation.checks import SWEEP_STEPS, THOROUGH_MAX, Judge
from app.simulation.load import Wish
from app.simulation.plan import Accounts, Plan
from app.simulation.timeline import EPOCH, Timeline
from app.simulation.trip import Flight, Trip
from app.simulation.upstream import Answer, SimulatedUpstream
from app.simulation.violation import Violation
from tests.fakes.accounts import account, call

_OVER = Abandoned()


class SmallPool:
    """Shows its states, as the real pool does."""

    def __init__(self, *states):
        self.states = list(states)
        self.policy = Policy(plans={"m9": frozenset({"pro"})})
        self.leases = 0

    def account(self, account_id):
        """Return an account that is not gone."""
        return next((s.account for s in self.states if s.account.id == account_id), None)


class SmallLine:
    """Shows who waits, as admission does."""

    def __init__(self, trips):
        self.trips = trips

    def __len__(self):
        return len(self.trips)

    def heads(self):
        """Return those whose turn is next."""
        return self.trips


class Court:
    """A judge, and what it looks at."""

    def __init__(self, **fields):
        self.time = Timeline()
        self.upstream = SimulatedUpstream(Plan(accounts=(Accounts(),)), rng=Random(1))
        one = account(**({"concurrency_max": 2, "plan": "free"} | fields))
        self.state = AccountState(self.upstream.admit(one, (), at=0.0))
        self.pool = SmallPool(self.state)
        self.judge = Judge(time=self.time, pool=self.pool, upstream=self.upstream, attempts_max=2)
        self.judge.look()
        self.number = 0

    def later(self, seconds):
        """Let time go by."""
        self.time.plan_in(seconds, lambda _: None)
        self.time.step()

    def arrive(self, *, only=None, excluding=frozenset(), **fields):
        """Return a call that has come."""
        self.number += 1
        wanted = call(**fields)
        wish = Wish(0.0, wanted, 1, 1.0, 1.0, bound=False)
        trip = Trip(wish, self.number, wanted, only, 1, excluding)
        self.judge.arrived(trip)
        return trip

    def send(self, trip=None, **answered):
        """Send an attempt of it, of a new call by default."""
        trip = trip or self.arrive()
        self.number += 1
        self.upstream.send(self.state.account, trip.wish, at=self.time.at)
        self.state.in_flight += 1
        answer = Answer(1.0, **answered)
        flight = Flight(trip, Lease(self.state.account, self.number), answer)
        self.judge.sent(flight)
        return flight

    def settle(self, flight, *, leak=0, outcome=_OVER):
        """End the attempt on both sides."""
        self.upstream.finish(self.state.account.id, flight.answer, at=self.time.at)
        self.state.in_flight -= 1 - leak
        self.judge.settled(flight, outcome)

    def sweep(self, *trips):
        """Let calls wait while the judge looks."""
        self.judge.step(SmallLine(trips))


def test_what_is_right_passes():
    """A call comes, goes out, is settled and ends."""
    court = Court()
    flight = court.send()
    court.judge.began(flight)
    court.settle(flight)
    court.judge.ended(flight.trip)
    court.sweep()
    court.judge.finish()


def test_more_calls_than_the_account_may_have_are_too_many():
    """The upstream counts them."""
    court = Court(concurrency_max=2)
    court.send()
    court.send()
    with pytest.raises(Violation, match="I7: a has 3 calls"):
        court.send()


@pytest.mark.parametrize("change", [{"attempt": 3}, {"begun": True}, {"ended": True}])
def test_an_attempt_too_many_is_found(change):
    """One over the budget, one after content, one after the end."""
    court = Court()
    with pytest.raises(Violation, match="I8"):
        court.send(replace(court.arrive(), **change))


@pytest.mark.parametrize(
    "wanted",
    [
        {"excluding": frozenset({"a"})},
        {"only": "b"},
        {"groups": ("g",)},
        {"tags": ("t",)},
        {"model": "m9"},
    ],
)
def test_a_call_that_went_to_the_wrong_account_is_found(wanted):
    """Excluded, of another owner, of another group, without the tag, not entitled."""
    court = Court(groups=("h",))
    with pytest.raises(Violation, match="A: "):
        court.send(court.arrive(**wanted))


def test_a_call_that_went_to_the_right_account_passes():
    """The owner, a group in common, all the tags, the plan."""
    court = Court(groups=("g", "h"), tags=("t", "u"), plan="pro")
    court.send(court.arrive(only="a", groups=("g", "x"), tags=("t",), model="m9"))


def test_nobody_is_asked_before_the_reset_that_it_named():
    """The reset is the upstream's own, however the pool counts."""
    court = Court()
    court.settle(court.send(limited_until=100.0))
    court.later(99.0)
    with pytest.raises(Violation, match=r"I9: a was asked 1\.000 s before"):
        court.send()
    fair = Court()
    fair.settle(fair.send(limited_until=100.0))
    fair.later(100.0)
    fair.send()


def test_a_limit_of_a_model_is_that_models():
    """Others may be asked for."""
    court = Court()
    flight = court.send(court.arrive(model="mini"), limited_until=100.0, family="spark")
    court.settle(flight)
    court.send(court.arrive(model="m1"))
    with pytest.raises(Violation, match="I9"):
        court.send(court.arrive(model="mini"))


def test_after_a_limit_one_call_at_a_time_finds_out_until_one_is_taken():
    """Nobody is trampled down at its reset; what was sent before the limit is no trial."""
    court = Court(concurrency_max=9)
    before = court.send()
    court.settle(court.send(limited_until=1.0))
    court.later(1.0)
    court.settle(court.send())
    court.judge.began(before)
    trial = court.send()
    with pytest.raises(Violation, match="I9: a is asked twice before it has taken a call"):
        court.send()
    court.judge.began(trial)
    court.send()
    court.send()


def test_a_full_quota_that_was_heard_of_ends_with_a_trial_too():
    """Heard of again it begins anew; who has no good credential comes back from no rest."""
    for health, trials in ((Health.READY, 1), (Health.EXPIRED, 2)):
        court = Court(concurrency_max=9)
        full = QuotaView((QuotaWindow("codex", 300, 1.0, EPOCH + 10.0),))
        court.state.health = health
        court.judge.heard("a", full)
        court.state.health = Health.READY
        court.later(10.0)
        for _ in range(trials):
            court.send()
        if trials == 1:
            with pytest.raises(Violation, match="I9: a is asked twice"):
                court.send()
            court.later(1.0)
            again = QuotaView((QuotaWindow("codex", 300, 1.0, EPOCH + 20.0),))
            court.judge.heard("a", again)
            court.later(9.0)
            court.send()


def test_a_rest_that_is_over_need_not_begin_again():
    """Where the clock was set back, its end may lie ahead; one that still rests goes on resting."""
    court = Court()
    court.state.ready_at = court.time.now + 100.0
    court.settle(court.send())
    court.state.ready_at -= 50.0
    court.settle(court.send())


def test_where_the_clock_was_set_a_call_may_find_out():
    """The gateway believes that the reset is over; what is named anew counts again."""
    court = Court()
    court.settle(court.send(limited_until=100.0))
    court.time.set_clock(1_000.0)
    court.judge.clock_was_set()
    court.settle(court.send())
    court.time.set_clock(-1_000.0)
    court.settle(court.send(limited_until=100.0))
    with pytest.raises(Violation, match="I9"):
        court.send()


def test_nobody_is_asked_whose_quota_is_known_to_be_used_up():
    """What was heard last counts, up to the threshold and until the reset."""

    def heard(used, reset_in_s, family="codex"):
        court = Court(pause_at=0.9)
        window = QuotaWindow(family, 300, used, EPOCH + reset_in_s)
        court.judge.heard("a", QuotaView((window,)))
        return court

    with pytest.raises(Violation, match=r"I9: a was asked with 0\.900 used"):
        heard(0.9, 10.0).send()
    heard(0.89, 10.0).send()
    heard(1.0, 0.0).send()
    heard(1.0, 10.0, "spark").send()
    stepped = heard(1.0, 10.0)
    stepped.judge.clock_was_set()
    stepped.send()
    forgotten = heard(1.0, 10.0)
    forgotten.judge.forget("a")
    forgotten.send()
    heard(1.0, 10.0).judge.heard("unknown", QuotaView())
    heard(1.0, 10.0).judge.forget("unknown")


def test_a_lease_that_is_not_given_back_is_found_at_once():
    """And at the end, if it was never settled."""
    court = Court()
    with pytest.raises(Violation, match="I6: a has 0 in flight, not 1"):
        court.settle(court.send(), leak=1)
    court = Court()
    flight = court.send()
    court.judge.ended(flight.trip)
    with pytest.raises(Violation, match="I6: a has 1 calls in flight"):
        court.judge.finish()
    court.pool.leases = 1
    with pytest.raises(Violation, match="I6: 1 leases are still out"):
        court.judge.finish()


def test_every_call_ends_once():
    """Neither twice nor never."""
    court = Court()
    trip = court.arrive()
    with pytest.raises(Violation, match="E: 1 calls never ended"):
        court.judge.finish()
    court.judge.ended(trip)
    with pytest.raises(Violation, match="E: req-1 ended twice"):
        court.judge.ended(trip)


def test_a_rest_that_becomes_shorter_is_found():
    """Of the account or of one model; one that is over may be forgotten."""
    court = Court()
    flights = [court.send(), court.send()]
    court.state.ready_at = court.time.now + 100.0
    court.state.health = Health.COOLING
    court.settle(flights[0])
    court.state.ready_at -= 1.0
    with pytest.raises(Violation, match=r"R: the rest of a is 1\.0 s shorter"):
        court.settle(flights[1])

    court = Court()
    court.upstream.families["m1"] = "spark"
    refused = RateLimited(court.time.now + 100.0, model="m1")
    court.state.model_ready_at["m1"] = court.time.now + 101.0
    court.settle(court.send(), outcome=refused)
    court.state.model_ready_at["m1"] = court.time.now + 100.0
    court.judge.heard("a", QuotaView())
    court.state.model_ready_at["m1"] = court.time.now + 99.0
    with pytest.raises(Violation, match="R: m1 rests shorter on a"):
        court.judge.heard("a", QuotaView())
    court.later(100.0)
    court.judge.heard("a", QuotaView())
    # A model of the main limit rests for nothing but refusals, whether they name their end or not.
    court.state.model_ready_at["m2"] = court.time.now + 9.0
    court.settle(court.send(), outcome=RateLimited(None, model="m2", burst=True))
    court.state.model_ready_at["m2"] -= 1.0
    with pytest.raises(Violation, match="R: m2 rests shorter on a"):
        court.judge.heard("a", QuotaView())


def test_what_was_forgotten_in_good_faith_is_not_missed():
    """The rest was over before the clock was set back, or the account was taken out."""
    for forget in (lambda judge: judge.clock_was_set(), lambda judge: judge.forget("a")):
        court = Court()
        court.state.model_ready_at["m1"] = court.time.now + 1.0
        court.settle(court.send(), outcome=RateLimited(court.time.now + 1.0, model="m1"))
        court.later(2.0)
        court.state.model_ready_at.clear()
        court.time.set_clock(-60.0)
        forget(court.judge)
        court.judge.heard("a", QuotaView())


def test_a_trial_is_over_once_the_upstream_has_taken_it():
    """A call from before the rest is no trial."""
    court = Court()
    before = court.send()
    court.state.health = Health.PROBING
    trial = court.send()
    court.judge.began(before)
    with pytest.raises(Violation, match="R: a is on trial after a success"):
        court.judge.began(trial)
    court.state.health = Health.READY
    court.judge.began(trial)


def test_a_trial_that_a_new_rest_has_overtaken_decides_nothing():
    """The next one does."""
    court = Court()
    court.state.health = Health.PROBING
    overtaken = court.send()
    court.state.health = Health.COOLING
    court.judge.heard("a", QuotaView())
    court.state.health = Health.PROBING
    court.judge.began(overtaken)
    with pytest.raises(Violation, match="R: a is on trial after a success"):
        court.judge.began(court.send())


def test_who_waits_while_there_is_room_is_found():
    """Room is what the upstream counts, and an account whose rest is over has it."""
    court = Court(concurrency_max=1)
    with pytest.raises(Violation, match="S: req-1 waits since None, a has room"):
        court.sweep(court.arrive())
    court.state.health = Health.COOLING
    court.state.ready_at = court.time.now - 1.0
    with pytest.raises(Violation, match="S"):
        court.sweep(court.arrive())
    court.state.health = Health.PROBING
    with pytest.raises(Violation, match="S"):
        court.sweep(court.arrive())


def test_who_waits_for_good_reason_is_left_alone():
    """The account is full, rests, lost its credential, is gone, or may not serve the call."""
    court = Court(concurrency_max=1)
    court.sweep(court.arrive(only="b"))
    court.sweep(court.arrive(model="m9"))
    court.state.model_ready_at["m1"] = court.time.now + 1.0
    court.sweep(court.arrive())
    court.state.model_ready_at.clear()
    court.state.health = Health.EXPIRED
    court.sweep(court.arrive())
    court.state.health = Health.COOLING
    court.state.ready_at = court.time.now + 1.0
    court.sweep(court.arrive())
    court.state.health = Health.READY
    court.pool.states.clear()
    court.sweep(court.arrive())
    court.send()
    court.sweep(court.arrive())


def test_many_accounts_are_looked_at_now_and_then():
    """A look at all of them after every step would take longer than the run."""
    court = Court()
    for number in range(THOROUGH_MAX):
        one = court.upstream.admit(account(f"b{number}"), (), at=0.0)
        court.pool.states.append(AccountState(one))
    court.judge.look()
    court.judge.look()
    trip = court.arrive()
    for _ in range(SWEEP_STEPS * (THOROUGH_MAX + 1) - 1):
        court.sweep(trip)
    with pytest.raises(Violation, match="S"):
        court.sweep(trip)
