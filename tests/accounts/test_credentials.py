"""Tests of app.accounts.credentials."""

import asyncio
from itertools import pairwise
from random import Random

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.errors import StateError
from app.ports import RenewalRefused, RenewalUnknown, RenewalUnsent
from tests.accounts.world import DAY, HOUR, REUSED, World
from tests.fakes.auth_server import LIFETIME_S
from tests.fakes.clock import settle


async def test_two_hundred_callers_with_a_refused_token_cause_one_exchange(world):
    """All of them get the account with its new credential."""
    world.add()
    await world.start()
    asked = [asyncio.create_task(world.renewer.renew_now("a1", generation=0)) for _ in range(200)]
    await world.clock.advance(5)
    found = [await one for one in asked]
    assert world.exchanges() == 1
    assert {one.credential.generation for one in found} == {1}
    assert world.renewed == [found[0]]


async def test_a_caller_who_comes_late_gets_the_newer_credential_at_once(world):
    """Its refused generation is older than the known one: nothing is asked of anybody."""
    world.add()
    await world.start()
    first = await world.now()
    assert await world.renewer.renew_now("a1", generation=0) == first
    assert world.exchanges() == 1


async def test_a_newer_stored_credential_answers_without_an_exchange(world):
    """Another process renewed the account and its news has not come yet."""
    row = world.add()
    await world.start()
    newer = world.overtake(row)
    assert await world.now() == newer
    assert world.exchanges() == 0
    assert world.renewed == [newer]


async def test_catching_up_with_the_refused_generation_is_followed_by_an_exchange(world):
    """The caller knew a newer credential than the renewer, and that one was refused."""
    row = world.add()
    await world.start()
    world.overtake(row)
    found = await world.now(generation=1)
    assert found.credential.generation == 2
    assert world.exchanges() == 1


async def test_an_endless_chase_of_generations_ends(world):
    """A caller that is always ahead is told that there is nothing newer."""
    row = world.add()
    await world.start()
    world.overtake(row)
    assert await world.now(generation=9) is None


async def test_a_deadline_that_passes_during_a_flight_shares_it(world):
    """Whatever wants the renewal, an account has one flight at a time."""
    row = world.add()
    await world.start()
    asked = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await world.clock.advance(0.1)
    sooner = structs.replace(row.credential, expires_at=world.clock.now())
    world.renewer.watch(structs.replace(row, credential=sooner))
    await world.clock.advance(5)
    assert (await asked).credential.generation == 1
    assert world.exchanges() == 1


async def test_an_unknown_account_has_no_renewal(world):
    """Nor has one that cannot be renewed, nor any while the renewer does not run."""
    world.add()
    world.add("at-only", renewable=False)
    assert await world.renewer.renew_now("a1", generation=0) is None
    world.renewer.watch(world.store.rows["a1"])
    assert await world.renewer.renew_now("a1", generation=0) is None
    await world.start()
    assert await world.renewer.renew_now("nobody", generation=0) is None
    assert await world.renewer.renew_now("at-only", generation=0) is None
    assert world.exchanges() == 0


async def test_a_caller_who_leaves_takes_nobody_with_him(world):
    """A cancelled caller only stops waiting: the exchange lands for the others."""
    world.add()
    await world.start()
    leaving, staying = (
        asyncio.create_task(world.renewer.renew_now("a1", generation=0)) for _ in range(2)
    )
    await world.clock.advance(0.25)
    leaving.cancel()
    await world.clock.advance(5)
    assert leaving.cancelled()
    assert (await staying).credential.generation == 1
    assert world.exchanges() == 1


async def test_a_credential_is_renewed_before_its_end_and_again(world):
    """In a month of ten-day credentials nobody ever had to ask, and none ran out."""
    row = world.add()
    await world.start()
    while world.clock.monotonic() < 30 * DAY:
        await world.clock.advance(HOUR)
        row = world.store.rows["a1"]
        assert row.credential.expires_at > world.clock.now()
    assert 3 <= world.exchanges() <= 4
    assert row.credential.generation == world.exchanges()
    assert world.failed == []


