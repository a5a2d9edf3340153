"""Seals every secret again with the keyring's first key, while gateways go on working.

A row is read, opened, sealed again and written back only if it still is what was read: a renewal
that came in between has written a newer secret, and wins. Rows that the first key sealed already
are passed over, so a rotation that was interrupted goes on where it was. The sentinel, with which
every start proves its keyring, comes last, and only once nothing else needs an older key: a key
that is taken away too early then stops the next start, instead of spoiling some accounts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Row, Table, func, select, tuple_, update

from app.store.account_rows import proxy_place, token_place
from app.store.engine import Database
from app.store.keyring import Keyring, Place, SealBroken, kid_of
from app.store.tables import accounts, credentials, sealed

BATCH_ROWS: Final = 200
"""One transaction writes at most this many rows; other writers wait meanwhile, some 20 ms."""
PASSES_MAX: Final = 5
"""Two are enough unless a gateway still seals with an older key."""
UNREADABLE: Final = "unreadable"
"""Stands for the key of a record that is none."""

_SENTINEL: Final = "sentinel"


class _Sealed(Struct, frozen=True):
    """A table with sealed columns, and where a record of one of them belongs."""

    table: Table
    columns: tuple[str, ...]
    place: Callable[[Row[Any], str], Place]


_TABLES: Final[Sequence[_Sealed]] = (
    _Sealed(
        credentials,
        ("access_token", "refresh_token", "id_token"),
        lambda row, name: token_place(row.account_id, name, row.generation),
    ),
    _Sealed(accounts, ("proxy_url",), lambda row, _name: proxy_place(row.id)),
    _Sealed(sealed, ("record",), lambda row, name: Place("sealed", row.id, name)),
)


class Rotation(Struct):
    """What a rotation did; `broken` names the records that no key of the ring opens.

    While it is not `complete`, a gateway goes on sealing with an older key, which is still needed.
    """

    resealed: int
    broken: list[str]
    complete: bool


class _Pass(Struct):
    """What one look at all rows came to."""

    resealed: int = 0
    overtaken: int = 0
    broken: list[str] = []

    @property
    def quiet(self) -> bool:
        """Tell whether there was nothing to do."""
        return not self.resealed and not self.overtaken


async def count(database: Database) -> dict[str, int]:
    """Return how many records each key has sealed, by the keys' public names; opens none of them.

    Raises:
        StateError: The database can't be read.
    """
    found: Counter[str] = Counter()
    for each in _TABLES:
        after: tuple[Any, ...] | None = None
        while page := await _page(database, each, after):
            found.update(_kid(record) for row in page for _, record in _records(each, row))
            after = _key(each, page[-1])
    return dict(found)


async def rows(database: Database) -> int:
    """Return how many rows a rotation tells of.

    Raises:
        StateError: The database can't be read.
    """
    async with database.read() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(each.table))).scalar_one()
            for each in _TABLES
        ]
    return sum(counts)


async def rotate(database: Database, keyring: Keyring, *, done: Callable[[int], None]) -> Rotation:
    """Seal what other keys have sealed again with the first one; `done` hears of each batch.

    The keyring must have been proved. What it does not open stays as it is. It may be called again
    at any time, also after it was interrupted.

    Raises:
        StateError: The database can't be used; what was done before stays done.
    """
    resealed = 0
    for number in range(PASSES_MAX):
        found = await _look(database, keyring, done=done if number == 0 else _nobody)
        resealed += found.resealed
        if found.quiet:
            resealed += await _reseal_sentinel(database, keyring)
            return Rotation(resealed, found.broken, complete=True)
    return Rotation(resealed, found.broken, complete=False)


async def _look(database: Database, keyring: Keyring, *, done: Callable[[int], None]) -> _Pass:
    found = _Pass()
    for each in _TABLES:
        after: tuple[Any, ...] | None = None
        while page := await _page(database, each, after):
            others = [row for row in page if not _is_sentinel(each, row)]
            await _reseal(database, keyring, each, others, found)
            done(len(page))
            after = _key(each, page[-1])
    return found


async def _page(
    database: Database, each: _Sealed, after: tuple[Any, ...] | None
) -> Sequence[Row[Any]]:
    """Return the next rows in the order of the primary key."""
    key = list(each.table.primary_key.columns)
    query = select(each.table).order_by(*key).limit(BATCH_ROWS)
    if after is not None:
        query = query.where(tuple_(*key) > after)
    async with database.read() as connection:
        return (await connection.execute(query)).all()


async def _reseal(
    database: Database,
    keyring: Keyring,
    each: _Sealed,
    page: Sequence[Row[Any]],
    found: _Pass,
) -> None:
    changes = [(row, new) for row in page if (new := _sealed_again(keyring, each, row, found))]
    if not changes:
        return
    async with database.write(announce=False) as connection:
        for row, new in changes:
            unchanged = [each.table.c[name] == getattr(row, name) for name in new]
            change = update(each.table).where(*_same(each, row), *unchanged).values(new)
            if (await connection.execute(change)).rowcount:
                found.resealed += len(new)
            else:
                found.overtaken += 1


async def _reseal_sentinel(database: Database, keyring: Keyring) -> int:
    each = _TABLES[-1]
    found = _Pass()
    async with database.read() as connection:
        query = select(sealed).where(sealed.c.id == _SENTINEL)
        page = (await connection.execute(query)).all()
    await _reseal(database, keyring, each, page, found)
    return found.resealed


def _sealed_again(keyring: Keyring, each: _Sealed, row: Row[Any], found: _Pass) -> dict[str, bytes]:
    """Return the columns of a row that have to change, and note those that can't."""
    new: dict[str, bytes] = {}
    for name, record in _records(each, row):
        if _kid(record) == keyring.kids[0]:
            continue
        place = each.place(row, name)
        try:
            new[name] = keyring.seal(keyring.open(record, place), place)
        except SealBroken as error:
            found.broken.append(error.message)
    return new


def _records(each: _Sealed, row: Row[Any]) -> Iterator[tuple[str, bytes]]:
    for name in each.columns:
        record: bytes | None = getattr(row, name)
        if record is not None:
            yield name, record


def _same(each: _Sealed, row: Row[Any]) -> list[Any]:
    """Return the conditions that find a row as it was read."""
    conditions = [part == getattr(row, part.name) for part in each.table.primary_key.columns]
    if "generation" in each.table.c:
        # A record opens for its generation only, so it must not be put under another one.
        conditions.append(each.table.c.generation == row.generation)
    return conditions


def _key(each: _Sealed, row: Row[Any]) -> tuple[Any, ...]:
    return tuple(getattr(row, part.name) for part in each.table.primary_key.columns)


def _is_sentinel(each: _Sealed, row: Row[Any]) -> bool:
    return each.table is sealed and row.id == _SENTINEL


def _kid(record: bytes) -> str:
    try:
        return kid_of(record)
    except SealBroken:
        return UNREADABLE


def _nobody(_rows: int) -> None:
    """Hear of what nobody waits for."""
