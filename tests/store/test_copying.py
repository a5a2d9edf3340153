"""Tests of app.store.copying."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from app.errors import StateError
from app.settings import Settings
from app.store import copying
from app.store.copying import Copied, Progress, check_source, copy, require_current
from app.store.schema import NewerSchema
from app.store.store import Store, database_of
from tests.store.behind import execute
from tests.store.full import KEYS, SILENT, fill, opens, rows, with_keys

Pair = tuple[Settings, Settings]


class Interrupted(BaseException):
    """What a Ctrl-C or a kill is to the copier."""


@pytest.fixture
def file(sqlite_settings: Settings) -> Settings:
    """A SQLite database with all tables."""
    return with_keys(sqlite_settings, *KEYS)


@pytest.fixture
def new_file(file: Settings, tmp_path: Path) -> Settings:
    """A SQLite database that is not there yet."""
    return with_keys(file, *KEYS, folder=tmp_path / "other")


@pytest.fixture
def server(new_postgres_settings: Settings) -> Settings:
    """An empty Postgres database."""
    return with_keys(new_postgres_settings, *KEYS)


async def copied(
    source: Settings, target: Settings, *, force: bool = False, progress: Progress = SILENT
) -> Copied:
    """Copy one into the other."""
    reader, writer = database_of(source), database_of(target)
    try:
        return await copy(reader, writer, force=force, timeout_s=0.5, progress=progress)
    finally:
        await reader.close()
        await writer.close()


def interrupting(after: int) -> Progress:
    """Return somebody who interrupts after that many batches."""
    left = [after]

    def done(_steps: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise Interrupted

    return Progress(total=lambda _steps: None, done=done)


async def test_everything_arrives_in_postgres_and_back(
    file: Settings, server: Settings, new_file: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row and in batches, sealed as it was; each copy is a working database."""
    monkeypatch.setattr(copying, "BATCH_ROWS", 2)
    await fill(file)
    before = await rows(file)
    there = await copied(file, server)
    assert there == Copied({name: len(found) for name, found in before.items()})
    assert await rows(server) == before
    await copied(server, new_file)
    assert await rows(new_file) == before
    await opens(server)
    await opens(new_file)


async def test_a_copy_goes_on_counting(file: Settings, server: Settings) -> None:
    """Ids that the database gives follow those that came, and every gateway loads again."""
    await fill(file)
    await execute(file, "UPDATE revision SET value = 41")
    await copied(file, server)
    async with Store.open(server) as store:
        assert await store.revision() == 42
        (account, *_) = await store.accounts.list()
        await store.accounts.export(account.id, at=2.0)
        assert [event.kind for event in await store.accounts.events(account.id)] == [
            "exported",
            "added",
        ]


async def test_the_progress_covers_both_passes(file: Settings, new_file: Settings) -> None:
    """The steps add up to what was announced."""
    await fill(file)
    told: list[int] = []
    done: list[int] = []
    await copied(file, new_file, progress=Progress(told.append, done.append))
    assert told == [sum(done)]


@pytest.fixture(params=["new_file", "server"])
def target(request: pytest.FixtureRequest) -> Settings:
    """A target of either kind."""
    return request.getfixturevalue(request.param)


async def test_a_target_that_holds_something_is_kept(file: Settings, target: Settings) -> None:
    """It is emptied only if that was said; the message says what it holds."""
    await fill(file)
    async with Store.open(with_keys(target, "n" * 32)) as store:
        await store.keys.create(name="other", at=1.0)
    before = await rows(target)
    with pytest.raises(StateError, match=r"1 of keys, 2 of sealed.*--force"):
        await copied(file, target)
    assert await rows(target) == before
    await copied(file, target, force=True)
    await opens(target)


async def test_an_interrupted_copy_can_be_run_again(file: Settings, target: Settings) -> None:
    """Until then nothing starts on it and nothing is copied from it."""
    await fill(file)
    with pytest.raises(Interrupted):
        await copied(file, target, progress=interrupting(2))
    with pytest.raises(NewerSchema, match="unfinished-copy-"):
        async with Store.open(target):
            pytest.fail("it was opened")
    with pytest.raises(StateError, match="interrupted copy"):
        await copied(target, file, force=True)
    again = await copied(file, target)
    assert again.restarted
    assert await rows(target) == await rows(file)
    await opens(target)


async def test_a_row_that_does_not_fit_is_named(file: Settings, server: Settings) -> None:
    """SQLite keeps a text of any length; Postgres does not."""
    await fill(file)
    await execute(file, "UPDATE accounts SET kind = 'much too long a kind' WHERE name LIKE '%1'")
    ((account_id,),) = await execute(file, "SELECT id FROM accounts WHERE name LIKE '%1'")
    with pytest.raises(StateError, match=f"A row of accounts does not fit.*id '{account_id}'"):
        await copied(file, server)


def meddling(path: Path, statement: str) -> Callable[[int], None]:
    """Return a listener that changes a SQLite database once, in between."""
    left = [statement]

    def meddle(_steps: int) -> None:
        if left:
            with sqlite3.connect(path) as connection:
                connection.execute(left.pop())
            connection.close()

    return meddle


async def test_a_changed_row_does_not_pass(file: Settings, new_file: Settings) -> None:
    """What arrived is read again and compared."""
    await fill(file)
    meddle = meddling(new_file.sqlite_path, "UPDATE accounts SET name = 'x'")
    with pytest.raises(StateError, match="accounts arrived changed"):
        await copied(file, new_file, progress=Progress(lambda _steps: None, meddle))


async def test_another_writer_is_noticed(file: Settings, new_file: Settings) -> None:
    """A row that is there already was written by somebody else."""
    await fill(file)
    meddle = meddling(new_file.sqlite_path, "INSERT INTO settings VALUES (1, '{}', 1.0, 1)")
    with pytest.raises(StateError, match="Somebody else is writing"):
        await copied(file, new_file, progress=Progress(meddle, lambda _steps: None))


async def test_a_database_is_not_copied_into_itself(file: Settings, server: Settings) -> None:
    """By its own name that is seen at once; by another one it waits for itself."""
    await fill(file)
    with pytest.raises(StateError, match="into itself"):
        await copied(file, file, force=True)
    await copied(file, server)
    other_name = structs.replace(
        server, database_url=server.database_url.replace("127.0.0.1", "localhost")
    )
    with pytest.raises(StateError, match="Another process"):
        await copied(server, other_name, force=True)
    assert await rows(server) == await rows(file)


async def test_another_programs_database_is_left_alone(file: Settings, target: Settings) -> None:
    """Neither as a source nor as a target."""
    await fill(file)
    target.data_dir.mkdir(exist_ok=True)
    await execute(target, "CREATE TABLE accounts (id INTEGER)")
    with pytest.raises(StateError, match="tables of another program"):
        await copied(file, target, force=True)
    with pytest.raises(StateError, match="holds no codex2api database"):
        await copied(target, file, force=True)


async def test_an_older_source_is_told(file: Settings) -> None:
    """What must not change a database asks first; a current one passes."""
    database = database_of(file)
    await require_current(database)
    await check_source(database)
    await execute(file, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(StateError, match="codex2api db upgrade"):
        await require_current(database)
    await database.close()
