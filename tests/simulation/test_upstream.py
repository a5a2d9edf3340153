"""The simulated upstream answers as a real one would, and keeps its own books."""

from collections import Counter
from random import Random

import pytest

from app.domain.outcome import Abandoned, Broken, Misread, RateLimited, Refused, Succeeded
from app.domain.quota import RESET_SLACK_S
from app.domain.usage import Usage
from app.relay.diagnosis import Fault, diagnose
from app.simulation.load import Wish
from app.simulation.plan import Accounts, Faults, Gateway, Load, Model, Outage, Plan, Storm, Window
from app.simulation.timeline import EPOCH
from app.simulation.upstream import SimulatedUpstream
from app.simulation.violation import Violation
from tests.fakes.accounts import account, call

LIMIT = Window(minutes=60, tokens=1_000, first_reset_minutes=60)


def wish(model="m1", tokens=100):
    """Return a call of 2 s and then 10 s."""
    return Wish(0.0, call(model=model), tokens, 2.0, 10.0, bound=False)


class World:
    """One upstream with one account."""

    def __init__(self, *windows, models=("m1",), **faults):
        models = tuple(Model(name=m, family="spark" if m == "mini" else "codex") for m in models)
        plan = Plan(
            accounts=(Accounts(),),
            load=Load(models=models),
            faults=Faults(**faults),
            gateway=Gateway(first_event_timeout_s=50.0),
        )
        self.upstream = SimulatedUpstream(plan, rng=Random(1))
        self.account = self.upstream.admit(account(), windows, at=0.0)

    def send(self, at=0.0, **wished):
        """Send an attempt that stays in flight."""
        return self.upstream.send(self.account, wish(**wished), at=at)

    def play(self, at=0.0, **wished):
        """Send an attempt and end it."""
        answer = self.send(at, **wished)
        self.upstream.finish(self.account.id, answer, at=at)
        return answer


def test_an_answer_takes_its_time_and_costs_its_tokens_at_the_end():
    """Until it has ended the windows do not know of it."""
    world = World(LIMIT)
    answer = world.send()
    assert answer.refusal is None
    assert (answer.after_s, answer.stream_s) == (2.0, 10.0)
    assert answer.end == Succeeded(2.0, Usage(input=100))
    assert answer.view == world.upstream.probe(world.account.id, at=0.0)
    assert answer.view.windows[0].used_ratio == 0.0
    world.upstream.finish(world.account.id, answer, at=12.0)
    assert world.send(12.0).view.windows[0].used_ratio == 0.1


def test_a_full_window_is_refused_with_its_reset():
    """The error names the true reset, in both ways, and its headers the use."""
    world = World(LIMIT)
    world.play(tokens=1_000)
    answer = world.play(600.0)
    assert answer.refusal == Fault(
        429,
        code="usage_limit_reached",
        resets_at=EPOCH + 3_600.0,
        resets_in_s=3_000.0,
        limits=answer.view,
    )
    assert answer.limited_until == 3_600.0
    assert answer.view.windows[0].used_ratio == 1.0
    assert answer.tokens == 0
    assert world.play(3_600.0).refusal is None


def test_of_two_limits_either_may_be_named():
    """The later one more often; the headers show both."""
    world = World(LIMIT, Window(minutes=1_440, tokens=1_000, first_reset_minutes=90))
    world.play(tokens=1_000)
    named = Counter(world.play().limited_until for _ in range(200))
    assert named.keys() == {3_600.0, 5_400.0}
    assert named[5_400.0] > 110


def test_a_head_may_say_nothing_of_the_quota():
    """Then a refusal is the first that the gateway hears of a limit."""
    world = World(LIMIT, unsaid_quota_share=1.0)
    assert world.play(tokens=1_000).view is None
    assert world.play().view is None
    world = World(LIMIT, unsaid_quota_share=0.5)
    assert 60 < sum(world.play(tokens=1).view is None for _ in range(200)) < 140


def test_a_limit_of_one_model_is_that_models():
    """The others of the account go on."""
    spark = Window(minutes=60, tokens=10, family="spark", first_reset_minutes=60)
    world = World(LIMIT, spark, models=("m1", "mini"))
    world.play(model="mini")
    refusal = world.play(model="mini").refusal
    limited = RateLimited(EPOCH + 3_600.0 + RESET_SLACK_S, model="mini")
    assert diagnose(refusal, model="mini", now=EPOCH) == limited
    assert world.play(model="m1").refusal is None


def test_a_reset_may_stay_unnamed():
    """Then there is nothing to hold the gateway to."""
    world = World(LIMIT, unnamed_resets_share=1.0)
    world.play(tokens=1_000)
    answer = world.play()
    assert answer.refusal == Fault(429, code="usage_limit_reached")
    assert answer.limited_until is None


