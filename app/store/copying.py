"""Moves everything from one database of ours into another, whichever two they are.

Rows are read from one snapshot, in the order of their primary keys, and written in batches, parents
before children; sealed records travel as they are. Until the last row has been compared, the
target's schema step bears a name that no version knows, so that nothing starts on half a copy, and
whoever copies again sees that he may throw it away. What is written to the source after the
snapshot stays behind; so nobody should write to it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import (
    Table,
    delete,
    func,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import StateError
from app.store.engine import Database
from app.store.schema import STEP, UNFINISHED_COPY, current, steps, upgrade
from app.store.tables import metadata, revision

BATCH_ROWS: Final = 2_000

_COPIED: Final[Sequence[Table]] = [each for each in metadata.sorted_tables if each is not revision]
_OURS: Final = frozenset({"revision", "sealed", "alembic_version"})
_DIGEST_BITS: Final = 256


class Copied(Struct, frozen=True):
    """How many rows of each table were copied and compared.

    `restarted` says that the rest of an interrupted copy was thrown away first.
    """

    rows: dict[str, int]
    restarted: bool = False


class Progress(Struct, frozen=True):
    """Whom to tell how far it is: first the number of steps, then each bunch of them."""

    total: Callable[[int], None]
    done: Callable[[int], None]


class _Sum(Struct):
    """A number that two sets of rows share only if they are equal, in whatever order they came."""

    rows: int = 0
    digest: int = 0

    def add(self, row: tuple[Any, ...]) -> None:
        """Count a row in."""
        self.rows += 1
        one = int.from_bytes(sha256(msgspec.msgpack.encode(row)).digest(), "big")
        self.digest = (self.digest + one) % (1 << _DIGEST_BITS)


async def copy(
    source: Database, target: Database, *, force: bool, timeout_s: float, progress: Progress
) -> Copied:
    """Fill `target` with everything that `source` holds, and compare the two.

    Both are brought up to date first; `timeout_s` bounds the wait for others who do that. A target
    that holds something is emptied only with `force`. After an error or an interruption the target
    is unusable until a copy into it has succeeded.

    Raises:
        StateError: One of them can't be used, the target holds something, or a row did not arrive.
    """
    if source.name == target.name:
        raise StateError(f"{source.name} can't be copied into itself.")
    await check_source(source)
    # One within the other: if both are one database by two names, the inner one waits in vain.
    async with source.prepare(timeout_s=timeout_s) as connection:
        await connection.run_sync(upgrade)
        before, restarted = await _prepare_target(target, force=force, timeout_s=timeout_s)
    async with source.read() as reader:
        counts = [await _count(reader, each) for each in _COPIED]
        progress.total(2 * sum(counts))
        sums = {each.name: await _copy_table(reader, target, each, progress) for each in _COPIED}
        seen = int((await reader.execute(select(revision.c.value))).scalar_one())
    for each in _COPIED:
        await _compare(target, each, sums[each.name], progress)
    await _finish(target, revision_value=max(before, seen) + 1)
    return Copied({name: found.rows for name, found in sums.items()}, restarted=restarted)


async def require_current(source: Database) -> None:
    """Refuse a database that has to be brought up to date before it can be read.

    Raises:
        StateError: It is no database of ours, or an older one.
    """
    async with source.read() as connection:
        await connection.run_sync(_check_ours, source.name)
        if not await connection.run_sync(current):
            raise StateError(
                f"The tables of {source.name} are older than this version: use the version that "
                "wrote them, or run `codex2api db upgrade` first."
            )


async def check_source(source: Database) -> None:
    """Refuse what nothing can be copied from.

    Raises:
        StateError: It is no database of ours, or one that an interrupted copy left behind.
    """
    async with source.read() as connection:
        await connection.run_sync(_check_ours, source.name)
        step = await _step(connection)
    if step.startswith(UNFINISHED_COPY):
        raise StateError(
            f"{source.name} is what an interrupted copy left behind; copy from the original."
        )


async def _prepare_target(target: Database, *, force: bool, timeout_s: float) -> tuple[int, bool]:
    """Empty and mark the target; return its revision, and whether it was half a copy."""
    async with target.prepare(timeout_s=timeout_s) as connection:
        await connection.run_sync(_check_not_foreign, target.name)
        restarted = await _unmark(connection)
        await connection.run_sync(upgrade)
        if not restarted and not force:
            await _check_empty(connection, target.name)
        await _empty(connection)
        step = await _step(connection)
        await connection.execute(update(STEP).values(version_num=f"{UNFINISHED_COPY}{step}"))
        return int((await connection.execute(select(revision.c.value))).scalar_one()), restarted


async def _unmark(connection: AsyncConnection) -> bool:
    """Give back its schema step to a target that was left unfinished; tell whether it was."""
    step = await _step(connection)
    if not step.startswith(UNFINISHED_COPY):
        return False
    known = step.removeprefix(UNFINISHED_COPY)
    await connection.execute(update(STEP).values(version_num=known))
    return True


async def _step(connection: AsyncConnection) -> str:
    return next(iter(await connection.run_sync(steps)), "")


def _table_names(connection: Connection) -> frozenset[str]:
    return frozenset(inspect(connection).get_table_names())


def _check_ours(connection: Connection, name: str) -> None:
    if not _table_names(connection) >= _OURS:
        raise StateError(f"{name} holds no codex2api database.")


def _check_not_foreign(connection: Connection, name: str) -> None:
    """Refuse a target whose tables have our names but are another program's."""
    found = _table_names(connection)
    if not found >= _OURS and found & {"alembic_version", *metadata.tables}:
        raise StateError(
            f"{name} holds the tables of another program: name an empty database as the target."
        )


