"""Tests of app.foreign.reading."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import StateError
from app.foreign import codex_lb, go, litellm, reading
from app.foreign.reading import Product, Tables, Wanted, read
from app.settings import Driver, Settings
from tests.foreign.sources import (
    GO_POSTGRES,
    GO_SQLITE,
    LITELLM,
    go_rows,
    postgres_source,
    sqlite_source,
)


def at(path: Path) -> Settings:
    """Return settings of a SQLite file."""
    return Settings(database_path=path)


def on(url: str) -> Settings:
    """Return settings of a Postgres database."""
    return Settings(database_driver=Driver.POSTGRES, database_url=url)


def here(folder: Path) -> list[Path]:
    """Return what is in a folder."""
    return list(folder.iterdir())


async def test_the_rows_of_a_file_are_read(tmp_path: Path) -> None:
    """Only the columns that are wanted and there; a table that need not be there is left out."""
    path = sqlite_source(tmp_path / "go.db", GO_SQLITE, go_rows("at-1"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE account_group_members")
        connection.execute("ALTER TABLE accounts DROP COLUMN proxy_url")
    tables = await read(at(path), go.PRODUCT)
    assert tables.keys() == {"accounts", "api_keys", "account_groups"}
    assert tables["account_groups"] == [{"id": 7, "name": "team a"}]
    (account,) = tables["accounts"]
    assert not account.keys() & {"type", "proxy_url", "created_at"}


async def test_nothing_is_written_beside_it(tmp_path: Path) -> None:
    """The other product may run as another user, who could not use files of ours."""
    path = sqlite_source(tmp_path / "go.db", GO_SQLITE, go_rows("at-1"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    await read(at(path), go.PRODUCT)
    assert [each.name for each in here(tmp_path)] == ["go.db"]
    assert path.read_bytes() == before


async def test_a_product_may_be_running(tmp_path: Path) -> None:
    """What it has written last is in a file of its own, and is read too."""
    path = sqlite_source(tmp_path / "go.db", GO_SQLITE, go_rows("at-1"))
    with closing(sqlite3.connect(path)) as running:
        running.execute("PRAGMA journal_mode = WAL")
        with running:
            running.execute("UPDATE accounts SET name = 'newest'")
        (account,) = (await read(at(path), go.PRODUCT))["accounts"]
    assert account["name"] == "newest"


@pytest.fixture
def on_postgres(postgres_url: str) -> Settings:
    """The Go version on Postgres."""
    postgres_source(postgres_url, GO_POSTGRES, go_rows("at-1"))
    return on(postgres_url)


async def test_the_rows_of_postgres_are_read(on_postgres: Settings) -> None:
    """As the driver gives them."""
    tables = await read(on_postgres, go.PRODUCT)
    assert tables["account_group_members"] == [{"account_id": 1, "group_id": 7}]
    (account,) = tables["accounts"]
    assert (account["name"], account["enabled"], account["deleted_at"]) == ("one", True, None)
    with pytest.raises(StateError, match="no database of codex-lb: it has no column email"):
        await read(on_postgres, codex_lb.PRODUCT)


@pytest.mark.parametrize(
    ("product", "told"),
    [
        (codex_lb.PRODUCT, "is no database of codex-lb: it has no table accounts."),
        (go.PRODUCT, "is no database of the Go Codex2API: it has no table accounts."),
    ],
)
async def test_another_products_database_is_told(
    tmp_path: Path, product: Product, told: str
) -> None:
    """By what it lacks."""
    path = sqlite_source(tmp_path / "x.db", LITELLM, {})
    with pytest.raises(StateError, match=told):
        await read(at(path), product)


async def test_a_database_with_another_accounts_table_is_told(tmp_path: Path) -> None:
    """The Go version and codex-lb both have one, with other columns."""
    path = sqlite_source(tmp_path / "x.db", GO_SQLITE, {})
    with pytest.raises(StateError, match="it has no column email in accounts"):
        await read(at(path), codex_lb.PRODUCT)
    with pytest.raises(StateError, match="no table LiteLLM_VerificationToken"):
        await read(at(path), litellm.PRODUCT)


def no_file(path: Path) -> None:
    """Leave nothing."""


def no_database(path: Path) -> None:
    """Leave a file of something else."""
    path.write_text("this is a text, and a long one at that" * 20)


@pytest.mark.parametrize(
    ("make", "told"),
    [(no_file, "There is no file"), (Path.mkdir, "There is no file"),
     (no_database, "can't be read as a SQLite database: file is not a database")],
)  # fmt: skip
async def test_what_is_no_file_of_sqlite_is_told(tmp_path: Path, make, told: str) -> None:
    """In a sentence with the path."""
    make(tmp_path / "x.db")
    with pytest.raises(StateError, match=told):
        await read(at(tmp_path / "x.db"), go.PRODUCT)


async def test_an_unreachable_server_is_told(postgres_url: str) -> None:
    """By its address, without the password."""
    url = postgres_url.replace("@", ":hidden@").rpartition(":")[0] + ":9/x"
    with pytest.raises(StateError, match=r"can't be reached") as caught:
        await read(on(url), go.PRODUCT)
    assert "hidden" not in caught.value.message


async def test_the_number_of_rows_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than anybody has is a mistake."""
    monkeypatch.setattr(reading, "ROWS_MAX", 1)
    rows = go_rows("at-1")
    rows["account_groups"].append({"id": 8, "name": "b"})
    path = sqlite_source(tmp_path / "go.db", GO_SQLITE, rows)
    with pytest.raises(StateError, match="account_groups has more than 1 rows"):
        await read(at(path), go.PRODUCT)


async def test_a_strange_name_is_no_harm(tmp_path: Path) -> None:
    """A path may have any character."""
    folder = tmp_path / "a?b #c%20"
    folder.mkdir()
    path = sqlite_source(folder / "x.db", "CREATE TABLE t (id INTEGER)", {"t": [{"id": 1}]})
    tables: Tables = await read(at(path), Product("x", (Wanted("t", ("id",)),)))
    assert tables == {"t": [{"id": 1}]}
