"""What an operator does to accounts of a running gateway: add, change, try, delete, many at once.

Each change is stored first and then taken over by this worker at once; the others follow within a
second. What spends a token is shielded, so that a browser that goes away loses nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import UNSET, Struct, structs

from app.accounts.enrolling import BATCH, Enroller
from app.accounts.enrolment import enrolment
from app.accounts.exporting import SealedAccounts, check_passphrase, exported, seal
from app.accounts.importing import Fault, parse
from app.accounts.new_account import NewAccount, Unusable, from_line
from app.accounts.oauth import Logins
from app.admin.roster import Roster
from app.admin.rows import AccountRows
from app.domain.account import Account, AccountId, Secret
from app.domain.enrolment import AccountChanges, Added, Enrolment, StoredAccount
from app.errors import CallerError, GatewayError, InvalidRequest
from app.ports import Clock

LINES_MAX: Final = 1_000
"""Tokens that are pasted at a time; more come as a file."""
PROBES_AT_A_TIME: Final = 4


class NoSuchAccount(CallerError):
    """The account is not there, or not any more."""

    status = 404
    code = "not_found"


class Tried(Struct, frozen=True):
    """What came of asking an account's upstream; `detail` is a word or a short sentence."""

    ok: bool
    detail: str
    status: int | None = None


class Hands(Struct, frozen=True):
    """What a running gateway does for an operator."""

    reload: Callable[[], Awaitable[None]]
    """Take over what the store holds now."""
    renew: Callable[[AccountId, int], Awaitable[Account | None]]
    """Return the account with a newer credential than that of the generation, or None."""
    probe: Callable[[Account], Awaitable[Tried]]
    """Ask the account's upstream for something that costs nothing."""
    reset: Callable[[AccountId], None]
    """Forget every rest of an account."""
    revive: Callable[[AccountId], Awaitable[object]]
    """Have a credential that is known as dead tried again."""


class Imported(Struct, frozen=True):
    """What an import did."""

    created: int
    replaced: int
    """They were there; what was brought is fresher."""
    kept: int
    """They were there, and are fresher."""
    ids: list[AccountId]
    faults: list[Fault]


class Action(StrEnum):
    """What can be done to many accounts at once."""

    CHANGE = "change"
    DELETE = "delete"
    REFRESH = "refresh"
    TEST = "test"
    RESET = "reset"


class Progress(Struct, frozen=True):
    """How far a bulk operation is; the last one has `finished`."""

    done: int
    total: int
    failed: int = 0
    finished: bool = False


