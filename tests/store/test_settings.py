"""Tests of app.store.settings."""

import pytest
from sqlalchemy import text

from app.domain.runtime import RuntimeSettings
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


@pytest.mark.parametrize("document", ['{"attempts_max": 99}', "{"])
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
