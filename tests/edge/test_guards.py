"""Tests of app.edge.guards."""

import pytest
from msgspec import structs

from app.edge.guards import ANONYMOUS, Guard
from app.errors import CallerError, NotAllowed, Unauthenticated
from tests.edge.asgi import CALLER, KEY, Callers
from tests.fakes.clock import FakeClock


def guard(callers: Callers, *, anonymous: bool = False) -> Guard:
    """Return a guard over some callers."""
    return Guard(callers=callers, clock=FakeClock(now=1_000.0), allow_anonymous=anonymous)


def test_a_key_opens_for_its_caller() -> None:
    """From memory: one look, no waiting."""
    callers = Callers()
    assert guard(callers).identify(KEY) is CALLER
    assert callers.asked == 1


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x"])
def test_what_is_no_key_is_refused(key) -> None:
    """401, and at most one look into memory: a flood of these reaches no database."""
    callers = Callers()
    with pytest.raises(Unauthenticated) as refused:
        guard(callers).identify(key)
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")
    assert callers.asked <= 1


@pytest.mark.parametrize(("changes", "code"), [
    ({"enabled": False}, "invalid_api_key"),
    ({"expires_at": 1_000.0}, "key_expired"),
    ({"expires_at": 999.0}, "key_expired"),
    ({"expires_at": 1_000.1}, None),
])  # fmt: skip
def test_a_key_may_have_stopped_to_open(changes, code) -> None:
    """Disabled ones are like unknown ones; expired ones are told so."""
    callers = Callers([(KEY, structs.replace(CALLER, **changes))])
    if code is None:
        assert guard(callers).identify(KEY).id == CALLER.id
        return
    with pytest.raises(Unauthenticated) as refused:
        guard(callers).identify(KEY)
    assert refused.value.code == code


def test_without_any_key_nobody_is_let_in() -> None:
    """503 that tells the operator what to do, never an open door."""
    with pytest.raises(CallerError) as refused:
        guard(Callers([])).identify(KEY)
    assert (refused.value.status, refused.value.code) == (503, "no_api_keys")
    assert "keys create" in refused.value.message


@pytest.mark.parametrize(("key", "caller"), [
    (None, ANONYMOUS), ("", ANONYMOUS), ("wrong", ANONYMOUS), (KEY, CALLER),
])  # fmt: skip
def test_where_everybody_may_come_in_nobody_is_refused(key, caller) -> None:
    """A known key is still its caller's."""
    assert guard(Callers(), anonymous=True).identify(key) is caller
    assert guard(Callers([]), anonymous=True).identify(key) is ANONYMOUS or key == KEY


def test_a_list_of_models_is_a_limit() -> None:
    """An empty one is none."""
    limited = structs.replace(CALLER, models=("a",))
    Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False).admit(limited, "a")
    guard(Callers()).admit(CALLER, "anything")
    with pytest.raises(NotAllowed) as refused:
        guard(Callers()).admit(limited, "b")
    assert (refused.value.status, refused.value.param) == (403, "model")
