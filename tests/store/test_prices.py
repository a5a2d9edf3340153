"""Tests of app.store.prices."""

from app.store.store import Store


async def test_a_version_is_kept_once(store: Store) -> None:
    """Whoever stores it again changes nothing; one that nobody stored is not there."""
    await store.prices.keep(7, '{"a":1}', at=1.0)
    await store.prices.keep(7, '{"b":2}', at=2.0)
    assert await store.prices.find(7) == '{"a":1}'
    assert await store.prices.find(8) is None


async def test_prices_are_no_news(store: Store) -> None:
    """A running gateway has no reason to load anything again."""
    before = await store.revision()
    await store.prices.keep(7, "{}", at=1.0)
    assert await store.revision() == before