def test_too_many_calls_at_once_are_a_burst():
    """About every other refusal says for how long."""
    world = World(burst_concurrency=1)
    assert world.send().refusal is None
    refusals = [world.play().refusal for _ in range(50)]
    assert {refusal.code for refusal in refusals} == {"rate_limit_exceeded"}
    named = [refusal.resets_in_s for refusal in refusals if refusal.resets_in_s is not None]
    assert 10 < len(named) < 40
    assert all(1.0 <= wait_s <= 11.0 for wait_s in named)
    kept = world.upstream.subscriptions[world.account.id]
    assert (kept.in_flight, kept.in_flight_max) == (1, 2)


@pytest.mark.parametrize(
    ("share", "after_s", "refusal"),
    [
        ("overload_share", None, Fault(503, code="server_is_overloaded")),
        ("broken_share", 1.0, Fault(502)),
        ("refused_share", None, Refused),
        ("unreadable_share", None, Misread(400, b"")),
        ("left_share", None, Abandoned()),
        (
            "silent_share",
            50.0,
            Broken("silent before any content", sent=True, silent=True),
        ),
    ],
)
def test_what_goes_wrong_by_chance(share, after_s, refusal):
    """A share of 1 meets every attempt, one of 0.2 about every fifth."""
    answer = World(**{share: 1.0}).play()
    assert answer.refusal == refusal or isinstance(answer.refusal, refusal)
    assert answer.after_s == after_s if after_s else 0.0 <= answer.after_s <= 5.0
    world = World(**{share: 0.2})
    refused = sum(world.play().refusal is not None for _ in range(500))
    assert 60 < refused < 140


def test_mishaps_exclude_one_another():
    """Their shares add up."""
    world = World(overload_share=0.3, broken_share=0.3, burst_share=0.4)
    statuses = Counter(world.play().refusal.status for _ in range(1_000))
    assert statuses.keys() == {503, 502, 429}
    assert min(statuses.values()) > 230


def test_a_reply_that_is_cut_has_begun():
    """It breaks off within its time."""
    answer = World(cut_share=1.0).play()
    assert answer.refusal is None
    assert answer.end == Broken("stream_incomplete", sent=True)
    assert 0.0 <= answer.stream_s < 10.0


def test_a_storm_refuses_its_share_while_it_lasts():
    """Before and after nothing is refused."""
    world = World(storms=(Storm(at_hour=1, minutes=10, share=0.5),))
    refused = [sum(world.play(at).refusal is not None for _ in range(200)) for at in (3599, 3600)]
    assert refused[0] == 0
    assert 60 < refused[1] < 140
    assert world.play(4_200.0).refusal is None


def test_an_outage_meets_a_share_of_the_accounts():
    """The same ones for as long as it lasts."""
    everybody = World(outages=(Outage(at_hour=0, minutes=1),))
    assert everybody.play().refusal == Broken("connection timed out", sent=False)
    assert everybody.play(60.0).refusal is None
    nobody = World(outages=(Outage(at_hour=0, minutes=1, accounts_share=0.0),))
    assert nobody.play().refusal is None


def test_an_access_token_that_has_ended_is_refused_until_it_is_renewed():
    """An exchange makes a new generation with a life of its own."""
    world = World(token_lifetime_minutes=1)
    assert world.play(59.0).refusal is None
    assert world.play(60.0).refusal == Fault(401, code="token_expired")
    credential = world.upstream.exchange(world.account, at=60.0)
    assert (credential.generation, credential.expires_at) == (1, EPOCH + 120.0)
    world.account = account(credential=credential)
    assert world.play(100.0).refusal is None


def test_an_access_token_may_be_taken_back_before_its_end():
    """From then on it is refused."""
    world = World(token_lifetime_minutes=600, token_refused_share=1.0)
    assert world.play().refusal == Fault(401, code="token_invalidated")
    assert world.play().refusal == Fault(401, code="token_expired")


def test_a_spent_refresh_token_is_a_violation():
    """The upstream would take the whole family back."""
    world = World(token_lifetime_minutes=1)
    world.upstream.exchange(world.account, at=0.0)
    with pytest.raises(Violation, match="I5: a presented a refresh token that is spent"):
        world.upstream.exchange(world.account, at=1.0)


def test_a_revoked_account_is_lost_for_good():
    """No later exchange brings it back."""
    world = World(token_lifetime_minutes=1, revoked_share=1.0)
    assert world.upstream.exchange(world.account, at=0.0) is None
    assert world.upstream.exchange(world.account, at=1.0) is None


def test_accounts_without_an_end_are_not_renewed():
    """Their credential has none, and there is no refresh token."""
    credential = World().account.credential
    assert (credential.expires_at, credential.renewable) == (None, False)


def test_the_capacity_adds_up_over_the_accounts():
    """One that has no limit makes it infinite."""
    world = World(LIMIT)
    assert world.upstream.capacity_tokens == 24_000
    world.upstream.admit(account("b"), (LIMIT,), at=0.0)
    assert world.upstream.capacity_tokens == 48_000
    world.upstream.admit(account("c"), (), at=0.0)
    assert world.upstream.capacity_tokens == float("inf")
