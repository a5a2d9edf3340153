"""Postgres: a few connections, shared by all that read and write.

Reads are snapshots (`REPEATABLE READ`, read only). Writes that must be alone hold one advisory lock
until their commit, which gives them the turns that SQLite gives anyway; rows that are only
appended need no turn. A server that is down, frozen or refuses is an error after seconds, never a
wait without an end: nothing on the path of a call asks it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from secrets import token_hex
from typing import Any, Final

import asyncpg
from msgspec import Struct
from sqlalchemy import Column, String, Table, text
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.errors import StateError
from app.settings import Settings
from app.store import bulk
from app.store.engine import Database

APPLICATION: Final = "codex2api"
"""How sessions are called on the server; a process adds a word of its own."""
CONNECTIONS_MAX: Final = 5
"""For one process; a server with 100 connections serves some twelve of them."""
CONNECT_TIMEOUT_S: Final = 3.0
COMMAND_TIMEOUT_S: Final = 10.0
"""A frozen server keeps a statement for up to twice as long, as the cancelling waits as well."""
_TURN: Final = 0x_C0DE_2A91
"""The advisory lock of those who write alone; any number that nobody else uses."""
_IDLE_TIMEOUT_MS: Final = 30_000
_PROCESSES: Final = text(
    "SELECT count(DISTINCT application_name) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE :name"
)

_REMEDIES: Final[Sequence[tuple[tuple[type[BaseException], ...], str]]] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "{server} refuses the user {user}: check DATABASE_USER and DATABASE_PASSWORD, or the URL.",
    ),
    (
        (asyncpg.InvalidCatalogNameError,),
        "{server} has no database {database}: create it, or name another.",
    ),
    (
        (asyncpg.InsufficientPrivilegeError,),
        "{server} denies the user {user} a right that is needed: {reason}.",
    ),
    (
        (asyncpg.TooManyConnectionsError,),
        "{server} has no connection left: raise max_connections, or run fewer processes.",
    ),
    (
        (asyncpg.DiskFullError,),
        "The disk of {server} is full: nothing can be saved until there is room.",
    ),
    (
        (asyncpg.ReadOnlySQLTransactionError,),
        "{server} is read only, as a standby is: name the primary.",
    ),
    (
        (asyncpg.LockNotAvailableError,),
        "Another process holds the database of {server} for writing; try again.",
    ),
    ((TimeoutError, asyncpg.QueryCanceledError), "{server} does not answer in time."),
    (
        (OSError,),
        "{server} can't be reached ({reason}): is it running, and is the address right?",
    ),
)
"""What an operator can do about an error; the first row that fits is told."""


class Address(Struct, frozen=True):
    """Where the server is and who asks: what the driver takes, and what people are shown."""

    arguments: dict[str, Any]
    shown: str
    user: str
    database: str


def address(settings: Settings) -> Address:
    """Return the address that the settings name, as `DATABASE_URL` or in parts."""
    if settings.database_url is not None:
        url = make_url(settings.database_url)
        arguments: dict[str, Any] = {
            "dsn": url.set(drivername="postgresql").render_as_string(hide_password=False)
        }
        if "sslmode" not in url.query:
            arguments["ssl"] = settings.database_sslmode
        place = f"{url.host or 'localhost'}:{url.port or 5432}"
        user, database = url.username or "", url.database or url.username or ""
    else:
        user, database = settings.database_user, settings.database_name
        arguments = {
            "host": settings.database_host,
            "port": settings.database_port,
            "user": user,
            "password": settings.database_password,
            "database": database,
            "ssl": settings.database_sslmode,
        }
        place = f"{settings.database_host}:{settings.database_port}"
    return Address(arguments, f"{place}/{database}", user, database)


class PostgresDatabase(Database):
    """One Postgres database."""

    def __init__(self, where: Address) -> None:
        self._where = where
        session = f"{APPLICATION}-{token_hex(4)}"

        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(
                **where.arguments,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={
                    "application_name": session,
                    "idle_in_transaction_session_timeout": str(_IDLE_TIMEOUT_MS),
                    # Compiling takes longer than any of our queries.
                    "jit": "off",
                    "lock_timeout": f"{round(COMMAND_TIMEOUT_S * 1000)}",
                },
            )

        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=COMMAND_TIMEOUT_S,
            # A connection that died while it lay idle is replaced, not tried on somebody's query.
            pool_pre_ping=True,
        )
        snapshots = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        super().__init__(readers=snapshots, writer=engine)

    @property
    def name(self) -> str:
        """The server's address and the database."""
        return self._where.shown

    def explain(self, error: Exception) -> str:
        """Return what is wrong and what an operator can do, in whole sentences."""
        where, cause = self._where, _cause(error)
        for kinds, sentence in _REMEDIES:
            if isinstance(cause, kinds):
                return sentence.format(
                    server=f"Postgres at {where.shown}",
                    user=repr(where.user),
                    database=repr(where.database),
                    reason=getattr(cause, "strerror", None) or _first_line(cause),
                )
        return f"Postgres at {where.shown} can't be used: {_first_line(cause)}."

    def refuses(self, error: Exception) -> bool:
        """Tell whether an error says that a row is at fault, not the database."""
        kinds = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
        return isinstance(_cause(error), kinds)

    async def insert_new(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> set[tuple[Any, ...]]:
        """Insert the rows whose keys are not there yet, and return those keys."""
        if not rows:
            return set()
        insert, key = _insert(table, connection.dialect), bulk.key(table)
        statement = f"{insert} ON CONFLICT ({key}) DO NOTHING RETURNING {key}"
        found = await connection.exec_driver_sql(statement, _arrays(rows))
        return {tuple(key) for key in found}

    async def add(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert rows of numbers, or add them to the rows that have their keys."""
        if rows:
            statement = f"{_insert(table, connection.dialect)} {bulk.adding(table)}"
            await connection.exec_driver_sql(statement, _arrays(rows))

    async def processes(self) -> int:
        """Return how many processes have sessions now, this one included."""
        async with self.read() as connection:
            return int(
                (await connection.execute(_PROCESSES, {"name": APPLICATION + "%"})).scalar_one()
            )

    @asynccontextmanager
    async def prepare(self, *, timeout_s: float) -> AsyncIterator[AsyncConnection]:
        """Open the one transaction in which a start makes or migrates the tables."""
        with self.translated():
            async with self._writer.begin() as connection:
                await connection.execute(
                    text(f"SET LOCAL lock_timeout = '{round(timeout_s * 1000)}ms'")
                )
                try:
                    await _take_turn(connection)
                except DBAPIError as error:
                    if isinstance(_cause(error), asyncpg.LockNotAvailableError):
                        raise StateError(_busy(self.name, timeout_s)) from error
                    raise
                yield connection

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[AsyncConnection]:
        async with self._writer.begin() as connection:
            await _take_turn(connection)
            yield connection


async def _take_turn(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})


@cache
def _insert(table: Table, dialect: Dialect) -> str:
    kinds = ", ".join(
        f"${number}::{_kind(column, dialect)}[]"
        for number, column in enumerate(table.columns, start=1)
    )
    return f"INSERT INTO {table.name} ({bulk.columns(table)}) SELECT * FROM unnest({kinds})"  # noqa: S608 - names of our own tables


def _kind(column: Column[Any], dialect: Dialect) -> str:
    # A cast to a type with a length would cut what is too long; it must be refused.
    return "TEXT" if isinstance(column.type, String) else column.type.compile(dialect)


def _arrays(rows: Sequence[tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
    """Return one array a column, which the driver encodes in one go."""
    return tuple(zip(*rows, strict=True))


def _busy(name: str, timeout_s: float) -> str:
    return (
        f"Another process has been preparing the database {name} for {timeout_s:g} s; wait for "
        "it, or end it."
    )


def _first_line(error: BaseException) -> str:
    """Return what the server said without its details, which may quote rows."""
    return str(error).partition("\n")[0].rstrip(".")


def _cause(error: BaseException) -> BaseException:
    """Return the driver's own error below the layers that wrap it."""
    while not isinstance(error, asyncpg.PostgresError | OSError) and error.__cause__ is not None:
        error = error.__cause__
    return error
