"""Tests of app.cli.listing."""

import pytest
from msgspec.structs import replace

from app.cli.listing import account_lines, event_lines, filtered, shown, state
from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.enrolment import AccountEvent, StoredAccount

NOW = 1_800_000_000.0


def stored(name: str, **fields: object) -> StoredAccount:
    """Return a stored account that is good for an hour."""
    credential = Credential(Secret("token"), expires_at=NOW + 3600, renewable=True)
    account = Account(AccountId(f"id-{name}"), name, AccountKind.CODEX, credential, **fields)
    return StoredAccount(account, created_at=1.0, renewed_at=2.0)


@pytest.mark.parametrize(
    ("groups", "tags", "names"),
    [
        ((), (), "abc"),
        (("x",), (), "a"),
        (("x", "y"), (), "ab"),
        ((), ("eu",), "ac"),
        ((), ("eu", "new"), "c"),
        (("x", "y"), ("eu",), "a"),
        (("z",), (), ""),
    ],
)
def test_any_group_and_all_tags(groups, tags, names) -> None:
    """As a caller's key chooses."""
    accounts = [
        stored("a", groups=("x",), tags=("eu",)),
        stored("b", groups=("x2", "y")),
        stored("c", tags=("eu", "new")),
    ]
    found = filtered(accounts, groups=groups, tags=tags)
    assert "".join(each.account.name for each in found) == names


def test_accounts_are_a_table() -> None:
    """One line each, with what decides on when it is used."""
    found = [stored("a", groups=("x", "y"), tags=("eu",), priority=5, plan="plus"), stored("b")]
    head, a, b = account_lines(found, now=NOW)
    assert head.split() == ["ID", "NAME", "KIND", "PLAN", "PRIORITY", "GROUPS", "TAGS", "STATE"]
    assert a.split()[:7] == ["id-a", "a", "codex", "plus", "5", "x,y", "eu"]
    assert b.split()[:5] == ["id-b", "b", "codex", "0", "good"]
    assert account_lines([], now=NOW) == ["No accounts."]


def test_events_stand_below_their_account() -> None:
    """Time, how it ended, how often, and when the next try is."""
    events = [
        AccountEvent(NOW, "renewal_unknown", "sent", "timeout", NOW + 60, 3),
        AccountEvent(NOW - 60, "added", ""),
    ]
    assert event_lines(stored("a"), events, now=NOW) == [
        "a (id-a): good until 2027-01-15 09:00 UTC",
        "  TIME                  EVENT            CODE     TIMES  NEXT TRY              DETAIL",
        "  2027-01-15 08:00:00Z  renewal_unknown  timeout  3      2027-01-15 08:01:00Z  sent",
        "  2027-01-15 07:59:00Z  added",
    ]
    assert event_lines(stored("a"), [], now=NOW)[1:] == ["  No events."]


@pytest.mark.parametrize(
    ("account", "credential", "row", "said"),
    [
        ({}, {}, {}, "good until 2027-01-15 09:00 UTC"),
        ({}, {"expires_at": None}, {}, "good"),
        ({}, {"expires_at": NOW}, {}, "due for renewal since 2027-01-15 08:00 UTC"),
        ({}, {"expires_at": NOW, "renewable": False}, {}, "expired 2027-01-15 08:00 UTC"),
        ({}, {"access_token": Secret("")}, {}, "waits for its first renewal"),
        ({}, {}, {"dead": True, "refused_code": "reused"}, "log in again (reused)"),
        ({"enabled": False}, {}, {"dead": True}, "disabled"),
        ({"enabled": False}, {}, {"damaged": True}, "damaged: its secrets do not open"),
    ],
)
def test_a_state_is_a_few_words(account, credential, row, said) -> None:
    """What matters most is said."""
    found = stored("a", **account)
    found = replace(
        found,
        account=replace(found.account, credential=replace(found.account.credential, **credential)),
        **row,
    )
    assert state(found, now=NOW) == said


def test_no_secret_is_shown() -> None:
    """A script gets every setting, no token and no proxy's address."""
    value = shown(stored("a", proxy_url=Secret("http://p"), pause_at=0.9, groups=("x",)))
    assert (value["pause_at"], value["groups"], value["proxy"]) == (0.9, ("x",), True)
    assert not any(isinstance(each, Secret) for each in value.values())
