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


class Strategy(StrEnum):
    """How the pool chooses among the accounts that could take a call."""

    LEAST_BUSY = "least_busy"


class RuntimeSettings(Struct, frozen=True, kw_only=True):
    """The operator's choices; the defaults serve a pool of any size well."""

    strategy: Strategy = Strategy.LEAST_BUSY
    """Least busy spreads calls evenly over equal accounts and needs no tuning."""
    first_event_timeout_s: Seconds = _DEFAULTS.first_event_timeout_s
    """Silence before the first event after which another account is tried."""
    idle_timeout_s: Seconds = _DEFAULTS.idle_timeout_s
    """Silence within a stream after which it is given up."""
    attempts_max: Attempts = _DEFAULTS.attempts_max
    """Accounts tried for one call."""
    model_aliases: Annotated[dict[Model, Model], Meta(max_length=1_000)] = {}
    """Names that callers use for models: alias to the model that is asked for upstream."""
