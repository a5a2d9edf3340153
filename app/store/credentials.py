"""Credentials that outlive the process: the refresh token, and who may spend it next.

Every write of a credential raises its generation, and every write names the generation that it
follows, so that of two processes that renewed one account only the first is heard (compare and
set). Before a refresh token leaves, an intent is written: it keeps other processes from spending
the same token meanwhile, and after a crash it says which token may be spent. The exchange itself
is `app.accounts.credentials`; call `renewed` shielded from cancellation, because what it brings
can't be had again.
"""

import secrets
from collections.abc import Callable
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import Account, AccountId, Secret
from app.domain.enrolment import Identity
from app.ports import RenewalEvent, RenewalKind, Tokens
from app.store.account_rows import codex_identity, sealed_tokens, selection, stored, token_place
from app.store.engine import Database
from app.store.events import CODE_CHARS_MAX, EVENTS_AGE_S, forget, note, note_renewal, noted
from app.store.keyring import Keyring, SealBroken
from app.store.tables import accounts, credentials

INTENT_LIFE_S = 90.0
"""How long one process keeps others from a token; an exchange takes 30 s at most."""

Whose = Callable[[Tokens], Identity | None]
"""Tells from new tokens whose they are; tokens are opaque to the store."""

_TOKENS = ("access_token", "refresh_token", "id_token")