async def _check_empty(connection: AsyncConnection, name: str) -> None:
    found = {each.name: await _count(connection, each) for each in _COPIED}
    held = ", ".join(f"{rows} of {each}" for each, rows in found.items() if rows)
    if held:
        raise StateError(
            f"{name} is not empty (it holds rows: {held}). Nothing was changed. With --force all "
            "of them are deleted first."
        )


async def _empty(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        names = ", ".join(each.name for each in _COPIED)
        await connection.execute(text(f"TRUNCATE {names}"))
    else:
        for each in reversed(_COPIED):
            await connection.execute(delete(each))


async def _count(connection: AsyncConnection, each: Table) -> int:
    query = select(func.count()).select_from(each)
    return int((await connection.execute(query)).scalar_one())


async def _copy_table(
    reader: AsyncConnection, target: Database, each: Table, progress: Progress
) -> _Sum:
    found = _Sum()
    async for rows in _batches(reader, each):
        for row in rows:
            found.add(row)
        await _insert(target, each, rows)
        progress.done(len(rows))
    return found


async def _batches(
    connection: AsyncConnection, each: Table
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Yield the rows of a table in the order of its primary key."""
    key = list(each.primary_key.columns)
    places = [list(each.columns).index(part) for part in key]
    query = select(each).order_by(*key).limit(BATCH_ROWS)
    last: tuple[Any, ...] | None = None
    while True:
        page = query if last is None else query.where(tuple_(*key) > last)
        rows = [tuple(row) for row in await connection.execute(page)]
        if not rows:
            return
        yield rows
        last = tuple(rows[-1][place] for place in places)


async def _insert(target: Database, each: Table, rows: list[tuple[Any, ...]]) -> None:
    try:
        async with target.append() as connection:
            new = await target.insert_new(connection, each, rows)
    except StateError as error:
        cause = error.__cause__
        if not isinstance(cause, Exception) or not target.refuses(cause):
            raise
        if len(rows) > 1:
            middle = len(rows) // 2
            await _insert(target, each, rows[:middle])
            await _insert(target, each, rows[middle:])
            return
        raise StateError(
            f"A row of {each.name} does not fit into {target.name}: {_key_of(each, rows[0])}. "
            f"{error.message}"
        ) from error
    if len(new) != len(rows):
        raise StateError(f"Somebody else is writing to {target.name}: {each.name} was not empty.")


def _key_of(each: Table, row: tuple[Any, ...]) -> str:
    named = zip(each.columns, row, strict=True)
    return ", ".join(f"{part.name} {value!r}" for part, value in named if part.primary_key)


async def _compare(target: Database, each: Table, wanted: _Sum, progress: Progress) -> None:
    found = _Sum()
    async with target.read() as connection:
        async for rows in _batches(connection, each):
            for row in rows:
                found.add(row)
            progress.done(len(rows))
    if found != wanted:
        raise StateError(
            f"{each.name} arrived changed in {target.name}: {found.rows} rows of {wanted.rows}, or "
            "others than were read. Run the copy again, with nothing else writing to either."
        )


async def _finish(target: Database, *, revision_value: int) -> None:
    async with target.write(announce=False) as connection:
        for each in _COPIED:
            await _set_sequence(connection, each)
        await connection.execute(update(revision).values(value=revision_value))
        await _unmark(connection)


async def _set_sequence(connection: AsyncConnection, each: Table) -> None:
    """Let ids that the database gives go on after those that were copied."""
    own = each.autoincrement_column
    if own is None or connection.dialect.name != "postgresql":
        return
    sequence = f"pg_get_serial_sequence('{each.name}', '{own.name}')"
    last = f"SELECT max({own.name}) FROM {each.name}"  # noqa: S608 - names of our own tables
    await connection.execute(text(f"SELECT setval({sequence}, coalesce(({last}), 1), true)"))
