"""What it takes to add or change an account or a key: values on their way into the store.

Names of groups and tags have one form, made by `labels`, so that two accounts that are in the
same groups have equal values there.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from msgspec import UNSET, Struct, UnsetType

from app.domain.account import Account, AccountKind, Secret
from app.domain.call import Dialect
from app.domain.caller import Caller
from app.errors import InvalidRequest

LABEL_CHARS_MAX = 64
LABELS_MAX = 32
MODEL_CHARS_MAX = 128
MODELS_MAX = 1_000
ID_CHARS_MAX = 128
PRIORITY_MAX = 1_000_000
"""The bound on both sides of 0."""
CONCURRENCY_MAX = 10_000
LIMIT_MAX = 10**15
"""Of a key's limits; as nano-dollars it is a million dollars."""
ENDPOINTS = tuple(sorted(dialect.value for dialect in Dialect))
"""Families of endpoints, one for each API that callers speak."""
_MONEY = ("day_nusd", "month_nusd")


def labels(names: Iterable[str], *, param: str) -> tuple[str, ...]:
    """Return names of groups or tags as they are kept: trimmed, each once, in order.

    Raises:
        InvalidRequest: A name has a wrong form, or there are too many; `param` says which field.
    """
    found = tuple(sorted({_label(name, param) for name in names}))
    if len(found) > LABELS_MAX:
        raise InvalidRequest(f"{param}: {len(found)} names, at most {LABELS_MAX}.", param=param)
    return found


def _label(name: str, param: str) -> str:
    label = name.strip()
    if not label:
        raise InvalidRequest(f"{param}: a name must not be empty.", param=param)
    if len(label) > LABEL_CHARS_MAX:
        raise InvalidRequest(
            f"{param}: {label[:LABEL_CHARS_MAX]!r}... is longer than {LABEL_CHARS_MAX} characters.",
            param=param,
        )
    if "," in label or not label.isprintable():
        raise InvalidRequest(
            f"{param}: {label!r} has a comma or a character that can't be shown.", param=param
        )
    return label


def models(names: Iterable[str], *, param: str) -> tuple[str, ...]:
    """Return names of models as they are kept: trimmed, each once, in the order given.

    Raises:
        InvalidRequest: A name has a wrong form, or there are too many.
    """
    found = tuple(dict.fromkeys(_model(name, param) for name in names))
    if len(found) > MODELS_MAX:
        raise InvalidRequest(f"{param}: {len(found)} names, at most {MODELS_MAX}.", param=param)
    return found


def model_map(names: Mapping[str, str], *, param: str) -> dict[str, str]:
    """Return the pool's names of models to an account's own, as they are kept.

    Raises:
        InvalidRequest: A name has a wrong form, or there are too many.
    """
    found = {_model(name, param): _model(own, param) for name, own in names.items()}
    if len(found) > MODELS_MAX:
        raise InvalidRequest(f"{param}: {len(found)} names, at most {MODELS_MAX}.", param=param)
    return found


def _model(name: str, param: str) -> str:
    model = name.strip()
    if not 0 < len(model) <= MODEL_CHARS_MAX or not model.isprintable():
        shown = repr(model[:MODEL_CHARS_MAX])
        raise InvalidRequest(
            f"{param}: {shown} is no name of 1 to {MODEL_CHARS_MAX} characters.", param=param
        )
    return model


def header_id(value: str | None, *, param: str) -> str | None:
    """Return an id that travels in a header of its own; None for none.

    Raises:
        InvalidRequest: No header can hold it.
    """
    found = (value or "").strip()
    if not found:
        return None
    if len(found) > ID_CHARS_MAX or not (found.isascii() and found.isprintable()) or " " in found:
        raise InvalidRequest(
            f"{param}: expected at most {ID_CHARS_MAX} ASCII characters without spaces.",
            param=param,
        )
    return found


def endpoints(names: Iterable[str], *, param: str) -> tuple[str, ...]:
    """Return names of endpoint families as they are kept: each once, in order.

    Raises:
        InvalidRequest: There is no such family.
    """
    found = tuple(sorted({name.strip() for name in names}))
    for name in found:
        if name not in ENDPOINTS:
            raise InvalidRequest(
                f"{param}: {name[:LABEL_CHARS_MAX]!r} is none of {', '.join(ENDPOINTS)}.",
                param=param,
            )
    return found


def networks(names: Iterable[str], *, param: str) -> tuple[str, ...]:
    """Return networks as they are kept: in CIDR form, each once, in order.

    Raises:
        InvalidRequest: One is no address and no network, or there are too many.
    """
    found = tuple(sorted({_network(name.strip(), param) for name in names}))
    if len(found) > LABELS_MAX:
        raise InvalidRequest(f"{param}: {len(found)} networks, at most {LABELS_MAX}.", param=param)
    return found


