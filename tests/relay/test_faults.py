"""What keys and compatible servers say that went wrong."""

import msgspec
import pytest

from app.domain.account import AccountKind
from app.domain.outcome import RateLimited, Refused, Unauthorized, Unsuited
from app.relay.diagnosis import UNPAID_REST_S, read
from app.relay.faults import shown_by

NOW = 1_000_000.0
KEYED = (AccountKind.OPENAI, AccountKind.COMPATIBLE)


def shown(kind, status, body, headers=()):
    """Return what an error reply shows of an account."""
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return shown_by(read(status, list(headers), encoded), kind=kind, model="m", now=NOW)


@pytest.mark.parametrize("kind", KEYED)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}),
        (429, {"code": "billing_not_active"}),
        (403, {"code": "billing_hard_limit_reached"}),
        (402, {"message": "Insufficient Balance"}),
    ],
)
def test_a_key_that_nobody_pays_for_is_out(kind, status, error):
    """It takes its operator to bring it back."""
    outcome = shown(kind, status, {"error": error})
    assert isinstance(outcome, Unauthorized)
    assert outcome.dead


def test_a_codex_account_at_the_same_error_only_rests():
    """Its limits end by themselves."""
    outcome = shown(AccountKind.CODEX, 429, {"error": {"code": "insufficient_quota"}})
    assert outcome == RateLimited(NOW + UNPAID_REST_S)


@pytest.mark.parametrize("kind", KEYED)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"message": 'model "m" not found, try pulling it first'}}),
        (
            404,
            {"error": {"message": "The model `m` does not exist.", "param": "model", "code": 404}},
        ),
        (404, {"object": "error", "message": "The model `m` does not exist.", "code": 404}),
        (404, {"error": "model 'm' not found"}),
        (400, {"error": {"message": "m is not a valid model: unknown model"}}),
        (404, {"error": {"code": "model_not_found"}}),
    ],
)
def test_a_model_that_a_server_does_not_have_is_asked_for_elsewhere(kind, status, body):
    """In whatever words it says so."""
    assert isinstance(shown(kind, status, body), Unsuited)


@pytest.mark.parametrize("kind", KEYED)
def test_a_rate_limit_rests_one_model_for_as_long_as_the_upstream_says(kind):
    """By `retry-after`, or by the budget that has nothing left."""
    body = {"error": {"code": "rate_limit_exceeded", "type": "tokens"}}
    spent = [
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m30s"),
        ("x-ratelimit-remaining-requests", "5"),
        ("x-ratelimit-reset-requests", "9h"),
    ]
    assert shown(kind, 429, body, spent) == RateLimited(NOW + 90, model="m", burst=True)
    named = [("retry-after", "7"), *spent]
    assert shown(kind, 429, body, named) == RateLimited(NOW + 7, model="m", burst=True)
    assert shown(kind, 429, body) == RateLimited(None, model="m", burst=True)


@pytest.mark.parametrize("kind", KEYED)
def test_a_wrong_key_is_refused_and_a_wrong_request_is_the_callers(kind):
    """As everywhere."""
    assert shown(kind, 401, {"error": {"code": "invalid_api_key"}}) == Unauthorized(
        dead=False, reason="invalid_api_key"
    )
    said = {"error": {"message": "qwen3 does not support tools", "type": "invalid_request_error"}}
    assert isinstance(shown(kind, 400, said), Refused)
