"""The composition root: what is opened is closed, and what the store learns is taken over."""

import asyncio
from pathlib import Path

import pytest

from app.compose import build, gateway
from app.domain.account import AccountKind, Secret
from app.domain.enrolment import Enrolment
from app.errors import Unauthenticated
from app.limits import Limits
from app.settings import Settings

KEY = "a-key-that-is-long-enough"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a gateway of its own, which looks at its store often."""
    return Settings(data_dir=tmp_path, api_keys=(KEY,), limits=Limits(reload_poll_s=0.01))


async def test_a_key_of_the_environment_opens_the_gateway(settings):
    """`CODEX_API_KEYS` is known from the first call on, and nothing else is."""
    async with gateway(settings) as opened:
        assert opened.guard.identify(KEY).name == "environment 1"
        with pytest.raises(Unauthenticated):
            opened.guard.identify("another")


async def test_what_another_process_writes_is_taken_over(settings):
    """An account that the command line adds serves without a restart, and leaves like that."""
    async with gateway(settings) as opened:
        added = await opened.store.accounts.add(
            Enrolment(name="new", kind=AccountKind.CODEX, access_token=Secret("at-1")),
            at=opened.clock.now(),
        )
        while not (states := list(opened.pool.states)):  # noqa: ASYNC110 - the reload tells nobody
            await asyncio.sleep(0.01)
        assert [state.account.id for state in states] == [added.account.id]
        await opened.store.accounts.delete(added.account.id)
        while list(opened.pool.states):  # noqa: ASYNC110 - the reload tells nobody
            await asyncio.sleep(0.01)


async def test_every_route_of_an_open_gateway_is_served(settings):
    """The application has the callers' routes with and without `/v1`, and the operators'."""
    async with gateway(settings) as opened:
        paths = {route.path for route in build(opened).routes}
    assert {
        "/v1/responses",
        "/responses",
        "/backend-api/codex/responses",
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/models",
        "/health",
        "/ready",
        "/metrics",
        "/admin",
    } <= paths


async def test_closing_ends_the_background_work(settings):
    """No task of the gateway outlives it."""
    before = asyncio.all_tasks()
    async with gateway(settings):
        assert len(asyncio.all_tasks()) > len(before)
    assert asyncio.all_tasks() == before