def _network(text: str, param: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise InvalidRequest(
            f"{param}: {text[:LABEL_CHARS_MAX]!r} is no address and no network such as 10.0.0.0/8.",
            param=param,
        ) from None


def limit(value: int | None, *, param: str) -> int | None:
    """Return a limit of a key as it is kept; None is none.

    Raises:
        InvalidRequest: It is negative or absurd, or would let nobody in at all.
    """
    least = 0 if param in _MONEY else 1
    if value is not None and not least <= value <= LIMIT_MAX:
        raise InvalidRequest(f"{param}: {value} is not from {least} to {LIMIT_MAX}.", param=param)
    return value


class Enrolment(Struct, frozen=True, kw_only=True):
    """An account as an import or an operator brings it; at least one of the two tokens is there.

    For the other kinds than Codex the access token is the API key, which a compatible server may do
    without. The ChatGPT ids are None where the tokens do not tell; `expires_at` (epoch seconds)
    likewise.
    """

    name: str
    kind: AccountKind = AccountKind.CODEX
    access_token: Secret | None = None
    refresh_token: Secret | None = None
    id_token: Secret | None = None
    expires_at: float | None = None
    base_url: str | None = None
    chatgpt_account_id: str | None = None
    chatgpt_user_id: str | None = None
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False
    proxy_url: Secret | None = None
    enabled: bool = True
    priority: int = 0
    concurrency_max: int = 32
    models: tuple[str, ...] = ()
    model_map: Mapping[str, str] = {}
    organization: str | None = None
    project: str | None = None
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    pause_at: float | None = None


class Added(Struct, frozen=True):
    """What became of a `Enrolment`: a new account, or one that was there already.

    `credential_kept` says that the account that was there had the fresher credential.
    """

    account: Account
    created: bool
    credential_kept: bool = False


class AccountChanges(Struct, frozen=True, kw_only=True):
    """What to change of an account; `UNSET` leaves a field as it is."""

    name: str | UnsetType = UNSET
    base_url: str | UnsetType | None = UNSET
    proxy_url: Secret | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    concurrency_max: int | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    model_map: Mapping[str, str] | UnsetType = UNSET
    organization: str | UnsetType | None = UNSET
    project: str | UnsetType | None = UNSET
    plan: str | UnsetType | None = UNSET
    groups: tuple[str, ...] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    pause_at: float | UnsetType | None = UNSET


class KeyChanges(Struct, frozen=True, kw_only=True):
    """What to change of a caller's key; `UNSET` leaves a field as it is."""

    name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    expires_at: float | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    groups: tuple[str, ...] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    endpoints: tuple[str, ...] | UnsetType = UNSET
    networks: tuple[str, ...] | UnsetType = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    concurrency_max: int | UnsetType | None = UNSET
    day_nusd: int | UnsetType | None = UNSET
    month_nusd: int | UnsetType | None = UNSET


class StoredKey(Struct, frozen=True):
    """A caller's key as it is stored; `tail` is all that is left of the key for people to see."""

    caller: Caller
    digest: bytes
    tail: str
    created_at: float
    revoked_at: float | None = None
    version: int = 0


class KeyDigest(Struct, frozen=True):
    """What another gateway keeps of a caller's key: its SHA-256. The key itself is nowhere."""

    sha256: bytes


class CreatedKey(Struct, frozen=True):
    """A new key: the only time that it can be shown; empty if only its digest was brought."""

    caller: Caller
    key: Secret


class Identity(Struct, frozen=True):
    """Who an account turned out to be once its tokens could be read."""

    chatgpt_user_id: str
    chatgpt_account_id: str
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False


class StoredAccount(Struct, frozen=True):
    """An account with what an operator wants to know of its row besides.

    `damaged` accounts have a secret that does not open; they are listed, but not enabled.
    """

    account: Account
    created_at: float
    renewed_at: float
    chatgpt_user_id: str | None = None
    refused_code: str | None = None
    dead: bool = False
    damaged: bool = False
    version: int = 0
    """Grows with every change by an operator."""


class AccountEvent(Struct, frozen=True):
    """Something that happened to an account's row, for people.

    `code` is how a renewal ended, `next_at` when it is tried again, as planned then. Equal
    failures in a row are one event: `count` of them, the last one `at`.
    """

    at: float
    kind: str
    detail: str
    code: str | None = None
    next_at: float | None = None
    count: int = 1
