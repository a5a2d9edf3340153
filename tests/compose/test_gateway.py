"""Tests of app.compose.gateway."""

import asyncio

import pytest

from app.compose import gateway
from app.domain.account import AccountKind, Secret
from app.domain.enrolment import AccountChanges, Enrolment
from app.domain.runtime import Explain, RuntimeSettings, Strategy
from app.errors import Unauthenticated
from tests.compose.conftest import KEY


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


async def test_what_the_operator_chooses_takes_effect(settings):
    """Strategy, thresholds and explanations change in the running gateway."""
    async with gateway(settings) as opened:
        chosen = RuntimeSettings(
            strategy=Strategy.FILL_FIRST,
            pause_at=0.5,
            group_pause_at={"team": 0.4},
            probe_interval_s=120.0,
            explain=Explain.ALL,
            attempts_max=2,
        )
        await opened.store.settings.save(chosen, at=opened.clock.now())
        await opened.reload()
        policy = opened.pool.policy
        assert (policy.strategy, policy.pause_at) == (Strategy.FILL_FIRST, 0.5)
        assert policy.group_pause_at == {"team": 0.4}
        assert opened.explanations.mode is Explain.ALL
        assert opened.probes.interval_s == 120.0
        assert opened.relay.settings.attempts_max == 2


async def test_groups_tags_and_plans_reach_the_pool(settings):
    """The tags that keys ask for keep accounts apart, and so do the plans of the manifests."""
    async with gateway(settings) as opened:
        added = await opened.store.accounts.add(
            Enrolment(name="a", access_token=Secret("at"), plan="never-heard-of"),
            at=opened.clock.now(),
        )
        await opened.store.accounts.update(
            added.account.id, AccountChanges(groups=("g",), tags=("t",)), at=opened.clock.now()
        )
        await opened.store.keys.create(name="k", at=opened.clock.now(), tags=("t",))
        await opened.reload()
        account = opened.pool.account(added.account.id)
        assert (account.groups, account.tags) == (("g",), ("t",))
        policy = opened.pool.policy
        assert policy.tags == {"t"}
        assert policy.plans
        assert all(policy.entitled(account, model) for model in policy.plans)