@pytest.mark.parametrize(("left_s", "access_token"), [(-DAY, "at-0"), (LIFETIME_S, "")])
async def test_a_credential_that_has_run_out_or_never_was_is_renewed_at_once(
    world, left_s, access_token
):
    """After a long stop, and after an import of nothing but a refresh token."""
    row = world.add(left_s=left_s)
    credential = structs.replace(row.credential, access_token=Secret(access_token))
    world.store.put(structs.replace(row, credential=credential))
    await world.start()
    await world.clock.advance(1)
    assert world.store.rows["a1"].credential.generation == 1


async def test_siblings_that_run_out_together_never_exchange_together(world):
    """Fifty accounts, one lane: one exchange at a time, spaced."""
    for n in range(50):
        world.add(f"s{n}", left_s=60)
    await world.start()
    await world.clock.advance(60)
    assert world.server.most_in == 1
    assert sorted({token for _, token in world.server.seen}) == sorted(
        f"rt-s{n}-0" for n in range(50)
    )
    times = [at for at, _ in world.server.seen]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= world.server.latency_s + world.policy.spacing_s - 1e-6


async def test_a_refused_token_waits_behind_at_most_one_that_is_only_due(world):
    """A caller is waiting, so the backlog of deadlines does not come first."""
    for n in range(50):
        world.add(f"s{n}", left_s=60)
    world.add("urgent")
    await world.start()
    await world.clock.advance(0.1)
    asked = asyncio.create_task(world.renewer.renew_now("urgent", generation=0))
    await world.clock.advance(2.5)
    assert (await asked).credential.generation == 1
    assert world.exchanges() <= 4


async def test_a_known_failure_is_tried_again_with_backoff_until_it_passes(world):
    """Meanwhile nobody who asks causes another exchange."""
    world.add(left_s=200)
    world.server.before = [
        RenewalUnsent("no route"),
        RenewalRefused("http_503", "busy", permanent=False),
        RenewalUnsent("no route"),
    ]
    await world.start()
    assert await world.renewer.renew_now("a1", generation=0) is None
    assert world.exchanges() == 1
    await world.clock.advance(60)
    assert world.exchanges() == 4
    assert [code for _, _, code in world.failed] == ["unsent", "http_503", "unsent"]
    assert not any(permanent for _, permanent, _ in world.failed)
    assert world.store.rows["a1"].credential.generation == 1


async def test_a_store_that_is_away_only_delays(world):
    """Nothing is spent before the store can note it."""
    world.add(left_s=200)
    world.store.faults["intend"] = [StateError("away")]
    await world.start()
    await world.clock.advance(30)
    assert world.failed == [("a1", False, "store_unavailable")]
    assert world.exchanges() == 1


async def test_a_dead_refresh_token_is_tried_once_and_flagged(world):
    """It is told once; the account keeps the access token that it has."""
    row = world.add(left_s=200)
    world.server.before = [REUSED]
    await world.start()
    await world.clock.advance(2 * DAY)
    assert world.exchanges() == 1
    assert world.failed == [("a1", True, "refresh_token_reused")]
    assert await world.now() is None
    assert world.store.rows["a1"].credential.access_token == row.credential.access_token


async def test_a_store_that_was_away_hears_of_a_dead_refresh_token(world):
    """Otherwise the next start would present it once more."""
    world.add(left_s=200)
    world.server.before = [REUSED]
    world.store.faults["refused"] = [StateError("away")] * 4
    await world.start()
    await world.clock.advance(2)
    assert world.failed == [("a1", True, "refresh_token_reused")]
    assert world.store.refusals == []
    await world.clock.advance(60)
    assert world.store.refusals == [("a1", "refresh_token_reused", True)]
    assert world.exchanges() == 1


async def test_a_dead_refresh_token_that_is_replaced_lives_again(world):
    """An operator signed in anew; that is another generation."""
    row = world.add(left_s=200)
    world.server.before = [REUSED]
    await world.start()
    await world.clock.advance(1)
    world.renewer.watch(world.overtake(row))
    found = await world.now(generation=1)
    assert found.credential.generation == 2


