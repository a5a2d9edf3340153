"""What a simulation plays: accounts, load, faults and changes, as one frozen value.

A plan is read from TOML or JSON, is checked as a whole, and has a default for everything but its
accounts. Times are hours since the start, which is midnight; nothing here knows a clock. What an
account may spend where the plan doesn't say is `app.simulation.defaults`.
"""

from enum import StrEnum
from pathlib import PurePath
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from app.domain.quota import MAIN_FAMILY
from app.domain.runtime import Strategy
from app.limits import Limits

T = TypeVar("T")

ACCOUNTS_MAX: Final = 50_000
PLAN_BYTES_MAX: Final = 1 << 20
_LIMITS: Final = Limits()

Share = Annotated[float, Meta(ge=0, le=1)]
Threshold = Annotated[float, Meta(gt=0, le=1)]
Hour = Annotated[float, Meta(ge=0, le=8_784)]
Minutes = Annotated[float, Meta(gt=0, le=527_040)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Weight = Annotated[float, Meta(gt=0, le=1e6)]
Spread = Annotated[float, Meta(ge=0, le=4)]
Amount = Annotated[int, Meta(ge=1, le=1_000_000_000_000_000)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]


class PlanError(ValueError):
    """A plan that can't be played; the message names the field and what was expected."""


class Curve(StrEnum):
    """How the load changes with the hour of the day."""

    CONSTANT = "constant"
    BUSINESS_DAY = "business_day"


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that nobody knows is a mistake, most likely in its name."""


class Window(_Part, frozen=True):
    """One quota window of an account: so much may be spent between two resets."""

    minutes: Annotated[int, Meta(ge=1, le=527_040)]
    tokens: Amount | None = None
    requests: Amount | None = None
    family: Name = MAIN_FAMILY
    first_reset_minutes: Annotated[float, Meta(ge=0, le=527_040)] | None = None
    """When it first resets, after the start; by default each account's is drawn by the seed."""


class Accounts(_Part, frozen=True):
    """Some equal accounts."""

    count: Annotated[int, Meta(ge=1, le=ACCOUNTS_MAX)] = 1
    name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """What their names begin with; by default their plan's."""
    plan: Name | None = "plus"
    concurrency_max: Annotated[int, Meta(ge=1, le=10_000)] = 32
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    groups: tuple[Name, ...] = ()
    tags: tuple[Name, ...] = ()
    models: tuple[Name, ...] = ()
    pause_at: Threshold | None = None
    windows: tuple[Window, ...] | None = None
    """None means as the plan has them, see `app.simulation.defaults`; empty means no limit."""


class Burst(_Part, frozen=True):
    """For a while the callers ask `factor` times as often, every day."""

    at_hour: Annotated[float, Meta(ge=0, lt=24)]
    minutes: Minutes
    factor: Annotated[float, Meta(gt=0, le=1_000)]


class Model(_Part, frozen=True):
    """A model that callers ask for."""

    name: Name
    weight: Weight = 1.0
    family: Name = MAIN_FAMILY
    """The limit that it is metered under."""
    plans: tuple[Name, ...] = ()
    """The plans that may use it; empty means all."""


class Key(_Part, frozen=True):
    """A caller's key, and how large its part of the load is."""

    name: Name = "key"
    weight: Weight = 1.0
    groups: tuple[Name, ...] = ()
    tags: tuple[Name, ...] = ()


class Load(_Part, frozen=True):
    """What the callers want. Amounts are log-normal: a median and how wide they spread."""

    calls_per_minute: Annotated[float, Meta(gt=0, le=1_000_000)] = 30.0
    curve: Curve = Curve.CONSTANT
    bursts: tuple[Burst, ...] = ()
    tokens_median: Amount = 12_000
    tokens_sigma: Spread = 1.0
    stream_s_median: Seconds = 12.0
    stream_s_sigma: Spread = 0.8
    first_event_s_median: Seconds = 1.5
    first_event_s_sigma: Spread = 0.5
    session_share: Share = 0.8
    """Of the calls: those that belong to a session."""
    sessions_per_key: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    """Sessions that are open at a time."""
    bound_share: Share = 0.0
    """Of the sessions' calls: those that only the account of the last one can read."""
    keys: tuple[Key, ...] = (Key(),)
    models: tuple[Model, ...] = (Model(name="gpt-5"),)


class Storm(_Part, frozen=True):
    """For a while the upstream refuses a share of all calls because it is overloaded."""

    at_hour: Hour
    minutes: Minutes
    share: Share = 0.9


class Outage(_Part, frozen=True):
    """For a while a share of the accounts gets no answer at all."""

    at_hour: Hour
    minutes: Minutes
    accounts_share: Share = 1.0


class Faults(_Part, frozen=True):
    """What goes wrong; shares are of attempts, unless they say otherwise."""

    burst_concurrency: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Calls in flight on one account above which the upstream calls it a burst."""
    burst_share: Share = 0.0
    overload_share: Share = 0.0
    storms: tuple[Storm, ...] = ()
    outages: tuple[Outage, ...] = ()
    broken_share: Share = 0.0
    """Attempts that fail before any content."""
    cut_share: Share = 0.0
    """Replies that break off after content."""
    silent_share: Share = 0.0
    """Attempts that never get an answer."""
    left_share: Share = 0.0
    """Attempts whose caller leaves."""
    refused_share: Share = 0.0
    """Calls that no account would take."""
    unreadable_share: Share = 0.0
    """Attempts at which encrypted items in the call turn out to be another account's."""
    unnamed_resets_share: Share = 0.0
    """Limits of which the upstream doesn't say when they end."""
    unsaid_quota_share: Share = 0.0
    """Replies and refusals whose head says nothing of the quota."""
    token_refused_share: Share = 0.0
    """Attempts at which the access token turns out to be taken back."""
    token_lifetime_minutes: Minutes | None = None
    """Life of an access token; None means that it outlives the simulation."""
    renewal_failure_share: Share = 0.0
    """Of the renewals: those that fail and may be tried again."""
    revoked_share: Share = 0.0
    """Of the renewals: those that show that the account is lost."""


class Arrive(_Part, frozen=True, tag_field="kind", tag="add_accounts"):
    """More accounts."""

    at_hour: Hour
    accounts: Accounts


class Leave(_Part, frozen=True, tag_field="kind", tag="remove_accounts"):
    """Some accounts are taken out, chosen by the seed."""

    at_hour: Hour
    count: Annotated[int, Meta(ge=1, le=ACCOUNTS_MAX)] = 1
    back_after_minutes: Minutes | None = None


class Configure(_Part, frozen=True, tag_field="kind", tag="configure"):
    """The operator changes his mind; None leaves a thing as it is."""

    at_hour: Hour
    strategy: Strategy | None = None
    pause_at: Threshold | None = None
    concurrency_max: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class Step(_Part, frozen=True, tag_field="kind", tag="clock_step"):
    """The gateway's clock is set; nothing takes longer or shorter for it."""

    at_hour: Hour
    seconds: Annotated[float, Meta(ge=-86_400, le=86_400)]


Change = Arrive | Leave | Configure | Step


class Gateway(_Part, frozen=True):
    """The gateway's own settings, with the defaults that it has."""

    strategy: Strategy = Strategy.BALANCED
    pause_at: Threshold = 1.0
    group_pause_at: dict[Name, Threshold] = {}
    attempts_max: Annotated[int, Meta(ge=1, le=10)] = _LIMITS.attempts_max
    queue_max: Annotated[int, Meta(ge=0, le=1_000_000)] = _LIMITS.queue_max
    queue_wait_s: Seconds = _LIMITS.queue_wait_s
    first_event_timeout_s: Seconds = _LIMITS.first_event_timeout_s
    probe_interval_s: Seconds = 900.0
    """How often the usage of an account without traffic is asked for."""


class Plan(_Part, frozen=True):
    """One simulation. The same plan always gives the same decisions."""

    accounts: Annotated[tuple[Accounts, ...], Meta(min_length=1)]
    load: Load = field(default_factory=Load)
    faults: Faults = field(default_factory=Faults)
    changes: tuple[Change, ...] = ()
    gateway: Gateway = field(default_factory=Gateway)
    hours: Annotated[float, Meta(gt=0, le=8_784)] = 24.0
    seed: int = 0


def decode(raw: bytes, *, name: str = "plan.toml") -> Plan:
    """Return the plan that stands in a file called `name`, in TOML or (`.json`) in JSON.

    Raises:
        PlanError: It is no plan; the message says which field is wrong and what it should be.
    """
    if len(raw) > PLAN_BYTES_MAX:
        raise PlanError(f"It has {len(raw)} bytes; a plan has at most {PLAN_BYTES_MAX}.")
    read = msgspec.json.decode if PurePath(name).suffix == ".json" else msgspec.toml.decode
    try:
        document = read(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanError(f"It can't be read: {error}.") from error
    return checked(convert(document, Plan))


def convert(document: object, kind: type[T]) -> T:
    """Return `document` as a part of a plan.

    Raises:
        PlanError: It is none.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `")
        place = path.rstrip("`").removeprefix("$").removeprefix(".") or "plan"
        raise PlanError(f"{place}: {words}") from error


def checked(plan: Plan) -> Plan:
    """Return the plan if its parts fit together.

    Raises:
        PlanError: They do not; the message names the field.
    """
    for index, batch in enumerate(plan.accounts):
        _check_windows(f"accounts[{index}]", batch)
    for index, change in enumerate(plan.changes):
        if isinstance(change, Arrive):
            _check_windows(f"changes[{index}].accounts", change.accounts)
    arriving = sum(c.accounts.count for c in plan.changes if isinstance(c, Arrive))
    count = sum(batch.count for batch in plan.accounts) + arriving
    if count > ACCOUNTS_MAX:
        raise PlanError(f"accounts: {count} in all; at most {ACCOUNTS_MAX} can be played")
    for kind, parts in (("models", plan.load.models), ("keys", plan.load.keys)):
        names = [part.name for part in parts]
        if not names or len(set(names)) < len(names):
            raise PlanError(f"load.{kind}: expected at least one, each with a name of its own")
    return plan


def changed(plan: Plan, **changes: Any) -> Plan:
    """Return the plan with other values, checked.

    Raises:
        PlanError: A value does not fit.
    """
    return checked(convert(msgspec.to_builtins(replace(plan, **changes)), Plan))


def _check_windows(place: str, batch: Accounts) -> None:
    known: set[tuple[str, int]] = set()
    for index, window in enumerate(batch.windows or ()):
        if (window.tokens is None) == (window.requests is None):
            raise PlanError(f"{place}.windows[{index}]: expected either tokens or requests")
        if (window.family, window.minutes) in known:
            raise PlanError(f"{place}.windows[{index}]: there is one of these minutes already")
        known.add((window.family, window.minutes))
