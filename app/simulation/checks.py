"""The invariants that hold after every step, and the judge who looks whether they do.

What is judged is the upstream's truth: what it named, when it resets, how many calls it has in
flight. The pool's own account states are only compared with it, and never believed.

    I6  every lease is given back, and the pool counts what the upstream counts
    I7  no account has more calls in flight than it may
    I8  no call has more attempts than it may, and none after its content
    I9  no account is asked before the reset that it named, unless the gateway's clock was set; and
        afterwards only by one call at a time, until the upstream takes one
    R   a rest never becomes shorter, and a trial is over once the upstream has taken it
    E   every call ends, once
    S   nobody waits while an account that can take the call has room
    A   no call goes where it must not: excluded, another group, another owner

A run of many accounts is swept for S now and then only, as that looks at all of them.
"""

from typing import Final

from msgspec import Struct

from app.domain.account import Account, AccountId
from app.domain.call import Call
from app.domain.outcome import Outcome, RateLimited
from app.domain.quota import MAIN_FAMILY, QuotaView
from app.pool.pool import AccountPool
from app.pool.state import AccountState, Health
from app.simulation.admission import Admission
from app.simulation.timeline import EPOCH, Timeline
from app.simulation.trip import Flight, Trip
from app.simulation.upstream import SimulatedUpstream
from app.simulation.violation import Violation

SLACK_S: Final = 0.05
"""Within which a timer that rang has been heard."""
THOROUGH_MAX: Final = 16
"""Up to so many accounts all of them are looked at after every step."""
SWEEP_STEPS: Final = 4
"""Of more accounts all are looked at after so many steps for each, so that a step costs the same
in a pool of any size."""


_AWAKE: Final = (Health.READY, Health.PROBING)
_OPEN: Final = (*_AWAKE, Health.COOLING)


class _Known(Struct):
    """One account, with what it named and what the pool promised of it."""

    state: AccountState
    ready_at: float = 0.0
    promised: dict[str, float] = {}
    """Epoch seconds until which a model rests because of a refusal."""
    limits: dict[str | None, float] = {}
    """True times of the resets that were named, by model; None is the whole account."""
    on_trial: bool = False
    """It has named a limit or a full quota, and has taken no call since."""
    trials: int = 0
    """Attempts since then of which it has said nothing yet."""
    clock_was_set: bool = False
    """Since a reset was named: it may have been on trial when the clock was another one."""
    view: QuotaView | None = None