class AccountDesk:
    """Changes accounts."""

    def __init__(
        self,
        *,
        rows: AccountRows,
        roster: Roster,
        enroller: Enroller,
        logins: Logins,
        hands: Hands,
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._roster = roster
        self._enroller = enroller
        self._hands = hands
        self._clock = clock
        self.logins = logins

    async def add(self, new: Enrolment) -> Added:
        """Add one account; raises as `Enroller.enrol` does."""
        added = await asyncio.shield(self._enroller.enrol(new))
        await self._hands.reload()
        return added

    async def add_lines(self, text: str, *, name: str, chosen: AccountChanges) -> Imported:
        """Add an account for each line with a token; one alone is exchanged at once.

        Raises:
            InvalidRequest: There is none, or too many.
        """
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not 0 < len(lines) <= LINES_MAX:
            raise InvalidRequest(
                f"Expected 1 to {LINES_MAX} tokens, one a line.", param="refresh_token"
            )
        if len(lines) == 1:
            new = Enrolment(name=name, refresh_token=Secret(lines[0]), **_given(chosen))
            return _imported([await self.add(new)], [])
        found: list[NewAccount] = []
        faults: list[Fault] = []
        for number, line in enumerate(lines, start=1):
            called = f"{name or 'account'} {number}"
            try:
                found.append(from_line(line, fallback=called))
            except Unusable as error:
                faults.append(Fault(number, str(error), "pasted"))
        return await self._add_all(found, faults, chosen)

    async def import_file(self, data: bytes, *, name: str, chosen: AccountChanges) -> Imported:
        """Add all accounts of a file of any kind that `app.accounts.importing` reads."""
        parsed = await asyncio.to_thread(parse, data, name=name)
        return await self._add_all(parsed.accounts, parsed.faults, chosen)

    async def finish_login(
        self, pasted: str, *, state: str | None, name: str, own: Secret | None
    ) -> Added:
        """Add the account of a login, from what a person pasted; raises as `Logins.finish` does."""

        async def finished() -> Added:
            new = await self.logins.finish(pasted, state=state, name=name.strip() or None)
            return await self._add_login(new, own)

        return await asyncio.shield(finished())

    async def poll_login(self, id: str, *, name: str, own: Secret | None) -> Added | None:
        """Add the account of a device login; None while the person has not agreed."""

        async def polled() -> Added | None:
            new = await self.logins.poll_device(id, name=name.strip() or None)
            return None if new is None else await self._add_login(new, own)

        return await asyncio.shield(polled())

    async def _add_login(self, new: NewAccount, own: Secret | None) -> Added:
        whole = structs.replace(enrolment(new), proxy_url=own)
        added = await self._rows.add(whole, at=self._clock.now(), issued_now=True)
        await self._hands.reload()
        return added

    async def export(self, ids: Sequence[AccountId], passphrase: Secret) -> SealedAccounts:
        """Return accounts with all their tokens, sealed; each gets an event that says so.

        Raises:
            InvalidRequest: The passphrase is too short.
            NoSuchAccount: One of them is gone.
        """
        chosen = [self._known(each).account for each in ids]
        check_passphrase(passphrase)
        entries = await exported(self._rows, chosen, at=self._clock.now())
        return await asyncio.to_thread(seal, entries, passphrase)

    async def edit(
        self, account_id: AccountId, changes: AccountChanges, *, version: int | None
    ) -> StoredAccount:
        """Change an account.

        Raises:
            NoSuchAccount: It is gone.
            StaleEdit: It has another version than the one that was seen.
            InvalidRequest: A field has a wrong form.
        """
        now = self._clock.now()
        found = await self._rows.edit(account_id, changes, at=now, version=version)
        if found is None:
            raise _gone(account_id)
        await self._hands.reload()
        return found

    async def delete(self, account_id: AccountId) -> None:
        """Delete an account; raises NoSuchAccount."""
        if not await self._rows.delete(account_id):
            raise _gone(account_id)
        await self._hands.reload()

    async def refresh(self, account_id: AccountId) -> Tried:
        """Renew an account's credential now; raises NoSuchAccount."""
        account = self._known(account_id).account
        if not account.credential.renewable:
            return Tried(ok=False, detail="It has no refresh token that could be good.")
        renewed = await self._hands.renew(account_id, account.credential.generation)
        await self._hands.reload()
        if renewed is not None:
            return Tried(ok=True, detail="renewed")
        now = self._roster.stored(account_id)
        code = now.refused_code if now else None
        return Tried(ok=False, detail=code or "not renewed; its events tell why")

    async def test(self, account_id: AccountId) -> Tried:
        """Ask an account's upstream whether it lets it in; costs no quota. Or NoSuchAccount."""
        return await self._hands.probe(self._known(account_id).account)

    async def reset(self, account_id: AccountId) -> None:
        """Forget every rest of an account, and that its credential died; or NoSuchAccount."""
        if self._known(account_id).dead:
            await self._hands.revive(account_id)
            await self._hands.reload()
        self._hands.reset(account_id)

    async def bulk(
        self, action: Action, ids: Sequence[AccountId], changes: AccountChanges
    ) -> AsyncGenerator[Progress, None]:
        """Do the same to many accounts and tell how far it is; who stops listening ends it."""
        done = failed = 0
        yield Progress(done, len(ids))
        size = PROBES_AT_A_TIME if action in (Action.REFRESH, Action.TEST) else BATCH
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            failed += await self._one_batch(action, part, changes)
            done += len(part)
            yield Progress(done, len(ids), failed)
        if action in (Action.CHANGE, Action.DELETE):
            await self._hands.reload()
        yield Progress(done, len(ids), failed, finished=True)

    async def _one_batch(
        self, action: Action, part: Sequence[AccountId], changes: AccountChanges
    ) -> int:
        """Return how many failed."""
        match action:
            case Action.CHANGE:
                now = self._clock.now()
                return len(part) - await self._rows.update_all(part, changes, at=now)
            case Action.DELETE:
                return sum([not await self._rows.delete(each) for each in part])
            case Action.RESET:
                return sum([not await self._quietly(self._revived, each) for each in part])
            case Action.TEST:
                tried = await asyncio.gather(*(self._quietly(self.test, each) for each in part))
                return sum(not good for good in tried)
            case Action.REFRESH:
                # One after the other: bursts get accounts revoked.
                return sum([not await self._quietly(self.refresh, each) for each in part])

    async def _revived(self, account_id: AccountId) -> Tried:
        await self.reset(account_id)
        return Tried(ok=True, detail="reset")

    async def _quietly(
        self, act: Callable[[AccountId], Awaitable[Tried]], account_id: AccountId
    ) -> bool:
        try:
            return (await act(account_id)).ok
        except GatewayError:
            return False

    async def _add_all(
        self, found: list[NewAccount], faults: list[Fault], chosen: AccountChanges
    ) -> Imported:
        added = await self._enroller.enrol_all(
            found, done=lambda _count: None, chosen=_given(chosen)
        )
        if added:
            await self._hands.reload()
        return _imported(added, faults)

    def _known(self, account_id: AccountId) -> StoredAccount:
        found = self._roster.stored(account_id)
        if found is None:
            raise _gone(account_id)
        return found


def _given(chosen: AccountChanges) -> dict[str, Any]:
    return {name: value for name, value in structs.asdict(chosen).items() if value is not UNSET}


def _imported(added: Sequence[Added], faults: list[Fault]) -> Imported:
    created = sum(each.created for each in added)
    kept = sum(each.credential_kept for each in added)
    ids = list(dict.fromkeys(each.account.id for each in added))
    return Imported(created, len(added) - created - kept, kept, ids, faults)


def _gone(account_id: AccountId) -> NoSuchAccount:
    return NoSuchAccount(f"There is no account {account_id[:64]}.", param="id")
