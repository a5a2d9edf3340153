"""Accounts as operators handle them: list, add, change, delete.

Adding an account that is already there (see `account_rows.identity`) refreshes it instead: the
credential that lives longer wins, so that importing an old file never overwrites a token that was
rotated since. Where ids become known only after a first renewal, `identify` does the same for the
two rows that turn out to be one account. Renewals are `app.store.credentials`.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import asdict
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import Account, AccountId, AccountKind, Secret
from app.domain.enrolment import (
    AccountChanges,
    AccountEvent,
    Added,
    Enrolment,
    Identity,
    StoredAccount,
    labels,
)
from app.errors import CallerError, StaleEdit
from app.store.account_rows import (
    codex_identity,
    identity,
    map_column,
    names_column,
    proxy_place,
    sealed_tokens,
    selection,
    stored,
)
from app.store.credentials import credential_row, learn, open_tokens, write_tokens
from app.store.engine import Database
from app.store.events import note
from app.store.keyring import Keyring
from app.store.tables import account_events, accounts, credentials

__all__ = ["Accounts", "TooManyAccounts"]

_EVENT = tuple(account_events.c[name] for name in AccountEvent.__struct_fields__)

# Streams are served between the turns: opening this many rows takes about 5 ms.
_ROWS_A_TURN = 250


class TooManyAccounts(CallerError):
    """The store holds as many accounts as a pool was measured with."""


class Accounts:
    """The rows of `accounts`, with their credentials."""

    def __init__(
        self, database: Database, keyring: Keyring, *, accounts_max: int, events_max: int
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._accounts_max = accounts_max
        self._events_max = events_max

    async def list(self) -> list[Account]:
        """Return every account, oldest first, as the pool takes them; damaged ones disabled."""
        return [found.account for found in await self.details()]

    async def details(self) -> Sequence[StoredAccount]:
        """Return every account, oldest first, with what an operator wants to know besides."""
        query = selection().order_by(accounts.c.created_at, accounts.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found: list[StoredAccount] = []
        for start in range(0, len(rows), _ROWS_A_TURN):
            found += [stored(row, self._keyring) for row in rows[start : start + _ROWS_A_TURN]]
            await asyncio.sleep(0)
        return found

    async def accounts(self) -> Sequence[Account]:
        """Return what `list` does, under the name that `app.accounts` knows."""
        return await self.list()

    async def account(self, account_id: AccountId) -> Account | None:
        """Return one account, None if it is gone."""
        found = await self.find(account_id)
        return found.account if found else None

    async def find(self, account_id: AccountId) -> StoredAccount | None:
        """Return one account."""
        async with self._database.read() as connection:
            return await self._find(connection, account_id)

    async def add(self, new: Enrolment, *, at: float, issued_now: bool = False) -> Added:
        """Add an account, or refresh the one that it already is.

        `issued_now` says that its credential was, so that none that is stored can be fresher.

        Raises:
            TooManyAccounts: The store is full.
            StateError: The database can't be written; nothing was.
        """
        async with self._database.write() as connection:
            return await self._add(connection, new, at=at, issued_now=issued_now)

    async def add_all(self, new: Sequence[Enrolment], *, at: float) -> Sequence[Added]:
        """Add many in one transaction: all of them, or none on an error; raises like `add`."""
        async with self._database.write() as connection:
            return [await self._add(connection, one, at=at) for one in new]

    async def update(
        self, account_id: AccountId, changes: AccountChanges, *, at: float
    ) -> Account | None:
        """Change what `changes` sets and return the account, or None if there is none.

        Raises:
            InvalidRequest: The name of a group or a tag has a wrong form.
        """
        found = await self.edit(account_id, changes, at=at)
        return found.account if found else None

    async def edit(
        self,
        account_id: AccountId,
        changes: AccountChanges,
        *,
        at: float,
        version: int | None = None,
    ) -> StoredAccount | None:
        """Do what `update` does, but only to the account of that version; None for any.

        Raises:
            StaleEdit: The account has another version by now.
        """
        async with self._database.write() as connection:
            found = await self._find(connection, account_id)
            if version is not None and found is not None and found.version != version:
                raise StaleEdit(
                    "Somebody else has changed this account meanwhile.", param="version"
                )
            await self._change(connection, account_id, changes, at=at)
            return await self._find(connection, account_id)

    async def update_all(
        self, account_ids: Sequence[AccountId], changes: AccountChanges, *, at: float
    ) -> int:
        """Change many alike in one transaction, and return how many of them are there.

        Other writers wait meanwhile, so give some hundred at a time. Raises like `update`.
        """
        async with self._database.write() as connection:
            changed = [
                await self._change(connection, account_id, changes, at=at)
                for account_id in account_ids
            ]
        return sum(changed)

    async def identify(self, account_id: AccountId, who: Identity, *, at: float) -> Account | None:
        """Record who the account is, and return it.

        If another row is the same account, that one takes over this one's credential, which was
        renewed a moment ago, and is returned; this row is deleted. None if there is no such row.
        """
        async with self._database.write() as connection:
            mine = await credential_row(connection, account_id)
            if mine is None:
                return None
            known = codex_identity(who.chatgpt_user_id, who.chatgpt_account_id)
            twin = await self._by_identity(connection, known)
            if twin is not None and twin != account_id:
                await self._merge(connection, mine, into=twin, at=at)
                account_id = AccountId(twin)
            await learn(connection, account_id, who)
            found = await self._find(connection, account_id)
        return found.account if found else None

    async def delete(self, account_id: AccountId) -> bool:
        """Delete an account with its credential and events; False if there is none."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(accounts).where(accounts.c.id == account_id))
            return gone.rowcount == 1

    async def export(self, account_id: AccountId, *, at: float) -> dict[str, Secret | None] | None:
        """Return all tokens of an account, for its operator at the host; leaves an event. Or None.

        Raises:
            SealBroken: A token does not open.
        """
        async with self._database.write(announce=False) as connection:
            row = await credential_row(connection, account_id)
            if row is None:
                return None
            await self._note(connection, account_id, "exported", "", at)
        return open_tokens(self._keyring, row)

    async def events(self, account_id: AccountId) -> Sequence[AccountEvent]:
        """Return what happened to the account's row, newest first."""
        query = (
            select(*_EVENT)
            .where(account_events.c.account_id == account_id)
            .order_by(account_events.c.id.desc())
        )
        async with self._database.read() as connection:
            return [AccountEvent(*row) for row in await connection.execute(query)]

    async def latest_events(self, *, limit: int) -> Mapping[AccountId, Sequence[AccountEvent]]:
        """Return the newest `limit` events of every account that has any, newest first."""
        place = func.row_number().over(
            partition_by=account_events.c.account_id, order_by=account_events.c.id.desc()
        )
        ranked = select(account_events, place.label("place")).subquery()
        columns = [ranked.c[column.name] for column in (account_events.c.account_id, *_EVENT)]
        query = select(*columns).where(ranked.c.place <= limit).order_by(ranked.c.id.desc())
        found: dict[AccountId, list[AccountEvent]] = {}
        async with self._database.read() as connection:
            for account_id, *event in await connection.execute(query):
                found.setdefault(account_id, []).append(AccountEvent(*event))
        return found

    async def _change(
        self, connection: AsyncConnection, account_id: AccountId, changes: AccountChanges, *,
        at: float,
    ) -> bool:  # fmt: skip
        values = {name: value for name, value in asdict(changes).items() if value is not UNSET}
        if not values:
            return False
        detail = ", ".join(values)
        if "proxy_url" in values:
            values["proxy_url"] = self._sealed_proxy(account_id, values["proxy_url"])
        change = (
            update(accounts)
            .where(accounts.c.id == account_id)
            .values(version=accounts.c.version + 1, **_with_lists(values))
        )
        if not (await connection.execute(change)).rowcount:
            return False
        await self._note(connection, account_id, "changed", detail, at)
        return True

    async def _add(
        self, connection: AsyncConnection, new: Enrolment, *, at: float, issued_now: bool = False
    ) -> Added:
        twin = await self._by_identity(connection, identity(new))
        if twin is not None:
            return await self._refresh(connection, twin, new, at=at, issued_now=issued_now)
        count = (await connection.execute(select(func.count()).select_from(accounts))).scalar_one()
        if count >= self._accounts_max:
            raise TooManyAccounts(f"The store holds {count} accounts, which is the limit.")
        account_id = AccountId(secrets.token_hex(8))
        await connection.execute(insert(accounts).values(self._columns(account_id, new, at=at)))
        tokens = sealed_tokens(self._keyring, account_id, _tokens(new), generation=0)
        await connection.execute(
            insert(credentials).values(
                account_id=account_id, generation=0, expires_at=_expiry(new), renewed_at=at,
                dead=False, **tokens,
            )
        )  # fmt: skip
        await self._note(connection, account_id, "added", "", at)
        found = await self._read(connection, account_id)
        return Added(found.account, created=True)

    async def _refresh(
        self, connection: AsyncConnection, twin: str, new: Enrolment, *, at: float, issued_now: bool
    ) -> Added:
        account_id = AccountId(twin)
        found = await self._read(connection, account_id)
        stale = issued_now or found.dead or found.damaged
        fresher = stale or _lives_longer(new, found.account)
        if fresher:
            await write_tokens(
                connection, self._keyring, account_id, _tokens(new), expires_at=_expiry(new), at=at
            )
            if found.damaged:
                change = update(accounts).where(accounts.c.id == account_id)
                sealed = self._sealed_proxy(account_id, new.proxy_url)
                await connection.execute(change.values(proxy_url=sealed))
            await self._note(connection, account_id, "replaced", "a fresher credential", at)
            found = await self._read(connection, account_id)
        return Added(found.account, created=False, credential_kept=not fresher)

    async def _merge(
        self, connection: AsyncConnection, mine: Row[Any], *, into: str, at: float
    ) -> None:
        await write_tokens(
            connection,
            self._keyring,
            into,
            open_tokens(self._keyring, mine),
            expires_at=mine.expires_at,
            at=at,
        )
        await connection.execute(delete(accounts).where(accounts.c.id == mine.account_id))
        detail = f"with {mine.account_id}, the same account"
        await self._note(connection, into, "merged", detail, at)

    async def _find(self, connection: AsyncConnection, account_id: str) -> StoredAccount | None:
        query = selection().where(accounts.c.id == account_id)
        row: Row[Any] | None = (await connection.execute(query)).one_or_none()
        return None if row is None else stored(row, self._keyring)

    async def _read(self, connection: AsyncConnection, account_id: str) -> StoredAccount:
        query = selection().where(accounts.c.id == account_id)
        return stored((await connection.execute(query)).one(), self._keyring)

    async def _by_identity(self, connection: AsyncConnection, known: str) -> str | None:
        query = select(accounts.c.id).where(accounts.c.identity == known)
        return (await connection.execute(query)).scalar_one_or_none()

    async def _note(
        self, connection: AsyncConnection, account_id: str, kind: str, detail: str, at: float
    ) -> None:
        await note(connection, account_id, kind, detail, at=at, events_max=self._events_max)

    def _sealed_proxy(self, account_id: AccountId, proxy_url: Secret | None) -> bytes | None:
        return self._keyring.seal(proxy_url, proxy_place(account_id)) if proxy_url else None

    def _columns(self, account_id: AccountId, new: Enrolment, *, at: float) -> Mapping[str, object]:
        same = ("name", "base_url", "chatgpt_account_id", "chatgpt_user_id", "email", "plan",
                "fedramp", "enabled", "priority", "concurrency_max", "organization",
                "project")  # fmt: skip
        return {name: getattr(new, name) for name in same} | {
            "id": account_id,
            "identity": identity(new),
            "kind": new.kind.value,
            "proxy_url": self._sealed_proxy(account_id, new.proxy_url),
            **_with_lists(
                {
                    "models": new.models,
                    "model_map": new.model_map,
                    "groups": new.groups,
                    "tags": new.tags,
                }
            ),
            "pause_at": new.pause_at,
            "created_at": at,
        }