async def test_a_dead_refresh_token_that_is_revived_is_tried_again(world):
    """An operator's word counts, though the generation is the same."""
    row = world.add(left_s=200)
    world.server.before = [REUSED]
    await world.start()
    await world.clock.advance(1)
    world.renewer.watch(world.store.put(row, "rt-a1-0"))
    await world.clock.advance(1)
    assert world.store.rows["a1"].credential.generation == 1


async def test_an_unknown_outcome_is_not_repeated_while_the_access_token_serves(world):
    """The token may be spent; it is risked only in the last moments of what could be lost."""
    row = world.add(left_s=HOUR)
    ends_at = row.credential.expires_at
    world.server.after = [RenewalUnknown("silence")]
    await world.start()
    await world.clock.advance(HOUR - 31)
    assert world.exchanges() == 1
    assert world.failed == [("a1", False, "unknown")]
    await world.clock.advance(31)
    assert [token for _, token in world.server.seen] == ["rt-a1-0", "rt-a1-0"]
    assert world.server.seen[1][0] == ends_at - world.policy.last_chance_s
    assert world.failed[1:] == [("a1", True, "refresh_token_reused")]
    await world.clock.advance(DAY)
    assert world.exchanges() == 2


async def test_an_unknown_outcome_of_a_refused_access_token_is_waited_out(world):
    """There is nothing to save any more, but a late answer may still take effect."""
    world.add()
    world.server.before = [RenewalUnknown("silence")]
    await world.start()
    asked = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await world.clock.advance(1)
    assert await asked is None
    for _ in range(20):
        assert await world.renewer.renew_now("a1", generation=0) is None
    await world.clock.advance(58)
    assert world.exchanges() == 1
    await world.clock.advance(2)
    assert world.exchanges() == 2
    assert world.store.rows["a1"].credential.generation == 1


async def test_a_token_refused_while_its_renewal_is_uncertain_is_not_saved_any_longer(world):
    """The wait until its end shrinks to the wait for the outcome."""
    world.add(left_s=HOUR)
    world.server.before = [RenewalUnknown("silence")]
    await world.start()
    while not world.server.seen:
        await world.clock.advance(1)
    assert await world.renewer.renew_now("a1", generation=0) is None
    await world.clock.advance(61)
    assert world.exchanges() == 2


async def test_news_of_an_account_does_not_cut_the_wait_for_an_unknown_outcome(world):
    """Whatever changes beside the refresh token, that one may still be spent."""
    row = world.add(left_s=100)
    world.server.before = [RenewalUnknown("silence")]
    await world.start()
    sooner = structs.replace(row.credential, expires_at=world.clock.now())
    world.renewer.watch(structs.replace(row, credential=sooner))
    await world.clock.advance(59)
    assert world.exchanges() == 1
    await world.clock.advance(2)
    assert world.exchanges() == 2


async def test_a_refusal_right_after_a_renewal_is_no_reason_for_another(world):
    """A second exchange would not cure what the first did not."""
    world.add()
    await world.start()
    asked = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await world.clock.advance(1)
    assert (await asked).credential.generation == 1
    assert await world.renewer.renew_now("a1", generation=1) is None
    await world.clock.advance(world.policy.apart_s)
    assert (await world.now(generation=1)).credential.generation == 2


async def test_a_defect_in_one_renewal_is_survived_by_the_others(world, caplog):
    """It is logged, and the account's token counts as one that may be spent."""
    world.add("bad", left_s=100)
    world.add("good", left_s=200)
    world.store.faults["refresh_token"] = [ValueError("a defect")]
    await world.start()
    await world.clock.advance(30)
    assert world.store.rows["good"].credential.generation == 1
    assert "renewal_broke account=bad" in caplog.text
    await world.clock.advance(60)
    assert world.store.rows["bad"].credential.generation == 1


