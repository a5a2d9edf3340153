"""What is counted is what is shown, and no caller can make it grow without end."""

import pytest

from app import __version__
from app.domain.call import Dialect
from app.domain.outcome import RateLimited, Succeeded
from app.domain.usage import Usage
from app.pool.state import AccountState, Health
from app.telemetry.metrics import CODES_MAX, MODELS_MAX, Exposition, Gauges, Metrics
from tests.fakes.accounts import account, call


def gauges(*states: AccountState) -> Gauges:
    """Return gauges of a quiet gateway with these accounts."""
    return Gauges(
        accounts=lambda: states,
        waiting=lambda: 3,
        late=lambda: 2,
        loop_lag_s=lambda: 0.25,
        store_up=lambda: True,
    )


def page(metrics: Metrics, *states: AccountState) -> dict[str, float]:
    """Return the samples of a scrape."""
    text = Exposition(metrics, gauges(*states)).text().decode()
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


def test_streams_are_counted_while_they_last():
    """From their first content to their end."""
    metrics = Metrics()
    metrics.stream_began(call(), 0.3)
    metrics.stream_began(call(), 90.0)
    metrics.stream_ended()
    assert metrics.streams == 1
    seen = page(metrics)
    assert seen['codex2api_streams_in_flight{transport="sse"}'] == 1
    assert seen['codex2api_time_to_first_event_seconds_bucket{le="0.5"}'] == 1
    assert seen['codex2api_time_to_first_event_seconds_bucket{le="120.0"}'] == 2


def test_the_gauges_are_those_of_the_moment():
    """Accounts by health, calls in flight, and what the parts know."""
    seen = page(
        Metrics(),
        AccountState(account("a"), in_flight=2),
        AccountState(account("b"), in_flight=1),
        AccountState(account("c"), health=Health.BANNED),
    )
    healths = {health: seen[f'codex2api_accounts{{health="{health}"}}'] for health in Health}
    assert healths == {"ready": 2, "cooling": 0, "expired": 0, "banned": 1}
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
