"""Bugs planted into the tasks that renew and relay, one of a kind: the simulation finds each.

What `test_planted.py` does for decisions, this does for what happens between two awaits. A bug may
hide on some days; on so many it must not. The seed that finds it is printed (`pytest -rP`).
"""

import sys

from app.accounts import credentials
from app.accounts.credentials import CredentialRenewer
from app.domain.outcome import Abandoned
from app.errors import StreamIncomplete
from app.pool import health
from app.relay import line
from app.relay.admission import Admission
from app.relay.attempt import Attempt
from app.relay.relay import Relay
from app.relay.silence import Silence
from app.simulation.violation import Violation
from tests.simulation.relay_days import Day
from tests.simulation.vault import Vault

SEEDS_MAX = 300


def found():
    """Return the first invariant that is broken on the first days, and fail if none is."""
    for seed in range(SEEDS_MAX):
        try:
            Day(seed).play()
        except Violation as violation:
            print(f"SIMULATION_SEED={seed} {violation}")  # noqa: T201 - what was asked for
            return violation.invariant
    raise AssertionError(f"nobody noticed in {SEEDS_MAX} days")


class _Forgetful(dict):
    """Flights that nobody shares."""

    def __contains__(self, _):
        return False

    def get(self, _):
        return None

    def __delitem__(self, key):
        self.pop(key, None)


def test_a_renewer_without_single_flight_is_found(monkeypatch):
    """Each who wants a renewal begins one of its own."""
    fly = CredentialRenewer._fly

    def bug(self, entry):
        if not isinstance(self._flights, _Forgetful):
            self._flights = _Forgetful()
        return fly(self, entry)

    monkeypatch.setattr(CredentialRenewer, "_fly", bug)
    assert found() == "I5"


def test_a_store_that_sets_without_comparing_is_found(monkeypatch):
    """What was bought with an old token replaces what somebody got who logged in since."""
    monkeypatch.setattr(Vault, "is_current", lambda *_: True)
    assert found() == "I5"


def test_an_exchange_without_an_intent_is_found(monkeypatch):
    """Two processes spend the same token."""
    monkeypatch.setattr(Vault, "intend", lambda *_: True)
    assert found() == "I5"


def test_an_unknown_outcome_that_is_not_waited_for_is_found(monkeypatch):
    """The token is presented again at once, while the server may still be at it."""
    monkeypatch.setattr(credentials, "settled_at", lambda _, *, now, **__: now)
    monkeypatch.setattr(credentials, "risk_at", lambda settled, *_, **__: settled)
    assert found() == "I5"


def test_a_renewal_that_ends_with_its_caller_is_found(monkeypatch):
    """The caller leaves, and what the exchange bought is stored by nobody."""

    async def bare(flight):
        return await flight

    monkeypatch.setattr(credentials.asyncio, "shield", bare)
    assert found() in {"I5", "L", "E"}


def test_a_lease_that_nobody_settles_when_the_caller_leaves_is_found(monkeypatch):
    """It is out for ever."""
    conclude = Attempt.conclude

    def bug(self, outcome):
        return outcome if isinstance(outcome, Abandoned) else conclude(self, outcome)

    monkeypatch.setattr(Attempt, "conclude", bug)
    assert found() == "I6"


def test_a_place_handed_to_a_caller_who_leaves_is_found(monkeypatch):
    """The caller left in the moment in which the line served it."""
    settle = Admission.settle

    def bug(self, lease, outcome):
        if sys._getframe(1).f_code.co_name != "_wait":
            settle(self, lease, outcome)

    monkeypatch.setattr(Admission, "settle", bug)
    assert found() == "I6"


class _Stubborn:
    """A reply that begins anew when it breaks."""

    def __init__(self, relay, call, reply):
        self._relay, self._call, self._reply = relay, call, reply

    def __getattr__(self, name):
        return getattr(self._reply, name)

    async def read(self):
        try:
            return await self._reply.read()
        except StreamIncomplete:
            await self._reply.close()
            self._reply = await OPEN(self._relay, self._call)
            return await self._reply.read()


OPEN = Relay.open


def test_an_attempt_after_content_is_found(monkeypatch):
    """The stream broke in the middle, and another account goes on with it."""

    async def bug(self, call):
        return _Stubborn(self, call, await OPEN(self, call))

    monkeypatch.setattr(Relay, "open", bug)
    assert found() in {"I8", "E"}


def test_a_cancellation_that_is_taken_for_silence_is_found(monkeypatch):
    """The caller leaves, and is told that the upstream was silent."""
    monkeypatch.setattr(Silence, "broke", lambda _: True)
    assert found() == "E"


def test_a_line_that_serves_one_key_alone_is_found(monkeypatch):
    """Whoever has many calls waiting is served until they are gone."""
    monkeypatch.setattr(line.Queue, "took_turn", lambda *_: None)
    assert found() == "F"


def test_a_line_that_is_not_served_when_a_lease_comes_back_is_found(monkeypatch):
    """Somebody waits while an account has room."""
    hand_out = Admission._hand_out

    def bug(self, *, freed=None):
        return 0 if freed is not None else hand_out(self, freed=freed)

    monkeypatch.setattr(Admission, "_hand_out", bug)
    assert found() == "S"


def test_a_refused_credential_that_is_used_again_is_found(monkeypatch):
    """A 401 teaches the pool nothing."""
    monkeypatch.setattr(health, "expired", lambda *_, **__: None)
    assert found() == "I9"
