"""Tests of app.admin.desk; the way through HTTP is gone in `tests/edge/admin/test_accounts.py`."""

from typing import Any, cast

import pytest

from app.admin import desk as module
from app.admin.desk import AccountDesk, Action, Hands, NoSuchAccount, Tried
from app.domain.account import AccountId
from app.domain.enrolment import AccountChanges
from app.errors import InvalidRequest, StateError
from tests.admin.accounts import Accounts
from tests.fakes.accounts import account


class Office:
    """A desk with what is behind it."""

    def __init__(self, *names: str) -> None:
        self.accounts = Accounts(*names)
        self.reloads = 0
        self.tried: list[str] = []
        self.resets: list[str] = []
        self.revived: list[str] = []
        self.changed: list[list[str]] = []
        hands = Hands(
            reload=self._reload,
            renew=self._renew,
            probe=self._probe,
            reset=self.resets.append,
            revive=self._revive,
        )
        nothing = cast("Any", None)
        self.desk = AccountDesk(
            rows=cast("Any", self),
            roster=self.accounts.roster,
            enroller=nothing,
            logins=nothing,
            hands=hands,
            clock=self.accounts.clock,
        )

    async def update_all(self, ids, changes: AccountChanges, *, at: float) -> int:
        """Change all but one."""
        del changes, at
        self.changed.append(list(ids))
        return len(ids) - 1

    async def _reload(self) -> None:
        self.reloads += 1

    async def _revive(self, account_id: AccountId) -> None:
        self.revived.append(account_id)

    async def _renew(self, account_id: AccountId, generation: int) -> Any:
        del generation
        return None if account_id == "a" else account(account_id)

    async def _probe(self, one: Any) -> Tried:
        self.tried.append(one.id)
        if one.id == "b":
            raise StateError("away")
        return Tried(ok=one.id != "c", detail="")


def renewable(office: Office, name: str) -> None:
    """Let an account have a refresh token."""
    one = account(name)
    credential = module.structs.replace(one.credential, renewable=True)
    office.accounts.put(module.structs.replace(one, credential=credential))


async def test_many_are_changed_in_batches_and_loaded_once(monkeypatch):
    """Other writers get their turn between them."""
    monkeypatch.setattr(module, "BATCH", 2)
    office = Office()
    ids = [AccountId(str(number)) for number in range(5)]
    told = [each async for each in office.desk.bulk(Action.CHANGE, ids, AccountChanges(priority=1))]
    assert [each.done for each in told] == [0, 2, 4, 5, 5]
    assert [len(each) for each in office.changed] == [2, 2, 1]
    assert (told[-1].failed, told[-1].finished, office.reloads) == (3, True, 1)


async def test_who_stops_listening_ends_it(monkeypatch):
    """What was done stays done."""
    monkeypatch.setattr(module, "BATCH", 1)
    office = Office()
    bulk = office.desk.bulk(Action.CHANGE, [AccountId("a"), AccountId("b")], AccountChanges())
    await anext(bulk)
    await anext(bulk)
    await bulk.aclose()
    assert office.changed == [["a"]]


async def test_what_fails_of_many_is_counted():
    """One that fails does not end the others."""
    office = Office("a", "b", "c")
    ids = [AccountId(name) for name in ("a", "b", "c", "gone")]
    told = [each async for each in office.desk.bulk(Action.TEST, ids, AccountChanges())]
    assert (told[-1].done, told[-1].failed) == (4, 3)
    assert sorted(office.tried) == ["a", "b", "c"]
    told = [each async for each in office.desk.bulk(Action.RESET, ids[:3], AccountChanges())]
    assert (told[-1].failed, office.resets) == (0, ["a", "b", "c"])


async def test_a_dead_key_is_tried_again_on_an_operator_s_word():
    """Its rests are forgotten too; of one that is not dead nothing else has to be."""
    office = Office("a", "b")
    office.accounts.put(account("a"), dead=True)
    for name in ("a", "b"):
        await office.desk.reset(AccountId(name))
    assert (office.revived, office.resets, office.reloads) == (["a"], ["a", "b"], 1)
    with pytest.raises(NoSuchAccount):
        await office.desk.reset(AccountId("gone"))


async def test_a_renewal_tells_how_it_went():
    """Also why not."""
    office = Office("x")
    renewable(office, "a")
    renewable(office, "b")
    assert not (await office.desk.refresh(AccountId("x"))).ok
    assert not (await office.desk.refresh(AccountId("a"))).ok
    assert (await office.desk.refresh(AccountId("b"))).ok
    ids = [AccountId(name) for name in ("a", "b")]
    told = [each async for each in office.desk.bulk(Action.REFRESH, ids, AccountChanges())]
    assert told[-1].failed == 1


@pytest.mark.parametrize("text", ["", " \n ", "x\n" * (module.LINES_MAX + 1)])
async def test_there_must_be_some_lines_and_not_too_many(text):
    """A longer list comes as a file."""
    with pytest.raises(InvalidRequest) as caught:
        await Office().desk.add_lines(text, name="", chosen=AccountChanges())
    assert caught.value.param == "refresh_token"


async def test_an_account_that_is_gone_is_told():
    """Whatever is to be done with it."""
    office = Office()
    with pytest.raises(NoSuchAccount):
        await office.desk.reset(AccountId("gone"))
    with pytest.raises(NoSuchAccount):
        await office.desk.test(AccountId("gone"))
