"""An attempt: what is learnt in it is said once, to the right ones, and in order."""

from random import Random
from unittest.mock import Mock

import pytest

from app.dialects.responses.encrypted import fingerprint
from app.domain.outcome import Abandoned, Succeeded
from app.domain.usage import Heard
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.relay.admission import Admission
from app.relay.attempt import Attempt, Desk
from app.relay.ownership import TURN_STATE
from tests.fakes.accounts import account, call
from tests.fakes.clock import FakeClock

WINDOW = [
    ("x-codex-active-limit", "codex_other"),
    ("x-codex-other-primary-used-percent", "40"),
    ("x-codex-other-primary-window-minutes", "300"),
    ("x-codex-other-primary-reset-after-seconds", "70"),
]
EVENT = (
    b'{"type":"codex.rate_limits","rate_limits":{"primary":'
    b'{"used_percent":50,"window_minutes":300,"reset_after_seconds":60}}}'
)


class Scenery:
    """An attempt on account `a`, and all that it tells anybody."""

    def __init__(self, **changes) -> None:
        self.clock = FakeClock()
        now = self.clock.now()
        self.pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=9, ttl_s=1e6))
        self.pool.apply([account("a")], now=now)
        self.observer = Mock()
        admission = Admission(pool=self.pool, clock=self.clock, queue_max=9, queue_wait_s=9.0)
        asked = call(**changes)
        lease = self.pool.lease(asked, excluding=frozenset(), now=now)
        desk = Desk(self.pool, admission, self.clock, self.observer)
        self.attempt = Attempt(desk, asked, lease)

    def used(self) -> dict[tuple[str, int], float]:
        """Return what the pool knows of the account's quota."""
        [state] = self.pool.states
        return {name: gauge.used_ratio for name, gauge in state.windows.items()}

    def owner(self, name: str) -> str | None:
        """Return whose an item of the caller is."""
        return self.pool.owner(f"key-1:{name}", now=self.clock.now())


def test_what_a_reply_says_of_limits_reaches_the_pool():
    """From its headers, and from an event, which is of the limit that the headers named."""
    scene = Scenery()
    scene.attempt.hear([("date", "x")])
    assert (scene.used(), scene.attempt.limits.empty) == ({}, True)
    scene.attempt.hear(WINDOW)
    assert scene.used() == {("codex-other", 300): 0.4}
    assert scene.attempt.limits.active_family == "codex-other"
    scene.attempt.hear_event(EVENT)
    assert scene.used() == {("codex-other", 300): 0.5}
    assert scene.pool.families == {"m1": "codex-other"}
    scene.attempt.hear_event(b"nonsense")
    assert scene.attempt.limits.windows[0].used_ratio == 0.5


async def test_that_content_has_come_is_told_once():
    """With how long it took; what nobody owned is the account's from then on."""
    scene = Scenery(owner_keys=("key-1:x",))
    assert scene.attempt.addressed().owner_keys == ("key-1:x",)
    await scene.clock.advance(2.5)
    assert (scene.attempt.begun_after_s, scene.owner("x")) == (None, None)
    scene.attempt.began()
    await scene.clock.advance(1.0)
    scene.attempt.began()
    [state] = scene.pool.states
    assert (scene.attempt.begun_after_s, scene.owner("x")) == (2.5, "a")
    [told] = scene.observer.began.call_args_list
    assert told.args == (scene.attempt.call, scene.attempt.lease.account)
    assert state.wait_s == pytest.approx(2.5)


def test_a_lease_is_settled_once():
    """The first outcome counts, and everybody hears of that one."""
    scene = Scenery()
    done = Succeeded(0.1)
    assert scene.attempt.conclude(done) is done
    assert isinstance(scene.attempt.conclude(Abandoned()), Abandoned)
    assert scene.attempt.outcome is done
    assert scene.pool.leases == 0
    [told] = scene.observer.attempt.call_args_list
    assert told.args == (scene.attempt.call, scene.attempt.lease.account, done, None)


def test_the_observer_hears_what_the_reply_has_shown():
    """As it is when the attempt is over."""
    scene = Scenery()
    scene.attempt.heard = Heard(deltas=3)
    scene.attempt.conclude(Abandoned())
    assert scene.observer.attempt.call_args.args[3] == Heard(deltas=3)


def test_a_reply_that_streams_leaves_the_request_behind_and_its_state_with_the_account():
    """A stream lives for minutes; a request may be megabytes."""
    scene = Scenery(body=b"{}" * 1_000)
    scene.attempt.streams([("x", "y"), (TURN_STATE, "opaque")])
    assert scene.attempt.call.body == b""
    assert scene.attempt.call.model == "m1"
    assert scene.owner(fingerprint("opaque")) == "a"
