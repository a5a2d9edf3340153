"""What an operator may change while the gateway runs, as one frozen value.

It lives in the store, arrives whole and replaces the old value in a single assignment. Anything
that is read before the store can be opened is `app.settings` instead.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import fields

from app.domain.price import Price
from app.limits import Limits

_DEFAULTS = Limits()
CLAUDE_MODELS = {"claude-*haiku*": "gpt-5.4-mini", "claude-*": "gpt-5.5"}
"""What the names of Claude models mean unless the operator says otherwise."""

Seconds = Annotated[float, Meta(ge=1, le=3600)]
Attempts = Annotated[int, Meta(ge=1, le=10)]
Model = Annotated[str, Meta(min_length=1, max_length=128)]
Group = Annotated[str, Meta(min_length=1, max_length=64)]
Days = Annotated[int, Meta(ge=1, le=1825)]
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


class UpstreamTransport(StrEnum):
    """How calls get to the Codex backend."""

    HTTP = "http"
    """Each call by a request of its own. Callers who speak over a WebSocket get one upstream all
    the same, since only there their increments save them anything."""
    WEBSOCKET = "websocket"
    """Every call over a socket where there is one to be had: no request has a head to wait for."""
    AUTO = "auto"
    """Over a socket what belongs to a session that names itself, for its next turns will use it
    again; single calls by HTTP, as handshakes are throttled and cost more than they save."""


class OnDisconnect(StrEnum):
    """What becomes of a stream whose caller has left."""

    CANCEL = "cancel"
    """It ends at once; what it has used is estimated."""
    FINISH = "finish"
    """It is read on for up to half a minute, so that the upstream may say what it used."""


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
    claude_models: Annotated[dict[Model, Model], Meta(max_length=1_000)] = field(
        default_factory=lambda: dict(CLAUDE_MODELS)
    )
    """What the names of Claude models mean to callers of Messages: a name, or one with `*`, to the
    model that is asked for upstream. The longest pattern counts, `*` is for any name; exact names
    are listed for these callers."""
    on_disconnect: OnDisconnect = OnDisconnect.CANCEL
    """What becomes of a stream whose caller leaves: `cancel` spares the account, `finish` goes on
    for up to 30 s so that usage is counted, not estimated, and holds the account for as long."""
    upstream_transport: UpstreamTransport = UpstreamTransport.HTTP
    """How calls get to the Codex backend: `http`, `websocket`, or `auto` for sessions only. What a
    socket can't carry goes by HTTP whatever is chosen."""
    prices: Annotated[dict[Model, Price], Meta(max_length=1_000)] = {}
    """What models cost, where the built-in price is not right or missing: a model's name upstream,
    or one with `*`, to dollars for a million tokens."""
    log_days: Days = 30
    """How long single requests are kept; the sums over them are kept longer."""
    hours_days: Annotated[int, Meta(ge=3, le=1825)] = 90
    """How long the sums by hours are kept; those by days are kept for five years."""
    audit_days: Days = 365
    """How long it is kept who changed what."""


_WORDS: Mapping[str, type[StrEnum]] = {
    info.name: info.type
    for info in fields(RuntimeSettings)
    if isinstance(info.type, type) and issubclass(info.type, StrEnum)
}


def without_unknown_words(
    document: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, str]]:
    """Return a stored document without the words that are no choice here, and those words by field.

    Versions come and go with names of strategies; what one of them stored must not keep another
    from starting, so such a field is as if it had never been chosen.
    """
    unknown = {
        name: word
        for name, word in document.items()
        if name in _WORDS and isinstance(word, str) and word not in set(_WORDS[name])
    }
    known = {name: value for name, value in document.items() if name not in unknown}
    return known, unknown