async def test_a_defect_for_a_forgotten_account_changes_nothing(world, caplog):
    """There is no entry left to note it in."""
    world.add(left_s=100)
    world.store.gates["refresh_token"] = asyncio.Event()
    world.store.faults["refresh_token"] = [ValueError("a defect")]
    await world.start()
    world.renewer.forget("a1")
    world.store.rows.clear()
    world.store.gates["refresh_token"].set()
    await world.clock.advance(DAY)
    assert "renewal_broke" in caplog.text
    assert world.store.steps.count("refresh_token") == 1


async def test_a_flight_for_a_forgotten_account_tells_nobody(world):
    """It lands, and its result is stored if the row is still there."""
    world.add(left_s=100)
    await world.start()
    world.renewer.forget("a1")
    await world.clock.advance(5)
    assert world.exchanges() == 1
    assert world.renewed == []


async def test_a_failure_of_an_older_generation_is_forgotten(world):
    """Meanwhile a newer credential came from elsewhere: whoever waits gets that one."""
    row = world.add()
    world.server.after = [RenewalUnknown("silence")]
    await world.start()
    asked = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await world.clock.advance(0.1)
    newer = world.overtake(row)
    world.renewer.watch(newer)
    await world.clock.advance(1)
    assert await asked == newer
    assert world.failed == []


async def test_an_older_copy_of_an_account_is_ignored(world):
    """News can arrive in the wrong order."""
    row = world.add()
    await world.start()
    first = await world.now()
    steps = len(world.store.steps)
    world.renewer.watch(row)
    assert await world.now() == first
    assert len(world.store.steps) == steps


async def test_what_changes_beside_the_credential_is_taken_over(world):
    """The next exchange goes through the new proxy, at the time that was planned."""
    row = world.add(left_s=HOUR)
    await world.start()
    due_at = world.renewer._roster.next_due_at()
    world.renewer.watch(structs.replace(row, proxy_url=Secret("socks5://p")))
    assert world.renewer._roster.next_due_at() == due_at
    await world.now()
    assert world.server.proxies == [Secret("socks5://p")]


async def test_the_sweep_finds_what_nobody_told(world):
    """New accounts, newer credentials and accounts that are gone."""
    old, gone = world.add("old"), world.add("gone")
    await world.start()
    newer = world.overtake(old)
    world.add("new", left_s=200)
    del world.store.rows[gone.id]
    await world.clock.advance(HOUR + 1)
    assert newer in world.renewed
    assert world.store.rows["new"].credential.generation == 1
    assert await world.renewer.renew_now("gone", generation=0) is None


async def test_a_sweep_that_the_store_refuses_comes_again_soon(world):
    """Without it a gateway that started before its database would stay empty for an hour."""
    world.add(left_s=200)
    world.store.faults["accounts"] = [StateError("away")]
    await world.start()
    await world.clock.advance(31)
    assert world.store.rows["a1"].credential.generation == 1


async def test_an_account_that_is_watched_is_due_before_the_next_sweep(world):
    """A deadline is never delayed by the sweep's interval."""
    await world.start()
    await world.clock.advance(1)
    world.renewer.watch(world.add(left_s=100))
    await world.clock.advance(1)
    assert world.store.rows["a1"].credential.generation == 1


STEPS = ["accounts", "refresh_token", "intend", "renewed"]


def lost(world):
    """Tell whether the token that the server would take is nowhere any more."""
    return world.store.tokens["a1"].reveal() != world.server.current("a1")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_renewer_that_is_cancelled_at_any_step_loses_no_token(world, step, cancels):
    """What was begun lands before the renewer ends, and a new one goes on from there."""
    world.add(left_s=100)
    world.store.gates[step] = asyncio.Event()
    await world.start()
    await world.clock.advance(1)
    assert world.store.steps[-1] == step
    for _ in range(cancels):
        world.task.cancel()
        await settle()
    world.store.gates.pop(step).set()
    await world.clock.advance(10)
    assert world.task.cancelled()
    assert not lost(world)
    await world.restart()
    await world.clock.advance(10)
    assert world.store.rows["a1"].credential.generation == 1
    assert world.exchanges() == 1