def _tokens(new: Enrolment) -> dict[str, Secret | None]:
    # An account that only has a refresh token waits for its first renewal with an empty one.
    return {
        "access_token": new.access_token or Secret(""),
        "refresh_token": new.refresh_token,
        "id_token": new.id_token,
    }


def _expiry(new: Enrolment) -> float | None:
    # A server that asks for no key waits for nothing.
    waits = not new.access_token and new.kind is not AccountKind.COMPATIBLE
    return 0.0 if waits else new.expires_at


def _lives_longer(new: Enrolment, old: Account) -> bool:
    """Tell whether the credential of `new` should replace that of `old`.

    A token that can be renewed beats one that can't; otherwise the later end wins. Without an end
    on the new side nothing proves that it is fresher, so the old one stays.
    """
    if old.credential.renewable != (new.refresh_token is not None):
        return new.refresh_token is not None
    if not new.access_token or new.expires_at is None:
        return False
    return old.credential.expires_at is None or new.expires_at > old.credential.expires_at


def _with_lists(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with the lists among them as their columns hold them."""
    columns = dict(values)
    for name in ("groups", "tags"):
        if name in columns:
            columns[name] = names_column(labels(columns[name], param=name))
    if "models" in columns:
        columns["models"] = names_column(columns["models"])
    if "model_map" in columns:
        columns["model_map"] = map_column(columns["model_map"])
    return columns