class StoredCredentials:
    """Satisfies `app.ports.CredentialStore`."""

    def __init__(
        self, database: Database, keyring: Keyring, *, events_max: int, whose: Whose
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._whose = whose
        self._events_max = events_max
        self._process = secrets.token_hex(8)

    async def refresh_token(self, account_id: AccountId) -> tuple[Secret, int] | None:
        """Return the refresh token and its generation; None if there is none or it is dead.

        Raises:
            SealBroken: It does not open.
            StateError: The database can't be read.
        """
        async with self._database.read() as connection:
            row = await credential_row(connection, account_id)
        if row is None or row.refresh_token is None or row.dead:
            return None
        place = token_place(account_id, "refresh_token", row.generation)
        return self._keyring.open(row.refresh_token, place), row.generation

    async def intend(self, account_id: AccountId, *, generation: int, at: float) -> bool:
        """Note that the token of `generation` is about to be spent, and tell whether it may be.

        False if the token is not current, is dead, or another process is spending it just now.
        """
        ours_or_over = or_(
            credentials.c.intended_generation.is_(None),
            credentials.c.intended_generation != generation,
            credentials.c.intended_by == self._process,
            credentials.c.intended_at <= at - INTENT_LIFE_S,
            # Noted in the future: the clock was set back since, so its age says nothing.
            credentials.c.intended_at > at + INTENT_LIFE_S,
        )
        change = (
            update(credentials)
            .where(
                credentials.c.account_id == account_id,
                credentials.c.generation == generation,
                credentials.c.refresh_token.is_not(None),
                credentials.c.dead.is_(False),
                ours_or_over,
            )
            .values(intended_generation=generation, intended_at=at, intended_by=self._process)
        )
        async with self._database.write(announce=False) as connection:
            before = await credential_row(connection, account_id)
            if (await connection.execute(change)).rowcount != 1:
                return False
            if before is not None and self._is_foreign(before):
                await self._note_interrupted(connection, before, at=at)
            return True

    def _is_foreign(self, row: Row[Any]) -> bool:
        """Tell whether another process noted that it would spend this very token."""
        return bool(row.intended_generation == row.generation and row.intended_by != self._process)

    async def _note_interrupted(
        self, connection: AsyncConnection, row: Row[Any], *, at: float
    ) -> None:
        """Write the event of an attempt whose process ended before it could."""
        unknown, began_at = RenewalKind.UNKNOWN, row.intended_at
        if not await noted(connection, row.account_id, unknown, since=began_at):
            event = RenewalEvent(unknown, began_at, "interrupted", at)
            await self._note_renewal(connection, row.account_id, event)

    async def intended(self) -> list[tuple[AccountId, float]]:
        """Return the accounts whose renewal began, and when, without a word of how it ended."""
        query = select(credentials.c.account_id, credentials.c.intended_at).where(
            credentials.c.intended_generation == credentials.c.generation
        )
        async with self._database.read() as connection:
            return [(AccountId(row[0]), row[1]) for row in await connection.execute(query)]

    async def renewed(
        self,
        account_id: AccountId,
        tokens: Tokens,
        *,
        generation: int,
        at: float,
        next_at: float | None = None,
    ) -> Account | None:
        """Store what the exchange of `generation` bought, as generation + 1, and that event.

        Fields that the server left out keep their old values, if those still open. What the new
        tokens tell of their owner is stored with them. Returns the account as it is now, or None
        if another process had already moved past `generation`.

        Raises:
            StateError: The database can't be written; nothing was.
        """
        async with self._database.write() as connection:
            row = await credential_row(connection, account_id)
            if row is None or row.generation != generation:
                return None
            merged = {
                column: getattr(tokens, column) or self._kept(row, column) for column in _TOKENS
            }
            expires_at = tokens.expires_at if tokens.access_token else row.expires_at
            await write_tokens(
                connection, self._keyring, account_id, merged, expires_at=expires_at, at=at
            )
            who = self._whose(tokens)
            if who is not None:
                await learn(connection, account_id, who)
            event = RenewalEvent(RenewalKind.RENEWED, at, None, next_at)
            detail = f"generation {generation + 1}"
            await self._note_renewal(connection, account_id, event, detail=detail)
            found = (await connection.execute(selection().where(accounts.c.id == account_id))).one()
            return stored(found, self._keyring).account

    async def refused(
        self, account_id: AccountId, *, generation: int, code: str, permanent: bool, at: float
    ) -> bool:
        """Record that the token of `generation` was not spent, and whether it is dead.

        That settles the intent. False, and nothing is recorded, if the token has been replaced
        since: what is said of the old one is no reason to take the new one away.
        """
        change = (
            update(credentials)
            .where(credentials.c.account_id == account_id, credentials.c.generation == generation)
            .values(
                refused_code=code[:CODE_CHARS_MAX],
                refused_at=at,
                intended_generation=None,
                intended_at=None,
                intended_by=None,
            )
        )
        if permanent:
            change = change.values(dead=True)
        # Only a token that died changes what other processes may do.
        async with self._database.write(announce=permanent) as connection:
            return bool((await connection.execute(change)).rowcount)

    async def remember(self, account_id: AccountId, event: RenewalEvent) -> None:
        """Keep how a renewal ended; what repeats the account's last event is counted there."""
        async with self._database.write(announce=False) as connection:
            if await credential_row(connection, account_id) is not None:
                await self._note_renewal(connection, account_id, event)

    async def forget_events(self, *, at: float) -> int:
        """Delete events of all accounts that are too old at `at`, and return how many.

        It takes some thousands at most, so that other writers do not wait; ask again for more.
        """
        async with self._database.write(announce=False) as connection:
            return await forget(connection, before=at - EVENTS_AGE_S)

    async def revive(self, account_id: AccountId, *, at: float) -> bool:
        """Let a dead refresh token be tried again, on an operator's word; False if no account."""
        change = update(credentials).where(credentials.c.account_id == account_id)
        change = change.values(dead=False, refused_code=None, refused_at=None)
        async with self._database.write() as connection:
            found = (await connection.execute(change)).rowcount == 1
            if found:
                limit = self._events_max
                await note(connection, account_id, "reset", "", at=at, events_max=limit)
        return found

    def _kept(self, row: Row[Any], column: str) -> Secret | None:
        """Return an old token; a damaged one must not stand in the way of what was just bought."""
        try:
            return _opened(self._keyring, row, column)
        except SealBroken:
            return Secret("") if column == "access_token" else None

    async def _note_renewal(
        self, connection: AsyncConnection, account_id: str, event: RenewalEvent, *, detail: str = ""
    ) -> None:
        limit = self._events_max
        await note_renewal(connection, account_id, event, detail=detail, events_max=limit)


async def credential_row(connection: AsyncConnection, account_id: str) -> Row[Any] | None:
    """Return the credential's row, sealed as it is."""
    query = select(credentials).where(credentials.c.account_id == account_id)
    return (await connection.execute(query)).one_or_none()


def open_tokens(keyring: Keyring, row: Row[Any]) -> dict[str, Secret | None]:
    """Return the tokens of a row.

    Raises:
        SealBroken: One does not open.
    """
    return {column: _opened(keyring, row, column) for column in _TOKENS}


def _opened(keyring: Keyring, row: Row[Any], column: str) -> Secret | None:
    record: bytes | None = getattr(row, column)
    if record is None:
        return None
    return keyring.open(record, token_place(row.account_id, column, row.generation))


async def write_tokens(
    connection: AsyncConnection,
    keyring: Keyring,
    account_id: str,
    tokens: dict[str, Secret | None],
    *,
    expires_at: float | None,
    at: float,
) -> None:
    """Replace the tokens of an account by `tokens`, one generation on, with a clean record."""
    mine = credentials.c.account_id == account_id
    current = (await connection.execute(select(credentials.c.generation).where(mine))).scalar_one()
    columns = sealed_tokens(keyring, account_id, tokens, generation=current + 1)
    await connection.execute(
        update(credentials)
        .where(mine)
        .values(
            generation=current + 1,
            expires_at=expires_at,
            renewed_at=at,
            refused_code=None,
            refused_at=None,
            dead=False,
            intended_generation=None,
            intended_at=None,
            intended_by=None,
            **columns,
        )
    )


async def learn(connection: AsyncConnection, account_id: str, who: Identity) -> None:
    """Record who an account is; what `who` does not say stays as it was.

    If another row is the same account already, the two stay apart until `Accounts.identify`.
    """
    known = codex_identity(who.chatgpt_user_id, who.chatgpt_account_id)
    mine = update(accounts).where(accounts.c.id == account_id)
    told = {name: value for name, value in asdict(who).items() if value is not None}
    await connection.execute(mine.values(told))
    twin = select(accounts.c.id).where(accounts.c.identity == known)
    if (await connection.execute(twin)).scalar_one_or_none() is None:
        await connection.execute(mine.values(identity=known))
