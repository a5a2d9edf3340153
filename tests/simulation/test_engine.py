"""A run carries calls as the relay does, in virtual time."""

import pytest

from app.domain.runtime import Strategy
from app.simulation.engine import Simulation
from app.simulation.ledger import BUCKETS
from app.simulation.plan import (
    Accounts,
    Faults,
    Gateway,
    Leave,
    Load,
    Outage,
    Plan,
    Storm,
    Window,
)

HOURLY = Window(minutes=60, requests=30, first_reset_minutes=30)


def run(*, accounts=None, load=None, **parts):
    """Return a run of two hours, after it was played."""
    batch = Accounts(**({"windows": ()} | (accounts or {})))
    load = Load(**({"calls_per_minute": 2.0} | (load or {})))
    parts = {"hours": 2.0, "seed": 1} | parts
    simulation = Simulation(Plan(accounts=(batch,), load=load, **parts))
    simulation.run()
    return simulation


def test_without_limits_and_faults_every_call_is_served():
    """At the first attempt and without a wait."""
    ledger = run().ledger
    assert ledger.served == ledger.arrived == ledger.attempts > 200
    assert ledger.tokens == ledger.wished_tokens
    assert (ledger.refused, ledger.queued, ledger.broken, ledger.left) == ({}, 0, 0, 0)
    assert ledger.exhausted_at is None


def test_the_same_plan_decides_the_same():
    """Another seed or another strategy decides otherwise."""
    accounts = {"count": 3, "windows": (HOURLY,)}
    same = {run(accounts=accounts).ledger.digest for _ in range(2)}
    other = run(accounts=accounts, seed=2).ledger.digest
    strategy = run(accounts=accounts, gateway=Gateway(strategy=Strategy.FILL_FIRST)).ledger.digest
    assert len(same) == 1
    assert len({*same, other, strategy}) == 3


def test_progress_is_told():
    """In as many steps as there are buckets, with the use of the quota in each."""
    told = []
    batch = Accounts(windows=(HOURLY,))
    simulation = Simulation(Plan(accounts=(batch,), load=Load(calls_per_minute=1), hours=1.0))
    ledger = simulation.run(lambda: told.append(simulation.time.at))
    assert len(told) == BUCKETS
    assert told[-1] == pytest.approx(3_600.0)
    assert max(ledger.used_in) > 0.5


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("unsaid", [0.0, 1.0])
def test_traffic_is_back_within_five_seconds_of_a_reset(strategy, unsaid):
    """Whether the heads told of the limit or only a refusal did, and whoever is chosen how."""
    simulation = Simulation(
        Plan(
            accounts=(Accounts(count=3, windows=(HOURLY,)),),
            load=Load(calls_per_minute=120, stream_s_median=1, first_event_s_median=0.1),
            faults=Faults(unsaid_quota_share=unsaid),
            gateway=Gateway(strategy=strategy),
            hours=2.0,
        )
    )
    sent = []
    send = simulation.upstream.send

    def noted(account, wish, *, at):
        answer = send(account, wish, at=at)
        if answer.refusal is None:
            sent.append((at, account.id))
        return answer

    simulation.upstream.send = noted
    ledger = simulation.run()
    assert ledger.exhausted_at is not None
    for reset in (1_800.0, 5_400.0):
        assert any(reset <= at < reset + 5.0 for at, _ in sent), f"nobody after {reset}"
        assert not any(reset - 600.0 <= at < reset for at, _ in sent)
        back = {name for at, name in sent if reset <= at < reset + 60.0}
        assert len(back) == 3


def test_calls_wait_for_a_busy_account_in_their_order():
    """One place, long streams: some wait, and who waits too long is told to come back."""
    ledger = run(accounts={"concurrency_max": 1}, load={"calls_per_minute": 8.0}).ledger
    assert ledger.queued > 100
    assert ledger.refused.keys() == {"pool_busy"}
    assert 0.0 < max(ledger.waits) <= 30.1


def test_a_line_that_is_full_takes_nobody():
    """They are refused at once."""
    gateway = Gateway(queue_max=0)
    ledger = run(accounts={"concurrency_max": 1}, gateway=gateway).ledger
    assert ledger.refused.keys() == {"pool_busy"}
    assert ledger.queued == 0


def test_overload_is_invisible_while_attempts_are_left():
    """A storm costs attempts and time, hardly a call."""
    ledger = run(faults=Faults(storms=(Storm(at_hour=0.5, minutes=30, share=0.3),))).ledger
    assert ledger.attempts > ledger.arrived
    assert ledger.served >= ledger.arrived - 3


def test_an_outage_ends_in_errors_and_traffic_returns():
    """Every attempt fails while it lasts; afterwards the accounts are used again."""
    outage = Outage(at_hour=0.5, minutes=10)
    ledger = run(accounts={"count": 3}, faults=Faults(outages=(outage,))).ledger
    assert set(ledger.refused) <= {"upstream_error", "usage_limit_reached", "pool_busy"}
    half = BUCKETS // 2
    assert sum(ledger.served_in[half:]) > 90


def test_expired_credentials_are_renewed_within_the_call():
    """Nobody sees a 401, even where tokens are taken back before their time."""
    faults = Faults(token_lifetime_minutes=30, token_refused_share=0.05)
    ledger = run(accounts={"count": 2}, faults=faults).ledger
    assert ledger.served == ledger.arrived
    assert ledger.attempts > ledger.arrived


def test_an_account_that_is_lost_serves_until_its_token_ends():
    """Then its calls go elsewhere, and with nobody left they are refused."""
    faults = Faults(token_lifetime_minutes=60, revoked_share=1.0)
    ledger = run(faults=faults).ledger
    assert sum(ledger.served_in[: BUCKETS // 3]) > 60
    assert sum(ledger.served_in[BUCKETS * 5 // 8 :]) == 0
    assert sum(ledger.refused.values()) > 60


def test_callers_leave_replies_break_and_requests_are_bad():
    """Each is counted as what it is."""
    faults = Faults(left_share=0.1, cut_share=0.1, refused_share=0.1)
    ledger = run(faults=faults).ledger
    assert min(ledger.left, ledger.broken, ledger.refused["context_length_exceeded"]) > 8
    assert (
        ledger.left + ledger.broken + ledger.served + sum(ledger.refused.values()) == ledger.arrived
    )


def test_what_nobody_can_read_is_left_out_once():
    """The next attempt is without it; if that helps nothing, the call is refused."""
    ledger = run(faults=Faults(unreadable_share=0.2)).ledger
    refused = ledger.refused["invalid_encrypted_content"]
    assert 0 < refused < 0.1 * ledger.arrived
    assert ledger.served + refused == ledger.arrived
    assert ledger.attempts > ledger.arrived


def test_calls_with_state_go_to_their_owner_or_nowhere():
    """With the owner gone they are refused; the judge sees that none went elsewhere."""
    ledger = run(
        accounts={"count": 2},
        load={"bound_share": 1.0, "sessions_per_key": 3, "session_share": 1.0},
        changes=(Leave(at_hour=1.0),),
    ).ledger
    assert ledger.refused.keys() == {"response_context_unavailable"}
    assert ledger.served > 100


def test_what_failed_everywhere_says_how():
    """Not that nobody is left."""
    ledger = run(faults=Faults(broken_share=1.0), load={"calls_per_minute": 0.2}).ledger
    assert ledger.served == 0
    assert "upstream_error" in ledger.refused
