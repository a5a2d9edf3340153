"""How accounts and what happened to them are shown: lines for people, values for scripts.

A filter names groups and tags as a caller's key does: any of the groups, all of the tags.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from app.cli.command import table
from app.domain.account import Credential
from app.domain.enrolment import AccountEvent, StoredAccount

_HEAD = ("ID", "NAME", "KIND", "PLAN", "PRIORITY", "GROUPS", "TAGS", "STATE")
_EVENT_HEAD = ("TIME", "EVENT", "CODE", "TIMES", "NEXT TRY", "DETAIL")


def filtered(
    found: Iterable[StoredAccount], *, groups: Collection[str], tags: Collection[str]
) -> list[StoredAccount]:
    """Return the accounts that are in any of `groups`, if given, and carry all of `tags`."""
    return [
        each
        for each in found
        if (not groups or not set(groups).isdisjoint(each.account.groups))
        and set(tags).issubset(each.account.tags)
    ]


def account_lines(found: Sequence[StoredAccount], *, now: float) -> list[str]:
    """Return a table of the accounts."""
    rows = [
        (
            each.account.id,
            each.account.name,
            each.account.kind.value,
            each.account.plan or "",
            str(each.account.priority),
            ",".join(each.account.groups),
            ",".join(each.account.tags),
            state(each, now=now),
        )
        for each in found
    ]
    return table(_HEAD, rows) if rows else ["No accounts."]


def event_lines(found: StoredAccount, events: Sequence[AccountEvent], *, now: float) -> list[str]:
    """Return what happened to an account, below a line that names it."""
    account = found.account
    rows = [
        (
            _moment(event.at),
            event.kind,
            event.code or "",
            str(event.count) if event.count > 1 else "",
            "" if event.next_at is None else _moment(event.next_at),
            event.detail,
        )
        for event in events
    ]
    lines = table(_EVENT_HEAD, rows) if rows else ["No events."]
    return [
        f"{account.name} ({account.id}): {state(found, now=now)}",
        *(f"  {line}" for line in lines),
    ]


def state(found: StoredAccount, *, now: float) -> str:
    """Return a few words on whether the account can serve, as far as its row tells."""
    account = found.account
    if found.damaged:
        return "damaged: its secrets do not open"
    if not account.enabled:
        return "disabled"
    if account.credential.refused is not None:
        return f"its key is refused ({account.credential.refused})"
    if found.dead:
        return f"log in again ({found.refused_code})"
    return _credential_state(account.credential, now=now)


def shown(found: StoredAccount) -> dict[str, object]:
    """Return all that may be told of an account: no token, no proxy's address."""
    account = found.account
    same = ("id", "name", "kind", "base_url", "chatgpt_account_id", "email", "plan", "fedramp",
            "enabled", "priority", "concurrency_max", "models", "model_map",
            "organization", "project", "groups", "tags", "pause_at")  # fmt: skip
    return {name: getattr(account, name) for name in same} | {
        "expires_at": account.credential.expires_at,
        "renewable": account.credential.renewable,
        "generation": account.credential.generation,
        "proxy": account.proxy_url is not None,
        "created_at": found.created_at,
        "renewed_at": found.renewed_at,
        "refused_code": found.refused_code,
        "dead": found.dead,
        "damaged": found.damaged,
    }


def _credential_state(credential: Credential, *, now: float) -> str:
    if credential.expires_at is None:
        return "good"
    if not credential.access_token:
        return "waits for its first renewal"
    ends_at = datetime.fromtimestamp(credential.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if credential.expires_at > now:
        return f"good until {ends_at}"
    return f"due for renewal since {ends_at}" if credential.renewable else f"expired {ends_at}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
