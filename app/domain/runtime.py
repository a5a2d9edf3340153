"""What an operator may change while the gateway runs, as one frozen value.

It lives in the store, arrives whole and replaces the old value in a single assignment. Anything
that is read before the store can be opened is `app.settings` instead.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from app.limits import Limits

_DEFAULTS = Limits()

Seconds = Annotated[float, Meta(ge=1, le=3600)]
Attempts = Annotated[int, Meta(ge=1, le=10)]
Model = Annotated[str, Meta(min_length=1, max_length=128)]
Group = Annotated[str, Meta(min_length=1, max_length=64)]
Share = Annotated[float, Meta(gt=0, le=1)]


class Strategy(StrEnum):
    """How the pool chooses among the accounts that could take a call."""

    BALANCED = "balanced"
    """The cheaper of two by the wait to expect, failures counted as waits."""
    ROUND_ROBIN = "round_robin"
    """The one that has been idle longest."""
    LEAST_USED = "least_used"
    """The one that has spent the fewest tokens in its present windows."""
    REMAINING_QUOTA = "remaining_quota"
    """The one with the most left of its tightest quota window."""
    FILL_FIRST = "fill_first"
    """The first in the operator's order, until it is full or at its limit."""


class Explain(StrEnum):
    """Which decisions of the pool are explained and kept for a while."""

    OFF = "off"
    REFUSALS = "refusals"
    ALL = "all"


class RuntimeSettings(Struct, frozen=True, kw_only=True):
    """The operator's choices; the defaults serve a pool of any size well."""

    strategy: Strategy = Strategy.BALANCED
    """Balanced needs no tuning: it steps away from what is slow, failing or nearly used up."""
    pause_at: Share = 1.0
    """Share of an account's tightest quota window at which it is paused until the reset; 1 means
    when it is used up, as the upstream would refuse it then anyway."""
    group_pause_at: Annotated[dict[Group, Share], Meta(max_length=1_000)] = {}
    """The same for the accounts of a group; the lowest of an account's groups counts."""
    probe_interval_s: Annotated[float, Meta(ge=60, le=86_400)] = 900.0
    """How often the usage of an account that has no traffic is asked for; costs no quota."""
    explain: Explain = Explain.REFUSALS
    """An explanation walks all accounts, so choosing `all` is for finding out, not for load."""
    first_event_timeout_s: Seconds = _DEFAULTS.first_event_timeout_s
    """Silence before the first event after which another account is tried."""
    idle_timeout_s: Seconds = _DEFAULTS.idle_timeout_s
    """Silence within a stream after which it is given up."""
    attempts_max: Attempts = _DEFAULTS.attempts_max
    """Accounts tried for one call."""
    model_aliases: Annotated[dict[Model, Model], Meta(max_length=1_000)] = {}
    """Names that callers use for models: alias to the model that is asked for upstream."""
