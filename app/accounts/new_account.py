"""An account that somebody brings: its fields, and how they are found in what he has.

Programs keep Codex credentials in many shapes, but the fields are the same: names differ in
case and underscores, and some put the tokens one level deeper. What a token says of its owner
counts more than what the file says. Whether a token is good is not asked here. No message of
this file holds a token, an address or any other value that was read.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from app.accounts.choices import choices
from app.accounts.claims import TOKEN_CHARS_MAX, Claims, identity
from app.domain import egress
from app.domain.account import AccountKind, Secret
from app.domain.enrolment import header_id, model_map, models
from app.errors import InvalidRequest
from app.ports import Tokens

NAME_CHARS_MAX = 200
_ID_CHARS_MAX = 128
_FIELD_CHARS_MAX = 64

_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_REFRESH = ("rt_", "rt-", "rt.", "v1.")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NESTS = ("tokens", "credentials", "user")
_FOREIGN = frozenset(
    {
        "aistudio",
        "anthropic",
        "antigravity",
        "claude",
        "gemini",
        "gemini-cli",
        "iflow",
        "kimi",
        "qwen",
        "vertex",
    }
)
_UNSUPPORTED_MODES = frozenset({"agentIdentity", "personalAccessToken"})
_MADE_UP_IDS = ("email_", "local_")
_MILLISECONDS_FROM = 1e11
"""A number this large is a time in milliseconds: in seconds it would be the year 5138."""


class Unusable(ValueError):
    """What was brought is no account; says why, without a value of it."""


class NewAccount(Struct, frozen=True, kw_only=True):
    """An account before it has an id; one of the tokens or the API key is there."""

    name: str
    kind: AccountKind
    refresh_token: Secret | None = None
    access_token: Secret | None = None
    id_token: Secret | None = None
    api_key: Secret | None = None
    base_url: str | None = None
    models: tuple[str, ...] = ()
    model_map: Mapping[str, str] = {}
    organization: str | None = None
    project: str | None = None
    email: str | None = None
    chatgpt_user_id: str | None = None
    chatgpt_account_id: str | None = None
    plan: str | None = None
    fedramp: bool = False
    expires_at: float | None = None
    """When the access token ends (epoch seconds), as far as anybody knows."""
    choices: Mapping[str, object] = {}
    """What its operator has decided, by the names that `Enrolment` has for it."""


def from_tokens(tokens: Tokens, *, name: str | None) -> NewAccount:
    """Return the account that a login gave; without `name` it is called by its address."""
    fields: dict[str, object] = {
        "refresh_token": _revealed(tokens.refresh_token),
        "access_token": _revealed(tokens.access_token),
        "id_token": _revealed(tokens.id_token),
        "expires_at": tokens.expires_at,
        "name": name,
    }
    return from_object(fields, fallback="Codex account")


def from_line(text: str, *, fallback: str) -> NewAccount:
    """Return the account of one bare token; `fallback` is its name if it does not say its own.

    Raises:
        Unusable: It is no token of a known kind.
    """
    token = text.strip(" \t\"',;")
    if token.startswith("sk-"):
        return from_object({"api_key": token}, fallback=fallback)
    if token.startswith(_REFRESH):
        return from_object({"refresh_token": token}, fallback=fallback)
    if token.startswith("at-") or _JWT.fullmatch(token):
        return from_object({"access_token": token}, fallback=fallback)
    if token.startswith("eyJ") and token.count(".") == 4:
        raise Unusable("a session token alone is not supported: sign in or bring a refresh token")
    raise Unusable(
        "neither a refresh token (rt_...), an access token (eyJ... or at-...) "
        "nor an API key (sk-...)"
    )


def from_object(entry: Mapping[str, object], *, fallback: str) -> NewAccount:
    """Return the account of one JSON object; `fallback` is its name if nothing better is there.

    Raises:
        Unusable: It has no credential, or one of a kind that is not supported.
    """
    fields = _flat(entry)
    for name in ("platform", "type", "provider"):
        value = fields.get(name)
        if isinstance(value, str) and value.lower() in _FOREIGN:
            raise Unusable(f"{name} says that it is not an OpenAI account")
    refresh_token = _token(fields, "refresh_token")
    access_token = _token(fields, "access_token")
    api_key = _token(fields, "openai_api_key", "api_key")
    by_key = fields.get("auth_mode") == "apikey" or not (refresh_token or access_token)
    compatible = fields.get("type") == AccountKind.COMPATIBLE
    if by_key and (api_key or compatible):
        kind = AccountKind.COMPATIBLE if compatible else AccountKind.OPENAI
        return _by_key(fields, kind, api_key, fallback)
    if not (refresh_token or access_token):
        raise Unusable(_lack(fields))
    id_token = _token(fields, "id_token")
    claims = identity(id_token=id_token, access_token=access_token)
    return _by_tokens(
        fields, claims, fallback, refresh=refresh_token, access=access_token, id_token=id_token
    )


def _by_key(
    fields: Mapping[str, object], kind: AccountKind, api_key: str | None, fallback: str
) -> NewAccount:
    email = _words(fields, "email")
    base_url = _base_url(fields)
    if kind is AccountKind.COMPATIBLE and base_url is None:
        raise Unusable("a compatible server needs a base_url")
    try:
        return NewAccount(
            name=_words(fields, "name", "label") or email or fallback,
            kind=kind,
            api_key=_secret(api_key),
            base_url=base_url,
            email=email,
            models=models(_texts(fields.get("models")), param="models"),
            model_map=model_map(_pairs(fields.get("model_map")), param="model_map"),
            organization=header_id(_words(fields, "organization"), param="organization"),
            project=header_id(_words(fields, "project"), param="project"),
            choices={name: chosen for name, chosen in choices(fields).items() if name != "models"},
        )
    except InvalidRequest as error:
        raise Unusable(error.message.removesuffix(".")) from None


def _by_tokens(
    fields: Mapping[str, object],
    claims: Claims,
    fallback: str,
    *,
    refresh: str | None,
    access: str | None,
    id_token: str | None,
) -> NewAccount:
    email = claims.email or _words(fields, "email")
    account_id = claims.chatgpt_account_id or _id(fields, "chatgpt_account_id", "account_id")
    named = _words(fields, "name", "label") or email or (account_id and account_id[:8])
    return NewAccount(
        name=named or fallback,
        kind=AccountKind.CODEX,
        refresh_token=_secret(refresh),
        access_token=_secret(access),
        id_token=_secret(id_token),
        email=email,
        chatgpt_user_id=claims.chatgpt_user_id or _id(fields, "chatgpt_user_id", "user_id"),
        chatgpt_account_id=account_id,
        plan=claims.plan or _words(fields, "chatgpt_plan_type", "plan_type", "plan"),
        fedramp=claims.fedramp,
        expires_at=_ends_at(fields, claims) if access else None,
        choices=choices(fields),
    )


def _flat(entry: Mapping[str, object]) -> dict[str, object]:
    """Return the fields by their snake_case names, those of inner objects among them."""
    fields = {_snake(name): value for name, value in entry.items()}
    for nest in _NESTS:
        inner = fields.get(nest)
        if isinstance(inner, dict):
            for name, value in inner.items():
                if fields.get(_snake(name)) is None:
                    fields[_snake(name)] = value
    return fields


def _snake(name: str) -> str:
    # No field that is looked for has a longer name, and what is remembered must stay small.
    return _snaked(name) if len(name) <= _FIELD_CHARS_MAX else name


@lru_cache(maxsize=1024)
def _snaked(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


def _lack(fields: Mapping[str, object]) -> str:
    """Say what is missing, in terms of what is there."""
    if fields.get("auth_mode") in _UNSUPPORTED_MODES:
        return "auth_mode is not supported: bring a refresh token, an access token or an API key"
    if fields.get("session_token"):
        return "session_token alone is not supported: bring a refresh token"
    if fields.get("id_token"):
        return "id_token alone opens nothing: bring a refresh token or an access token"
    return "no refresh_token, access_token or api_key in it"


def _token(fields: Mapping[str, object], *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise Unusable(f"{name} is not a string")
        token = value.strip()
        if len(token) > TOKEN_CHARS_MAX:
            raise Unusable(f"{name} is longer than {TOKEN_CHARS_MAX} characters")
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise Unusable(f"{name} has characters that no token has")
        if token:
            return token
    return None


def _words(fields: Mapping[str, object], *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return printable(value.strip())
    return None


def printable(text: str) -> str:
    """Return `text` fit to be shown in one line: bounded, without control characters."""
    return "".join(mark if mark.isprintable() else " " for mark in text[:NAME_CHARS_MAX])


def _id(fields: Mapping[str, object], *names: str) -> str | None:
    """Return an upstream id. Other programs' stand-ins for an unknown one are none."""
    for name in names:
        value = fields.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _ID_CHARS_MAX:
            continue
        if value.isascii() and value.isprintable() and not value.startswith(_MADE_UP_IDS):
            return value
    return None


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _pairs(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: own for name, own in pairs if isinstance(name, str) and isinstance(own, str)}


def _base_url(fields: Mapping[str, object]) -> str | None:
    value = fields.get("base_url")
    if value is None or value == "":
        return None
    url = value.strip() if isinstance(value, str) else ""
    try:
        return egress.base_url(url)
    except InvalidRequest as error:
        raise Unusable(error.message.removesuffix(".")) from None


def _ends_at(fields: Mapping[str, object], claims: Claims) -> float | None:
    if claims.expires_at is not None:
        return claims.expires_at
    for name in ("expires_at", "expired", "expires", "expiry"):
        at = _epoch(fields.get(name))
        if at is not None:
            return at
    return None


def _epoch(value: object) -> float | None:
    """Return epoch seconds of a number (seconds or milliseconds) or an ISO 8601 text."""
    match value:
        case bool():
            return None
        case int() | float() if 0 < value < _MILLISECONDS_FROM * 1000:
            return value / 1000 if value >= _MILLISECONDS_FROM else float(value)
        case str():
            try:
                moment = datetime.fromisoformat(value.strip())
            except ValueError:
                return None
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return aware.timestamp()
        case _:
            return None


def _secret(value: str | None) -> Secret | None:
    return Secret(value) if value else None


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret else None
