"""Tests of app.store.settings."""

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from app.domain.runtime import RuntimeSettings, Strategy
from app.errors import StateError
from app.store.store import Store


async def test_without_a_choice_there_are_defaults(store: Store) -> None:
    """A new store needs no set-up."""
    assert await store.settings.load() == RuntimeSettings()


async def test_a_choice_is_kept_and_replaced(store: Store) -> None:
    """The document is one value; the last one counts."""
    await store.settings.save(RuntimeSettings(attempts_max=2), at=1.0)
    chosen = RuntimeSettings(attempts_max=3, model_aliases={"fast": "gpt-5"})
    await store.settings.save(chosen, at=2.0)
    assert await store.settings.load() == chosen


@pytest.mark.parametrize("document", ['{"attempts_max": 99}', '{"strategy": 1}', "[]", "{"])
async def test_a_document_that_cannot_be_used_is_explained(store: Store, document: str) -> None:
    """A row that was edited by hand is an error with a reason, not a default in silence."""
    await store.settings.save(RuntimeSettings(), at=1.0)
    async with store._database.write() as connection:
        await connection.execute(text("UPDATE settings SET document = :d"), {"d": document})
    with pytest.raises(StateError, match="stored settings"):
        await store.settings.load()


async def test_a_field_of_another_version_is_passed_over(store: Store) -> None:
    """After a step back to an older version the rest of the choices still count."""
    await store.settings.save(RuntimeSettings(), at=1.0)
    async with store._database.write() as connection:
        document = '{"from_the_future": 1, "attempts_max": 2}'
        await connection.execute(text("UPDATE settings SET document = :d"), {"d": document})
    assert (await store.settings.load()).attempts_max == 2


async def test_a_strategy_of_another_version_is_the_default_with_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that is gone keeps no gateway from starting; the other choices still count."""
    await store.settings.save(RuntimeSettings(), at=1.0)
    async with store._database.write() as connection:
        document = '{"strategy": "least_busy", "attempts_max": 2}'
        await connection.execute(text("UPDATE settings SET document = :d"), {"d": document})
    assert await store.settings.load() == RuntimeSettings(attempts_max=2)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "strategy is 'least_busy'" in record.message


async def test_two_changes_at_a_time_both_count(store: Store) -> None:
    """Each one starts from what is stored, inside its transaction; the gateway hears of both."""
    before = await store.revision()
    await asyncio.gather(
        store.settings.change(lambda now: replace(now, attempts_max=2), at=1.0),
        store.settings.change(lambda now: replace(now, strategy=Strategy.FILL_FIRST), at=1.0),
    )
    changed = RuntimeSettings(attempts_max=2, strategy=Strategy.FILL_FIRST)
    assert await store.settings.load() == changed
    assert await store.revision() == before + 2


async def test_a_change_that_fails_leaves_everything_as_it_was(store: Store) -> None:
    """What it raises comes through."""
    before = await store.revision()

    def change(_now: RuntimeSettings) -> RuntimeSettings:
        raise LookupError

    with pytest.raises(LookupError):
        await store.settings.change(change, at=1.0)
    assert await store.settings.load() == RuntimeSettings()
    assert await store.revision() == before
