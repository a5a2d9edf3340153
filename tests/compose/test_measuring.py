"""Tests of app.compose.measuring."""

from msgspec import structs

from app.compose import gateway, measuring


async def test_a_single_worker_leaves_nothing_behind(settings):
    """Its page is its own."""
    async with gateway(settings) as opened:
        text = (await opened.exposition.text()).decode()
        for name in ("requests", "accounts", "account_tokens", "pool_runway_seconds", "build"):
            assert f"# HELP codex2api_{name}" in text
    assert not (settings.data_dir / "run").exists()


async def test_one_of_several_workers_is_known_to_the_others(settings):
    """By its incarnation, for as long as it lives."""
    settings = structs.replace(settings, workers=2)
    async with gateway(settings) as one, gateway(settings) as other:
        homes = list((settings.data_dir / measuring.FOLDER).glob("*/*/lock"))
        names = {each.books.incarnation for each in (one, other)}
        assert {home.parent.name for home in homes} == names
        one.metrics.refreshed("renewed")
        await one.exposition.text()
        text = (await other.exposition.text()).decode()
        assert 'codex2api_credential_refresh_total{result="renewed"} 1.0' in text
