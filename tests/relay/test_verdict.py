"""Every outcome, in the middle and at the last attempt: what becomes of the call."""

from random import Random

import pytest

from app.domain.outcome import (
    Abandoned,
    Broken,
    Misread,
    Overloaded,
    RateLimited,
    Refused,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.relay.budget import RetryBudget
from app.relay.verdict import GiveUp, Renew, Strip, TryAgain, TryAnother, judge, last_word

FAILED = (502, "upstream_error", 1.0)
ROWS = {
    "limit": (RateLimited(9.0), TryAnother, (429, "upstream_error", 1.0)),
    "refused credential": (Unauthorized(dead=False, reason="x"), Renew, FAILED),
    "dead credential": (Unauthorized(dead=True, reason="x"), TryAnother, FAILED),
    "overload": (Overloaded("busy"), TryAgain, (503, "upstream_error", 1.0)),
    "unreachable": (Unreachable("proxy"), TryAgain, FAILED),
    "broken": (Broken("cut", sent=True), TryAnother, FAILED),
    "never sent": (Broken("no", sent=False), TryAnother, FAILED),
    "silent": (Broken("idle", sent=True, silent=True), TryAnother, (504, "upstream_timeout", 1.0)),
    "unsuited": (Unsuited("m", "not here"), TryAnother, (404, "model_not_found", None)),
    "misread": (Misread(400, b""), Strip, (400, "invalid_encrypted_content", None)),
    "refused": (Refused(422, "c", "t", "no", "p"), GiveUp, (422, "c", None)),
    "too large": (Refused(413, None, None, "no"), GiveUp, (413, "payload_too_large", None)),
    "refused without a code": (
        Refused(400, None, None, "no"),
        GiveUp,
        (400, "invalid_request", None),
    ),
}


@pytest.mark.parametrize(("outcome", "verdict", "_"), ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_while_attempts_are_left_the_outcome_says_what_next(outcome, verdict, _, attempt):
    """Another account, the same one after a while or renewed, or the end."""
    said = judge(outcome, attempt=attempt, attempts_max=4, rng=Random(1))
    assert type(said) is verdict
    if isinstance(said, TryAgain):
        assert 0.1 * 2 ** (attempt - 1) <= said.after_s <= 0.2 * 2 ** (attempt - 1)


def test_the_waits_of_an_overloaded_upstream_are_bounded():
    """However many attempts a call may have."""
    waits = [
        judge(Overloaded("busy"), attempt=n, attempts_max=99, rng=Random(n)).after_s
        for n in range(5, 99)
    ]
    assert 1.9 < max(waits) <= 2.0
    assert min(waits) >= 1.0


@pytest.mark.parametrize(("outcome", "verdict", "error"), ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("attempt", [4, 5])
def test_at_the_last_attempt_the_outcome_is_the_answer(outcome, verdict, error, attempt):
    """Whatever would have come next."""
    said = judge(outcome, attempt=attempt, attempts_max=4, rng=Random(1))
    assert isinstance(said, GiveUp), verdict
    assert (said.error.status, said.error.code, said.error.retry_after_s) == error
    word = last_word(outcome)
    assert (word.status, word.code, word.retry_after_s) == error


@pytest.mark.parametrize("name", ["overload", "unreachable", "broken", "never sent", "silent"])
def test_what_leaves_every_account_in_the_choice_is_paid_for(name):
    """With an empty budget the outcome is the answer, and says when to come back."""
    outcome, verdict, (status, code, _) = ROWS[name]
    budget = RetryBudget(retries_min=1)
    paid = {"attempts_max": 4, "rng": Random(1), "budget": budget, "now": 50.0}
    assert type(judge(outcome, attempt=1, **paid)) is verdict
    said = judge(outcome, attempt=1, **paid)
    assert (said.error.status, said.error.code) == (status, code)
    assert said.error.retry_after_s == 10.0
    assert judge(outcome, attempt=4, **paid).error.retry_after_s == 1.0


@pytest.mark.parametrize(
    "name", ["limit", "refused credential", "dead credential", "unsuited", "misread"]
)
def test_what_takes_an_account_out_of_the_choice_costs_nothing(name):
    """It bounds itself."""
    outcome, verdict, _ = ROWS[name]
    budget = RetryBudget(retries_min=0)
    said = judge(outcome, attempt=1, attempts_max=4, rng=Random(1), budget=budget, now=50.0)
    assert type(said) is verdict


def test_a_refusal_keeps_the_upstreams_words():
    """The caller can act on them."""
    word = last_word(Refused(422, "c", "t", "no", "p"))
    assert (word.message, word.type, word.param) == ("no", "t", "p")
    assert last_word(Overloaded("busy now")).message == "The upstream is overloaded: busy now"
    assert last_word(Unsuited("m", "not here")).message == "not here"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("limit", "Every account that was tried is at a limit."),
        ("refused credential", "Every attempt to reach the upstream failed."),
        ("unreachable", "Every attempt to reach the upstream failed."),
        ("silent", "The upstream was silent for too long."),
        ("misread", "The encrypted content in the request could not be verified."),
    ],
)
def test_an_end_that_the_upstream_did_not_word_says_what_happened(name, words):
    """And nothing of accounts or of how many there are."""
    assert last_word(ROWS[name][0]).message == words


@pytest.mark.parametrize("outcome", [Succeeded(0.1), Abandoned()])
def test_what_is_no_failure_has_no_verdict(outcome):
    """Asking for one is a defect."""
    words = f"^{type(outcome).__name__} ends no attempt before it has begun$"
    with pytest.raises(AssertionError, match=words):
        judge(outcome, attempt=1, attempts_max=4, rng=Random(1))
    with pytest.raises(AssertionError, match=words):
        last_word(outcome)


def test_an_outcome_that_nobody_thought_of_is_a_defect():
    """The type checker finds it first."""
    with pytest.raises(AssertionError):
        judge("surprise", attempt=1, attempts_max=4, rng=Random(1))
    with pytest.raises(AssertionError):
        last_word("surprise")
