"""An account: one upstream identity, and the credential that opens it.

What the operator set and what the upstream said about the identity stand here, frozen; what
the pool observes (health, calls in flight) is `app.pool.state`. An update makes a new value.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType

from msgspec import Struct

AccountId = NewType("AccountId", str)


class AccountKind(StrEnum):
    """Which protocol and which rules an account's upstream has."""

    CODEX = "codex"
    """A ChatGPT login at the Codex backend."""
    OPENAI = "openai"
    """A key of OpenAI's platform, or of a server that speaks Responses as it does."""
    COMPATIBLE = "compatible"
    """A server that speaks OpenAI's Chat Completions and no Responses."""


class Secret:
    """A string that never shows itself: `repr` and `str` are stars, only `reveal` tells."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; hand it straight to the wire, keep no copy."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


class Credential(Struct, frozen=True):
    """What opens an account now.

    `generation` grows by one with every renewal that was stored; `expires_at` is epoch
    seconds, None where the upstream named no end. The refresh token is not here: it stays
    encrypted in the store until the exchange that spends it.
    """

    access_token: Secret
    generation: int = 0
    expires_at: float | None = None
    renewable: bool = False
    refused: str | None = None
    """Why it opens nothing any more, None while it may. Said of API keys only: after the death of
    a refresh token the access token serves to its end."""


class Account(Struct, frozen=True):
    """One upstream identity as the operator configured it."""

    id: AccountId
    name: str
    kind: AccountKind
    credential: Credential
    base_url: str | None = None
    chatgpt_account_id: str | None = None
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False
    proxy_url: Secret | None = None
    enabled: bool = True
    priority: int = 0
    concurrency_max: int = 32
    models: tuple[str, ...] = ()
    """Models it may serve; empty means every model its kind and its plan have."""
    model_map: Mapping[str, str] = {}
    """Models that it serves under another name: the pool's name to its own."""
    organization: str | None = None
    """The platform's organization that its calls are charged to, where its key is for several."""
    project: str | None = None
    """The same for the organization's project."""
    groups: tuple[str, ...] = ()
    """Groups it belongs to; a caller's key may be bound to some of them."""
    tags: tuple[str, ...] = ()
    """The operator's own words for it; a caller's key may ask for some of them."""
    pause_at: float | None = None
    """Share of its tightest quota window (0 to 1) at which it is paused until the reset; None
    means as its groups say, or the whole pool."""

    def name_of(self, model: str) -> str:
        """Return the account's own name for a model of the pool."""
        return self.model_map.get(model, model)
