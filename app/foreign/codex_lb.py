"""codex-lb: accounts whose tokens are sealed with Fernet, callers' keys as digests with limits.

Of a key only the SHA-256 is there, which is enough for its callers to go on with it, with the same
models, end and budgets. Limits in tokens a day have no counterpart here.
"""

from collections.abc import Mapping
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from msgspec import structs

from app.accounts.enrolment import enrolment
from app.accounts.new_account import from_object
from app.domain.caller import Allowance
from app.domain.enrolment import Enrolment
from app.foreign.found import BadValue, Found, FoundAccount, FoundKey, WrongSecret
from app.foreign.reading import Product, Tables, Wanted
from app.foreign.values import Row, flag, key_digest, moment, money, names, text

_TOKENS: Final = ("access_token", "refresh_token", "id_token")

PRODUCT: Final = Product(
    "codex-lb",
    (
        Wanted(
            "accounts",
            ("id", "email", *(f"{token}_encrypted" for token in _TOKENS)),
            (
                "chatgpt_account_id", "chatgpt_user_id", "alias", "plan_type", "status",
                "routing_policy", "delete_requested_at",
            ),
        ),
        Wanted(
            "api_keys",
            ("id", "name", "key_hash"),
            (
                "allowed_models", "expires_at", "is_active", "enforced_model",
                "enforced_reasoning_effort", "enforced_service_tier", "transport_policy_override",
                "account_assignment_scope_enabled",
            ),
            optional=True,
        ),
        Wanted(
            "api_key_limits",
            ("id", "api_key_id", "limit_type", "limit_window", "max_value"),
            ("model_filter",),
            optional=True,
        ),
        Wanted("account_proxy_bindings", ("account_id",), ("is_active",), optional=True),
        Wanted("model_sources", ("id", "name"), optional=True),
    ),
)  # fmt: skip

_MICRODOLLARS: Final = 1_000_000
_OFF: Final = frozenset({"paused", "deactivated", "reauth_required"})
_DEFAULTS: Final = frozenset({"", "normal", "auto"})
_BUDGETS: Final = {"daily": "day_nusd", "monthly": "month_nusd"}


def found(tables: Tables, *, secret: str | None) -> Found:
    """Return what the tables hold; `secret` is the content of codex-lb's key file.

    Raises:
        WrongSecret: There is none, it has another form, or it opens no token at all.
    """
    result = Found()
    fernet = _fernet(secret)
    bound = {
        row["account_id"]
        for row in tables.get("account_proxy_bindings", ())
        if flag(row.get("is_active"), default=True)
    }
    unopened = 0
    for row in tables["accounts"]:
        place, name = f"accounts {row['id']}", text(row.get("alias")) or text(row["email"])
        with result.judging(place, name):
            try:
                new = _account(row, fernet)
            except InvalidToken:
                unopened += 1
                raise BadValue("the key does not open its tokens") from None
            result.accounts.append(FoundAccount(place, _switched(row, new, bound, result)))
    if unopened and not result.accounts:
        raise WrongSecret("The key in --key-file does not open the tokens of this database.")
    _take_keys(tables, result)
    for row in tables.get("model_sources", ()):
        result.refuse(
            f"model_sources {row['id']}", text(row["name"]),
            "add it with `codex2api accounts add --api-key`",
        )  # fmt: skip
    return result


def _fernet(secret: str | None) -> Fernet:
    if secret is None:
        raise WrongSecret(
            "The tokens of codex-lb are encrypted: name its key file with --key-file "
            "(encryption.key beside its database)."
        )
    try:
        return Fernet(secret.strip())
    except ValueError:
        raise WrongSecret(
            "--key-file holds no key of codex-lb: expected 32 bytes in URL-safe base64."
        ) from None


def _account(row: Row, fernet: Fernet) -> Enrolment:
    if row.get("delete_requested_at") is not None:
        raise BadValue("it is being deleted there")
    entry: dict[str, object] = {
        token: _opened(fernet, row[f"{token}_encrypted"]) for token in _TOKENS
    }
    entry |= {
        "name": text(row.get("alias")) or text(row["email"]),
        "email": row["email"],
        "chatgpt_account_id": row.get("chatgpt_account_id"),
        "chatgpt_user_id": row.get("chatgpt_user_id"),
        "plan_type": row.get("plan_type"),
    }
    return enrolment(from_object(entry, fallback=f"account {row['id']}"))


def _opened(fernet: Fernet, sealed: object) -> str | None:
    if not sealed:
        return None
    body = bytes(sealed) if isinstance(sealed, bytes | memoryview) else str(sealed).encode()
    return fernet.decrypt(body).decode() or None


def _switched(row: Row, new: Enrolment, bound: set[object], result: Found) -> Enrolment:
    """Return the account as it is to work here, with what there is to say of it."""
    place, name = f"accounts {row['id']}", new.name
    status, policy = text(row.get("status")).lower(), text(row.get("routing_policy")).lower()
    if policy not in _DEFAULTS:
        result.note(place, name, f"routing_policy {policy} has no counterpart; see --priority")
    enabled = True
    if status in _OFF:
        result.note(place, name, f"it is {status} there, so it is disabled here")
        enabled = False
    if row["id"] in bound:
        result.note(
            place, name,
            "it goes through a proxy there, so it is disabled here until it has one of its own",
        )  # fmt: skip
        enabled = False
    return structs.replace(new, enabled=enabled)


def _take_keys(tables: Tables, result: Found) -> None:
    limits: dict[object, list[Row]] = {}
    for row in tables.get("api_key_limits", ()):
        limits.setdefault(row["api_key_id"], []).append(row)
    for row in tables.get("api_keys", ()):
        with result.judging(f"api_keys {row['id']}", text(row["name"])):
            _take_key(row, limits.get(row["id"], []), result)


def _take_key(row: Row, limits: list[Row], result: Found) -> None:
    place, name = f"api_keys {row['id']}", text(row["name"])
    budgets: dict[str, int] = {}
    lost: list[str] = []
    for limit in limits:
        kind, window = text(limit["limit_type"]).lower(), text(limit["limit_window"]).lower()
        budget = _BUDGETS.get(window) if kind == "cost_usd" else None
        if budget is None or limit.get("model_filter"):
            lost.append(f"{kind} {window}")
            continue
        field = f"max_value of api_key_limits {limit['id']}"
        value = money(limit["max_value"], field, units_a_dollar=_MICRODOLLARS)
        if value is not None:
            budgets[budget] = min(value, budgets.get(budget, value))
    lost += [each for each in _SCOPES if _says(row, each)]
    key = FoundKey(
        row=place,
        name=name or place,
        key=key_digest(row.get("key_hash")),
        enabled=flag(row.get("is_active"), default=True),
        expires_at=moment(row.get("expires_at"), "expires_at"),
        models=names(row.get("allowed_models"), "allowed_models"),
        allowance=Allowance(**budgets),
    )
    result.keys.append(key)
    if lost:
        result.note(place, name, f"no counterpart for: {', '.join(lost)}")


_SCOPES: Final = (
    "enforced_model", "enforced_reasoning_effort", "enforced_service_tier",
    "transport_policy_override", "account_assignment_scope_enabled",
)  # fmt: skip


def _says(row: Mapping[str, object], field: str) -> bool:
    value = row.get(field)
    return text(value).lower() not in _DEFAULTS if isinstance(value, str) else bool(value)
