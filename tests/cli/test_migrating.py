"""Tests of app.cli.migrating."""

from pathlib import Path

import pytest
from msgspec import structs

from app.cli.migrating import Outcome, Tally, take
from app.domain.account import Secret
from app.domain.caller import Allowance, Caller
from app.domain.enrolment import Enrolment
from app.errors import CallerError
from app.foreign.found import Found, FoundAccount, FoundKey
from app.settings import Limits, Settings
from app.store.copying import Progress
from app.store.store import Store

SILENT = Progress(total=lambda _steps: None, done=lambda _steps: None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a store that is not there yet."""
    return Settings(data_dir=tmp_path / "data", limits=Limits(keys_max=3, accounts_max=3))


def account(row: str, token: str) -> FoundAccount:
    """Return an account that was found."""
    return FoundAccount(row, Enrolment(name=row, refresh_token=Secret(token)))


def key(row: str, text: str | None) -> FoundKey:
    """Return a key that was found."""
    return FoundKey(row=row, name=row, key=Secret(text) if text else None)


async def test_an_account_that_stands_there_twice_is_taken_once(settings: Settings) -> None:
    """The second row is told, in a dry run too."""
    for dry_run in (True, False):
        found = Found(accounts=[account("1", "a"), account("2", "b"), account("3", "a")])
        outcome = await take(settings, found, dry_run=dry_run, make_keys=False, progress=SILENT)
        assert outcome.accounts == Tally(added=2)
        (remark,) = outcome.remarks
        assert (remark.row, remark.reason) == ("3", "the same account as 1")


async def test_a_key_that_can_be_guessed_is_told(settings: Settings) -> None:
    """It is taken, since its callers have it."""
    found = Found(keys=[key("1", "short"), key("2", "long-enough-not-to-be-guessed")])
    outcome = await take(settings, found, dry_run=False, make_keys=False, progress=SILENT)
    assert outcome.keys == Tally(added=2)
    assert [(each.row, each.taken) for each in outcome.remarks] == [("1", True)]


async def test_a_key_is_made_once_by_its_name(settings: Settings) -> None:
    """A second run makes no other one."""
    for made in (1, 0):
        found = Found(keys=[key("1", None)])
        outcome = await take(settings, found, dry_run=False, make_keys=True, progress=SILENT)
        assert len(outcome.made) == made
    async with Store.open(settings) as store:
        assert len(await store.keys.list()) == 1


async def test_a_key_keeps_its_limits_and_its_state(settings: Settings) -> None:
    """One that is disabled has its own end all the same."""
    allowance = Allowance(requests_per_minute=60, month_nusd=5)
    whole = FoundKey(
        row="1", name="a\nb", key=Secret("a-key-of-somebody"), enabled=False, expires_at=9.0,
        models=("m",), groups=("g",), allowance=allowance,
    )  # fmt: skip
    await take(settings, Found(keys=[whole]), dry_run=False, make_keys=False, progress=SILENT)
    async with Store.open(settings) as store:
        (stored,) = await store.keys.list()
    assert structs.replace(stored.caller, id="") == Caller(
        id="", name="a b", enabled=False, expires_at=9.0, models=("m",), groups=("g",),
        allowance=allowance,
    )  # fmt: skip


async def test_a_full_store_ends_it(settings: Settings) -> None:
    """What was stored before stays."""
    found = Found(accounts=[account(str(n), str(n)) for n in range(4)])
    with pytest.raises(CallerError, match="limit"):
        await take(settings, found, dry_run=False, make_keys=False, progress=SILENT)


async def test_the_progress_covers_all_rows(settings: Settings) -> None:
    """The steps add up to what was announced."""
    told: list[int] = []
    done: list[int] = []
    found = Found(accounts=[account("1", "a")], keys=[key("1", "key-1"), key("2", None)])
    progress = Progress(told.append, done.append)
    await take(settings, found, dry_run=False, make_keys=True, progress=progress)
    assert told == [sum(done)] == [3]


@pytest.mark.parametrize(
    ("outcome", "usable"),
    [
        (Outcome(Tally(), Tally(), [], [], []), False),
        (Outcome(Tally(there_already=1), Tally(), [], [], []), True),
        (Outcome(Tally(), Tally(), [key("1", None)], [], []), True),
    ],
)
def test_an_outcome_is_usable_if_there_was_anything(outcome: Outcome, *, usable: bool) -> None:
    """Also if it was there already."""
    assert outcome.usable is usable
