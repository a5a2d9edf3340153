"""What is counted is what is shown, and no caller can make it grow without end."""

import asyncio

import pytest

from app import __version__
from app.domain.call import Dialect
from app.domain.outcome import RateLimited, Succeeded
from app.domain.runtime import Strategy
from app.domain.usage import Usage
from app.pool.state import AccountState, Health
from app.telemetry.account_counts import AccountCounts
from app.telemetry.exposition import Exposition
from app.telemetry.metrics import CODES_MAX, MODELS_MAX, Gauges, Metrics
from tests.fakes.accounts import account, call


def gauges(*states: AccountState) -> Gauges:
    """Return gauges of a quiet gateway with these accounts."""
    return Gauges(
        accounts=lambda: states,
        waiting=lambda: 3,
        late=lambda: 2,
        loop_lag_s=lambda: 0.25,
        store_up=lambda: True,
        shared=lambda: (False, 7.5),
    )


def page(metrics: Metrics, *states: AccountState) -> dict[str, float]:
    """Return the samples of a scrape."""
    text = asyncio.run(Exposition(metrics, gauges(*states)).text()).decode()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_request_is_counted_by_what_it_came_to():
    """Dialect, model and public code; a status stands in where there is no code."""
    metrics = Metrics()
    metrics.call(Dialect.CHAT, call(), 200, "ok", 0.02)
    metrics.call(Dialect.CHAT, call(), 499, "ok", 0.02)
    metrics.call(Dialect.RESPONSES, None, 401, "invalid_api_key", 0.001)
    seen = page(metrics)
    requests = "codex2api_requests_total"
    assert seen[requests + '{code="ok",dialect="chat",model="m1"}'] == 1
    assert seen[requests + '{code="499",dialect="chat",model="m1"}'] == 1
    assert seen[requests + '{code="invalid_api_key",dialect="responses",model="none"}'] == 1
    assert seen['codex2api_request_seconds_bucket{le="0.005"}'] == 1
    assert seen['codex2api_request_seconds_bucket{le="0.025"}'] == 3
    assert seen['codex2api_request_seconds_bucket{le="+Inf"}'] == 3
    assert seen["codex2api_request_seconds_sum"] == pytest.approx(0.041)


def test_an_attempt_is_counted_by_its_outcome_and_its_tokens():
    """As the upstream counted them."""
    metrics = Metrics()
    metrics.attempt(call(), account(), RateLimited(None))
    metrics.attempt(call(), account(), Succeeded(0.1))
    usage = Usage(input=10, cached=4, output=5, reasoning=2)
    metrics.attempt(call(), account(), Succeeded(0.1, usage))
    seen = page(metrics)
    assert seen['codex2api_attempts_total{outcome="ratelimited"}'] == 1
    assert seen['codex2api_attempts_total{outcome="succeeded"}'] == 2
    kinds = ("input", "cached", "output", "reasoning")
    tokens = [seen[f'codex2api_tokens_total{{kind="{kind}",model="m1"}}'] for kind in kinds]
    assert tokens == [10, 4, 5, 2]


def test_an_attempt_is_also_counted_for_its_account():
    """If somebody keeps those counts."""
    counts = AccountCounts(now=lambda: 0.0)
    metrics = Metrics(accounts=counts)
    metrics.attempt(call(), account("a"), RateLimited(None))
    lines = asyncio.run(Exposition(metrics, gauges(), counts).text()).decode().splitlines()
    for counted in (
        'account_requests_total{account="a",outcome="ratelimited"}',
        'attempts_total{outcome="ratelimited"}',
    ):
        assert lines.count(f"codex2api_{counted} 1.0") == 1


def test_a_selection_is_counted_by_the_strategy_and_why_it_was_made():
    """By the strategy's own choice, for one of the known reasons, or for another."""
    metrics = Metrics()
    for reason in ("balanced", "session", "owner", "preferred", "only", "whim", "fancy"):
        metrics.leased(call(), reason, 0.0)
    metrics.strategy = Strategy.FILL_FIRST
    metrics.leased(call(), "fill_first", 0.0)
    seen = page(metrics)
    selections = 'codex2api_selection_total{{reason="{}",strategy="balanced"}}'
    reasons = ("choice", "session", "owner", "preferred", "only", "other")
    assert [seen[selections.format(reason)] for reason in reasons] == [1, 1, 1, 1, 1, 2]
    assert seen['codex2api_selection_total{reason="choice",strategy="fill_first"}'] == 1


