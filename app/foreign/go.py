"""The Go Codex2API: accounts with their groups and tags, callers' keys in clear with their limits.

Budgets there slide (5 hours, 7 days, 30 days) or last for ever; here they are those of a day and of
a month. What comes close is taken and told, what has no counterpart is told. What is left of a
budget for ever becomes that of a month, so that no key gets more than it had.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import structs

from app.accounts.enrolment import enrolment
from app.accounts.new_account import from_object
from app.domain.account import Secret
from app.domain.caller import Allowance
from app.domain.enrolment import CONCURRENCY_MAX, Enrolment, labels
from app.environment import printable, url
from app.foreign.found import BadValue, Found, FoundAccount, FoundKey, WrongSecret
from app.foreign.reading import Product, Tables, Wanted
from app.foreign.values import Row, count, flag, mapping, moment, money, names, numbers, spent, text
from app.store.keys import KEY_CHARS_MAX, KEY_CHARS_MIN

PRODUCT: Final = Product(
    "the Go Codex2API",
    (
        Wanted(
            "accounts",
            ("id", "credentials"),
            (
                "name", "platform", "proxy_url", "status", "enabled", "tags", "deleted_at",
                "base_concurrency_override",
            ),
        ),
        Wanted(
            "api_keys",
            ("id", "key"),
            ("name", "quota_limit", "quota_used", "expires_at", "allowed_group_ids", "limits"),
        ),
        Wanted("account_groups", ("id", "name"), optional=True),
        Wanted("account_group_members", ("account_id", "group_id"), optional=True),
    ),
)  # fmt: skip

_SEALED: Final = "enc:v1:"
_NONCE_BYTES: Final = 12
_PLATFORMS: Final = frozenset({"", "openai", "codex"})
_BY_KEY: Final = "openai_responses"
_TAKEN_LIMITS: Final = frozenset(
    {"rpm", "max_concurrency", "cost_limit_daily", "cost_limit_30d", "model_allow"}
)


def found(tables: Tables, *, secret: str | None) -> Found:
    """Return what the tables hold; `secret` opens the tokens of those who sealed them.

    Raises:
        WrongSecret: `secret` opens none of them.
    """
    result = Found()
    groups = {row["id"]: text(row["name"]) for row in tables.get("account_groups", ())}
    members: dict[object, list[str]] = {}
    for row in tables.get("account_group_members", ()):
        members.setdefault(row["account_id"], []).append(groups.get(row["group_id"], ""))
    seals = _Seals(secret)
    for row in tables["accounts"]:
        place, name = f"accounts {row['id']}", text(row.get("name"))
        with result.judging(place, name):
            mine = [group for group in members.get(row["id"], ()) if group]
            result.accounts.append(FoundAccount(place, _account(row, mine, seals)))
    seals.check()
    for row in tables["api_keys"]:
        with result.judging(f"api_keys {row['id']}", text(row.get("name"))):
            _take_key(row, groups, result)
    return result


def _account(row: Row, groups: list[str], seals: "_Seals") -> Enrolment:
    if row.get("deleted_at") is not None or text(row.get("status")) == "deleted":
        raise BadValue("it was deleted there")
    platform = text(row.get("platform")).lower()
    if platform not in _PLATFORMS:
        raise BadValue(f"it is of the platform {platform[:40]}, which is not supported")
    fields = mapping(row["credentials"], "credentials")
    entry = {name: seals.opened(name, value) for name, value in fields.items()}
    entry["name"] = text(row.get("name"))
    upstream = text(entry.get("upstream_type"))
    if upstream == _BY_KEY:
        entry = {"name": entry["name"], "api_key": entry.get("api_key"),
                 "base_url": _with_version(text(entry.get("base_url")))}  # fmt: skip
    elif upstream not in _PLATFORMS:
        raise BadValue(f"its upstream is {upstream[:40]}, which is not supported")
    concurrency = count(row.get("base_concurrency_override"), "base_concurrency_override")
    new = enrolment(from_object(entry, fallback=f"account {row['id']}"))
    return structs.replace(
        new,
        enabled=flag(row.get("enabled"), default=True),
        concurrency_max=min(concurrency or new.concurrency_max, CONCURRENCY_MAX),
        models=names(fields.get("models"), "models"),
        groups=labels(groups, param="groups"),
        tags=labels(names(row.get("tags"), "tags"), param="tags"),
        proxy_url=_proxy(text(row.get("proxy_url"))),
    )


def _with_version(base_url: str) -> str:
    """Return a base URL with its version, which the Go version adds by itself."""
    bare = base_url.rstrip("/")
    return f"{bare}/v1" if bare.count("/") == 2 else bare


def _proxy(address: str) -> Secret | None:
    if not address:
        return None
    try:
        return Secret(url("http", "https", "socks5")(address))
    except ValueError:
        raise BadValue(
            "proxy_url is no http, https or socks5 URL, and without its proxy the account would "
            "connect directly"
        ) from None


def _take_key(row: Row, groups: Mapping[object, str], result: Found) -> None:
    place, name = f"api_keys {row['id']}", text(row.get("name"))
    limits = mapping(row.get("limits"), "limits")
    quota = money(row.get("quota_limit"), "quota_limit") or None
    month = money(limits.get("cost_limit_30d"), "limits.cost_limit_30d") or None
    left = quota
    if quota is not None:
        left = max(0, quota - spent(row.get("quota_used"), "quota_used"))
        month = left if month is None else min(left, month)
    key = FoundKey(
        row=place,
        name=name or f"key {row['id']}",
        key=_key(text(row["key"])),
        enabled=left != 0,
        expires_at=moment(row.get("expires_at"), "expires_at"),
        models=names(limits.get("model_allow"), "limits.model_allow"),
        groups=_key_groups(row, groups),
        allowance=Allowance(
            requests_per_minute=count(limits.get("rpm"), "limits.rpm") or None,
            concurrency_max=count(limits.get("max_concurrency"), "limits.max_concurrency") or None,
            day_nusd=money(limits.get("cost_limit_daily"), "limits.cost_limit_daily") or None,
            month_nusd=month or None,
        ),
    )
    result.keys.append(key)
    if left == 0:
        result.note(place, name, "its quota_limit is used up there, so it is disabled here")
    elif quota is not None:
        result.note(place, name, "what is left of its quota_limit is now its budget of each month")
    if limits.get("cost_limit_30d"):
        result.note(place, name, "limits.cost_limit_30d is now the budget of a calendar month")
    other = [each for each, value in sorted(limits.items()) if value and each not in _TAKEN_LIMITS]
    if other:
        result.note(place, name, f"no counterpart for limits: {', '.join(other)}")


def _key(text: str) -> Secret:
    try:
        key = printable(KEY_CHARS_MIN, KEY_CHARS_MAX)(text)
    except ValueError:
        key = ""
    if not key or " " in key:
        raise BadValue(
            f"its key can't be taken: expected {KEY_CHARS_MIN} to {KEY_CHARS_MAX} printable ASCII "
            "characters, no blanks"
        )
    return Secret(key)


def _key_groups(row: Row, groups: Mapping[object, str]) -> tuple[str, ...]:
    ids = numbers(row.get("allowed_group_ids"), "allowed_group_ids")
    known = [groups[each] for each in ids if groups.get(each)]
    if ids and not known:
        raise BadValue("allowed_group_ids names only groups that are gone, so it opened nothing")
    return labels(known, param="groups")


class _Seals:
    """Opens tokens that were sealed: AES-256-GCM under the digest of a text, bound to the field."""

    def __init__(self, secret: str | None) -> None:
        self._cipher = AESGCM(sha256(secret.strip().encode()).digest()) if secret else None
        self._opened = 0
        self._refused = 0

    def opened(self, field: str, value: object) -> object:
        """Return a value in clear.

        Raises:
            BadValue: It is sealed, and the key is missing or another.
        """
        if not isinstance(value, str) or not value.startswith(_SEALED):
            return value
        if self._cipher is None:
            raise BadValue("its tokens are encrypted: give their key with --key-file")
        body = value.removeprefix(_SEALED)
        try:
            record = urlsafe_b64decode(body + "=" * (-len(body) % 4))
            plain = self._cipher.decrypt(
                record[:_NONCE_BYTES], record[_NONCE_BYTES:], field.encode()
            ).decode()
        except (ValueError, InvalidTag):
            self._refused += 1
            raise BadValue(f"the key does not open its {field}") from None
        self._opened += 1
        return plain

    def check(self) -> None:
        """Tell a wrong key from single values that are damaged.

        Raises:
            WrongSecret: It opened nothing at all.
        """
        if self._refused and not self._opened:
            raise WrongSecret("The key in --key-file does not open the tokens of this database.")
