"""Quota windows pause accounts and models, and take it back; nothing else is touched."""

import pytest

from app.domain.quota import MAIN_FAMILY, RESET_SLACK_S, Credits
from app.pool import pausing
from app.pool.pausing import Families, lift, pause, pause_anew
from app.pool.shelf import Place
from app.pool.state import MODELS_MAX, AccountState, Gauge, Health
from tests.fakes.accounts import account

NOW = 1_000.0
RESET = 2_000.0
UNTIL = RESET + RESET_SLACK_S


def place(**used: float) -> Place:
    """Return an account that has used so much of a window of each family."""
    windows = {(family, 300): Gauge(share, RESET, NOW, NOW) for family, share in used.items()}
    return Place(AccountState(account(), windows=windows))


def families(**known: str) -> Families:
    """Return what is known of models."""
    made = Families()
    for model, family in known.items():
        made.learn(model, family)
    return made


def test_a_family_is_learnt_once():
    """Only one that is new and special concerns accounts that were heard of before."""
    known = Families()
    assert not known.special
    assert not known.learn("m1", MAIN_FAMILY)
    assert not known.special
    assert known.learn("m2", "other")
    assert known.special
    assert not known.learn("m2", "other")
    assert not known.learn("m2", MAIN_FAMILY)
    assert not known.special
    assert known.known == {"m1": MAIN_FAMILY, "m2": MAIN_FAMILY}


def test_families_are_bounded(monkeypatch):
    """Whoever was first known is forgotten first; who is known takes no place."""
    monkeypatch.setattr(pausing, "FAMILIES_MAX", 2)
    known = families(m1="a", m2="b")
    known.learn("m2", "c")
    assert known.known == {"m1": "a", "m2": "c"}
    known.learn("m3", "d")
    assert known.known == {"m2": "c", "m3": "d"}


def test_a_full_main_window_pauses_the_account():
    """No model has a rest of its own for it."""
    found = place(codex=1.0)
    assert not pause(found, families(m1="other"), now=NOW)
    pause_anew(found, families(m1="other"), now=NOW)
    state = found.state
    assert (state.health, state.paused_until, state.model_ready_at) == (Health.COOLING, UNTIL, {})
    found.pause_at = 2.0
    pause_anew(found, families(m1="other"), now=NOW)
    assert state.health is Health.PROBING


def test_a_full_window_of_another_family_pauses_its_models():
    """And no others; the account goes on."""
    found, known = place(codex=0.5, other=1.0), families(m1="other", m2=MAIN_FAMILY, m3="third")
    assert pause(found, known, now=NOW)
    assert found.state.model_ready_at == {"m1": UNTIL}
    assert found.state.health is Health.READY


def test_a_pause_of_a_model_is_taken_back_when_the_windows_say_so():
    """Also if no model is known to be special any more; a rest of another kind stays."""
    found, known = place(other=1.0), families(m1="other", m2="other")
    pause(found, known, now=NOW)
    found.state.model_ready_at["m2"] = UNTIL + 50
    found.state.credits = Credits(available=True)
    pause(found, known, now=NOW)
    assert found.state.model_ready_at == {"m2": UNTIL + 50}
    found.state.credits = None
    pause(found, known, now=NOW)
    assert found.state.model_ready_at == {"m1": UNTIL, "m2": UNTIL + 50}
    pause(found, Families(), now=NOW)
    assert found.state.model_ready_at == {"m2": UNTIL + 50}
    assert found.pauses == {}


def test_the_models_of_one_account_are_bounded():
    """A limit that governs more of them than can rest pauses as many as can."""
    found = place(other=1.0)
    known = families(**{f"m{n}": "other" for n in range(MODELS_MAX + 9)})
    pause(found, known, now=NOW)
    assert len(found.state.model_ready_at) == MODELS_MAX


def test_what_a_pause_covers_is_shown_again():
    """A rest ends no earlier because a window was used up and is not any more."""
    found, known = place(other=1.0), families(m1="other", m2="other", m3="other")
    rests = found.state.model_ready_at
    rests.update(m1=NOW + 50, m2=UNTIL + 50)
    pause(found, known, now=NOW)
    assert rests == {"m1": UNTIL, "m2": UNTIL + 50, "m3": UNTIL}
    pause(found, known, now=NOW)
    lift(found, now=NOW)
    assert rests == {"m1": NOW + 50, "m2": UNTIL + 50}
    pause(found, known, now=NOW)
    lift(found, now=NOW + 50)
    assert rests == {"m2": UNTIL + 50}
    assert found.pauses == {}


@pytest.mark.parametrize(("health", "changed"), [(Health.READY, False), (Health.COOLING, True)])
def test_who_rests_is_filed_anew_each_time(health, changed):
    """The end of its rest may be another one."""
    found = place(codex=0.5)
    found.state.health, found.state.ready_at = health, RESET
    if health is Health.READY:
        found.state.ready_at = 0.0
    assert pause(found, Families(), now=NOW) is changed