def test_every_wait_in_line_is_measured():
    """No wait is one of zero seconds; a wait in vain counts like any other."""
    metrics = Metrics()
    metrics.leased(call(), "balanced", 0.0)
    metrics.leased(call(), "balanced", 0.2)
    metrics.refused(call(), "pool_busy", 30.0)
    seen = page(metrics)
    assert seen['codex2api_queue_wait_seconds_bucket{le="0.005"}'] == 1
    assert seen['codex2api_queue_wait_seconds_bucket{le="0.25"}'] == 2
    assert seen['codex2api_queue_wait_seconds_bucket{le="30.0"}'] == 3
    assert seen["codex2api_queue_wait_seconds_sum"] == pytest.approx(30.2)


def test_renewals_are_counted_by_their_result():
    """A result that never came is a zero, so that an alert can see it come."""
    metrics = Metrics()
    for result in ("renewed", "dead", "dead", "strange"):
        metrics.refreshed(result)
    seen = page(metrics)
    results = ("renewed", "failed", "dead", "other")
    counts = [seen[f'codex2api_credential_refresh_total{{result="{each}"}}'] for each in results]
    assert counts == [1, 0, 2, 1]


def test_streams_are_counted_while_they_last():
    """From their first content to their end."""
    metrics = Metrics()
    metrics.stream_began(call(), 0.3)
    metrics.stream_began(call(), 90.0)
    metrics.stream_ended(call())
    assert metrics.streams == 1
    seen = page(metrics)
    assert seen['codex2api_streams_in_flight{transport="sse"}'] == 1
    assert seen['codex2api_time_to_first_event_seconds_bucket{le="0.5"}'] == 1
    assert seen['codex2api_time_to_first_event_seconds_bucket{le="120.0"}'] == 2


@pytest.mark.parametrize(("stream", "status", "count"), [
    (True, 200, 1), (True, 499, 1), (True, 503, 0), (False, 200, 0),
])  # fmt: skip
def test_streams_are_timed_to_their_end(stream, status, count):
    """Those that came to be streams; every request is timed besides."""
    metrics = Metrics()
    metrics.call(Dialect.CHAT, call(stream=stream), status, "ok", 3.0)
    seen = page(metrics)
    assert seen["codex2api_stream_seconds_count"] == count
    assert seen["codex2api_request_seconds_count"] == 1


def test_pieces_of_streams_are_counted():
    """By the clock that the metrics were given; see `app.telemetry.flow`."""
    metrics = Metrics(monotonic=lambda: 4.0)
    assert metrics.passed(1.0, 2.0, 3.5) == 4.0
    seen = page(metrics)
    for part in ("upstream", "gateway", "caller"):
        assert seen[f'codex2api_event_added_latency_seconds_count{{part="{part}"}}'] == 1


def test_the_gauges_are_those_of_the_moment():
    """Accounts by health, calls in flight, and what the parts know."""
    seen = page(
        Metrics(),
        AccountState(account("a"), in_flight=2),
        AccountState(account("b"), in_flight=1),
        AccountState(account("c"), health=Health.BANNED),
    )
    healths = {health: seen[f'codex2api_accounts{{health="{health}"}}'] for health in Health}
    assert healths == {"ready": 2, "cooling": 0, "probing": 0, "expired": 0, "banned": 1}
    assert seen["codex2api_leases"] == 3
    assert seen["codex2api_queue_depth"] == 3
    assert seen["codex2api_late_requests"] == 2
    assert seen["codex2api_loop_lag_seconds"] == 0.25
    assert seen["codex2api_store_up"] == 1
    assert seen[f'codex2api_build_info{{version="{__version__}"}}'] == 1
    assert seen["process_open_fds"] > 0


def test_models_and_codes_are_bounded():
    """A caller that invents names, or an upstream that does, fills one more label and no memory."""
    metrics = Metrics()
    for number in range(1_000):
        model = call(model=f"m{number}")
        metrics.call(Dialect.CHAT, model, 400, f"code{number}", 0.1)
        metrics.attempt(model, account(), Succeeded(0.1, Usage(input=1)))
    seen = page(metrics)
    requests = [name for name in seen if name.startswith("codex2api_requests_total")]
    assert len(requests) <= CODES_MAX + MODELS_MAX + 1
    assert seen['codex2api_requests_total{code="other",dialect="chat",model="other"}'] > 800
    assert len(metrics._models) + len(metrics._codes) == MODELS_MAX + CODES_MAX
    assert seen['codex2api_tokens_total{kind="input",model="other"}'] == 1_000 - MODELS_MAX
    assert seen['codex2api_tokens_total{kind="input",model="m0"}'] == 1
