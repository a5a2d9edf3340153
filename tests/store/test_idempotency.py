"""Tests of app.store.idempotency."""

import pytest

from app.domain.admin import Answer
from app.settings import Settings
from app.store.idempotency import GIVEN_UP_S, KEPT_S
from app.store.keyring import SealBroken
from app.store.store import Store
from tests.store.behind import execute


async def test_an_answer_is_kept_for_a_day(store: Store) -> None:
    """First nothing is known, then that it goes on, then the answer."""
    rows = store.idempotency
    assert await rows.begin("id", "print", at=0.0) is None
    assert await rows.begin("id", "print", at=1.0) == Answer("print", 0.0, None)
    await rows.end("id", 201, b'{"key": "secret"}')
    assert await rows.begin("id", "other", at=2.0) == Answer(
        "print", 0.0, 201, b'{"key": "secret"}'
    )
    assert await rows.begin("id", "print", at=KEPT_S + 1) is None


async def test_what_came_to_nothing_may_be_sent_again(store: Store) -> None:
    """And what died with its worker, after a while."""
    rows = store.idempotency
    await rows.begin("id", "print", at=0.0)
    await rows.forget("id")
    assert await rows.begin("id", "print", at=0.0) is None
    assert await rows.begin("id", "print", at=GIVEN_UP_S) is not None
    assert await rows.begin("id", "print", at=GIVEN_UP_S + 1) is None


async def test_an_answer_opens_in_its_own_place(store: Store, settings: Settings) -> None:
    """It is sealed."""
    rows = store.idempotency
    await rows.begin("one", "print", at=0.0)
    await rows.end("one", 200, b"answer")
    await execute(settings, "UPDATE idempotency SET id = 'two'")
    with pytest.raises(SealBroken):
        await rows.begin("two", "print", at=1.0)
