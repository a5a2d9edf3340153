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


@pytest.mark.parametrize(("outcome", "verdict", "error"), ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("attempt", [4, 5])
def test_at_the_last_attempt_the_outcome_is_the_answer(outcome, verdict, error, attempt):
    """Only without its encrypted items a request may go once more."""
    said = judge(outcome, attempt=attempt, attempts_max=4, rng=Random(1))
    if verdict is Strip:
        assert said == Strip()
    else:
        assert (said.error.status, said.error.code, said.error.retry_after_s) == error
    word = last_word(outcome)
    assert (word.status, word.code, word.retry_after_s) == error


def test_a_refusal_keeps_the_upstreams_words():
    """The caller can act on them."""
    word = last_word(Refused(422, "c", "t", "no", "p"))
    assert (word.message, word.type, word.param) == ("no", "t", "p")
    assert last_word(Overloaded("busy now")).message == "The upstream is overloaded: busy now"
    assert last_word(Unsuited("m", "not here")).message == "not here"


@pytest.mark.parametrize("outcome", [Succeeded(0.1), Abandoned()])
def test_what_is_no_failure_has_no_verdict(outcome):
    """Asking for one is a defect."""
    with pytest.raises(AssertionError, match=type(outcome).__name__):
        judge(outcome, attempt=1, attempts_max=4, rng=Random(1))
    with pytest.raises(AssertionError, match=type(outcome).__name__):
        last_word(outcome)


def test_an_outcome_that_nobody_thought_of_is_a_defect():
    """The type checker finds it first."""
    with pytest.raises(AssertionError):
        judge("surprise", attempt=1, attempts_max=4, rng=Random(1))
    with pytest.raises(AssertionError):
        last_word("surprise")