class Judge:
    """Watches a run; every method raises `Violation` when something is wrong."""

    def __init__(
        self, *, time: Timeline, pool: AccountPool, upstream: SimulatedUpstream, attempts_max: int
    ) -> None:
        self._time = time
        self._pool = pool
        self._upstream = upstream
        self._attempts_max = attempts_max
        self._known: dict[AccountId, _Known] = {}
        self._trials: dict[int, _Known] = {}
        self._probes: dict[int, _Known] = {}
        self._out: dict[int, Flight] = {}
        self._open: set[int] = set()
        self._steps = 0
        self._sweep_every = 1

    def look(self) -> None:
        """Learn which accounts there are; call it whenever they change."""
        for state in self._pool.states:
            known = self._known.get(state.account.id)
            if known is None or known.state is not state:
                self._known[state.account.id] = _Known(state)
        count = len(self._known)
        self._sweep_every = 1 if count <= THOROUGH_MAX else SWEEP_STEPS * count

    def arrived(self, trip: Trip) -> None:
        """A call arrived."""
        self._open.add(trip.number)

    def sent(self, flight: Flight) -> None:
        """An attempt goes out; it is in flight at the upstream already."""
        account, trip = flight.lease.account, flight.trip
        known = self._known[account.id]
        self._out[flight.lease.number] = flight
        known.ready_at = 0.0  # it is back, or I9 is broken
        # What is left out of a call once costs an attempt of its own.
        if trip.begun or trip.ended or trip.attempt > self._attempts_max + trip.stripped:
            raise self._violation("I8", f"attempt {trip.attempt} of {trip.call.id}")
        in_flight = self._upstream.subscriptions[account.id].in_flight
        if in_flight > known.state.account.concurrency_max:
            raise self._violation("I7", f"{account.id} has {in_flight} calls in flight")
        self._check_place(trip, known.state)
        self._check_limits(flight, known)
        self._check_trial(flight, known)

    def began(self, flight: Flight) -> None:
        """The upstream took an attempt."""
        known = self._known[flight.lease.account.id]
        if self._tried(flight):
            known.on_trial = False
        if flight.lease.number in self._probes and known.state.health is Health.PROBING:
            raise self._violation("R", f"{known.state.account.id} is on trial after a success")

    def settled(self, flight: Flight, outcome: Outcome) -> None:
        """An attempt is over with this outcome, at the upstream and in the pool."""
        number, account_id = flight.lease.number, flight.lease.account.id
        del self._out[number]
        self._probes.pop(number, None)
        self._tried(flight)
        known = self._known[account_id]
        in_flight = self._upstream.subscriptions[account_id].in_flight
        if known.state.in_flight != in_flight:
            words = f"{account_id} has {in_flight} in flight, not {known.state.in_flight}"
            raise self._violation("I6", words)
        if isinstance(outcome, RateLimited) and outcome.model is not None:
            self._promise(known, outcome, outcome.model)
        limited_until = flight.answer.limited_until
        if limited_until is not None:
            family = flight.answer.family
            known.clock_was_set = False
            model = None if family == MAIN_FAMILY else flight.trip.call.model
            known.limits[model] = max(limited_until, known.limits.get(model, 0.0))
            if model is None:
                known.on_trial = True
                self._overtake(known)
        self._check_rests(known)

    def heard(self, account_id: AccountId, view: QuotaView) -> None:
        """The upstream spoke of limits."""
        known = self._known.get(account_id)
        if known is not None:
            known.view = view
            # Without a good credential it starts anew when it is renewed, and not from a rest.
            if known.state.health in _OPEN and self._used_up(known) is not None:
                known.on_trial = True
                self._overtake(known)
            self._check_rests(known)

    def ended(self, trip: Trip) -> None:
        """A call got its answer, or a refusal."""
        if trip.number not in self._open:
            raise self._violation("E", f"{trip.call.id} ended twice")
        self._open.remove(trip.number)

    def forget(self, account_id: AccountId) -> None:
        """An operator took an account out: what it named need not be known any more."""
        known = self._known.get(account_id)
        if known is not None:
            known.limits.clear()
            known.promised.clear()
            known.on_trial = False
            known.view = None

    def clock_was_set(self) -> None:
        """What was over may lie ahead again; what was said of it must be heard anew."""
        for known in self._known.values():
            known.promised.clear()
            known.view = None
            known.clock_was_set = True

    def step(self, line: Admission) -> None:
        """Look whether anybody waits in vain; call it after every step."""
        self._steps += 1
        if len(line) and not self._steps % self._sweep_every:
            for trip in line.heads():
                self._check_wait(trip)

    def finish(self) -> None:
        """Look whether everything is given back and everybody was answered."""
        if self._open:
            raise self._violation("E", f"{len(self._open)} calls never ended")
        if self._pool.leases:
            raise self._violation("I6", f"{self._pool.leases} leases are still out")
        for known in self._known.values():
            if known.state.in_flight:
                words = f"{known.state.account.id} has {known.state.in_flight} calls in flight"
                raise self._violation("I6", words)
            self._check_rests(known)

    def _check_trial(self, flight: Flight, known: _Known) -> None:
        if known.state.health is Health.PROBING:
            self._probes[flight.lease.number] = known
        if known.on_trial:
            if known.trials:
                words = f"{known.state.account.id} is asked twice before it has taken a call"
                raise self._violation("I9", words)
            known.trials += 1
            self._trials[flight.lease.number] = known

    def _overtake(self, known: _Known) -> None:
        """A new rest began: what is in flight is no trial of the time after it."""
        known.trials = 0
        self._trials = {n: tried for n, tried in self._trials.items() if tried is not known}
        self._probes = {n: probed for n, probed in self._probes.items() if probed is not known}

    def _tried(self, flight: Flight) -> bool:
        """Tell whether this attempt was made to find out about an account, and count it no more."""
        known = self._trials.pop(flight.lease.number, None)
        if known is not None:
            known.trials -= 1
        return known is not None

    def _check_place(self, trip: Trip, state: AccountState) -> None:
        account = state.account
        if account.id in trip.excluding or trip.only not in (None, account.id):
            raise self._violation("A", f"{trip.call.id} must not go to {account.id}")
        if not self._fits(account, trip.call):
            raise self._violation("A", f"{account.id} does not serve {trip.call.id}")

    def _check_limits(self, flight: Flight, known: _Known) -> None:
        at, now, model = self._time.at, self._time.now, flight.trip.call.model
        account = known.state.account
        limits = known.limits
        named = max(limits.get(None, 0.0), limits.get(model, 0.0)) if limits else 0.0
        if at < named and EPOCH + named > now and not known.clock_was_set:
            words = f"{account.id} was asked {named - at:.3f} s before the reset it named"
            raise self._violation("I9", words)
        used = self._used_up(known)
        if used is not None:
            raise self._violation("I9", f"{account.id} was asked with {used:.3f} used")

    def _used_up(self, known: _Known) -> float | None:
        """Return how much was used of a window that pauses the account, as was last heard."""
        if known.view is None:
            return None
        pause_at = self._pool.policy.pauses_at(known.state.account)
        soonest = max(self._time.now, EPOCH + self._time.at)
        for window in known.view.windows:
            if (
                window.used_ratio >= pause_at
                and window.family == MAIN_FAMILY
                and (window.reset_at or 0.0) > soonest
            ):
                return window.used_ratio
        return None

    def _check_rests(self, known: _Known) -> None:
        state, now = known.state, self._time.now
        if state.ready_at < known.ready_at:
            words = f"the rest of {state.account.id} is {known.ready_at - state.ready_at} s shorter"
            raise self._violation("R", words)
        # Who is back is done with it, even if by a clock that was set meanwhile it lies ahead.
        known.ready_at = 0.0 if state.health in _AWAKE else state.ready_at
        if state.health is Health.COOLING and (self._probes or known.trials):
            self._overtake(known)
        for model, until in known.promised.items():
            if until > now and state.model_ready_at.get(model, 0.0) < until:
                raise self._violation("R", f"{model} rests shorter on {state.account.id}")

    def _promise(self, known: _Known, outcome: RateLimited, model: str) -> None:
        """Note until when a model rests for a refusal; what its quota does may be taken back."""
        until = outcome.reset_at or 0.0
        if self._upstream.families.get(model, MAIN_FAMILY) == MAIN_FAMILY:
            until = max(until, known.state.model_ready_at.get(model, 0.0))
        known.promised[model] = max(until, known.promised.get(model, 0.0))

    def _check_wait(self, trip: Trip) -> None:
        if trip.only is not None:
            return
        for known in self._known.values():
            state = known.state
            if self._fits(state.account, trip.call) and self._able(state, trip.call.model):
                words = f"{trip.call.id} waits since {trip.queued_at}, {state.account.id} has room"
                raise self._violation("S", words)

    def _able(self, state: AccountState, model: str) -> bool:
        """Tell whether the account can take one more call, by the upstream's count."""
        over = self._time.now - SLACK_S
        if state.model_ready_at.get(model, 0.0) > over:
            return False
        if self._pool.account(state.account.id) is None:
            return False
        in_flight = self._upstream.subscriptions[state.account.id].in_flight
        match state.health:
            case Health.READY | Health.PROBING:
                return in_flight < state.cap
            case Health.COOLING:
                return state.rests_until <= over and not in_flight
            case _:
                return False

    def _fits(self, account: Account, call: Call) -> bool:
        return (
            self._pool.policy.entitled(account, call.model)
            and (not call.groups or any(name in account.groups for name in call.groups))
            and all(tag in account.tags for tag in call.tags)
        )

    def _violation(self, invariant: str, words: str) -> Violation:
        return Violation(invariant, f"{words}, at {self._time.at:.3f} s")