async def test_a_renewer_that_is_cancelled_during_the_exchange_loses_no_token(world):
    """The answer is awaited and stored."""
    world.add(left_s=100)
    await world.start()
    await world.clock.advance(0.2)
    asked = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await settle()
    world.task.cancel()
    await world.clock.advance(10)
    assert world.task.cancelled()
    assert (await asked).credential.generation == 1
    assert not lost(world)


async def test_a_renewer_that_runs_again_takes_up_what_it_had_not_begun(world):
    """A supervisor restarted it: the flight that was turned away is due again."""
    world.add(left_s=100)
    world.store.gates["refresh_token"] = asyncio.Event()
    await world.start()
    world.task.cancel()
    world.store.gates.pop("refresh_token").set()
    await world.clock.advance(1)
    assert world.exchanges() == 0
    await world.start()
    await world.clock.advance(1)
    assert world.exchanges() == 1


async def test_while_it_lands_nothing_new_takes_off(world):
    """A caller who asks now is told to try another account."""
    world.add(left_s=100)
    world.add("other")
    await world.start()
    await world.clock.advance(0.2)
    world.task.cancel()
    await settle()
    assert await world.renewer.renew_now("other", generation=0) is None
    await world.clock.advance(10)
    assert world.exchanges() == 1


@pytest.mark.parametrize("step", ["refresh_token", "intend", "exchange", "renewed"])
async def test_a_crash_at_any_step_is_survived_or_told_once(world, step):
    """The old token is tried once more; if it was spent the account is flagged, not hammered."""
    world.add(left_s=100)
    if step != "exchange":
        world.store.gates[step] = asyncio.Event()
    await world.start()
    await world.clock.advance(0.2 if step == "exchange" else 1)
    for flight in world.renewer._flights.values():
        flight.cancel()
    world.task.cancel()
    await settle()
    world.store.gates.clear()
    spent = lost(world)
    assert spent == (step in {"exchange", "renewed"})
    assert world.store.intents == ({"a1": 0} if spent else {})
    await world.restart()
    await world.clock.advance(DAY)
    if spent:
        assert world.failed == [("a1", True, "refresh_token_reused")]
        assert world.exchanges() == 2
    else:
        assert world.store.rows["a1"].credential.generation == 1
        assert world.exchanges() == 1


@pytest.mark.parametrize("seed", range(10))
async def test_through_any_weather_no_token_is_spent_twice_unless_it_had_to_be(seed):
    """Random faults, callers and restarts: the store always ends with the server's token."""
    world, rng = World(), Random(seed)
    for n in range(5):
        world.add(f"s{n}", left_s=rng.uniform(-100, 2000))
    world.server.lifetime_s = 1000
    await world.start()
    for _ in range(60):
        match rng.randrange(6):
            case 0:
                world.server.before.append(
                    rng.choice([RenewalUnsent(""), RenewalRefused("busy", "", permanent=False)])
                )
            case 1:
                world.store.faults.setdefault(
                    rng.choice([*STEPS, "refused", "account"]), []
                ).append(StateError("away"))
            case 2:
                await world.stop()
                await world.restart()
            case _:
                row = world.store.rows[f"s{rng.randrange(5)}"]
                await world.now(row.id, row.credential.generation - rng.randrange(2))
        await world.clock.advance(rng.uniform(0, 300))
    world.server.before.clear()
    world.store.faults.clear()
    await world.clock.advance(2 * HOUR)
    await world.stop()
    tokens = [token for _, token in world.server.seen]
    assert world.server.most_in == 1
    assert not any(permanent for _, permanent, _ in world.failed)
    for n in range(5):
        row = world.store.rows[f"s{n}"]
        assert world.store.tokens[row.id].reveal() == world.server.current(row.id)
        assert row.credential.expires_at > world.clock.now() - 60
        assert any(token.startswith(f"rt-{row.id}-") for token in tokens)
